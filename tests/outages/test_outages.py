"""While something that the server depends on is out of order, every request is answered in time, and it recovers.

Each test sends requests of all kinds, breaks one thing, repairs it, breaks it again and stops the server.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from signal import SIGTERM

import pytest

from app.serving import StopTimes
from tests.auth.auth_builders import KeyServer, Signer
from tests.cli.turnup import free_port

from .processes import stopped
from .proxy import FaultProxy, Mode
from .servers import DEADLINE_SECONDS, POOL_SIZE, STOP_DELAY_SECONDS, Served, Surroundings
from .traffic import HEALTH, KINDS, NORMAL, SIGNER, Answered, Traffic, summary, traffic_to

pytestmark = pytest.mark.slow

SLACK_SECONDS = 1.5
"""What a busy machine may add to a time of the product, besides what it adds to a request that does nothing."""
MOST_BUSY_SECONDS = 5.0
LATEST_SECONDS = DEADLINE_SECONDS + 1.0
UNREADY_SECONDS = 1.0
RECOVERY_SECONDS = 5.0
FAULT_SECONDS = DEADLINE_SECONDS + 1.5
STOP_SECONDS = StopTimes(delay=STOP_DELAY_SECONDS, drain=DEADLINE_SECONDS + 1).most + SLACK_SECONDS
SETTLED_SECONDS = 40.0
START_SECONDS = 30.0

Fault = Callable[[Surroundings], AbstractContextManager[None]]


def through(proxy: str, mode: Mode, *, trap: bytes | None = None, latency_seconds: float = 0.0) -> Fault:
    """A fault of the network to one of the surroundings."""

    @contextmanager
    def fault(surroundings: Surroundings) -> Iterator[None]:
        found: FaultProxy = getattr(surroundings, proxy)
        if trap is None:
            found.set(mode, latency_seconds=latency_seconds)
        else:
            found.trap(trap, mode)
        try:
            yield
        finally:
            found.set(Mode.PASS)

    return fault


def stopped_postgres(surroundings: Surroundings) -> AbstractContextManager[None]:
    """The postmaster and all its processes are stopped."""
    return stopped(*surroundings.cluster.pids)


def stopped_redis(surroundings: Surroundings) -> AbstractContextManager[None]:
    """The process of Redis is stopped."""
    return stopped(surroundings.redis_server.pid)


DATABASE: Mapping[str, Fault] = {
    "silent": through("database", Mode.BLACK_HOLE),
    "stopped": stopped_postgres,
    "silent about COMMIT": through("database", Mode.SWALLOW, trap=b"COMMIT\0"),
    "silent about new connections": through("database", Mode.SWALLOW, trap=b"user\0turnup_app"),
    "resetting connections": through("database", Mode.RESET),
    "refusing connections": through("database", Mode.REFUSE),
}
REDIS: Mapping[str, Fault] = {
    "silent": through("redis", Mode.BLACK_HOLE),
    "stopped": stopped_redis,
    "refusing connections": through("redis", Mode.REFUSE),
    "slow": through("redis", Mode.LATENCY, latency_seconds=0.8),
}


@asynccontextmanager
async def broken(surroundings: Surroundings, fault: Fault, served: Served) -> AsyncIterator[tuple[Traffic, float]]:
    """Traffic to a server that works, and the moment of a fault; the block ends before the fault does.

    After it: all kinds of requests are answered normally within RECOVERY_SECONDS, every answer was in time, and nothing
    is left behind. Then the fault comes back, and the server stops in time.
    """
    async with traffic_to(served.url) as traffic:
        await normal(traffic, time.monotonic(), within=SETTLED_SECONDS)
        with fault(surroundings):
            yield traffic, time.monotonic()
        repaired = time.monotonic()
        await normal(traffic, repaired, within=RECOVERY_SECONDS + SLACK_SECONDS)
    assert_in_time(traffic)
    assert {each.code for each in traffic.answered if each.kind in {"healthz", "metrics", "config"}} == {None}
    bugs = [each for each in traffic.answered if each.code == "INTERNAL"]
    assert not bugs, f"{summary(bugs)} {served.process.lines('request failed', 'resolver failed')}"
    await settled(surroundings, served)
    with fault(surroundings):
        async with traffic_to(served.url) as traffic:
            await asyncio.sleep(0.3)
        await served.process.end(STOP_SECONDS, SIGTERM)


def assert_in_time(traffic: Traffic) -> None:
    """Check that every request was answered, no later than its deadline and a second, as far as the machine allows."""
    assert not traffic.lost, traffic.lost
    busy = max(each.seconds for each in traffic.answered if each.kind == "healthz")
    most = LATEST_SECONDS + SLACK_SECONDS + min(busy, MOST_BUSY_SECONDS)
    assert not [each for each in traffic.answered if each.seconds > most], summary(traffic.answered)


async def normal(traffic: Traffic, moment: float, within: float) -> None:
    """Wait until the last request of each kind was answered normally after a moment."""

    def missing() -> list[str]:
        answers = {kind: traffic.since(moment, kind) for kind in KINDS}
        return [kind for kind, found in answers.items() if not found or found[-1].code != NORMAL[kind]]

    while missing():
        waited = time.monotonic() - moment
        assert waited < within, f"{missing()} not after {waited:.1f} s: {summary(traffic.since(moment))} {traffic.lost}"
        await asyncio.sleep(0.05)


async def settled(surroundings: Surroundings, served: Served) -> None:
    """Wait until no connection is in use, in the pool and in PostgreSQL, and none is left over."""
    began = time.monotonic()
    while True:
        gauges = await served.gauge("turnup_pool_in_use"), await served.gauge("turnup_pool_waiting")
        sessions = await surroundings.cluster.sessions()
        # The pool, and the connection of the health check.
        if gauges == (0, 0) and set(sessions) == {"idle"} and sessions["idle"] <= POOL_SIZE + 1:
            return
        assert time.monotonic() < began + SETTLED_SECONDS, (gauges, sessions)
        await asyncio.sleep(0.05)


def since(traffic: Traffic, moment: float, *kinds: str) -> list[Answered]:
    """The answers of some kinds to requests that began after a moment."""
    return [each for each in traffic.since(moment) if each.kind in kinds]


@pytest.mark.parametrize("name", DATABASE)
async def test_an_outage_of_postgresql_ends_no_later_for_clients_than_their_deadline(
    surroundings: Surroundings, name: str, record_property: Callable[[str, object], None]
) -> None:
    whole = name not in {"silent about COMMIT", "silent about new connections"}
    async with surroundings.serving() as served, broken(surroundings, DATABASE[name], served) as (traffic, moment):
        if whole:
            await served.until("/readyz", 503, UNREADY_SECONDS + SLACK_SECONDS)
        await asyncio.sleep(FAULT_SECONDS)
        found = traffic.since(moment + SLACK_SECONDS)
        told = {each.outcome for each in found if each.kind == "edit"}
        # Only a write whose COMMIT was sent may have been applied.
        assert told <= ({None, "UNKNOWN"} if name == "silent about COMMIT" else {None, "NONE"}), summary(found)
        if whole:
            served_anyway = [each for each in found if each.kind in {"read", "edit", "bulk"} and each.code is None]
            assert not served_anyway, summary(found)
    record_property("tried", f"PostgreSQL {name}: {summary(traffic.since(moment))}")


@pytest.mark.parametrize("name", REDIS)
async def test_an_outage_of_redis_refuses_writes_and_holds_up_no_read(surroundings: Surroundings, name: str) -> None:
    async with surroundings.serving() as served, broken(surroundings, REDIS[name], served) as (traffic, moment):
        await asyncio.sleep(FAULT_SECONDS)
        found = traffic.since(moment)
        assert {each.code for each in found if each.kind in {"read", "dry", *HEALTH}} == {None}, summary(found)
        if name != "slow":
            later = [each for each in found if each.kind in {"edit", "bulk"} and each.began > moment + 1.0]
            assert {(each.code, each.outcome) for each in later} == {("UNAVAILABLE", "NONE")}, summary(found)
            reads = sorted(each.seconds for each in found if each.kind == "read" and each.began > moment + 1.0)
            assert reads[len(reads) // 2] < 0.5, summary(found)


ISSUER: Mapping[str, Fault] = {
    "silent": through("issuer", Mode.BLACK_HOLE),
    "silent after the request": through("issuer", Mode.SWALLOW),
    "refusing connections": through("issuer", Mode.REFUSE),
}


@contextmanager
def trickling(issuer: KeyServer) -> Iterator[None]:
    """The issuer sends its key set in single bytes: the whole takes a quarter of a minute."""
    issuer.drip = True
    try:
        yield
    finally:
        issuer.drip = False


@pytest.mark.parametrize("name", [*ISSUER, "trickling"])
async def test_a_server_that_starts_without_the_key_set_answers_and_serves_once_it_is_there(
    surroundings: Surroundings, issuer: KeyServer, name: str
) -> None:
    fault = trickling(issuer) if name == "trickling" else ISSUER[name](surroundings)
    with fault:
        async with surroundings.serving() as served, traffic_to(served.url) as traffic:
            await asyncio.sleep(FAULT_SECONDS)
            found = list(traffic.answered)
            assert {each.code for each in found if each.kind in {*HEALTH, "metrics", "config"}} == {None}
            assert {each.code for each in found if each.kind == "anonymous"} == {"UNAUTHENTICATED"}
            signed_in = [each for each in found if each.kind in {"read", "edit", "bulk", "dry", "stranger", "refused"}]
            assert {(each.status, each.code) for each in signed_in} == {(503, "UNAVAILABLE")}, summary(found)
            fault.__exit__(None, None, None)
            await normal(traffic, time.monotonic(), within=RECOVERY_SECONDS + SLACK_SECONDS)
            assert_in_time(traffic)


async def test_while_a_new_key_cannot_be_fetched_tokens_of_the_known_key_are_accepted_without_waiting(
    surroundings: Surroundings, issuer: KeyServer
) -> None:
    rotated = Signer(kid="key-2")  # type: ignore[no-untyped-call] # - the builders of tokens are untyped
    async with surroundings.serving() as served, traffic_to(served.url) as traffic:
        await normal(traffic, time.monotonic(), within=SETTLED_SECONDS)
        surroundings.issuer.set(Mode.BLACK_HOLE)
        issuer.publish(SIGNER.jwk, rotated.jwk)  # type: ignore[no-untyped-call] # - the builders are untyped
        moment = time.monotonic()
        async with traffic_to(served.url, signer=rotated) as newer:
            # A new key is looked for at most every ten seconds.
            while not newer.answered or {each.code for each in newer.answered[-5:]}.isdisjoint({"UNAVAILABLE"}):
                assert time.monotonic() < moment + 20, summary(newer.answered)
                await asyncio.sleep(0.1)
            surroundings.issuer.set(Mode.PASS)
            await normal(newer, time.monotonic(), within=RECOVERY_SECONDS + SLACK_SECONDS)
        known = traffic.since(moment)
        assert {each.code for each in known if each.kind in {"read", "edit", "bulk", "dry"}} == {None}, summary(known)
        assert_in_time(traffic)
        assert_in_time(newer)


COMMANDS: Mapping[str, tuple[str, ...]] = {
    "serve": ("serve",),
    "migrate": ("migrate",),
    "seed": ("seed",),
    "audit verify": ("audit", "verify"),
}


@pytest.mark.parametrize("marker", [b"turnup.alembic_version", b"pg_roles"])
async def test_a_server_whose_database_falls_silent_while_it_starts_ends_with_one_line(
    surroundings: Surroundings, marker: bytes
) -> None:
    surroundings.database.trap(marker, Mode.SWALLOW)
    command = surroundings.stem.start("serve", **surroundings.variables(free_port()))
    await command.end(START_SECONDS)
    lines = map(json.loads, command.printed.splitlines())
    errors = [line["message"] for line in lines if line["level"] == "error"]
    assert errors == ["the database did not answer within 10 s"], command.printed


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_command_with_a_silent_database_ends_with_one_line(surroundings: Surroundings, name: str) -> None:
    surroundings.database.set(Mode.BLACK_HOLE)
    owner = surroundings.database.url(surroundings.cluster.owner_url)
    app = surroundings.database.url(surroundings.cluster.app_url)
    variables = {"DATABASE_URL": app, "TURNUP_OWNER_DATABASE_URL": owner, "PORT": str(free_port())}
    command = surroundings.stem.start(*COMMANDS[name], **variables)
    await command.end(START_SECONDS)
    (line,) = command.printed.splitlines()
    assert line.startswith("turnup: ")
    assert "did not answer within" in line
