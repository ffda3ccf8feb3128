"""Real servers in which one thing after another fails, and what Prometheus says about each.

Three servers in production mode share a database: `main` works throughout, `front` has a slow database and then none,
and `side` loses Redis, the identity provider and its collector, and is killed. A fourth has the embedded PostgreSQL.
The four are broken at the same time.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import asyncpg
import httpx

from app.auth.development import AUDIENCE as DEVELOPMENT_AUDIENCE
from app.auth.development import DevelopmentIssuer
from app.postgres import embedded as cluster
from tests.auth.auth_builders import ISSUER
from tests.auth.auth_builders import serving as serving_keys
from tests.cli.turnup import free_port, postmaster_of
from tests.contract.served import erase
from tests.harness import (
    CUSTOMER,
    LEAD,
    LEAD_2,
    OTHER_CUSTOMER,
    OTHER_PARTNER,
    PARTNER,
    SUPERUSER_URL,
    TestDatabase,
    with_database,
)
from tests.limiting.redis_server import RedisServer
from tests.outages.processes import Started, Stem
from tests.outages.proxy import LOCALHOST, FaultProxy, Mode
from tests.outages.sinks import Sink
from tests.outages.traffic import AUDIENCE, SIGNER, Traffic

from .prometheus import Prometheus, a_prometheus

TOKEN = "a-token-of-the-monitoring-lane"
FIRES_SECONDS, RESOLVES_SECONDS = 45.0, 75.0
DEADLINE_SECONDS = 8.0
REPEATED_SECONDS = 30.0
RETRIED = frozenset({"UNAVAILABLE", "OVERLOADED", "TIMEOUT"})
KEY_TTL_SECONDS = 10
DENIALS = 40
SIGN_INS = 10
POOL_SIZE = 6
CLIENTS_PER_USER = 10
PACKET_SECONDS = 0.15
PATIENCE_SECONDS = 0.8
PEOPLE = (CUSTOMER, OTHER_CUSTOMER, PARTNER, OTHER_PARTNER)

OF_BROWSER = {"host": "turnup.example", "x-forwarded-proto": "https"}
"""What the proxy adds that terminates TLS for the public URL."""

LOCATIONS = "{ locations(first: 5) { nodes { id status devices { id } } } }"
PAYLOADS = "{ provisioningPayloads(first: 5, filter: {awaitingReceipt: true}) { nodes { id documentDigest } } }"
DENIED = "{ auditLog(first: 1) { nodes { id } } }"
MODELS = "{ deviceModels { nodes { name lines } } }"
STEP = 'mutation { setCurrentStep(input: {locationId: "location-7", step: DEVICES}) { problems { code } } }'
SUBMIT = 'mutation { submitOnboarding(input: {locationId: "location-1"}) { problems { code } } }'
BULK = """mutation ($ids: [ID!]!, $key: String!) {
  bulkUpdateStatus(input: {locationIds: $ids, status: PENDING_APPROVAL, idempotencyKey: $key}) {
    summary { applied refused } } }"""
OVERRIDE = """mutation { openOverride(input: {locationId: "location-4", editableSections: [DEVICES],
  reason: "Two phones were swapped.", expiresInMinutes: 5}) { override { id } problems { code } } }"""
CLOSE = """mutation ($id: ID!) { closeOverride(input: {overrideId: $id}) { problems { code } } }"""
CREATE = """mutation ($email: String!) { createUser(input: {name: "New Lead", email: $email, role: IMPLEMENTATION_LEAD,
  allAccounts: true}) { user { id } problems { code } } }"""
CONFIRM = "mutation ($id: ID!) { confirmUser(input: {userId: $id}) { problems { code } } }"
REVIEW = '{ review(locationId: "location-3") { digest } }'
APPROVE = """mutation ($digest: String!) { approve(input: {locationId: "location-3", expectedDigest: $digest}) {
  problems { code } } }"""
ACKNOWLEDGE = """mutation ($id: ID!, $digest: String!, $key: String!) { acknowledgePayload(input: {payloadId: $id,
  documentDigest: $digest, idempotencyKey: $key}) { problems { code } } }"""


@dataclass(frozen=True, slots=True)
class Proof:
    """How many seconds after a fault an alert fired, and how many after the repair it resolved."""

    fault: str
    fired_after: float
    resolved_after: float


@dataclass
class Server:
    """A server that runs, and a client of it."""

    process: Started
    traffic: Traffic
    variables: dict[str, str]

    @property
    def target(self) -> str:
        """What Prometheus scrapes, and the label `instance` of what it finds."""
        return f"{LOCALHOST}:{self.variables['PORT']}"

    async def ask(self, query: str, who: str | None, **variables: Any) -> Any:
        """Return the data of an answer, which must have no errors and no problems.

        Repeats what had no effect because the machine is busy, as clients do.
        """
        deadline = time.monotonic() + REPEATED_SECONDS
        while True:
            body = (await self.traffic.graphql(query, who, **variables)).json()
            facts = [error["extensions"] for error in body.get("errors", ())]
            retries = [each["code"] in RETRIED and each.get("outcome") in {None, "NONE"} for each in facts]
            if not facts or not all(retries) or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.5)
        assert "errors" not in body, body
        payloads = [value for value in body["data"].values() if isinstance(value, dict)]
        problems = [each for payload in payloads for each in payload.get("problems", ())]
        assert not problems, problems
        return body["data"]

    async def send(self, query: str, who: str | None, **variables: Any) -> None:
        """Send a request whose answer does not matter."""
        with suppress(httpx.TransportError):
            await self.traffic.graphql(query, who, **variables)

    def client(self, query: str, who: str, *, patience: float = 30.0) -> Callable[[], Awaitable[object]]:
        """Return what sends a request with the same token each time, by which the server knows its user.

        The client leaves if it has no answer after `patience` seconds.
        """
        headers = {"authorization": f"Bearer {self.traffic.token(who)}"}

        async def send() -> None:
            with suppress(httpx.TransportError):
                await self.traffic.http.post("/graphql", json={"query": query}, headers=headers, timeout=patience)

        return send

    def kill(self) -> None:
        """Kill its process, the last one if it was started again."""
        self.process.kill()

    async def ready(self, within: float = 60.0) -> None:
        """Wait until it is ready."""
        deadline = time.monotonic() + within
        while not await self.checked():
            assert not self.process.has_ended, self.process.printed[-4_000:]
            assert time.monotonic() < deadline, self.process.printed[-4_000:]
            await asyncio.sleep(0.1)

    async def checked(self) -> bool:
        """Ask whether it is ready, as a load balancer does."""
        with suppress(httpx.TransportError):
            return (await self.traffic.http.get("/readyz")).status_code == 200
        return False


@dataclass
class Play:
    """What the faults are done to, and the proofs so far."""

    prometheus: Prometheus
    main: Server
    database: TestDatabase
    superuser: "asyncpg.Connection[asyncpg.Record]"
    holder: "asyncpg.Connection[asyncpg.Record]"
    """Another session of the superuser."""
    stem: Stem
    proofs: dict[str, Proof] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """Why an alert is not proven."""
    began: float = field(default_factory=time.time)
    ended: float = 0.0
    """The time of the faults, in Unix seconds."""

    async def proves(self, at: Server, fault: str, broken: AbstractAsyncContextManager[None], *alerts: str) -> None:
        """Break something until each alert has fired, and wait until each has resolved. Note the times or why not.

        An alert about one server counts only if it is about `at`.

        Before, wait until none of them fires because of another fault.
        """
        try:
            await self.prometheus.until_resolved(alerts, RESOLVES_SECONDS, at.target)
            began = time.monotonic()
            async with broken:
                fired = await self.prometheus.until_firing(alerts, FIRES_SECONDS, began, at.target)
            resolved = await self.prometheus.until_resolved(alerts, RESOLVES_SECONDS, at.target)
        except AssertionError as error:
            self.failures |= dict.fromkeys(alerts, f"{fault}: {error}")
            return
        self.proofs |= {alert: Proof(fault, fired[alert], resolved[alert]) for alert in alerts}


@asynccontextmanager
async def once(action: Awaitable[object]) -> AsyncIterator[None]:
    """A fault that is over as soon as it has happened."""
    await action
    yield


@asynccontextmanager
async def meanwhile(*actions: Callable[[], Awaitable[object]], pause: float = 0.1) -> AsyncIterator[None]:
    """Do each of these again and again for the time of the block."""

    async def repeat(action: Callable[[], Awaitable[object]]) -> None:
        while True:
            await action()
            await asyncio.sleep(pause)

    tasks = [asyncio.ensure_future(repeat(action)) for action in actions]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def through(proxy: FaultProxy, mode: Mode, latency_seconds: float = 0.0) -> AsyncIterator[None]:
    """A fault of the network to something that a server depends on."""
    proxy.set(mode, latency_seconds=latency_seconds)
    try:
        yield
    finally:
        proxy.set(Mode.PASS)


@asynccontextmanager
async def changed(connection: "asyncpg.Connection[asyncpg.Record]", change: str, back: str) -> AsyncIterator[None]:
    """A statement, and after the block the statement that undoes it; no trigger of the tables sees either."""
    await as_replica(connection, change)
    try:
        yield
    finally:
        await as_replica(connection, back)


@asynccontextmanager
async def read_only(superuser: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[None]:
    """The database accepts no writes of sessions that begin during the block. The server's earlier ones are ended."""
    setting = f"ALTER DATABASE {await superuser.fetchval('SELECT current_database()')}"
    await superuser.execute(f"{setting} SET default_transaction_read_only = on")
    await superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'turnup_app'")
    try:
        yield
    finally:
        await superuser.execute(f"{setting} RESET default_transaction_read_only")


