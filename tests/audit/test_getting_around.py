"""Attempts to write without an audit entry, with SQL as the app's role."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

from app import audit
from app.db.database import Database
from tests.harness import LEAD, by_token, own_database
from tests.harness import TestDatabase as Databases
from tests.oracle import database_is_consistent

from .trail import ACCOUNT, DEVICE, LOCATION, an_id, changes_of, entry_of

RENAME = f"UPDATE turnup.device SET label = gen_random_uuid()::text WHERE id = '{DEVICE}'"
ELSEWHERE = "UPDATE turnup.location SET line2 = gen_random_uuid()::text WHERE id = 'location-2'"
MERGE = """MERGE INTO turnup.device d USING (SELECT gen_random_uuid()::text AS label) s ON d.id = 'phone-1'
           WHEN MATCHED THEN UPDATE SET label = s.label"""
UPSERT = """INSERT INTO turnup.device (id, account_id, location_id, brand)
            VALUES ('phone-1', 'account-1', 'location-1', 'POLY')
            ON CONFLICT (id) DO UPDATE SET label = gen_random_uuid()::text"""
SUPPRESS = "CREATE TRIGGER t BEFORE UPDATE ON turnup.device EXECUTE FUNCTION suppress_redundant_updates_trigger()"
OPEN_AT = "SELECT turnup.audit_open({id}, '{chain}', {action}, {location}, 'r', NULL, NULL, 'APPLIED', NULL)"
SPEAK = OPEN_AT.format(id="{id}", chain=ACCOUNT, action="{action}", location=f"'{LOCATION}'")
OPEN = SPEAK.format(id="'entry_' || replace(gen_random_uuid()::text, '-', '')", action="'editDevice'")
SEAL = "SELECT turnup.audit_seal()"
AT_ONCE, LATER = "SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED"
SAVE, BACK = "SAVEPOINT s", "ROLLBACK TO s"

HAND_OFF = {
    "status_change": """INSERT INTO turnup.status_change (id, account_id, location_id, verb, changed_by)
                        VALUES ('change-x', 'account-1', 'location-1', 'BLOCK', 'user-lead')""",
    "location_partner": """INSERT INTO turnup.location_partner
                               (id, account_id, location_id, user_id, purpose, required)
                           VALUES ('partner-x', 'account-1', 'location-1', 'user-carrier', 'CARRIER', false)""",
    "payload_recipient": "UPDATE turnup.payload_recipient SET live = NOT live",
    "accepted_version": "INSERT INTO turnup.accepted_version (user_id, version) VALUES ('user-lead', '1.0.0')",
}

ORDERS: dict[str, tuple[list[str], str]] = {
    "no transaction": ([RENAME], "AU001"),
    "a commit in a block": ([f"DO $$ BEGIN {RENAME}; COMMIT; END $$"], "AU001"),
    "a commit in two phases": (["BEGIN", RENAME, "PREPARE TRANSACTION 'later'"], "AU001"),
    "checked at once, then written": (["BEGIN", AT_ONCE, RENAME], "AU001"),
    "written, then checked at once": (["BEGIN", RENAME, AT_ONCE], "AU001"),
    "opened, then checked at once": (["BEGIN", OPEN, AT_ONCE], "AU002"),
    "sealed and checked, then written": (["BEGIN", OPEN, SEAL, AT_ONCE, LATER, RENAME, "COMMIT"], "AU001"),
    "written again after the check": (["BEGIN", OPEN, RENAME, SEAL, AT_ONCE, LATER, RENAME, "COMMIT"], "AU001"),
    "a seal that was checked and taken back": (["BEGIN", OPEN, RENAME, SAVE, SEAL, AT_ONCE, BACK, "COMMIT"], "AU002"),
    "written after a seal was taken back": (["BEGIN", OPEN, SAVE, SEAL, AT_ONCE, BACK, RENAME, "COMMIT"], "AU002"),
    "an entry that was taken back": (["BEGIN", SAVE, OPEN, BACK, RENAME, SEAL, "COMMIT"], "AU001"),
    "a seal that was taken back": (["BEGIN", OPEN, SAVE, SEAL, BACK, "COMMIT"], "AU002"),
    "a seal of nothing": (["BEGIN", SEAL, RENAME, "COMMIT"], "AU001"),
    "a seal too early": (["BEGIN", SEAL, OPEN, RENAME, "COMMIT"], "AU002"),
    "a second entry without a seal": (["BEGIN", OPEN, SEAL, OPEN, RENAME, "COMMIT"], "AU002"),
    "a second seal without an entry": (["BEGIN", OPEN, SEAL, RENAME, SEAL, "COMMIT"], "AU001"),
    "settled, not sealed": (["BEGIN", OPEN, RENAME, "SELECT turnup.audit_settle()", "COMMIT"], "AU002"),
    "another location's entry": (["BEGIN", OPEN, ELSEWHERE, SEAL, "COMMIT"], "AU001"),
    "another location's entry, opened later": (["BEGIN", ELSEWHERE, OPEN, SEAL, "COMMIT"], "AU001"),
    **{f"a row of {table}": (["BEGIN", statement, "COMMIT"], "AU001") for table, statement in HAND_OFF.items()},
    "a merge": (["BEGIN", MERGE, "COMMIT"], "AU001"),
    "an upsert": (["BEGIN", UPSERT, "COMMIT"], "AU001"),
    "a query that writes": (["BEGIN", f"WITH moved AS ({RENAME} RETURNING 1) SELECT * FROM moved", "COMMIT"], "AU001"),
    "a copy": (["COPY turnup.device (id, account_id, location_id, brand) FROM STDIN"], "0A000"),
    "a check made another": (["ALTER TABLE turnup.audit_entry ALTER CONSTRAINT audit_sealed NOT DEFERRABLE"], "42501"),
    "a trigger before capture": ([SUPPRESS], "42501"),
    "a rule": (["CREATE RULE r AS ON INSERT TO turnup.field_change DO INSTEAD NOTHING"], "42501"),
    "a lock on the audit log": (["BEGIN", "LOCK TABLE turnup.audit_entry IN SHARE MODE"], "42501"),
}


@pytest.fixture(scope="module")
async def place() -> AsyncIterator[Databases]:
    """A database with the demo data, of this module alone. After all attempts, the audit log explains all rows.

    The app's role may make temporary tables there, which it may not elsewhere: it is tried with them as well.
    """
    async with own_database() as found:
        owner = await asyncpg.connect(found.owner_url)
        name = await owner.fetchval("SELECT current_database()")
        await owner.execute(f"GRANT TEMPORARY ON DATABASE {name} TO turnup_app")
        await owner.close()
        yield found
        await database_is_consistent(found)


@pytest.fixture(scope="module")
async def reader(place: Databases) -> AsyncIterator[Database]:
    """Reads what entries say."""
    opened = await Database.open(place.app_url, size=1)
    yield opened
    await opened.close()


@pytest.fixture
async def stolen(place: Databases) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the app's role, signed in as a lead for as long as it lasts, which no transaction surrounds."""
    connection = await asyncpg.connect(place.app_url)
    for name, value in (("user_id", "user-lead"), ("role", "IMPLEMENTATION_LEAD"), ("all_accounts", "on")):
        await connection.execute("SELECT set_config($1, $2, false)", f"turnup.{name}", value)
    assert await connection.fetchval("SELECT count(*) FROM turnup.device WHERE id = $1", DEVICE) == 1
    yield connection
    await connection.close()


