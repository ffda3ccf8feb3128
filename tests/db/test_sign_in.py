"""Signing in tells a transaction who asks; when it ends, its pooled connection knows nobody any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest

from app.db.database import Database, PoolUsage, SuspendedUser, Transaction, UnknownUser
from app.db.failures import DatabaseReadOnly, DatabaseUnavailable, Overloaded, StatementTimeout
from app.db.statements import Statement
from app.observing import unobserved
from tests import harness

from .scenario import unaudited

SETTINGS = Statement(
    "settings",
    """SELECT current_setting('turnup.user_id', true), current_setting('turnup.role', true),
              current_setting('turnup.account', true), current_setting('turnup.accounts', true),
              current_setting('turnup.locations', true), current_setting('turnup.all_accounts', true),
              current_setting('turnup.lead_accounts', true)""",
    (),
    lambda *values: values,
)
BACKEND = Statement("backend", "SELECT pg_backend_pid()", (), int)
SLEEP = Statement("sleep", "SELECT 1 FROM pg_sleep(30)", (), int)
LOCATIONS = Statement("locations", "SELECT id FROM turnup.location", (), str)
RENAME = Statement("rename", "UPDATE turnup.location SET name = $1 RETURNING id", ("name",), str)

NOBODY = (None, "")  # never set, or set by a transaction that has ended
WHO = {
    harness.LEAD: ("user-lead", "IMPLEMENTATION_LEAD", "", "", "", "on", ""),
    harness.SCOPED_LEAD: ("user-lead-acme", "IMPLEMENTATION_LEAD", "", "", "", "", '{"account-1": 1}'),
    harness.CUSTOMER: ("user-acme", "CUSTOMER", "account-1", "", "", "", ""),
    harness.LISTED_CUSTOMER: (
        "user-acme-north",
        "CUSTOMER",
        "account-1",
        "",
        '{"location-2": 1, "location-3": 1}',
        "",
        "",
    ),
    harness.PARTNER: ("user-carrier", "PARTNER", "", '{"account-1": 1, "account-2": 1}', "", "", ""),
    harness.AUDITOR: ("user-auditor", "AUDITOR", "", "", "", "", ""),
}


@pytest.fixture
async def one_connection(database: harness.TestDatabase) -> AsyncIterator[Database]:
    """A pool of a single connection, so that each transaction inherits what the last one left."""
    pool = await Database.open(database.app_url, size=1)
    yield pool
    await pool.close()


@asynccontextmanager
async def committed(database: harness.TestDatabase, statement: str, value: str, back: str) -> AsyncIterator[None]:
    """Somebody else's committed change, taken back at the end."""
    connection = await asyncpg.connect(database.owner_url)
    try:
        for new in (value, back):
            async with connection.transaction():
                await connection.execute("SET LOCAL ROLE turnup_definer")
                await unaudited(connection)
                await connection.execute(statement, new)
            if new == value:
                yield
    finally:
        await connection.close()


async def settings_of(transaction: Transaction) -> tuple[str, ...]:
    row = await transaction.fetch_one(SETTINGS)
    assert row is not None
    return tuple(row)


async def left_behind(pool: Database) -> tuple[tuple[Any, ...], int]:
    """What the pooled connection knows outside of any transaction, and how many locations it sees."""
    async with pool.connection() as connection:
        settings = tuple(await connection.fetchrow(SETTINGS.sql))
        return settings, await connection.fetchval("SELECT count(*) FROM turnup.location")


@pytest.mark.parametrize("who", WHO)
async def test_signing_in_sets_who_asks(one_connection: Database, who: str) -> None:
    async with one_connection.snapshot(harness.by_token(who), timeout_ms=5000) as transaction:
        assert await settings_of(transaction) == WHO[who]


@pytest.mark.parametrize("who", WHO)
async def test_a_transaction_leaves_nobody_signed_in(one_connection: Database, who: str) -> None:
    async with one_connection.snapshot(harness.by_token(who), timeout_ms=5000):
        pass
    settings, locations = await left_behind(one_connection)
    assert set(settings) <= set(NOBODY)
    assert locations == 0


async def test_the_next_user_of_a_connection_is_not_the_last_one(one_connection: Database) -> None:
    backends, settings, seen = [], [], []
    for who in (harness.LISTED_CUSTOMER, harness.PARTNER, harness.OTHER_CUSTOMER, harness.LISTED_CUSTOMER):
        async with one_connection.snapshot(harness.by_token(who), timeout_ms=5000) as transaction:
            backends.append(await transaction.fetch_one(BACKEND))
            settings.append(await settings_of(transaction))
            seen.append({*await transaction.fetch(LOCATIONS)})
    assert len(set(backends)) == 1
    assert settings[1:3] == [WHO[harness.PARTNER], ("user-birch", "CUSTOMER", "account-2", "", "", "", "")]
    assert seen[0] == seen[3] == {"location-2", "location-3"}
    assert seen[2] == {"location-6", "location-7", "location-8", "location-9"}


