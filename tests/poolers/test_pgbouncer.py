"""Everything works through Debian's PgBouncer: in session mode as it is, in transaction mode with a setting."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url

from app.db.connecting import Pooler, app_options, check_bounds, connect, pooler_at
from app.db.database import Database
from app.domain.vocabulary import LocationStatus
from tests.cli.turnup import run, serving
from tests.faults.cases import CASES, Sending
from tests.faults.every import EVERY
from tests.faults.ground import Ground
from tests.harness import CUSTOMER, LEAD, OTHER_CUSTOMER, PARTNER, SUPERUSER_URL, TestDatabase
from tests.needs import needs
from tests.operations.edits import EDITS
from tests.operations.scenario import Sent
from tests.operations.test_approving import race
from tests.oracle import database_is_consistent
from tests.outages.proxy import FaultProxy, Mode

from .conftest import ground_of
from .pgbouncer import PgBouncer, pgbouncer

pytestmark = pytest.mark.slow

S = LocationStatus
REQUESTS = 200
DEADLINE_SECONDS = 2.0
BUSY_MACHINE_SECONDS = 10.0
PLACES = "{ locations(first: 50) { totalCount nodes { id name status contacts { id } devices { id } people { id } } } }"
LOG = "{ auditLog(first: 20) { nodes { id action } } }"
LOCATIONS = "{ viewer { user { id } } locations(first: 100) { nodes { id account { id } } } }"
PAYLOADS = "{ viewer { user { id } } provisioningPayloads(first: 100) { nodes { id state } } }"
REFUSED = '{ location(id: "%s") { overrides { id } } }'


@contextmanager
def pooling(database: TestDatabase, mode: str, size: int, **options: str) -> Iterator[PgBouncer]:
    with pgbouncer(needs("pgbouncer"), mode, database.app_url, database.owner_url, size=size, **options) as made:
        yield made


# What the server finds out when it starts


@pytest.mark.parametrize(("mode", "size"), [("transaction", 1), ("transaction", 3), ("session", 1), ("session", 3)])
@pytest.mark.parametrize("turns", ["0", "1"], ids=["last_used", "round_robin"])
async def test_the_mode_of_a_pooler_is_found(pooled_database: TestDatabase, mode: str, size: int, turns: str) -> None:
    with pooling(pooled_database, mode, size, server_round_robin=turns) as pooler:
        found = await pooler_at(pooler.url(pooled_database.app_url))
    assert found is {"transaction": Pooler.TRANSACTION, "session": Pooler.SESSION}[mode]


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_the_mode_of_a_pooler_is_found_over_a_slow_network(pooled_database: TestDatabase, mode: str) -> None:
    with pooling(pooled_database, mode, 5) as pooler, FaultProxy(("127.0.0.1", pooler.port)) as network:
        network.set(Mode.LATENCY, latency_seconds=0.1)
        url = pooler.url(pooled_database.app_url).replace(f":{pooler.port}/", f":{network.port}/")
        assert (await pooler_at(url)).name.lower() == mode


@pytest.mark.parametrize("turns", ["0", "1"], ids=["last_used", "round_robin"])
async def test_transaction_mode_is_found_while_others_use_all_server_connections(
    pooled_database: TestDatabase, turns: str
) -> None:
    with pooling(pooled_database, "transaction", 2, server_round_robin=turns) as pooler:
        url = pooler.url(pooled_database.app_url)
        async with busy(url, clients=6):
            for _ in range(10):
                assert await pooler_at(url) is Pooler.TRANSACTION


@asynccontextmanager
async def busy(url: str, *, clients: int) -> AsyncIterator[None]:
    """Clients that use the pooler without a pause."""

    async def use() -> None:
        connection = await connect(url, statement_cache_size=0)
        try:
            while True:
                await connection.execute("SELECT pg_sleep(0.002)")
        finally:
            connection.terminate()

    tasks = [asyncio.create_task(use()) for _ in range(clients)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def said_by(command: str, home: Path, **variables: str) -> str:
    """Return the only line with which a command ends that does not start."""
    ended = run(command, TURNUP_HOME=str(home), **variables)
    assert (ended.returncode, ended.stdout) == (1, ""), ended
    (line,) = ended.stderr.splitlines()
    return line


def test_a_server_refuses_a_pooler_in_transaction_mode_in_one_line(
    pooled_database: TestDatabase, tmp_path: Path
) -> None:
    with pooling(pooled_database, "transaction", 3) as pooler:
        app_url, owner_url = pooler.url(pooled_database.app_url), pooler.url(pooled_database.owner_url)
        refused = said_by("serve", tmp_path, DATABASE_URL=app_url)
        assert refused.startswith("turnup: DATABASE_URL leads to a pooler in transaction mode: ")
        assert "TURNUP_TRANSACTION_POOLING=true" in refused
        variables = {"TURNUP_OWNER_DATABASE_URL": owner_url, "TURNUP_TRANSACTION_POOLING": "true"}
        refused = said_by("migrate", tmp_path, **variables)
        assert refused.startswith("turnup: TURNUP_OWNER_DATABASE_URL leads to a pooler in transaction mode: ")


def test_a_server_refuses_statement_mode_in_one_line(pooled_database: TestDatabase, tmp_path: Path) -> None:
    with pooling(pooled_database, "statement", 3) as pooler:
        url = pooler.url(pooled_database.app_url)
        assert said_by("serve", tmp_path, DATABASE_URL=url).startswith("turnup: DATABASE_URL: ")


@pytest.fixture
async def unbounded(pooled_database: TestDatabase) -> AsyncIterator[TestDatabase]:
    """The database with a role of the app that has no settings, as one of an earlier version."""
    superuser = await asyncpg.connect(os.environ[SUPERUSER_URL])
    name = f"turnup_test_{uuid4().hex[:8]}"
    url = make_url(pooled_database.app_url)
    try:
        await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'throwaway' IN ROLE turnup_app")
        url = url.set(username=name, password="throwaway")
        yield TestDatabase(url.render_as_string(hide_password=False), pooled_database.owner_url)
        await superuser.execute(f"DROP ROLE {name}")
    finally:
        await superuser.close()


def test_behind_a_pooler_the_role_must_have_the_bounds(unbounded: TestDatabase, tmp_path: Path) -> None:
    with pooling(unbounded, "session", 5) as pooler:
        refused = said_by("serve", tmp_path, DATABASE_URL=pooler.url(unbounded.app_url))
    with pooling(unbounded, "transaction", 5) as pooler:
        variables = {"DATABASE_URL": pooler.url(unbounded.app_url), "TURNUP_TRANSACTION_POOLING": "true"}
        assert said_by("serve", tmp_path, **variables) == refused
    assert refused.startswith("turnup: DATABASE_URL: statement_timeout is not set, but must be at most 30000ms")
    assert "turnup roles --sql" in refused


async def test_without_a_pooler_the_server_sends_the_bounds_itself(unbounded: TestDatabase) -> None:
    database = await Database.open(unbounded.app_url, size=1)
    try:
        async with database.connection() as connection:
            await check_bounds(connection)
    finally:
        await database.close()


@pytest.mark.parametrize(("mode", "size"), [("transaction", 3), ("session", 20)])
def test_the_server_starts_behind_a_pooler(pooled_database: TestDatabase, tmp_path: Path, mode: str, size: int) -> None:
    with pooling(pooled_database, mode, size) as pooler:
        variables = {
            "DATABASE_URL": pooler.url(pooled_database.app_url),
            "TURNUP_OWNER_DATABASE_URL": pooled_database.owner_url,
            "TURNUP_TRANSACTION_POOLING": str(mode == "transaction").lower(),
        }
        with serving(tmp_path / "home", **variables) as server:
            assert server.ask("{ viewer { role } }")["viewer"] == {"role": "IMPLEMENTATION_LEAD"}


# Everything works


async def test_200_requests_at_once_are_answered(ground: Ground) -> None:
    sendings = [await EVERY[name](ground, 1) for name in EDITS for _ in range(4)]
    reads = [
        *((query, ground.lead) for query in (PLACES, LOG, LOCATIONS, PAYLOADS)),
        *((query, who) for query in (PLACES, LOCATIONS) for who in (ground.customer, ground.away_customer)),
        *((PAYLOADS, who) for who in (ground.partner, ground.away_partner)),
    ]
    refused = REFUSED % sendings[0].touched[0]
    calls: list[Awaitable[str]] = [told(ground, refused, ground.customer) for _ in range(20)]
    calls += [sent(ground, sending) for sending in sendings]
    calls += [told(ground, *reads[index % len(reads)]) for index in range(REQUESTS - len(calls))]
    Random(14).shuffle(calls)
    assert Counter(await asyncio.gather(*calls)) == {"DONE": REQUESTS - 20, "FORBIDDEN": 20}


async def told(ground: Ground, query: str, who: str) -> str:
    answer = await ground.client.ask(query, who)
    return ",".join(answer.codes) or "DONE"


async def sent(ground: Ground, sending: Sending) -> str:
    return (await ground.send_it(sending)).outcome


async def test_every_mutation_works_once_per_key(ground: Ground) -> None:
    for mutation, arrange in EVERY.items():
        sending = await arrange(ground, 3)
        applied, again = await ground.send_it(sending), await ground.send_it(sending)
        outcomes = (applied.outcome, applied.replayed, again.outcome, again.replayed)
        assert outcomes == ("DONE", False, "DONE", True), (mutation, applied, again)
        assert await ground.entries_made(sending) == sending.entered, mutation


async def test_races_are_decided_as_without_a_pooler(ground: Ground) -> None:
    for _ in range(20):
        await race(ground)


async def test_the_setting_works_without_a_pooler(pooled_database: TestDatabase, home: Path) -> None:
    async with ground_of(None, pooled_database, home) as ground:
        sending = await CASES["bulkUpdateStatus"](ground, 3)
        assert await sent(ground, sending) == "DONE"
        assert await told(ground, REFUSED % sending.touched[0], ground.customer) == "FORBIDDEN"


# Nothing of one client reaches another over the server connection that they share


@pytest.fixture
def narrow(pooled_database: TestDatabase) -> Iterator[PgBouncer]:
    """A pooler in transaction mode with a single server connection, which all clients share."""
    with pooling(pooled_database, "transaction", 1) as made:
        yield made


async def test_users_who_share_a_server_connection_see_what_they_may(
    narrow: PgBouncer, pooled_database: TestDatabase, home: Path
) -> None:
    async with ground_of(narrow, pooled_database, home) as ground:
        seers = dict.fromkeys((CUSTOMER, OTHER_CUSTOMER, LEAD, ground.customer, ground.away_customer), LOCATIONS)
        seers |= dict.fromkeys((PARTNER, ground.partner, ground.away_partner), PAYLOADS)
        alone = {who: (await ground.client.ask(query, who)).data for who, query in seers.items()}
        assert len({str(seen) for seen in alone.values()}) == len(seers)
        asking = list(seers) * 15
        answers = await asyncio.gather(*(ground.client.ask(seers[who], who) for who in asking))
        assert [answer.data for answer in answers] == [alone[who] for who in asking]


Ending = Callable[[Any], Awaitable[object]]


async def fail(connection: Any) -> None:
    with suppress(asyncpg.DivisionByZeroError):
        await connection.fetch("SELECT 1 / $1::integer", 0)
    await connection.execute("ROLLBACK")


async def leave(connection: Any) -> None:
    connection.terminate()


async def give_up(connection: Any) -> None:
    with suppress(TimeoutError):
        await connection.fetch("SELECT pg_sleep($1)", 30, timeout=0.1)
    await connection.execute("ROLLBACK")


ENDINGS: Mapping[str, Ending] = {
    "commit": lambda connection: connection.execute("COMMIT"),
    "rollback": lambda connection: connection.execute("ROLLBACK"),
    "error": fail,
    "disconnection": leave,
    "cancellation": give_up,
}
SIGNED_IN = "SELECT name, current_setting('turnup.' || name, true) AS value FROM unnest($1::text[]) AS name"
SIGN_IN_SETTINGS = ["user_id", "role", "account", "accounts", "locations", "audit_open", "system_action"]
TABLES = ("location", "account", "device", "audit_entry", '"user"')
CHANGED = """
SELECT name, setting FROM pg_settings
WHERE source = 'session' AND setting <> reset_val
AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')
"""
"""The settings that are another session's doing; the pooler itself sets those that it follows per client."""


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("who", [LEAD, CUSTOMER, PARTNER])
async def test_a_sign_in_ends_with_its_transaction(
    narrow: PgBouncer, pooled_database: TestDatabase, who: str, ending: str
) -> None:
    url = narrow.url(pooled_database.app_url)
    options = await app_options(url, transaction_pooling=True)
    first, second = await connect(url, **options), await connect(url, **options)
    try:
        await first.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        (row,) = await first.fetch("SELECT * FROM turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, $2)", who, 5_000)
        assert row["status"] == "ACTIVE"
        assert await first.fetchval("SELECT count(*) FROM turnup.location")
        await ENDINGS[ending](first)
        await nobody_is_signed_in(second)
        if ending != "disconnection":
            await nobody_is_signed_in(first)
    finally:
        first.terminate()
        second.terminate()


