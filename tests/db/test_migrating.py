"""Migrating a database that is in use: step by step, never long in anybody's way, and safe to try again."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import Text

from app.db import steps
from app.db.content_columns import CELLS
from app.db.database import Database
from app.db.failures import WritesOfOlderCode
from app.db.migrate import DatabaseIsNewer, is_current, migrate, missing_sql, newest_revision, position
from app.db.steps import MigrationRefused
from app.db.tables import metadata
from app.db.writers import WRITES_LOCK
from tests.harness import EMPTY_TEMPLATE, LEAD, SUPERUSER_URL, TestDatabase, by_token, own_database, with_database
from tests.needs import unavailable

from .later import CONTENT_TABLES, OLDER_MAY_ONLY_READ, content_fields, later, revision_after

INDEX = 'steps.index("ix_device_label", "device", ["label"])'
TABLE = 'op.execute("CREATE TABLE turnup.novelty (id text)")'
FAILING = 'op.execute("SELECT 1 / 0")'
CHECKED = 'steps.check("device", "ck_device_label_short", "length(label) < 1000")'
VALIDATED = 'steps.validate("device", "ck_device_label_short")'


@pytest.fixture
async def empty() -> AsyncIterator[TestDatabase]:
    """A migrated database without rows for one test."""
    async with own_database(EMPTY_TEMPLATE) as made:
        yield made


@pytest.fixture
async def owner(empty: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection that sees every row."""
    connection = await asyncpg.connect(empty.owner_url)
    await connection.execute("SET ROLE turnup_definer")
    yield connection
    await connection.close()


async def revision(connection: asyncpg.Connection) -> str:
    await connection.execute("RESET ROLE")
    found: str = await connection.fetchval("SELECT version_num FROM turnup.alembic_version")
    return found


async def writes_since(connection: asyncpg.Connection) -> str:
    await connection.execute("SET ROLE turnup_definer")
    found: str = await connection.fetchval("SELECT max(writes_since) FROM turnup.schema_state")
    return found


async def test_each_migration_and_each_step_is_printed(empty: TestDatabase, tmp_path: Path) -> None:
    said = list[str]()
    await migrate(empty.owner_url, folder=later(tmp_path, INDEX, f"{CHECKED}\n{TABLE}"), say=said.append)
    assert [re.sub(r"\d+\.\d s", "n s", line) for line in said] == [
        f"{revision_after(1)} The change {revision_after(1)}",
        "  index ix_device_label on device, concurrently (n s)",
        f"{revision_after(1)} applied (n s)",
        f"{revision_after(2)} The change {revision_after(2)}",
        "  constraint ck_device_label_short on device, not validated (n s)",
        f"{revision_after(2)} applied (n s)",
    ]


