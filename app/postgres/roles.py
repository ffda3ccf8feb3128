"""The three database roles and the database, as a psql script for PostgreSQL 15 or newer.

`turnup_owner` owns and migrates the tables, `turnup_definer` owns the few SECURITY DEFINER functions and cannot log in,
`turnup_app` serves requests. None is a superuser and none bypasses row-level security. A fourth role is optional:
`turnup_backup` reads everything, for pg_dump, and changes nothing.
"""

from app.session_settings import role_sql

_SCRIPT = r"""-- Turnup's roles and its database; safe to run again. Run as a superuser or with CREATEROLE and CREATEDB:
--   {usage}
-- With -v backup_password=... it also makes turnup_backup, which can run pg_dump; this needs a superuser.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

SELECT 'CREATE ROLE turnup_owner LOGIN NOINHERIT CREATEDB'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'turnup_owner') \gexec
SELECT 'CREATE ROLE turnup_definer NOLOGIN'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'turnup_definer') \gexec
SELECT 'CREATE ROLE turnup_app LOGIN'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'turnup_app') \gexec

ALTER ROLE turnup_owner LOGIN NOINHERIT NOCREATEROLE CREATEDB PASSWORD {owner_password};
ALTER ROLE turnup_definer NOLOGIN NOCREATEROLE NOCREATEDB;
ALTER ROLE turnup_app LOGIN NOCREATEROLE NOCREATEDB PASSWORD {app_password};

-- The owner may hand functions over to the definer (SET ROLE), but does not live under its policies.
GRANT turnup_definer TO turnup_owner;

-- Nothing that a session waits for is without a bound. Connections that exist keep the settings of their start.
{owner_settings}
{app_settings}

-- Roles that were there before keep the attributes only a superuser may change: refuse the dangerous ones.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_roles
         WHERE rolname IN ('turnup_owner', 'turnup_definer', 'turnup_app') AND (rolsuper OR rolbypassrls)
    ) THEN
        RAISE EXCEPTION 'turnup_owner, turnup_definer and turnup_app must be NOSUPERUSER NOBYPASSRLS';
    END IF;
    IF pg_has_role('turnup_owner', 'turnup_definer', 'USAGE') THEN
        RAISE EXCEPTION 'turnup_owner must not inherit turnup_definer';
    END IF;
    IF pg_has_role('turnup_app', 'turnup_definer', 'MEMBER') OR pg_has_role('turnup_app', 'turnup_owner', 'MEMBER') THEN
        RAISE EXCEPTION 'turnup_app must be a member of neither turnup_owner nor turnup_definer';
    END IF;
END
$$;

-- Only a role that may become the owner can give it a database; a superuser always may.
SELECT 'GRANT turnup_owner TO CURRENT_USER'
 WHERE current_setting('is_superuser') = 'off' \gexec

SELECT 'CREATE DATABASE {database_in_text} OWNER turnup_owner ENCODING ''UTF8'' TEMPLATE template0'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {database_literal}) \gexec

REVOKE ALL ON DATABASE {database} FROM PUBLIC;
GRANT CONNECT ON DATABASE {database} TO turnup_app;

-- pg_dump refuses tables with forced row-level security to every role that does not bypass it.
\if :{{?backup_password}}
SELECT 'CREATE ROLE turnup_backup LOGIN'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'turnup_backup') \gexec
ALTER ROLE turnup_backup LOGIN INHERIT NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION BYPASSRLS
    PASSWORD :'backup_password';
{backup_settings}
ALTER ROLE turnup_backup SET default_transaction_read_only = on;
GRANT pg_read_all_data TO turnup_backup;
GRANT CONNECT ON DATABASE {database} TO turnup_backup;
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_auth_members
         WHERE member = 'turnup_backup'::regrole AND roleid <> 'pg_read_all_data'::regrole
            OR roleid = 'turnup_backup'::regrole AND NOT (SELECT rolsuper FROM pg_roles r WHERE r.oid = member)
    ) THEN
        RAISE EXCEPTION 'turnup_backup must be a member of pg_read_all_data only, and have no members';
    END IF;
END
$$;
\endif
"""


def roles_sql(owner_password: str | None, app_password: str | None, database: str = "turnup") -> str:
    """Return a psql script that creates the roles and the database; running it again corrects them.

    Without a password the script reads it from a psql variable, `owner_password` or `app_password`, and stops with a
    syntax error when that variable is not set. The script refuses roles that are superusers, bypass row-level security,
    or inherit other roles' rights that they must not have. It makes `turnup_backup` when the variable
    `backup_password` is set.
    """
    variables = [
        name for name, value in (("owner_password", owner_password), ("app_password", app_password)) if value is None
    ]
    usage = " ".join(["psql -d postgres", *(f"-v {name}=..." for name in variables), "-f roles.sql"])
    identifier = quoted_identifier(database)
    return _SCRIPT.format(
        usage=usage,
        owner_password=":'owner_password'" if owner_password is None else quoted_literal(owner_password),
        app_password=":'app_password'" if app_password is None else quoted_literal(app_password),
        owner_settings=role_sql("turnup_owner"),
        app_settings=role_sql("turnup_app"),
        backup_settings=role_sql("turnup_backup"),
        database=identifier,
        database_in_text=identifier.replace("'", "''"),
        database_literal=quoted_literal(database),
    )


def quoted_identifier(name: str) -> str:
    """Quote a name as an SQL identifier, preserving every character."""
    return '"' + name.replace('"', '""') + '"'


def quoted_literal(value: str) -> str:
    """Quote a text as an SQL string literal (for `standard_conforming_strings` on, the default)."""
    return "'" + value.replace("'", "''") + "'"