async def nobody_is_signed_in(connection: Any) -> None:
    """Check that the server connection shows no row, and has nothing that another client left."""
    async with connection.transaction():
        settings = await connection.fetch(SIGNED_IN, SIGN_IN_SETTINGS)
        assert not any(row["value"] for row in settings), settings
        for table in TABLES:
            assert await connection.fetchval(f"SELECT count(*) FROM turnup.{table}") == 0, table
        assert await connection.fetch(CHANGED) == []
        assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
        assert await connection.fetchval("SELECT count(*) FROM pg_cursors WHERE name <> ''") == 0
        held = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'"
        assert await connection.fetchval(held) == 0


async def test_busy_requests_leave_nothing_in_the_server_connection(
    narrow: PgBouncer, pooled_database: TestDatabase, home: Path
) -> None:
    async with ground_of(narrow, pooled_database, home) as ground:
        sendings = [await EVERY[name](ground, 1) for name in EDITS]
        calls = [sent(ground, sending) for sending in sendings]
        calls += [told(ground, query, ground.lead) for query in (PLACES, LOG, PAYLOADS) for _ in range(5)]
        assert set(await asyncio.gather(*calls)) == {"DONE"}
        url = narrow.url(pooled_database.app_url)
        connection = await connect(url, **await app_options(url, transaction_pooling=True))
        try:
            await nobody_is_signed_in(connection)
        finally:
            connection.terminate()


