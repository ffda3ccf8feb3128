"""While something that the server depends on is out of order, every request is answered in time, and it recovers.

Each test sends requests of all kinds, breaks one thing, repairs it, breaks it again and stops the server.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from signal import SIGTERM
from typing import Any

import pytest

from tests.auth.auth_builders import KeyServer, Signer

from .processes import stopped
from .proxy import FaultProxy, Mode
from .servers import DEADLINE_SECONDS, POOL_SIZE, Served, Surroundings
from .traffic import HEALTH, KINDS, NORMAL, Answered, Traffic, summary, traffic_to

pytestmark = pytest.mark.slow

SLACK_SECONDS = 1.5
"""What a busy machine may add to a time of the product."""
LATEST_SECONDS = DEADLINE_SECONDS + 1.0
UNREADY_SECONDS = 1.0
RECOVERY_SECONDS = 5.0
FAULT_SECONDS = DEADLINE_SECONDS + 1.5
STOP_SECONDS = DEADLINE_SECONDS + 30.0
"""Draining, and app.exit_limit.EXIT_SECONDS for closing everything."""
SETTLED_SECONDS = 15.0

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
    "silent about COMMIT": through("database", Mode.SWALLOW, trap=b"COMMIT"),
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
    assert not traffic.lost, traffic.lost
    late = [each for each in traffic.answered if each.seconds > LATEST_SECONDS + SLACK_SECONDS]
    assert not late, summary(late)
    assert {each.code for each in traffic.answered if each.kind in {"healthz", "metrics", "config"}} == {None}
    bugs = [each for each in traffic.answered if each.code == "INTERNAL"]
    assert not bugs, f"{summary(bugs)} {served.process.lines('request failed', 'resolver failed')}"
    await settled(surroundings, served)
    with fault(surroundings):
        async with traffic_to(served.url) as traffic:
            await asyncio.sleep(0.3)
        await served.process.end(STOP_SECONDS, SIGTERM)


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
        if name != "silent about COMMIT":
            assert "UNKNOWN" not in told, summary(found)
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
