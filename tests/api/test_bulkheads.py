"""One user, and one location, cannot take a server from all others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest
from pydantic import SecretStr

from app.session_settings import LOCK_SECONDS
from app.settings import Settings
from tests.builders_db import committed
from tests.harness import CUSTOMER, LEAD, LEAD_2, Answer, Client

from .serving import serving

pytestmark = pytest.mark.usefixtures("replayed")

EDIT = """mutation { setCurrentStep(input: {locationId: "location-3", step: PEOPLE}) { problems { code } } }"""
BULK = """mutation { bulkUpdateStatus(input: {locationIds: ["location-3", "location-2", "location-6"], status: BLOCKED,
  reason: "No cabling yet", idempotencyKey: "both", policy: PER_ITEM}) { results { outcome } problems { code } } }"""
# The sessions that wait for the end of this transaction, or in line behind those.
WAITERS = """
SELECT count(*) FROM pg_locks WHERE NOT granted AND (transactionid = pg_current_xact_id()::xid
  OR locktype = 'tuple' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
DENIED = """{ location(id: "location-1") { overrides { id } } }"""
STATUSES = "{ locations(first: 100) { nodes { id status revision } } }"


@asynccontextmanager
async def locked(client: Client, *ids: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Another transaction locks the locations during the block."""
    async with committed(client.database) as connection:
        await connection.execute("SELECT FROM turnup.location WHERE id = ANY ($1) FOR UPDATE", ids)
        yield connection


@asynccontextmanager
async def held(client: Client, statement: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A transaction that has locked something, until it is ended or the block ends."""
    connection = await asyncpg.connect(client.database.owner_url)
    try:
        await connection.execute("BEGIN; SET LOCAL ROLE turnup_definer")
        await connection.execute(statement)
        yield connection
    finally:
        await connection.close()


async def until_waiting(connection: "asyncpg.Connection[asyncpg.Record]", asked: "asyncio.Task[Answer]") -> None:
    """Return when a session waits for this transaction."""
    async with asyncio.timeout(30):
        while not await connection.fetchval(WAITERS):
            assert not asked.done(), asked.result()
            await asyncio.sleep(0.01)


def told(answer: Answer) -> list[tuple[str, str]]:
    """Code and outcome of each error of the answer."""
    return [(each["extensions"]["code"], each["extensions"]["outcome"]) for each in answer.body.get("errors", ())]


async def test_edits_of_a_locked_location_leave_the_connections_to_others(
    own_client: Client, settings: Settings
) -> None:
    url = SecretStr(own_client.database.app_url)
    async with serving(settings, own_client.database, database_url=url, pool_size=5, limit_edits=100) as client:
        async with locked(client, "location-3") as connection:
            edits = [asyncio.ensure_future(client.ask(EDIT, who)) for who in (CUSTOMER, LEAD) * 7]
            await until_waiting(connection, edits[0])
            others = await asyncio.gather(*(client.ask(STATUSES, LEAD_2) for _ in range(10)))
            assert [each.status for each in others] == [200] * 10
            assert await connection.fetchval(WAITERS) <= 1
            await asyncio.wait(edits, return_when=asyncio.FIRST_COMPLETED)
        heard = [told(each) for each in await asyncio.gather(*edits)]
    assert [("OVERLOADED", "NONE")] in heard, "one waited for the lock for too long"
    assert [] in heard, "others had not waited for it yet when it was free"
    assert all(each in ([], [("OVERLOADED", "NONE")]) for each in heard)


async def test_a_bulk_call_waits_once_for_the_locks_of_all_its_items_and_writes_nothing_without_them(
    own_client: Client, settings: Settings
) -> None:
    url = SecretStr(own_client.database.app_url)
    async with serving(settings, own_client.database, database_url=url) as client:
        before = await client.ask(STATUSES)
        async with locked(client, "location-3"), locked(client, "location-6"):
            assert told(await client.ask(BULK, LEAD)) == [("OVERLOADED", "NONE")]
        assert (await client.ask(STATUSES)).data == before.data
        assert (await client.ask(BULK, LEAD)).data["bulkUpdateStatus"]["problems"] == []


HELD = (
    "SELECT FROM turnup.location WHERE id = 'location-2' FOR UPDATE",
    "SELECT FROM turnup.chain_head WHERE chain = 'account-1' FOR UPDATE",
)


async def test_a_bulk_call_does_not_wait_for_one_transaction_after_the_other(
    own_client: Client, settings: Settings
) -> None:
    """Each of them ends in time for a single lock."""
    url = SecretStr(own_client.database.app_url)
    async with serving(settings, own_client.database, database_url=url) as client, AsyncExitStack() as stack:
        before = await client.ask(STATUSES)
        holders = [await stack.enter_async_context(held(client, each)) for each in HELD]
        asked = asyncio.ensure_future(client.ask(BULK, LEAD))
        for holder in holders:
            while not asked.done() and not await holder.fetchval(WAITERS):  # noqa: ASYNC110 - PostgreSQL is waited for
                await asyncio.sleep(0.01)
            await asyncio.wait([asked], timeout=LOCK_SECONDS * 0.6)
            await holder.execute("COMMIT")
        assert told(await asked) == [("OVERLOADED", "NONE")]
        assert (await client.ask(STATUSES)).data == before.data
        assert (await client.ask(BULK, LEAD)).data["bulkUpdateStatus"]["problems"] == []


async def test_further_requests_of_a_user_wait_for_the_users_own_and_not_for_the_pool(
    own_client: Client, settings: Settings
) -> None:
    url = SecretStr(own_client.database.app_url)
    async with serving(settings, own_client.database, database_url=url, pool_size=2) as client:
        async with locked(client, "location-3") as connection:
            first = asyncio.ensure_future(client.ask(EDIT, CUSTOMER))
            await until_waiting(connection, first)
            second = asyncio.ensure_future(client.ask("{ viewer { name } }", CUSTOMER))
            assert (await client.ask("{ viewer { name } }", LEAD)).status == 200
            assert not first.done()
            assert not second.done()
        assert [each.status for each in await asyncio.gather(first, second)] == [200, 200]


async def test_the_count_of_a_users_incidents_leaves_the_connections_to_others(
    own_client: Client, settings: Settings
) -> None:
    url = SecretStr(own_client.database.app_url)
    async with (
        serving(settings, own_client.database, database_url=url, pool_size=4) as client,
        committed(own_client.database) as connection,
    ):
        await connection.execute("LOCK TABLE turnup.audit_incident")
        denied = [asyncio.ensure_future(client.ask(DENIED, CUSTOMER)) for _ in range(8)]
        assert {"FORBIDDEN"} == {code for each in await asyncio.gather(*denied) for code in each.codes}
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'turnup.audit_incident'::regclass"
        assert await connection.fetchval(waiting) <= 1
        assert (await client.ask(STATUSES, LEAD_2)).status == 200
