"""Refuse to serve as a database role that row-level security would not hold."""

from typing import Any

from app.db.tables import SCHEMA

ROLE = f"""
SELECT current_user AS name, rolsuper AS superuser, rolbypassrls AS bypasses,
       pg_has_role(current_user, 'turnup_definer', 'MEMBER') AS definer,
       EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = '{SCHEMA}' AND c.relkind = 'r' AND pg_has_role(current_user, c.relowner, 'MEMBER'))
       AS owner
FROM pg_roles WHERE rolname = current_user
"""


class UnsafeRole(Exception):  # noqa: N818 - says what was found
    """The app's database role could pass row-level security."""


async def check_app_role(connection: Any) -> None:
    """Raises UnsafeRole for a superuser, a role that bypasses row-level security, and an owner of the tables."""
    role = await connection.fetchrow(ROLE)
    faults = {
        "is a superuser": role["superuser"],
        "bypasses row-level security": role["bypasses"],
        "is a member of turnup_definer": role["definer"] and not role["superuser"],
        "owns the tables": role["owner"] and not role["superuser"],
    }
    found = [fault for fault, is_so in faults.items() if is_so]
    if found:
        raise UnsafeRole(
            f"DATABASE_URL signs in as {role['name']}, which {' and '.join(found)}; use the role turnup_app"
        )