async def test_work_that_is_cancelled_gives_its_server_connection_back(
    narrow: PgBouncer, pooled_database: TestDatabase
) -> None:
    url = narrow.url(pooled_database.app_url)
    random = Random(14)
    database = await Database.open(url, size=4, transaction_pooling=True)
    try:
        for _ in range(60):
            work = asyncio.create_task(sleep_in(database))
            await asyncio.sleep(random.random() * 0.02)
            work.cancel()
            await asyncio.wait([work])
        async with asyncio.timeout(30), database.connection() as connection:
            assert await connection.fetchval("SELECT $1::integer", 1) == 1
        other = await connect(url, statement_cache_size=0)
        async with asyncio.timeout(30):
            assert await other.fetchval("SELECT $1::integer", 1) == 1
        other.terminate()
    finally:
        await database.close()


async def sleep_in(database: Database) -> None:
    async with database.connection() as connection:
        await connection.fetchval("SELECT pg_sleep($1)", 0.01)


# The pooler has no server connection to spare, or ends under load


async def test_requests_wait_for_a_server_connection_within_their_deadline(
    narrow: PgBouncer, pooled_database: TestDatabase, home: Path
) -> None:
    other = await connect(narrow.url(pooled_database.app_url), statement_cache_size=0)
    try:
        async with ground_of(narrow, pooled_database, home, deadline_seconds=DEADLINE_SECONDS) as ground:
            assert await told(ground, LOCATIONS, LEAD) == "DONE"
            await other.execute("BEGIN")
            began = time.monotonic()
            calls = [told(ground, LOCATIONS, LEAD) for _ in range(20)]
            assert set(await asyncio.gather(*calls)) <= {"OVERLOADED", "TIMEOUT", "UNAVAILABLE"}
            assert time.monotonic() - began < DEADLINE_SECONDS + 1 + BUSY_MACHINE_SECONDS
            ready = await ground.client.http.get("/readyz")
            assert (ready.status_code, ready.json()["database"]) == (503, False)
            await other.execute("COMMIT")
            async with asyncio.timeout(30):
                while await told(ground, LOCATIONS, LEAD) != "DONE":
                    pass
            assert (await ground.client.http.get("/readyz")).status_code == 200
    finally:
        other.terminate()