async def test_signing_in_again_within_a_transaction_forgets_the_first_user(as_definer: asyncpg.Connection) -> None:
    for who in (harness.LEAD, harness.SCOPED_LEAD, harness.PARTNER, harness.LISTED_CUSTOMER):
        await as_definer.fetchrow("SELECT turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, 5000)", who)
    assert tuple(await harness.first_row(as_definer, SETTINGS.sql)) == WHO[harness.LISTED_CUSTOMER]


async def test_a_refused_sign_in_forgets_the_user_before(as_definer: asyncpg.Connection) -> None:
    await as_definer.fetchrow("SELECT turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, 5000)", harness.LEAD)
    assert await as_definer.fetch("SELECT turnup.sign_in('ACCESS_TOKEN', 'nobody', NULL, NULL, 5000)") == []
    assert set(await harness.first_row(as_definer, SETTINGS.sql)) == {""}


async def test_a_failed_transaction_leaves_nobody_signed_in(one_connection: Database) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        async with one_connection.writing(harness.by_token(harness.LEAD), timeout_ms=5000) as transaction:
            await transaction.fetch(Statement("wrong", "SELECT 1 FROM turnup.missing", (), int))
    settings, locations = await left_behind(one_connection)
    assert set(settings) <= set(NOBODY)
    assert locations == 0


async def test_a_cancelled_transaction_leaves_nobody_signed_in(one_connection: Database) -> None:
    with pytest.raises(TimeoutError):
        async with (
            asyncio.timeout(0.3),
            one_connection.writing(harness.by_token(harness.LEAD), timeout_ms=30_000) as transaction,
        ):
            await transaction.fetch(SLEEP)
    settings, locations = await left_behind(one_connection)
    assert set(settings) <= set(NOBODY)
    assert locations == 0


async def test_a_cancelled_statement_is_cancelled_in_the_database_too(
    one_connection: Database, as_definer: asyncpg.Connection
) -> None:
    async with one_connection.snapshot(harness.by_token(harness.LEAD), timeout_ms=5000) as transaction:
        backend = await transaction.fetch_one(BACKEND)
    with pytest.raises(TimeoutError):
        async with (
            asyncio.timeout(0.3),
            one_connection.snapshot(harness.by_token(harness.LEAD), timeout_ms=30_000) as transaction,
        ):
            await transaction.fetch(SLEEP)
    busy = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%pg_sleep(30)%' AND state = 'active'"
    assert await as_definer.fetchval(busy, backend) == 0


async def test_nobody_signs_in_without_a_user(one_connection: Database) -> None:
    with pytest.raises(UnknownUser):
        async with one_connection.snapshot(harness.by_token("nobody@turnup.example"), timeout_ms=5000):
            pass


async def test_a_suspended_user_does_not_sign_in(database: harness.TestDatabase, one_connection: Database) -> None:
    async with committed(
        database, "UPDATE turnup.\"user\" SET status = $1 WHERE id = 'user-pbx'", "SUSPENDED", "ACTIVE"
    ):
        with pytest.raises(SuspendedUser):
            async with one_connection.snapshot(harness.by_token(harness.OTHER_PARTNER), timeout_ms=5000):
                pass


async def test_a_statement_ends_at_its_timeout(one_connection: Database) -> None:
    with pytest.raises(StatementTimeout):
        async with one_connection.snapshot(harness.by_token(harness.LEAD), timeout_ms=100) as transaction:
            await transaction.fetch(SLEEP)


async def test_the_timeout_does_not_outlive_its_transaction(one_connection: Database) -> None:
    async with one_connection.snapshot(harness.by_token(harness.LEAD), timeout_ms=123):
        pass
    async with one_connection.connection() as connection:
        assert await connection.fetchval("SHOW statement_timeout") != "123ms"


async def test_who_finds_every_connection_in_use_is_told_so_in_time(database: harness.TestDatabase) -> None:
    pool = await Database.open(database.app_url, size=1, wait_seconds=2)
    assert pool.usage() == PoolUsage(size=1, in_use=0, waiting=0, refused=0)
    async with pool.connection(), asyncio.timeout(30):
        asked = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        assert pool.usage() == PoolUsage(size=1, in_use=1, waiting=1, refused=0)
        with pytest.raises(Overloaded):
            async with pool.snapshot(harness.by_token(harness.LEAD), timeout_ms=5000):
                pass
        with pytest.raises(Overloaded):
            await asked
        assert pool.usage() == PoolUsage(size=1, in_use=1, waiting=0, refused=2)
    await pool.close()


