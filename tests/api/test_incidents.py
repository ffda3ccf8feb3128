"""Incidents that the audit log counts: refused fields, forged identity headers, suspended users."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import orjson
import pytest
from pydantic import SecretStr
from starlette.types import Message

from app import audit
from app.db.database import Database, SuspendedUser
from app.db.failures import DatabaseUnavailable
from app.db.request_transactions import RequestTransactions
from app.domain.credential import CredentialKind
from app.domain.vocabulary import Role
from app.operations import housekeeping
from app.settings import Settings
from tests.harness import CUSTOMER, LEAD, Client, early_in_a_minute, own_database

from .serving import a_scope, serving

LOG = """{ auditLog(first: 50, filter: {action: %s}) { nodes {
  code deniedField chain chainAccountId actor { id } changes { nodes { field after } } } } }"""


@pytest.fixture
async def within_a_minute(own_client: Client) -> None:
    """What the test counts is counted in one minute."""
    connection = await asyncpg.connect(own_client.database.owner_url)
    await early_in_a_minute(connection)
    await connection.close()


async def settled(client: Client) -> None:
    """A minute later: what was counted is entered."""
    connection = await asyncpg.connect(client.database.owner_url)
    try:
        await connection.execute("SET ROLE turnup_definer")
        earlier = "UPDATE turnup.audit_incident SET minute = minute - $1::interval"
        await connection.execute(earlier, timedelta(minutes=2))
    finally:
        await connection.close()
    database = await Database.open(client.database.app_url, size=1)
    try:
        await audit.settle(database)
    finally:
        await database.close()


@pytest.mark.usefixtures("within_a_minute")
async def test_a_refused_field_is_entered_once_a_minute_with_its_count(own_client: Client) -> None:
    for _ in range(3):
        await own_client.ask('{ location(id: "location-1") { overrides { id } } }', CUSTOMER)
    await settled(own_client)
    entries = (await own_client.ask(LOG % "ROLE_DENIED", LEAD)).data["auditLog"]["nodes"]
    told = [(entry["code"], entry["deniedField"], entry["chain"], entry["actor"]["id"]) for entry in entries]
    assert told == [("FORBIDDEN", "overrides", "SYSTEM", "user-acme")]
    assert entries[0]["chainAccountId"] is None
    assert {change["field"]: change["after"] for change in entries[0]["changes"]["nodes"]}["count"] == 3


DENIED_AND_WAITING = '{ auditLog(first: 1) { totalCount } location(id: "location-1") { devices { id } } }'


@asynccontextmanager
async def waiting_for_devices(client: Client) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Lock the devices. Yields a function that waits until a request waits for them."""
    connection = await asyncpg.connect(client.database.owner_url)

    async def until_waiting() -> None:
        async with asyncio.timeout(30):
            while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)

    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE turnup.device")
            yield until_waiting
    finally:
        await connection.close()


