"""Refuses to serve with a database role that can bypass row-level security."""

from typing import Any

from app.db.tables import SCHEMA

# A role can become every role that it is a member of; with CREATEROLE, up to PostgreSQL 15, it can also make itself a
# member.
ROLE = f"""
SELECT current_user AS name, rolsuper AS superuser, rolcreaterole AS creates_roles,
       EXISTS (SELECT FROM pg_roles b WHERE b.rolbypassrls AND pg_has_role(current_user, b.oid, 'MEMBER')) AS bypasses,
       EXISTS (SELECT FROM pg_roles s WHERE s.rolsuper AND pg_has_role(current_user, s.oid, 'MEMBER')) AS may_become,
       EXISTS (SELECT FROM pg_roles d WHERE d.rolname = 'turnup_definer' AND pg_has_role(current_user, d.oid, 'MEMBER'))
       AS definer,
       EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = '{SCHEMA}' AND c.relkind = 'r' AND pg_has_role(current_user, c.relowner, 'MEMBER'))
       AS owner
FROM pg_roles WHERE rolname = current_user
"""


class UnsafeRole(Exception):  # noqa: N818 - says what was found
    """The app's database role can bypass row-level security."""


async def check_app_role(connection: Any) -> None:
    """Raise UnsafeRole when the role, or a role that it can become, is not subject to the policies."""
    role = await connection.fetchrow(ROLE)
    faults = {
        "is a superuser": role["superuser"],
        "may become a superuser": role["may_become"] and not role["superuser"],
        "may create roles": role["creates_roles"] and not role["superuser"],
        "bypasses row-level security": role["bypasses"],
        "is a member of turnup_definer": role["definer"] and not role["superuser"],
        "owns the tables": role["owner"] and not role["superuser"],
    }
    found = [fault for fault, is_so in faults.items() if is_so]
    if found:
        raise UnsafeRole(
            f"DATABASE_URL signs in as {role['name']}, which {' and '.join(found)}; use the role turnup_app"
        )
