"""Every write leaves an entry with what changed, whoever writes; without one it cannot be committed."""

import asyncpg
import pytest

from app import audit
from app.audit.replay import ON_SYSTEM, TRACKED, UNTRACKED
from app.db import tables
from app.db.database import Database, Transaction
from tests.harness import CUSTOMER, LEAD, by_token
from tests.harness import TestDatabase as Databases

from .trail import ACCOUNT, DEVICE, LOCATION, an_id, changes_of, definer, enter, entry_of, operation, run

RENAME = "UPDATE turnup.device SET label = $2, revision = revision + 1 WHERE id = $1"


async def test_an_edit_leaves_its_changed_fields_before_and_after(pool: Database) -> None:
    async with operation(pool) as (tx, entry):
        await run(tx, RENAME, DEVICE, "Front desk")
    async with operation(pool) as (tx, later):
        await run(tx, RENAME, DEVICE, "Back desk")
    [label, revision] = sorted(await changes_of(pool, later))
    assert label == ("device", DEVICE, "label", "Front desk", "Back desk")
    assert revision[:3] == ("device", DEVICE, "revision")
    assert revision[4] == revision[3] + 1
    assert entry != later


async def test_an_entry_says_who_what_where_and_why(pool: Database) -> None:
    async with operation(pool, who=CUSTOMER, reason="Moved rooms", override_id="override_1") as (tx, entry):
        await run(tx, RENAME, DEVICE, an_id("label"))
    found = await entry_of(pool, entry)
    assert {name: found[name] for name in ("chain", "account_id", "location_id", "action", "outcome", "code")} == {
        "chain": ACCOUNT,
        "account_id": ACCOUNT,
        "location_id": LOCATION,
        "action": "editDevice",
        "outcome": "APPLIED",
        "code": None,
    }
    assert (found["actor_id"], found["actor_role"]) == ("user-acme", "CUSTOMER")
    assert (found["request_id"], found["reason"], found["override_id"]) == ("request-1", "Moved rooms", "override_1")


async def test_a_new_row_leaves_its_values_and_a_removed_one_what_it_had(pool: Database) -> None:
    person = an_id("person")
    async with operation(pool) as (tx, added):
        await run(
            tx,
            "INSERT INTO turnup.person (id, account_id, location_id, first_name) VALUES ($1, $2, $3, 'Ada')",
            person,
            ACCOUNT,
            LOCATION,
        )
    async with operation(pool) as (tx, removed):
        await run(tx, "DELETE FROM turnup.person WHERE id = $1", person)
    values = {
        "id": person,
        "account_id": ACCOUNT,
        "location_id": LOCATION,
        "first_name": "Ada",
        "voicemail": False,
        "revision": 1,
    }
    came, went = await changes_of(pool, added), await changes_of(pool, removed)
    assert {change[2]: change[3:] for change in came} == {name: (None, value) for name, value in values.items()}
    assert {change[2]: change[3:] for change in went} == {name: (value, None) for name, value in values.items()}


async def test_an_update_that_changes_nothing_leaves_nothing(pool: Database) -> None:
    async with operation(pool) as (tx, entry):
        await run(tx, "UPDATE turnup.device SET label = label WHERE id = $1", DEVICE)
    assert await changes_of(pool, entry) == []


async def test_a_cascade_is_captured(pool: Database) -> None:
    async with operation(pool, location_id="location-3") as (tx, entry):
        await run(tx, "DELETE FROM turnup.call_flow WHERE location_id = 'location-3'")
    tables_seen = {change[0] for change in await changes_of(pool, entry)}
    assert tables_seen == {"call_flow", "call_flow_option"}