def opened(entry: str) -> str:
    """The statement that opens an entry with this id."""
    return SPEAK.format(id=f"'{entry}'", action="'editDevice'")


async def run_all(connection: asyncpg.Connection, statements: list[str]) -> None:
    """One statement after the other; one that fails is the end of it, as are the transactions it stood in."""
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        with suppress(asyncpg.NoActiveSQLTransactionError):
            await connection.execute("ROLLBACK")


@pytest.mark.parametrize("order", ORDERS)
async def test_no_order_of_statements_commits_a_change_that_no_sealed_entry_covers(
    stolen: asyncpg.Connection, order: str
) -> None:
    statements, sqlstate = ORDERS[order]
    with pytest.raises(asyncpg.PostgresError) as refused:
        await run_all(stolen, statements)
    assert refused.value.sqlstate == sqlstate


@pytest.mark.parametrize(
    "setting",
    [
        "row_security = off",
        "standard_conforming_strings = off",
        "transform_null_equals = on",
        "timezone = 'Pacific/Chatham'",
        "datestyle = 'German, DMY'",
        "bytea_output = 'escape'",
        "search_path = pg_temp, public",
        "default_transaction_isolation = 'serializable'",
    ],
)
async def test_no_setting_of_a_session_keeps_a_change_out_of_its_entry(
    reader: Database, stolen: asyncpg.Connection, setting: str
) -> None:
    entry, label = an_id(), an_id("label")
    await stolen.execute(f"SET {setting}")
    try:
        await run_all(
            stolen,
            [
                "BEGIN",
                opened(entry),
                f"UPDATE turnup.device SET label = '{label}' WHERE id = '{DEVICE}'",
                SEAL,
                "COMMIT",
            ],
        )
    except asyncpg.InsufficientPrivilegeError:
        assert setting == "row_security = off", "that one refuses to read at all"
    else:
        [(*_, after)] = await changes_of(reader, entry)
        assert after == label


