"""Collectors of spans, metrics and reports that hang, refuse or fail change nothing for requests but a counter."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import Any

import asyncpg
import httpx
import pytest

from tests.harness import LEAD

from .proxy import LOCALHOST, Mode
from .servers import Served, Surroundings
from .sinks import FAILED, Sink
from .test_outages import STOP_SECONDS
from .traffic import Traffic

pytestmark = pytest.mark.slow

READ = "{ locations(first: 5) { nodes { id devices { id } } } }"
BROKEN = {
    "device_model": "{ deviceModels(first: 1) { totalCount } }",
    "invitation": "{ invitations(first: 1) { totalCount } }",
}
"""Queries that fail while a table lacks a column: different bugs."""
SENT = ("traces", "metrics", "errors")
SENDERS = 4
LOAD_SECONDS = 6.0
"""Longer than a report may take to be given up."""
MOST_SLOWER = 2.0
SLACK_SECONDS = 0.1
MOST_GROWTH = 48 * 1024 * 1024
"""Bytes that full queues of spans and reports may take."""


@dataclass
class Load:
    """What was seen of requests."""

    seconds: list[float] = field(default_factory=list)
    bugs: int = 0

    @property
    def p95(self) -> float:
        """The time within which 95 % of the reads were answered."""
        return sorted(self.seconds)[int(0.95 * len(self.seconds))]


async def load(served: Served, seconds: float, broken: str) -> Load:
    """Send reads without a pause, and beside them a query that meets a bug, because a table lacks a column."""
    found, until = Load(), time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=served.url, timeout=30, trust_env=False) as http:
        traffic = Traffic(http)

        async def read() -> None:
            while (began := time.monotonic()) < until:
                answer = await traffic.graphql(READ, LEAD)
                found.seconds.append(time.monotonic() - began)
                assert "errors" not in answer.json(), answer.text

        async def fail() -> None:
            while time.monotonic() < until:
                answer = await traffic.graphql(BROKEN[broken], LEAD)
                found.bugs += answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL"

        await asyncio.gather(fail(), *(read() for _ in range(SENDERS)))
    return found


@asynccontextmanager
async def unreadable(surroundings: Surroundings) -> AsyncIterator[None]:
    """A mistake in the database, which the code does not expect: the tables of BROKEN lack a column."""
    connection = await asyncpg.connect(surroundings.cluster.superuser_url)
    try:
        for table in BROKEN:
            await connection.execute(f"ALTER TABLE turnup.{table} RENAME id TO renamed")
        yield
    finally:
        for table in BROKEN:
            await connection.execute(f"ALTER TABLE turnup.{table} RENAME renamed TO id")
        await connection.close()


def resident(served: Served) -> int:
    """The bytes of memory of the server."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) * 1024


async def dropped(served: Served, signal: str) -> float:
    """The number of what the server could not deliver."""
    return await served.gauge(f'turnup_telemetry_dropped_total{{signal="{signal}"}}')


@pytest.mark.parametrize("fault", ["silent", "refusing connections", "answering 500"])
async def test_collectors_that_fail_slow_no_request_take_no_memory_and_do_not_hold_the_server(
    surroundings: Surroundings, fault: str, record_property: Callable[[str, object], None]
) -> None:
    changes: dict[str, Any] = {"OTEL_EXPORTER_OTLP_TIMEOUT": "2", "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    async with Sink() as sink:
        if fault == "answering 500":
            changes["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{LOCALHOST}:{sink.port}"
            changes["SENTRY_DSN"] = f"http://key@{LOCALHOST}:{sink.port}/1"
        async with surroundings.serving(**changes) as served, unreadable(surroundings):
            await load(served, LOAD_SECONDS / 2, "device_model")
            before, took_before = await load(served, LOAD_SECONDS, "device_model"), resident(served)
            assert [await dropped(served, signal) for signal in SENT] == [0, 0, 0]
            sink.answer = FAILED
            for proxy in (surroundings.collector, surroundings.sentry):
                proxy.set({"silent": Mode.BLACK_HOLE, "refusing connections": Mode.REFUSE}.get(fault, Mode.PASS))
            during = await load(served, LOAD_SECONDS, "invitation")
            grown = resident(served) - took_before
            assert min(before.bugs, during.bugs) > 20
            assert during.p95 < MOST_SLOWER * before.p95 + SLACK_SECONDS
            assert grown < MOST_GROWTH
            assert min([await dropped(served, signal) for signal in SENT]) > 0
            ended = await served.process.end(STOP_SECONDS, SIGTERM)
            assert "did not stop within" not in served.process.printed
    record_property(
        "tried",
        f"{fault}: p95 {before.p95 * 1000:.0f} -> {during.p95 * 1000:.0f} ms, {grown / 2**20:+.0f} MiB,"
        f" stopped in {ended:.1f} s",
    )