async def test_a_row_that_moves_leaves_one_location_and_comes_to_another(pool: Database) -> None:
    device = an_id("device")
    async with operation(pool) as (tx, _entry):
        await run(
            tx,
            "INSERT INTO turnup.device (id, account_id, location_id, brand) VALUES ($1, $2, $3, 'POLY')",
            device,
            ACCOUNT,
            LOCATION,
        )
    async with operation(pool) as (tx, from_here):
        to_there = await enter(tx, ACCOUNT, "location-2")
        await run(tx, "UPDATE turnup.device SET location_id = 'location-2' WHERE id = $1", device)
    left = {change[2]: change[3:] for change in await changes_of(pool, from_here)}
    came = {change[2]: change[3:] for change in await changes_of(pool, to_there)}
    assert (left["location_id"], came["location_id"]) == ((LOCATION, None), (None, "location-2"))


async def test_one_statement_on_many_rows_leaves_what_each_of_them_changed_where_it_belongs(pool: Database) -> None:
    moved, renamed, untouched = (an_id("device") for _ in range(3))
    add = "INSERT INTO turnup.device (id, account_id, location_id, brand) VALUES ($1, $2, $3, 'POLY')"
    async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
        await enter(tx, ACCOUNT)
        for device, location in ((moved, LOCATION), (renamed, "location-2"), (untouched, "location-3")):
            await run(tx, add, device, ACCOUNT, location)
        await audit.seal(tx)
    async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
        here, there, elsewhere = [await enter(tx, ACCOUNT, place) for place in (LOCATION, "location-2", "location-3")]
        await run(
            tx,
            """UPDATE turnup.device SET label = CASE id WHEN $2 THEN 'Desk' END,
                      location_id = CASE id WHEN $1 THEN 'location-2' ELSE location_id END
               WHERE id = ANY (ARRAY[$1, $2, $3]::text[])""",
            moved,
            renamed,
            untouched,
        )
        await audit.seal(tx)
    row = {"id": moved, "account_id": ACCOUNT, "brand": "POLY", "revision": 1}
    assert {change[1:] for change in await changes_of(pool, here)} == {
        (moved, name, value, None) for name, value in {**row, "location_id": LOCATION}.items()
    }
    assert {change[1:] for change in await changes_of(pool, there)} == {
        *((moved, name, None, value) for name, value in {**row, "location_id": "location-2"}.items()),
        (renamed, "label", None, "Desk"),
    }
    assert await changes_of(pool, elsewhere) == []


async def test_an_insert_that_turns_into_an_update_is_captured_as_what_it_came_to(pool: Database) -> None:
    fresh, there = an_id("account"), an_id("account")
    put = """INSERT INTO turnup.account (id, name) SELECT id, 'Fern Bakery' FROM unnest(ARRAY[$1, $2]::text[]) AS n (id)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name"""
    async with operation(pool, there, None) as (tx, _entry):
        await run(tx, "INSERT INTO turnup.account (id, name) VALUES ($1, 'Elm Florists')", there)
    async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
        came, changed = await enter(tx, fresh), await enter(tx, there)
        await run(tx, put, fresh, there)
        await audit.seal(tx)
    assert ("account", fresh, "name", None, "Fern Bakery") in await changes_of(pool, came)
    assert await changes_of(pool, changed) == [("account", there, "name", "Elm Florists", "Fern Bakery")]


async def test_changes_belong_to_the_entry_of_their_location_else_of_their_account(pool: Database) -> None:
    async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
        acme, here = await enter(tx, ACCOUNT), await enter(tx, ACCOUNT, LOCATION)
        birch, system = await enter(tx, "account-2"), await enter(tx, audit.SYSTEM)
        for location in (LOCATION, "location-2", "location-6"):
            await run(tx, "UPDATE turnup.location SET line2 = $2 WHERE id = $1", location, an_id("line"))
        await run(tx, """UPDATE turnup."user" SET name = $1 WHERE id = 'user-pbx'""", an_id("name"))
        await audit.seal(tx)
    rows = {entry: {change[1] for change in await changes_of(pool, entry)} for entry in (acme, here, birch, system)}
    assert rows == {acme: {"location-2"}, here: {LOCATION}, birch: {"location-6"}, system: {"user-pbx"}}