async def test_functions_of_the_session_s_own_are_not_taken_for_postgresql_s(stolen: asyncpg.Connection) -> None:
    statements = [
        "CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT '\\x00'::bytea $$",
        "CREATE FUNCTION pg_temp.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{}'::jsonb $$",
        "CREATE FUNCTION pg_temp.jsonb_object_keys(jsonb) RETURNS text LANGUAGE sql AS $$ SELECT 'nothing' $$",
        "SET search_path = pg_temp, pg_catalog",
        "BEGIN",
        OPEN,
        RENAME,
        SEAL,
        "COMMIT",
    ]
    await run_all(stolen, statements)


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
@pytest.mark.parametrize("action", ["LOAD_UNAUDITED", "ERASE", "BASELINE", "UNCOVERED", "ROLE_DENIED", "", "1"])
async def test_the_app_s_role_cannot_speak_for_the_system(reader: Database, action: str, many: bool) -> None:
    facts: dict[str, Any] = {"entry_id": an_id(), "chain": ACCOUNT, "location_id": LOCATION, "request_id": "r"}

    async def speak() -> None:
        async with reader.writing(by_token(LEAD), timeout_ms=5_000) as tx:
            if many:
                good = audit.Opening(**{**facts, "entry_id": an_id()}, action="editDevice")
                await audit.open_entries(tx, [good, audit.Opening(**facts, action=action)])
            else:
                await audit.open_entry(tx, **facts, action=action)

    with pytest.raises(asyncpg.PostgresError) as refused:
        await speak()
    assert (refused.value.sqlstate, refused.value.constraint_name) == ("AU006", "audit_system_only")


@pytest.mark.parametrize(
    ("chain", "location"),
    [
        ("account-phantom", LOCATION),
        ("account-phantom", None),
        ("account-2", LOCATION),
        (ACCOUNT, "location-phantom"),
        ("system", LOCATION),
        ("", None),
        ("Account-1", None),
    ],
)
async def test_an_entry_stands_on_the_chain_of_an_account_that_is_there_and_names_a_location_of_it(
    stolen: asyncpg.Connection, chain: str, location: str | None
) -> None:
    for outcome in ("APPLIED", "REFUSED"):
        speak = OPEN_AT.replace("APPLIED", outcome).format(
            id=f"'{an_id()}'", chain=chain, action="'block'", location="NULL" if location is None else f"'{location}'"
        )
        with pytest.raises(asyncpg.PostgresError) as refused:
            await run_all(stolen, ["BEGIN", speak, SEAL, "COMMIT"])
        assert (refused.value.sqlstate, refused.value.constraint_name) == ("AU007", "audit_out_of_place")


async def test_an_entry_may_name_what_comes_or_goes_under_it(reader: Database, stolen: asyncpg.Connection) -> None:
    account, location, came, gone = an_id("account"), an_id("location"), an_id(), an_id()
    there = {"chain": account, "action": "'x'", "location": f"'{location}'"}
    await run_all(
        stolen,
        [
            "BEGIN",
            OPEN_AT.format(id=f"'{came}'", **there),
            f"INSERT INTO turnup.account (id, name) VALUES ('{account}', 'Brief')",
            f"INSERT INTO turnup.location (id, account_id, name) VALUES ('{location}', '{account}', 'Brief')",
            SEAL,
            "COMMIT",
            "BEGIN",
            OPEN_AT.format(id=f"'{gone}'", **there),
            f"DELETE FROM turnup.location WHERE id = '{location}'",
            SEAL,
            "COMMIT",
        ],
    )
    assert [(await entry_of(reader, entry))["number"] for entry in (came, gone)] == [1, 2]


@pytest.mark.parametrize(
    ("code", "actor", "request_id"),
    [("x" * 201, "user-lead", "r"), ("x", "user-lead", "r" * 201), ("x", "user-phantom", "r"), ("x", "", "r")],
    ids=["a long code", "a long request id", "a user who is not there", "nobody"],
)
async def test_what_the_app_s_role_has_counted_is_of_a_user_and_short(
    stolen: asyncpg.Connection, code: str, actor: str, request_id: str
) -> None:
    for action in ("ROLE_DENIED", "SECURITY_EVENT"):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await stolen.execute("SELECT turnup.audit_count($1, $2, $3, $4)", action, code, actor, request_id)
        assert (refused.value.sqlstate, refused.value.constraint_name) == ("AU008", "audit_counted_of_a_user")