async def test_closing_does_not_wait_for_ever_for_who_keeps_a_connection(
    database: harness.TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.database.CLOSING_SECONDS", 0.2)
    pool = await Database.open(database.app_url, size=1)
    kept = await pool.acquire()
    async with asyncio.timeout(5):
        await pool.close()
    with pytest.raises(asyncpg.InterfaceError):
        await kept.execute("SELECT 1")


async def test_a_connection_that_was_ended_is_replaced(one_connection: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with one_connection.snapshot(harness.by_token(harness.LEAD), timeout_ms=5000) as transaction:
            await transaction.fetch(Statement("end", "SELECT 1 WHERE pg_terminate_backend(pg_backend_pid())", (), int))
    async with one_connection.snapshot(harness.by_token(harness.LEAD), timeout_ms=5000) as transaction:
        assert transaction.viewer.id == "user-lead"


async def test_a_snapshot_cannot_write(one_connection: Database) -> None:
    with pytest.raises(DatabaseReadOnly):
        async with one_connection.snapshot(harness.by_token(harness.LEAD), timeout_ms=5000) as transaction:
            await transaction.fetch(RENAME, name="Written")


async def test_a_snapshot_does_not_see_what_others_commit_meanwhile(
    database: harness.TestDatabase, one_connection: Database
) -> None:
    names = Statement("names", "SELECT name FROM turnup.account WHERE id = 'account-3'", (), str)
    async with one_connection.snapshot(harness.by_token(harness.LEAD), timeout_ms=5000) as transaction:
        before = await transaction.fetch(names)
        async with committed(database, "UPDATE turnup.account SET name = $1 WHERE id = 'account-3'", "New", *before):
            assert await transaction.fetch(names) == before


async def test_what_a_failed_block_wrote_is_gone(one_connection: Database) -> None:
    with suppress(ZeroDivisionError):
        async with one_connection.writing(harness.by_token(harness.LEAD), timeout_ms=5000) as transaction:
            assert len(await transaction.fetch(RENAME, name="Written")) >= 12
            raise ZeroDivisionError
    async with one_connection.snapshot(harness.by_token(harness.LEAD), timeout_ms=5000) as transaction:
        names = await transaction.fetch(Statement("names", "SELECT name FROM turnup.location", (), str))
    assert "Written" not in names


@pytest.fixture
async def all_taken(bare_database: harness.TestDatabase) -> AsyncIterator[None]:
    """PostgreSQL lets the app's role have no connection more than there are."""
    owner = await asyncpg.connect(bare_database.owner_url)
    name = await owner.fetchval("SELECT current_database()")
    there = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    )
    await owner.execute(f"ALTER DATABASE {name} CONNECTION LIMIT {await owner.fetchval(there)}")
    yield
    await owner.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    await owner.close()


@pytest.fixture
async def two_connections(
    bare_database: harness.TestDatabase, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    """A pool that may grow to two and has one; the parameter is how many seconds a caller waits."""
    pool = await Database.open(bare_database.app_url, size=2, wait_seconds=request.param)
    yield pool
    await pool.close()


@pytest.mark.parametrize("two_connections", [10.0], indirect=True)
async def test_where_postgresql_has_no_connection_to_spare_one_of_ours_that_comes_free_will_do(
    two_connections: Database, all_taken: None
) -> None:
    async with two_connections.connection() as first:
        second = asyncio.create_task(_backend(two_connections))
        await asyncio.sleep(0.1)
        assert not second.done()
        backend = first.get_server_pid()
    assert await second == backend


@pytest.mark.parametrize("two_connections", [2.0], indirect=True)
async def test_where_postgresql_has_no_connection_to_spare_for_too_long_the_server_is_overloaded(
    two_connections: Database, all_taken: None
) -> None:
    async with two_connections.connection():
        with pytest.raises(Overloaded):
            await _backend(two_connections)


async def _backend(pool: Database) -> int:
    async with pool.connection() as connection:
        return int(connection.get_server_pid())


class CutOffAtRelease:
    """A connection whose caller is cancelled once PostgreSQL has released the savepoint and before it hears of it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def execute(self, sql: str) -> None:
        await self._connection.execute(sql)
        if "RELEASE" in sql:
            raise asyncio.CancelledError


@pytest.mark.parametrize("final", [False, True])
async def test_being_cancelled_at_the_end_of_a_savepoint_stays_being_cancelled(
    one_connection: Database, final: bool
) -> None:
    async def write() -> None:
        async with one_connection.writing(harness.by_token(harness.LEAD), timeout_ms=5000) as transaction:
            cut_off = Transaction(CutOffAtRelease(transaction._connection), transaction.viewer, unobserved)
            async with cut_off.savepoint(final=final):
                pass

    with pytest.raises(asyncio.CancelledError):
        await write()
    settings, _ = await left_behind(one_connection)
    assert set(settings) <= set(NOBODY)