async def test_many_entries_open_in_one_statement_and_are_numbered_in_their_order(pool: Database) -> None:
    openings = [
        audit.Opening(
            entry_id=an_id(), chain=ACCOUNT, action="bulkUpdateStatus", location_id=f"location-{n}", request_id="r"
        )
        for n in (3, 1, 2)
    ]
    async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
        await audit.open_entries(tx, openings)
        await audit.seal(tx)
    numbers = [(await entry_of(pool, opening.entry_id))["number"] for opening in openings]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


async def test_a_write_that_came_before_its_entry_belongs_to_it(pool: Database) -> None:
    async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
        await run(tx, RENAME, DEVICE, "Early")
        entry = await enter(tx)
        await audit.seal(tx)
    assert {change[2] for change in await changes_of(pool, entry)} == {"label", "revision"}


async def test_a_write_without_an_entry_is_refused_at_the_commit(pool: Database) -> None:
    with pytest.raises(asyncpg.PostgresError) as refused:
        async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
            await run(tx, RENAME, DEVICE, "Unseen")
    assert (refused.value.sqlstate, refused.value.constraint_name) == ("AU001", "audit_uncovered")


async def test_a_write_on_another_account_than_the_entry_s_is_refused_at_the_commit(pool: Database) -> None:
    with pytest.raises(asyncpg.PostgresError) as refused:
        async with operation(pool, "account-2", None) as (tx, _entry):
            await run(tx, RENAME, DEVICE, "Unseen")
    assert refused.value.sqlstate == "AU001"


async def test_an_entry_that_is_not_sealed_is_refused_at_the_commit(pool: Database) -> None:
    with pytest.raises(asyncpg.PostgresError) as refused:
        async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
            await enter(tx)
    assert (refused.value.sqlstate, refused.value.constraint_name) == ("AU002", "audit_unsealed")


async def test_a_write_after_the_seal_is_refused_at_the_commit(pool: Database) -> None:
    async def write_late() -> None:
        async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
            await enter(tx)
            await audit.seal(tx)
            await run(tx, RENAME, DEVICE, "Late")

    with pytest.raises(asyncpg.PostgresError) as refused:
        await write_late()
    assert refused.value.sqlstate == "AU001"


async def test_a_refused_attempt_is_entered_and_cannot_change_anything(pool: Database) -> None:
    async with operation(pool, outcome="REFUSED", code="LOCKED") as (tx, entry):
        pass
    assert (await entry_of(pool, entry))["code"] == "LOCKED"
    with pytest.raises(asyncpg.PostgresError) as refused:
        async with operation(pool, outcome="REFUSED", code="LOCKED") as (tx, entry):
            await run(tx, RENAME, DEVICE, "Sneaked in")
    assert (refused.value.sqlstate, refused.value.constraint_name) == ("AU003", "audit_refused_changes_nothing")


async def test_what_a_savepoint_takes_back_leaves_no_entry_and_no_change(pool: Database) -> None:
    async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await _attempt(tx)
        refused = await enter(tx, outcome="REFUSED", code="LOCKED")
        await audit.seal(tx)
    assert (await entry_of(pool, refused))["outcome"] == "REFUSED"
    assert await changes_of(pool, refused) == []


async def _attempt(tx: Transaction) -> None:
    async with tx.savepoint():
        await enter(tx)
        await run(tx, RENAME, DEVICE, "Taken back")
        await run(tx, "SELECT 1 / 0")


@pytest.mark.parametrize("forged", ["", "{}", "[", '{"all": [], "at": {}}', '{"all": ["x"], "at": {"account-1": "x"}}'])
async def test_a_spoiled_memory_of_open_entries_only_keeps_the_commit_away(pool: Database, forged: str) -> None:
    async def write() -> None:
        async with operation(pool) as (tx, _entry):
            await run(tx, "SELECT set_config('turnup.audit_open', $1, true)", forged)
            await run(tx, RENAME, DEVICE, "Unseen")

    with pytest.raises(asyncpg.PostgresError):
        await write()