async def kill_the_pooler(pooler: PgBouncer, _direct: TestDatabase) -> None:
    await asyncio.to_thread(pooler.stop)
    await asyncio.sleep(0.3)
    await asyncio.to_thread(pooler.start)


async def end_the_server_connections(_pooler: PgBouncer, direct: TestDatabase) -> None:
    superuser = await asyncpg.connect(os.environ[SUPERUSER_URL])
    try:
        for _ in range(3):
            await superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE usename = 'turnup_app' AND datname = '{make_url(direct.app_url).database}'"
            )
            await asyncio.sleep(0.1)
    finally:
        await superuser.close()


@pytest.mark.parametrize("fault", [kill_the_pooler, end_the_server_connections])
async def test_no_acknowledged_write_is_lost_and_service_recovers(
    pooler: PgBouncer, ground: Ground, pooled_database: TestDatabase, fault: Callable[..., Awaitable[None]]
) -> None:
    sendings = [await EVERY[name](ground, 1) for name in EDITS for _ in range(5)]
    heard: dict[str, Sent] = {}
    under_load = asyncio.Event()

    async def client(share: Sequence[Sending]) -> None:
        for sending in share:
            heard[sending.given["idempotencyKey"]] = await ground.send_it(sending)
            if len(heard) >= 8:
                under_load.set()
            assert await told(ground, PLACES, ground.lead) in {"DONE", "UNAVAILABLE", "OVERLOADED"}

    clients = [asyncio.create_task(client(sendings[index::8])) for index in range(8)]
    await under_load.wait()
    await fault(pooler, pooled_database)
    await asyncio.gather(*clients)
    assert {answer.outcome for answer in heard.values()} <= {"DONE", "UNAVAILABLE", "OVERLOADED"}
    for sending in sendings:
        before, after = heard[sending.given["idempotencyKey"]], await ground.send_it(sending)
        assert after.outcome == "DONE"
        if before.outcome == "DONE":
            assert after.replayed
        assert await ground.entries_made(sending) == sending.entered
    await database_is_consistent(pooled_database)