async def as_replica(connection: "asyncpg.Connection[asyncpg.Record]", statement: str) -> None:
    """Run a statement as superuser, past triggers, as somebody could who has the rights of the owner."""
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(statement)


# The business: `main`


async def business(play: Play) -> None:
    """Approvals, hand-off, audit log and access, on a server that works."""
    async with asyncio.TaskGroup() as group:
        group.create_task(audit(play))
        group.create_task(leads(play))
        group.create_task(access(play))
    await unmeasured(play)


async def leads(play: Play) -> None:
    """An approval waits for a week without a lead. Then leads are back."""
    await as_replica(
        play.superuser,
        "UPDATE turnup.approval SET requested_at = requested_at - interval '7 days' WHERE status = 'PENDING'",
    )

    @asynccontextmanager
    async def without_leads() -> AsyncIterator[None]:
        yield
        await play.main.ask(LOCATIONS, LEAD)

    await play.proves(
        play.main,
        "an approval waits for a week, and no lead sends a request",
        without_leads(),
        "TurnupApprovalsUnattended",
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(
            play.proves(play.main, "11 overrides are opened", once(overrides(play.main)), "TurnupManyOverrides")
        )
        group.create_task(approved_by_a_new_user(play))
        group.create_task(unacknowledged(play))
        group.create_task(bulk(play))


async def overrides(main: Server) -> None:
    """A lead opens and closes more overrides than usual."""
    for _ in range(11):
        opened = await main.ask(OVERRIDE, LEAD)
        await main.ask(CLOSE, LEAD, id=opened["openOverride"]["override"]["id"])


async def approved_by_a_new_user(play: Play) -> None:
    """A lead makes a lead, another confirms it, and the new one approves. An hour passes."""
    email = "new.lead@turnup.example"

    @asynccontextmanager
    async def approved() -> AsyncIterator[None]:
        made = await play.main.ask(CREATE, LEAD, email=email)
        await play.main.ask(CONFIRM, LEAD_2, id=made["createUser"]["user"]["id"])
        digest = (await play.main.ask(REVIEW, email))["review"]["digest"]
        await play.main.ask(APPROVE, email, digest=digest)
        yield
        await as_replica(
            play.superuser,
            f"""UPDATE turnup.approval SET decided_at = decided_at - interval '1 hour'
                WHERE decided_by = (SELECT id FROM turnup."user" WHERE email = '{email}')""",
        )

    await play.proves(play.main, "a lead who was made a moment ago approves", approved(), "TurnupApprovedByNewUser")


async def unacknowledged(play: Play) -> None:
    """Two payloads were released five hours ago. Their partners acknowledge them."""

    @asynccontextmanager
    async def released() -> AsyncIterator[None]:
        await as_replica(
            play.superuser,
            """UPDATE turnup.provisioning_payload SET released_at = released_at - interval '5 hours'
               WHERE state = 'RELEASED'""",
        )
        yield
        for partner in (PARTNER, OTHER_PARTNER):
            for each in (await play.main.ask(PAYLOADS, partner))["provisioningPayloads"]["nodes"]:
                await play.main.ask(
                    ACKNOWLEDGE, partner, id=each["id"], digest=each["documentDigest"], key=str(uuid4())
                )

    await play.proves(
        play.main, "two payloads are not acknowledged for five hours", released(), "TurnupPayloadUnacknowledged"
    )


async def bulk(play: Play) -> None:
    """Two bulk calls whose items are refused, because the status does not allow it."""
    ids = [f"location-{number}" for number in (2, 4, 6, 8, 9, 12)]

    async def called() -> None:
        for _ in range(2):
            await play.main.ask(BULK, LEAD, ids=ids, key=str(uuid4()))

    await play.proves(play.main, "12 items of 12 are refused", once(called()), "TurnupBulkFailures")


async def unmeasured(play: Play) -> None:
    """Another session holds the lock of the measurement, and the last one is ten minutes old."""
    lock = "hashtextextended('turnup.gauge_reading', 0)"
    await play.proves(
        play.main,
        "the gauges are not measured",
        changed(
            play.holder,
            f"""SELECT pg_advisory_lock({lock});
                UPDATE turnup.gauge_reading SET measured_at = measured_at - interval '10 minutes'""",
            f"SELECT pg_advisory_unlock({lock})",
        ),
        "TurnupGaugesStale",
    )


async def audit(play: Play) -> None:
    """The audit log is verified for the first time. Then an entry is changed."""

    @asynccontextmanager
    async def unverified() -> AsyncIterator[None]:
        yield
        assert await verify(play), "the audit log of the demo data is not whole"

    await play.proves(play.main, "the audit log was never verified", unverified(), "TurnupAuditNotVerified")
    first = "chain = 'account-1' AND number = 1"

    @asynccontextmanager
    async def tampered() -> AsyncIterator[None]:
        action = await play.superuser.fetchval(f"SELECT action FROM turnup.audit_entry WHERE {first}")
        change = f"UPDATE turnup.audit_entry SET action = '{{}}' WHERE {first}".format
        async with changed(play.superuser, change("EDITED"), change(action)):
            assert not await verify(play), "the change was not found"
            yield
        assert await verify(play), "the audit log is not whole again"

    await play.proves(
        play.main, "an entry of the audit log is changed, and verified", tampered(), "TurnupAuditChainBroken"
    )


async def verify(play: Play) -> bool:
    """Verify the audit log by the command. Returns whether it is whole."""
    command = play.stem.start("audit", "verify", TURNUP_OWNER_DATABASE_URL=play.database.owner_url)
    await command.end(60)
    assert "verified" in command.printed or "chain account-1, entry 1" in command.printed, command.printed
    return "chain account-1, entry 1" not in command.printed


async def access(play: Play) -> None:
    """A customer asks for what only leads see, and strangers ask for anything. Others do what they may."""
    await play.main.ask(SUBMIT, CUSTOMER)
    await garbage(int(play.main.variables["PORT"]))

    async def denied() -> None:
        await asyncio.gather(*(play.main.send(DENIED, CUSTOMER) for _ in range(DENIALS)))

    await play.proves(
        play.main, f"a customer asks {DENIALS} times for the audit log", once(denied()), "TurnupPermissionDeniedSpike"
    )
    await play.proves(
        play.main,
        "a token of a user that nobody made",
        once(play.main.send(LOCATIONS, "nobody")),
        "TurnupSecurityEvent",
    )


async def garbage(port: int) -> None:
    """Send what is no HTTP, and wait until the server closes the connection."""
    reader, writer = await asyncio.open_connection(LOCALHOST, port)
    writer.write(b"garbage\r\n\r\n")
    await reader.read()
    writer.close()
    await writer.wait_closed()


# The server with a database that is slow, and then gone: `front`


async def slow_and_gone(play: Play, front: Server, database: FaultProxy) -> None:
    """Crowds of clients with a slow database, and then without one."""

    @asynccontextmanager
    async def crowded(*people: str, each: int = CLIENTS_PER_USER, patience: float = 30.0) -> AsyncIterator[None]:
        clients = [front.client(LOCATIONS, who, patience=patience) for who in people for _ in range(each)]
        async with through(database, Mode.LATENCY, PACKET_SECONDS), meanwhile(*clients):
            yield

    slow = f"each packet to and from PostgreSQL takes {PACKET_SECONDS} s"
    await play.proves(
        front,
        f"{slow}; {len(PEOPLE) * CLIENTS_PER_USER} clients of {len(PEOPLE)} users",
        crowded(*PEOPLE),
        "TurnupSlow",
        "TurnupPoolExhausted",
        "TurnupOverloaded",
    )
    await play.proves(
        front, f"{slow}; {CLIENTS_PER_USER} clients of one user", crowded(CUSTOMER), "TurnupClientsThrottled"
    )
    await play.proves(
        front,
        f"{slow}; clients leave after {PATIENCE_SECONDS} s",
        crowded(*PEOPLE, each=2, patience=PATIENCE_SECONDS),  # so few that none is refused before it leaves
        "TurnupClientsLeave",
    )

    @asynccontextmanager
    async def gone() -> AsyncIterator[None]:
        async with through(database, Mode.REFUSE), meanwhile(lambda: front.send(LOCATIONS, CUSTOMER), pause=0.2):
            yield

    await play.proves(front, "PostgreSQL refuses connections", gone(), "TurnupDatabaseDown", "TurnupErrorRate")


# The server that loses what it depends on besides the database: `side`


async def alone(play: Play, side: Server, redis: FaultProxy, issuer: FaultProxy, collector: FaultProxy) -> None:
    """Redis, the identity provider and the collector are gone; then the server is killed."""

    @asynccontextmanager
    async def no_redis() -> AsyncIterator[None]:
        async with (
            through(redis, Mode.REFUSE),
            meanwhile(partial(side.send, STEP, OTHER_CUSTOMER), pause=0.5),
        ):
            yield

    async with asyncio.TaskGroup() as group:
        group.create_task(play.proves(side, "Redis refuses connections", no_redis(), "TurnupLimiterDown"))
        group.create_task(
            play.proves(
                side, "the identity provider refuses connections", through(issuer, Mode.REFUSE), "TurnupKeySetDown"
            )
        )
        group.create_task(
            play.proves(
                side,
                "the collector of traces refuses connections",
                through(collector, Mode.REFUSE),
                "TurnupTelemetryDropped",
            )
        )
        group.create_task(
            play.proves(
                side,
                f"{SIGN_INS} sign-ins of browsers without the provider",
                once(signing_in(side)),
                "TurnupSignInsFail",
                "TurnupPagesFail",
            )
        )

    @asynccontextmanager
    async def killed() -> AsyncIterator[None]:
        side.kill()
        yield
        side.process = play.stem.start("serve", **side.variables)

    await play.proves(side, "a server is killed", killed(), "TurnupServerDown")


async def signing_in(side: Server) -> None:
    """People sign in with a browser, one after another."""
    for _ in range(SIGN_INS):
        answer = await side.traffic.http.get("/auth/login", headers=OF_BROWSER)
        assert answer.status_code == 503, answer.text


# The server with the embedded PostgreSQL


async def embedded(
    play: Play,
    own: Server,
    home: Path,
    models: Callable[[], Awaitable[object]],
    superuser: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """A column is missing, then a migration, and then PostgreSQL itself. `models` asks for the column."""
    columns = "ALTER TABLE turnup.device_model RENAME COLUMN"
    versions = "UPDATE turnup.alembic_version SET version_num ="

    @asynccontextmanager
    async def renamed() -> AsyncIterator[None]:
        async with changed(superuser, f"{columns} lines TO rows", f"{columns} rows TO lines"):
            await models()
            yield

    await play.proves(own, "a column was renamed by hand", renamed(), "TurnupInternalError")
    version = await superuser.fetchval("SELECT version_num FROM turnup.alembic_version")
    unmigrated = changed(superuser, f"{versions} '0001'", f"{versions} '{version}'")
    await play.proves(own, "the database is of an older version", unmigrated, "TurnupMigrationsMissing")

    await play.proves(own, "the database was set to read only", read_only(superuser), "TurnupDatabaseReadOnly")

    async def killed() -> None:
        os.kill(postmaster_of(home), signal.SIGKILL)

    await play.proves(own, "PostgreSQL is killed", once(killed()), "TurnupEmbeddedDatabaseRestarted")


# All together


class Stage:
    """Starts the servers, with what they depend on."""

    def __init__(self, stem: Stem, database: TestDatabase, redis: RedisServer, stack: AsyncExitStack) -> None:
        self._stem = stem
        self._database = database
        self._redis = redis
        self._stack = stack

    async def open(self) -> None:
        """Start the proxies, the issuer of tokens and the collector."""
        superuser_url = with_database(
            os.environ[SUPERUSER_URL], self._database.app_url.partition("?")[0].rpartition("/")[2]
        )
        self.superuser, self.holder, self.clock = [await asyncpg.connect(superuser_url) for _ in range(3)]
        for each in (self.superuser, self.holder, self.clock):
            self._stack.push_async_callback(each.close)
        host = dict(parse_qsl(urlsplit(self._database.app_url).query))
        issuer = await self._stack.enter_async_context(serving_keys(SIGNER.jwk))
        collector = await self._stack.enter_async_context(Sink())
        self.postgresql = self._proxy(f"{host['host']}/.s.PGSQL.{host['port']}")
        self.redis = self._proxy(self._redis.path)
        self.issuer = self._proxy((LOCALHOST, issuer.port))
        self.collector = self._proxy((LOCALHOST, collector.port))
        self._keys_url = issuer.url
        self._stack.push_async_callback(self._released)

    async def _released(self) -> None:
        """Wait until the killed servers have no connection to the database any more, so that it can be dropped."""
        async with asyncio.timeout(30):
            while self.postgresql.connections:  # noqa: ASYNC110 - they end in the thread of the proxy
                await asyncio.sleep(0.05)

    def _proxy(self, target: str | tuple[str, int]) -> FaultProxy:
        return self._stack.enter_context(FaultProxy(target))

    async def server(self, **changes: str) -> Server:
        """Return a server in production mode, before it is ready."""
        variables = {
            "TURNUP_ENV": "production",
            "DATABASE_URL": self._database.app_url,
            "TURNUP_REDIS_URL": self._redis.url,
            "TURNUP_JWKS_URL": self._keys_url,
            "TURNUP_ISSUER": ISSUER,
            "TURNUP_AUDIENCE": AUDIENCE,
            "TURNUP_METRICS_TOKEN": TOKEN,
            "TURNUP_KEY_TTL": str(KEY_TTL_SECONDS),
            "TURNUP_LIMIT_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
            "TURNUP_STOP_DELAY_SECONDS": "0",
            **changes,
        }
        return self._started(**variables)

    def _started(self, **variables: str) -> Server:
        port = free_port()
        variables["PORT"] = str(port)
        http = httpx.AsyncClient(
            base_url=f"http://{LOCALHOST}:{port}",
            timeout=30,
            trust_env=False,
            verify=False,
            limits=httpx.Limits(max_connections=None),
        )
        self._stack.push_async_callback(http.aclose)
        server = Server(self._stem.start("serve", **variables), Traffic(http), variables)
        self._stack.callback(server.kill)
        return server

    async def embedded(self, home: Path) -> "tuple[Server, asyncpg.Connection[asyncpg.Record]]":
        """Return a server in development mode with the embedded PostgreSQL, and a session of its superuser."""
        self._stack.callback(erase, home)
        server = self._started(TURNUP_HOME=str(home))
        await server.ready()
        with cluster.start(home) as postgres:
            superuser = await asyncpg.connect(postgres.cluster.dsn("postgres", "turnup"))
        self._stack.callback(superuser.terminate)
        return server, superuser


async def a_year_passes(superuser: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let the users of the demo data be a year old, and the gauges be measured anew."""
    await as_replica(
        superuser,
        """UPDATE turnup."user" SET created_at = created_at - interval '1 year'; DELETE FROM turnup.gauge_reading""",
    )


async def a_minute_passes(superuser: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let the gauges be a minute older than they are, so that they are measured again."""
    await superuser.execute(
        """UPDATE turnup.gauge_reading SET measured_at = measured_at - interval '1 minute'
           WHERE measured_at > clock_timestamp() - interval '50 seconds'"""
    )


@asynccontextmanager
async def played(
    folder: Path, home: Path, stem: Stem, database: TestDatabase, redis: RedisServer
) -> AsyncIterator[Play]:
    """Play all faults, and yield what is left: the proofs, and a Prometheus that has seen them."""
    async with AsyncExitStack() as stack:
        stage = Stage(stem, database, redis, stack)
        await stage.open()
        main = await stage.server()
        front = await stage.server(
            DATABASE_URL=stage.postgresql.url(database.app_url),
            TURNUP_POOL_SIZE=str(POOL_SIZE),
            TURNUP_LIMIT_USER_CONNECTIONS=str(POOL_SIZE),
            TURNUP_LIMIT_REQUESTS=str(POOL_SIZE + 3),
            TURNUP_LIMIT_REQUEST_BURST="2",
        )
        side = await stage.server(
            TURNUP_REDIS_URL=stage.redis.url(redis.url),
            TURNUP_JWKS_URL=f"http://{LOCALHOST}:{stage.issuer.port}/keys",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{LOCALHOST}:{stage.collector.port}",
            OTEL_BSP_SCHEDULE_DELAY="200",
            TURNUP_PUBLIC_URL="https://turnup.example",
            TURNUP_OIDC_ISSUER=f"http://{LOCALHOST}:{stage.issuer.port}",
            TURNUP_OIDC_CLIENT_ID="turnup",
            TURNUP_OIDC_CLIENT_SECRET="secret",
            TURNUP_TRUSTED_PROXIES=LOCALHOST,
        )
        own, own_superuser = await stage.embedded(home)
        issuer = DevelopmentIssuer.load_or_create(home)
        token = issuer.issue(CUSTOMER, lifetime_seconds=600, now=time.time(), audience=DEVELOPMENT_AUDIENCE)
        bearer = {"authorization": f"Bearer {token}"}
        models = partial(own.traffic.http.post, "/graphql", json={"query": MODELS}, headers=bearer)
        for each in (main, front, side):
            await each.ready()
        await a_year_passes(stage.superuser)
        await a_year_passes(own_superuser)
        servers = (main, front, side, own)
        targets = [each.target for each in servers]
        prometheus = await stack.enter_async_context(a_prometheus(folder, targets, TOKEN))
        await prometheus.until_scraped(len(targets))
        play = Play(prometheus, main, database, stage.superuser, stage.holder, stem)
        usual: list[Callable[[], Awaitable[object]]] = [each.client(LOCATIONS, CUSTOMER) for each in (main, side)]
        usual += [*(each.checked for each in servers), partial(a_minute_passes, stage.clock)]
        async with meanwhile(*usual, pause=0.3), asyncio.TaskGroup() as group:
            group.create_task(business(play))
            group.create_task(slow_and_gone(play, front, stage.postgresql))
            group.create_task(alone(play, side, stage.redis, stage.issuer, stage.collector))
            group.create_task(embedded(play, own, home, models, own_superuser))
        play.ended = time.time()
        yield play