async def test_changes_cannot_be_slipped_into_an_entry_that_was_sealed_before(pool: Database) -> None:
    async with operation(pool) as (tx, sealed):
        await run(tx, RENAME, DEVICE, an_id("label"))
    before = await changes_of(pool, sealed)

    async def write() -> None:
        async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
            memory = f'{{"all": ["{sealed}"], "at": {{"{ACCOUNT}": "{sealed}"}}}}'
            await run(tx, "SELECT set_config('turnup.audit_open', $1, true)", memory)
            await run(tx, RENAME, DEVICE, "Slipped in")
            await audit.seal(tx)

    with pytest.raises(asyncpg.PostgresError) as refused:
        await write()
    assert refused.value.sqlstate == "AU001"
    assert await changes_of(pool, sealed) == before


async def test_the_owner_too_needs_an_entry(database: Databases) -> None:
    with pytest.raises(asyncpg.PostgresError) as refused:
        async with definer(database.owner_url) as connection:
            await connection.execute(RENAME, DEVICE, "By hand")
    assert refused.value.sqlstate == "AU001"


async def test_a_data_migration_is_entered_as_the_system_on_every_chain_it_touches(
    pool: Database, database: Databases
) -> None:
    action = f"MIGRATION_{an_id()}"
    async with definer(database.owner_url, system=action) as connection:
        await connection.execute("UPDATE turnup.location SET country = 'CA' WHERE id IN ('location-3', 'location-6')")
    async with pool.snapshot(by_token(LEAD), timeout_ms=5_000) as tx:
        found = await run(
            tx,
            "SELECT chain, actor_id FROM turnup.audit_entry WHERE action = $1 AND number IS NOT NULL ORDER BY chain",
            action,
        )
    assert found == [("account-1", None), ("account-2", None)]


@pytest.mark.parametrize("setting", ["turnup.unaudited", "turnup.erasing", "turnup.system_action"])
async def test_the_switches_of_the_owner_do_nothing_for_the_app_s_role(pool: Database, setting: str) -> None:
    async with operation(pool) as (tx, entry):
        await run(tx, "SELECT set_config($1, 'on', true)", setting)
        await run(tx, RENAME, DEVICE, an_id("label"))
    [label, _revision] = sorted(await changes_of(pool, entry))
    assert label[3] is not None
    assert label[4] is not None

    async def write_unseen() -> None:
        async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
            await run(tx, "SELECT set_config($1, 'on', true)", setting)
            await run(tx, RENAME, DEVICE, "Unseen")

    with pytest.raises(asyncpg.PostgresError) as refused:
        await write_unseen()
    assert refused.value.sqlstate == "AU001"