async def told_of_denial(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Check that the metric, the log and the audit log each have the denial of the audit log once."""
    connection = await asyncpg.connect(client.database.owner_url)
    try:
        await connection.execute("SET ROLE turnup_definer")
        async with asyncio.timeout(30):
            while not await connection.fetchval("SELECT EXISTS (SELECT FROM turnup.audit_incident)"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
    finally:
        await connection.close()
    rendered = (await client.http.get("/metrics")).text.splitlines()
    assert 'turnup_permission_denied_total{field="auditLog"} 1.0' in rendered
    assert [each.getMessage() for each in caplog.records if each.name == "turnup.events"] == ["permission.denied"]
    await settled(client)
    [entry] = (await client.ask(LOG % "ROLE_DENIED", LEAD)).data["auditLog"]["nodes"]
    assert (entry["deniedField"], entry["actor"]["id"]) == ("auditLog", "user-acme")
    assert {change["field"]: change["after"] for change in entry["changes"]["nodes"]}["count"] == 1


async def test_a_refused_field_counts_when_the_client_leaves_before_the_answer(
    own_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "turnup.events"):
        async with waiting_for_devices(own_client) as until_waiting:
            body = orjson.dumps({"query": DENIED_AND_WAITING})
            arriving: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

            async def receive() -> Message:
                if arriving:
                    return arriving.pop()
                await until_waiting()
                return {"type": "http.disconnect"}

            async def send(message: Message) -> None:
                raise AssertionError(message)

            token = own_client.recent_token(CUSTOMER).encode()
            fields = [(b"authorization", b"Bearer " + token), (b"content-type", b"application/json")]
            await own_client.app(a_scope("POST", "/graphql", fields), receive, send)
        await told_of_denial(own_client, caplog)


async def test_a_refused_field_counts_when_the_request_exceeds_the_deadline(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with own_database() as database:
        own = {"database_url": SecretStr(database.app_url), "limit_deadline_seconds": 2}
        async with serving(settings, database, **own) as client:
            with caplog.at_level("INFO", "turnup.events"):
                async with waiting_for_devices(client):
                    assert (await client.ask(DENIED_AND_WAITING, CUSTOMER)).codes == ["TIMEOUT"]
                await told_of_denial(client, caplog)


@pytest.mark.parametrize("headers", [{"x-user-id": "user-lead"}, {"x-user-role": "IMPLEMENTATION_LEAD"}])
async def test_forged_identity_headers_are_a_security_event(own_client: Client, headers: dict[str, str]) -> None:
    answer = await own_client.ask("{ viewer { name } }", CUSTOMER, headers=headers)
    assert (answer.status, answer.codes) == (403, ["FORBIDDEN"])
    await settled(own_client)
    entries = (await own_client.ask(LOG % "SECURITY_EVENT", LEAD)).data["auditLog"]["nodes"]
    assert [(entry["code"], entry["actor"]["id"]) for entry in entries] == [("FORGED_IDENTITY_HEADERS", "user-acme")]


@pytest.mark.usefixtures("within_a_minute")
async def test_a_suspended_user_s_token_is_a_security_event(own_client: Client) -> None:
    suspend = 'mutation { suspendUser(input: {userId: "user-acme"}) { problems { code } } }'
    assert (await own_client.ask(suspend, LEAD)).data["suspendUser"]["problems"] == []
    for _ in range(2):
        assert (await own_client.ask("{ viewer { name } }", CUSTOMER)).codes == ["UNAUTHENTICATED"]
    await settled(own_client)
    [entry] = (await own_client.ask(LOG % "SECURITY_EVENT", LEAD)).data["auditLog"]["nodes"]
    assert (entry["code"], entry["chain"], entry["actor"]["id"]) == ("SUSPENDED_USER", "SYSTEM", "user-acme")
    assert {change["field"]: change["after"] for change in entry["changes"]["nodes"]}["count"] == 2


@pytest.mark.usefixtures("within_a_minute")
async def test_a_user_who_is_suspended_between_a_write_and_its_answer_is_a_security_event(
    own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def suspended(_self: RequestTransactions) -> None:
        raise SuspendedUser("user-lead", Role.IMPLEMENTATION_LEAD, CredentialKind.ACCESS_TOKEN)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(RequestTransactions, "read", suspended)
        start = 'mutation { startOnboarding(input: {locationId: "location-12"}) { problems { code } } }'
        assert (await own_client.ask(start, LEAD)).codes == ["UNAVAILABLE"]
    await settled(own_client)
    [entry] = (await own_client.ask(LOG % "SECURITY_EVENT", LEAD)).data["auditLog"]["nodes"]
    assert (entry["code"], entry["actor"]["id"]) == ("SUSPENDED_USER", "user-lead")


async def test_keys_older_than_a_day_go_and_younger_ones_stay(own_client: Client) -> None:
    start = 'mutation { startOnboarding(input: {locationId: "%s", idempotencyKey: "%s"}) { problems { code } } }'
    for location, key in (("location-2", "old"), ("location-12", "young")):
        await own_client.ask(start % (location, key), LEAD)
    connection = await asyncpg.connect(own_client.database.owner_url)
    try:
        await connection.execute("SET ROLE turnup_definer")
        await connection.execute(
            "UPDATE turnup.idempotency_key SET created_at = now() - interval '25 hours' WHERE key = 'old'"
        )
        database = await Database.open(own_client.database.app_url, size=1)
        try:
            assert await housekeeping.forget_old_keys(database) == 1
        finally:
            await database.close()
        kept = await connection.fetch("SELECT key FROM turnup.idempotency_key")
        assert [row["key"] for row in kept] == ["young"]
    finally:
        await connection.close()


@pytest.fixture
async def nine_old_keys(own_client: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A database with nine keys to forget, of which a round takes three batches of two."""
    monkeypatch.setattr(housekeeping, "MOST_KEYS", 2)
    monkeypatch.setattr(housekeeping, "MOST_BATCHES", 3)
    connection = await asyncpg.connect(own_client.database.owner_url)
    database = await Database.open(own_client.database.app_url, size=1)
    try:
        await connection.execute("SET ROLE turnup_definer")
        await connection.execute(
            """INSERT INTO turnup.idempotency_key (user_id, key, mutation, fingerprint, outcome, created_at)
               SELECT 'user-lead', 'old-' || n, 'block', '', '{}', now() - interval '25 hours' - n * interval '1 second'
               FROM generate_series(1, 9) n"""
        )
        yield database
    finally:
        await database.close()
        await connection.close()


async def test_one_round_forgets_no_more_keys_than_it_may_and_the_next_ones_the_rest(nine_old_keys: Database) -> None:
    assert [await housekeeping.forget_old_keys(nine_old_keys) for _ in range(3)] == [6, 3, 0]


async def test_what_a_round_has_forgotten_batch_by_batch_stays_forgotten_when_it_fails(
    nine_old_keys: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [housekeeping._batch, housekeeping._batch]

    async def two_and_then_none(database: Database, name: str, statement: str, most: int) -> int:
        if not batches:
            raise DatabaseUnavailable
        return await batches.pop()(database, name, statement, most)

    with monkeypatch.context() as failing:
        failing.setattr(housekeeping, "_batch", two_and_then_none)
        with pytest.raises(DatabaseUnavailable):
            await housekeeping.forget_old_keys(nine_old_keys)
    assert [await housekeeping.forget_old_keys(nine_old_keys) for _ in range(2)] == [5, 0]