async def test_a_migration_that_fails_is_undone_and_those_before_it_stay(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    with pytest.raises(MigrationRefused, match=f"{revision_after(2)} failed and is undone: division by zero"):
        await migrate(empty.owner_url, folder=later(tmp_path, TABLE, f"{CHECKED}\n{FAILING}"))
    assert await revision(owner) == revision_after(1)
    assert not await owner.fetchval("SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = 'ck_device_label_short')")


async def test_a_constraint_is_added_for_new_rows_and_validated_apart(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    validated = "SELECT convalidated FROM pg_constraint WHERE conname = 'ck_device_label_short'"
    await migrate(empty.owner_url, folder=later(tmp_path, CHECKED))
    assert await owner.fetchval(validated) is False
    await migrate(empty.owner_url, folder=later(tmp_path, VALIDATED))
    assert await owner.fetchval(validated) is True


KEY = 'steps.foreign_key("device", "fk_device_account_account_id", ["account_id"], "account", ["id"])'


async def test_a_foreign_key_is_added_for_new_rows_and_validated_apart(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    validation = 'steps.validate("device", "fk_device_account_account_id")'
    await migrate(empty.owner_url, folder=later(tmp_path, KEY, validation))
    found = "SELECT convalidated, condeferred FROM pg_constraint WHERE conname = 'fk_device_account_account_id'"
    assert tuple(await owner.fetchrow(found) or ()) == (True, True)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (f"{TABLE}\n{INDEX}", "make it first"),
        (f"{CHECKED}\n{VALIDATED}", "a migration of its own"),
        ('steps.column("account", sa.Column("novelty", sa.Text(), nullable=False))', "needs a default"),
        ('steps.column("account", sa.Column("novelty", sa.Text(), server_default=sa.func.now()))', "constant default"),
        ('steps.column("account", sa.Column("novelty", sa.Text(), unique=True))', "its own step"),
        ('steps.column("account", sa.Column("novelty", sa.Text(), sa.ForeignKey("user.id")))', "its own step"),
    ],
)
async def test_a_step_that_would_hold_up_the_servers_is_refused(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path, body: str, why: str
) -> None:
    with pytest.raises(MigrationRefused, match=why):
        await migrate(empty.owner_url, folder=later(tmp_path, body))
    assert await revision(owner) == newest_revision()


async def test_an_index_that_failed_is_made_again(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    await owner.execute("SELECT set_config('turnup.unaudited', 'on', false)")
    for name in ("account-1", "account-2"):
        await owner.execute("INSERT INTO turnup.account (id, name) VALUES ($1, 'Same')", name)
    folder = later(tmp_path, 'steps.index("uq_account_name", "account", ["name"], unique=True)')
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('turnup.uq_account_name')"
    with pytest.raises(MigrationRefused, match="could not create unique index"):
        await migrate(empty.owner_url, folder=folder)
    assert await owner.fetchval(valid) is False
    await owner.execute("UPDATE turnup.account SET name = id")
    await migrate(empty.owner_url, folder=folder)
    assert await owner.fetchval(valid) is True
    assert await revision(owner) == revision_after(1)


async def test_an_index_that_is_whole_is_kept_when_a_later_step_failed(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    made = "SELECT to_regclass('turnup.ix_device_label')::oid"
    with pytest.raises(MigrationRefused):
        await migrate(empty.owner_url, folder=later(tmp_path / "failing", f"{INDEX}\n{FAILING}"))
    first = await owner.fetchval(made)
    await migrate(empty.owner_url, folder=later(tmp_path / "corrected", f"{INDEX}\n{TABLE}"))
    assert (first, await revision(owner)) == (await owner.fetchval(made), revision_after(1))


async def test_a_migration_whose_connection_is_lost_is_not_said_to_be_undone(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    """The connection may be lost after COMMIT was sent. The next run goes on from what the database has."""
    end = 'op.execute("SELECT pg_terminate_backend(pg_backend_pid())")'
    with pytest.raises(MigrationRefused, match=f"lost during the migration {revision_after()}.*run the command again"):
        await migrate(empty.owner_url, folder=later(tmp_path / "lost", f"{TABLE}\n{end}"))
    await migrate(empty.owner_url, folder=later(tmp_path / "again", TABLE))
    assert await revision(owner) == revision_after()


# Content fields


CHANGES = {
    "added": "ALTER TABLE turnup.{table} ADD COLUMN novelty text",
    "dropped": "ALTER TABLE turnup.{table} DROP COLUMN {column} CASCADE",
    "renamed": "ALTER TABLE turnup.{table} RENAME COLUMN {column} TO novelty",
    "of another type": "ALTER TABLE turnup.{table} ALTER COLUMN {column} TYPE jsonb USING NULL",
}


def a_column(table: str) -> str:
    """A content column that nothing else refers to."""
    (cells,) = (cells for each, cells in CELLS.items() if each.name == table)
    free = (
        cell.column
        for cell in cells
        if cell.optional
        and isinstance(metadata.tables[f"turnup.{table}"].c[cell.column].type, Text)
        and not metadata.tables[f"turnup.{table}"].c[cell.column].foreign_keys
    )
    return next(free, "closes")


@pytest.mark.parametrize("table", CONTENT_TABLES)
async def test_a_content_field_is_not_changed_while_older_code_may_write(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path, table: str
) -> None:
    column = a_column(table)
    for name, change in CHANGES.items():
        body = f'op.execute("{change.format(table=table, column=column)}")'
        with pytest.raises(MigrationRefused, match=rf"changes the content column {table}\..*code_may_write = False"):
            await migrate(empty.owner_url, folder=later(tmp_path / name, body))
        assert await revision(owner) == newest_revision()


async def test_a_new_content_field_closes_the_database_to_writes_of_older_code(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    before = await writes_since(owner)
    await migrate(empty.owner_url, folder=later(tmp_path, TABLE))
    assert await writes_since(owner) == before
    await migrate(empty.owner_url, folder=later(tmp_path, content_fields(), says=OLDER_MAY_ONLY_READ))
    assert await writes_since(owner) == revision_after(2)


async def test_nobody_writes_when_the_database_does_not_say_who_may() -> None:
    async with own_database() as made:
        owner = await asyncpg.connect(made.owner_url)
        await owner.execute("SET ROLE turnup_definer; DELETE FROM turnup.schema_state")
        await owner.close()
        database = await Database.open(made.app_url, size=1)
        with pytest.raises(WritesOfOlderCode):
            async with database.writing(by_token(LEAD), timeout_ms=60_000):
                pass
        await database.close()


async def test_a_migration_that_fails_closes_nothing(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    before = await writes_since(owner)
    with pytest.raises(MigrationRefused):
        await migrate(empty.owner_url, folder=later(tmp_path, FAILING, says=OLDER_MAY_ONLY_READ))
    assert await writes_since(owner) == before


@pytest.mark.parametrize("says", ["", "older_code_may_write = None", "older_code_may_write = 'yes'"])
async def test_a_migration_must_say_whether_older_code_may_write(
    empty: TestDatabase, tmp_path: Path, says: str
) -> None:
    with pytest.raises(MigrationRefused, match=f"{revision_after()} does not say older_code_may_write"):
        await migrate(empty.owner_url, folder=later(tmp_path, TABLE, says=says))


async def test_a_superuser_is_refused_because_the_tables_would_belong_to_the_superuser(empty: TestDatabase) -> None:
    if SUPERUSER_URL not in os.environ:
        unavailable("a superuser", f"{SUPERUSER_URL} is not set")
    superuser = with_database(os.environ[SUPERUSER_URL], urlsplit(empty.owner_url).path.removeprefix("/"))
    with pytest.raises(MigrationRefused, match="connect as turnup_owner, not as a superuser"):
        await migrate(superuser)


# A newer database


async def test_a_newer_database_is_current_for_older_code_which_migrates_nothing(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    await migrate(empty.owner_url, folder=later(tmp_path, TABLE))
    assert await is_current(owner) is False  # the definer may not ask
    await owner.execute("RESET ROLE")
    assert await is_current(owner)
    with pytest.raises(DatabaseIsNewer, match=f"revision {revision_after()}, newer than {newest_revision()}"):
        await migrate(empty.owner_url)


@pytest.mark.parametrize(("says", "words"), [("", "may still write"), (OLDER_MAY_ONLY_READ, "only reads")])
async def test_older_code_is_told_whether_it_may_write(
    empty: TestDatabase, tmp_path: Path, says: str, words: str
) -> None:
    await migrate(empty.owner_url, folder=later(tmp_path, TABLE, says=says or "older_code_may_write = True"))
    for url in (empty.owner_url, empty.app_url):
        found = await position(url)
        assert (found.is_newer, found.missing) == (True, ())
        assert words in str(found)


async def test_a_revision_that_nobody_knows_is_named(empty: TestDatabase, owner: asyncpg.Connection) -> None:
    await owner.execute("RESET ROLE")
    await owner.execute("UPDATE turnup.alembic_version SET version_num = '0000'")
    with pytest.raises(MigrationRefused, match="at revision 0000, which this version does not know"):
        await migrate(empty.owner_url)


# Locks


async def test_a_migration_that_waits_for_a_long_transaction_holds_nobody_up(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    """Each of its tries lets the others through; it succeeds once the long transaction ends, and names it."""
    said, answered = list[str](), 0
    other = await asyncpg.connect(empty.app_url)
    long = owner.transaction()
    await long.start()
    await owner.execute("SELECT FROM turnup.device")
    folder = later(tmp_path, content_fields(["device"]), says=OLDER_MAY_ONLY_READ)
    migrating = asyncio.create_task(migrate(empty.owner_url, folder=folder, say=said.append))
    while sum("no lock" in line for line in said) < 2:
        assert not migrating.done(), said
        # Waits behind the migration's request for at most that request's own time.
        await other.fetch("SELECT FROM turnup.device", timeout=30)
        answered += 1
        await asyncio.sleep(0.01)
    await long.rollback()
    await migrating
    assert answered > 2
    assert await revision(owner) == revision_after(1)
    waiting = f"waiting for process {owner.get_server_pid()} (turnup_owner, idle in transaction, for "
    assert any(waiting in line and "on turnup.device" in line for line in said), said
    await other.close()


async def test_a_migration_that_never_gets_its_lock_gives_up_in_one_line(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.migrate.TRIES", 2)
    async with owner.transaction():
        await owner.execute("LOCK TABLE turnup.device")
        with pytest.raises(MigrationRefused) as refused:
            await migrate(empty.owner_url, folder=later(tmp_path, CHECKED))
    said = str(refused.value)
    assert (
        f"failed and is undone: canceling statement due to lock timeout; waiting for process {owner.get_server_pid()}"
        in said
    )
    assert "\n" not in said


async def test_a_migration_closes_the_database_only_between_writes(
    empty: TestDatabase, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    said = list[str]()
    folder = later(tmp_path, TABLE, says=OLDER_MAY_ONLY_READ)
    async with owner.transaction():
        await owner.execute(f"SELECT pg_advisory_xact_lock_shared({WRITES_LOCK})")
        migrating = asyncio.create_task(migrate(empty.owner_url, folder=folder, say=said.append))
        while not any("no lock" in line for line in said):
            assert not migrating.done(), said
            await asyncio.sleep(0.01)
        assert await owner.fetchval("SELECT max(writes_since) FROM turnup.schema_state") < revision_after()
    await migrating
    assert await writes_since(owner) == revision_after()


async def test_who_migrates_second_waits_for_the_first_without_a_transaction(
    empty: TestDatabase, tmp_path: Path
) -> None:
    """A process that waited within a transaction would be waited for by an index that is made concurrently."""
    folder, said = later(tmp_path, INDEX), list[str]()
    await asyncio.gather(*(migrate(empty.owner_url, folder=folder, say=said.append) for _ in range(3)))
    assert sum("applied" in line for line in said) == 1


# Printed


async def test_the_printed_sql_does_what_migrate_does(empty: TestDatabase, tmp_path: Path) -> None:
    folder = later(tmp_path, INDEX, f"{CHECKED}\n{KEY}", VALIDATED)
    later(tmp_path, content_fields(), says=OLDER_MAY_ONLY_READ)
    script = missing_sql(await position(empty.owner_url, folder=folder), folder=folder)
    async with own_database(EMPTY_TEMPLATE) as other:
        await migrate(other.owner_url, folder=folder)
        connections = [await asyncpg.connect(each.owner_url) for each in (empty, other)]
        for statement in filter(str.strip, script.split(";\n")):
            await connections[0].execute(statement)
        printed, migrated = [await dumped(each) for each in connections]
        for each in connections:
            await each.close()
    assert printed == migrated
    assert (await position(empty.owner_url, folder=folder)).missing == ()


async def dumped(connection: asyncpg.Connection) -> list[tuple[str, ...]]:
    """Columns, constraints and indexes, the revision and who may write."""
    await connection.execute("SET ROLE turnup_definer")
    return [
        tuple(row)
        for row in await connection.fetch("""
            SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'turnup'
            UNION ALL SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint
            UNION ALL SELECT indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'turnup'
            UNION ALL SELECT 'writes', writes_since FROM turnup.schema_state
            ORDER BY 1, 2""")
    ]


async def test_migrations_that_read_the_database_are_not_printed(bare_database: TestDatabase) -> None:
    with pytest.raises(MigrationRefused, match="migrations 0001 to 0010 read the database"):
        missing_sql(await position(bare_database.owner_url))


def test_a_migration_gives_up_before_those_who_wait_behind_it() -> None:
    assert steps.LOCK_TIMEOUT_MS < 2_000