WEIGH = """UPDATE turnup.approval SET content = jsonb_set(content, '{{weight}}', '{weight}')
           WHERE id LIKE 'approval\\_w_' AND id <= 'approval_w' || {rows}"""
APPROVE = """INSERT INTO turnup.approval (id, account_id, location_id, location_revision, digest, content,
                                      requested_by, status)
             SELECT 'approval_w' || n, 'account-1', 'location-1', n, 'x', '{"weight": 4}', 'user-lead', 'VOIDED'
             FROM generate_series(1, 2) n"""


async def test_the_app_s_role_cannot_write_what_jsonb_counts_as_equal_without_an_entry(
    reader: Database, stolen: asyncpg.Connection
) -> None:
    weights = "SELECT content ->> 'weight' AS weight FROM turnup.approval WHERE id LIKE 'approval\\_w_' ORDER BY id"
    entry = an_id()
    await run_all(stolen, ["BEGIN", OPEN, APPROVE, SEAL, "COMMIT"])
    for rows in (1, 2):
        same = WEIGH.format(weight="4", rows=rows)
        other = WEIGH.format(weight="4.00", rows=rows)
        await stolen.execute(same)
        with pytest.raises(asyncpg.PostgresError) as refused:
            await stolen.execute(other)
        assert refused.value.sqlstate == "AU001"
        assert [row["weight"] for row in await stolen.fetch(weights)] == ["4", "4"]
    await run_all(stolen, ["BEGIN", opened(entry), WEIGH.format(weight="4.00", rows=2), SEAL, "COMMIT"])
    assert [row["weight"] for row in await stolen.fetch(weights)] == ["4.00", "4.00"]
    assert sorted(change[:3] for change in await changes_of(reader, entry)) == [
        ("approval", f"approval_w{n}", "content") for n in (1, 2)
    ]


async def test_the_app_s_role_cannot_write_without_a_name(stolen: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.PostgresError) as refused:
        await run_all(stolen, ["SELECT set_config('turnup.user_id', '', false)", OPEN])
    assert refused.value.sqlstate == "AU006"


async def test_of_two_entries_of_one_location_the_later_has_what_came_after_it(
    reader: Database, stolen: asyncpg.Connection
) -> None:
    first, second = an_id(), an_id()
    early, late = (f"UPDATE turnup.device SET label = '{an_id('label')}' WHERE id = '{DEVICE}'" for _ in range(2))
    await run_all(stolen, ["BEGIN", opened(first), early, opened(second), late, SEAL, "COMMIT"])
    assert [len(await changes_of(reader, entry)) for entry in (first, second)] == [1, 1]
    numbers = [(await entry_of(reader, entry))["number"] for entry in (first, second)]
    assert numbers[1] == numbers[0] + 1


@pytest.mark.parametrize("forged", ["{entry}", "{unsealed}"])
async def test_another_location_s_entry_does_not_take_a_change_that_is_pointed_at_it(
    stolen: asyncpg.Connection, forged: str
) -> None:
    entry = an_id()
    pointing = forged.format(entry=entry, unsealed="entry_of_nobody")
    memory = f'{{"all": ["{entry}"], "at": {{"{ACCOUNT}/location-2": "{pointing}", "{ACCOUNT}": "{pointing}"}}}}'
    with pytest.raises(asyncpg.PostgresError) as refused:
        await run_all(
            stolen,
            [
                "BEGIN",
                opened(entry),
                f"SELECT set_config('turnup.audit_open', '{memory}', true)",
                ELSEWHERE,
                SEAL,
                "COMMIT",
            ],
        )
    assert refused.value.sqlstate == "AU001"


async def test_an_open_entry_of_another_transaction_takes_no_change(
    place: Databases, stolen: asyncpg.Connection
) -> None:
    theirs, other = an_id(), await asyncpg.connect(place.app_url)
    try:
        await other.execute("SELECT set_config('turnup.user_id', 'user-acme', false)")
        await other.execute("SELECT set_config('turnup.role', 'CUSTOMER', false)")
        await other.execute("BEGIN")
        await other.execute(opened(theirs))
        memory = f'{{"all": ["{theirs}"], "at": {{"{ACCOUNT}/{LOCATION}": "{theirs}"}}}}'
        with pytest.raises(asyncpg.PostgresError) as refused:
            await run_all(
                stolen, ["BEGIN", f"SELECT set_config('turnup.audit_open', '{memory}', true)", RENAME, SEAL, "COMMIT"]
            )
        assert refused.value.sqlstate == "AU001"
    finally:
        await other.close()