FORBIDDEN = [
    "INSERT INTO turnup.audit_entry (id, chain, action, outcome) VALUES ('entry_x', 'system', 'x', 'APPLIED')",
    "UPDATE turnup.audit_entry SET reason = 'x'",
    "DELETE FROM turnup.audit_entry",
    "TRUNCATE turnup.audit_entry",
    "INSERT INTO turnup.field_change (entry_id, table_name, row_id, field) VALUES ('e', 't', 'r', 'f')",
    "UPDATE turnup.field_change SET after = '1'",
    "DELETE FROM turnup.field_change",
    "SELECT * FROM turnup.chain_head",
    "UPDATE turnup.chain_head SET number = 1",
    "DELETE FROM turnup.chain_head",
    "SELECT * FROM turnup.audit_incident",
    "DELETE FROM turnup.audit_incident",
    "ALTER TABLE turnup.device DISABLE TRIGGER audit_capture",
    "DROP TRIGGER audit_capture ON turnup.device",
    "SET session_replication_role = replica",
    "SELECT turnup.audit_baseline()",
    "SELECT turnup.audit_entry_for('account-1', NULL)",
    "SELECT turnup.audit_write('device', 'phone-1', 'account-1', 'account-1', NULL, NULL, '{}')",
    "SELECT turnup.audit_blank('account-1', NULL, 'device', 'phone-1', '{label}')",
    "SELECT turnup.audit_erase('user', 'user-pbx', 'x')",
    "SELECT turnup.audit_erase_reason('entry_x', 'x')",
    "SELECT turnup.audit_blank_unused('account-1', 'location-1')",
    "SELECT turnup.audit_forget_answers('{location-1}')",
    "SELECT turnup.audit_drop_replay()",
    "SET ROLE turnup_definer",
    "TRUNCATE turnup.device",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_app_s_role_cannot_touch_the_trail_but_by_opening_and_sealing(pool: Database, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with pool.writing(by_token(LEAD), timeout_ms=5_000) as tx:
            await run(tx, statement)


async def test_the_app_s_role_may_call_five_functions_of_the_trail(pool: Database) -> None:
    async with pool.connection() as connection:
        found = await connection.fetch(
            """SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
               WHERE n.nspname = 'turnup' AND p.proname LIKE 'audit%' AND p.prosecdef
                 AND has_function_privilege('turnup_app', p.oid, 'EXECUTE') ORDER BY 1"""
        )
        unpinned = await connection.fetch(
            """SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
               WHERE n.nspname = 'turnup' AND p.prosecdef
                 AND NOT coalesce(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)"""
        )
        foreign = await connection.fetch(
            """SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
               WHERE n.nspname = 'turnup' AND p.prosecdef AND p.proowner <> 'turnup_definer'::regrole"""
        )
    names = [row["proname"] for row in found]
    assert names == ["audit_count", "audit_erase_due", "audit_open", "audit_seal", "audit_settle"]
    assert (unpinned, foreign) == ([], [])


async def test_every_table_is_tracked_or_says_why_not(as_definer: asyncpg.Connection) -> None:
    watched = await as_definer.fetch(
        """SELECT event_object_table AS name, event_manipulation AS event FROM information_schema.triggers
           JOIN pg_trigger ON tgname = trigger_name
                          AND tgrelid = format('turnup.%I', event_object_table)::regclass AND tgenabled = 'O'
           WHERE trigger_name LIKE 'audit\\_capture%' AND action_statement LIKE '%audit_capture_rows(%'"""
    )
    events = ("INSERT", "UPDATE", "DELETE")
    assert sorted(map(tuple, watched)) == sorted((table.name, event) for table in TRACKED for event in events)
    assert set(UNTRACKED) == set(tables.metadata.sorted_tables) - set(TRACKED)
    on_system = await as_definer.fetch(
        r"""SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            WHERE t.tgname = 'audit_capture' AND encode(t.tgargs, 'escape') LIKE '\\000%'"""
    )
    assert {row["relname"] for row in on_system} == {table.name for table in ON_SYSTEM}


async def test_a_subject_of_a_token_never_enters_the_trail(pool: Database) -> None:
    subject = an_id("subject")
    async with operation(pool, audit.SYSTEM, None) as (tx, entry):
        await run(tx, """UPDATE turnup."user" SET subject = $1 WHERE id = 'user-pbx'""", subject)
    async with operation(pool, audit.SYSTEM, None) as (tx, _entry):
        await run(tx, """UPDATE turnup."user" SET subject = email WHERE id = 'user-pbx'""")
    assert await changes_of(pool, entry) == [("user", "user-pbx", "subject", None, None)]


async def test_no_account_can_be_called_system(pool: Database) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        async with operation(pool, audit.SYSTEM, None) as (tx, _entry):
            await run(tx, "INSERT INTO turnup.account (id, name) VALUES ('system', 'System')")


async def test_only_leads_read_the_trail(pool: Database) -> None:
    async with pool.snapshot(by_token(CUSTOMER), timeout_ms=5_000) as tx:
        assert await run(tx, "SELECT count(*) FROM turnup.audit_entry") == [(0,)]
        assert await run(tx, "SELECT count(*) FROM turnup.field_change") == [(0,)]
