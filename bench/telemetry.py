"""Counts the instructions that telemetry takes per request: `make bench-telemetry`.

callgrind counts in process, with the threads that export, so that two runs of the same code agree to a few percent. All
kinds of telemetry are counted in one run for the same requests, so that the ratios to a server without telemetry are
meaningful. What observes the requests, such as the middleware, runs in that one as well. The collector runs in another
process. Prints Markdown, which docs/performance.md explains.
"""

import argparse
import asyncio
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvloop
from starlette.types import ASGIApp

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.main import create_app
from app.postgres import embedded
from app.settings import Settings
from app.telemetry import Telemetry
from app.telemetry.errors import ErrorTracking
from app.telemetry.logging import start_logging
from app.telemetry.metrics import Metrics, start_metrics
from app.telemetry.tracing import start_tracing
from app.version import VERSION
from bench import peers
from bench.instructions import count_in_callgrind, counted
from bench.measuring import bearer, sink
from bench.requests import CASES, body_of, called, filled, in_process

COLLECTOR = "OTEL_EXPORTER_OTLP_ENDPOINT"
WARM, COUNTED = 6, 30
PERIODIC = frozenset({"run_housekeeping", "run_gauges", "_check_regularly", "run"})
"""Tasks that would run far more often per request than on a machine that is not slowed by callgrind."""
MEASURED = (CASES[2], CASES[3], CASES[0])


@dataclass(frozen=True, slots=True)
class Kind:
    """The telemetry of a server; `traced` is the number of requests of COUNTED whose caller asks for a trace."""

    name: str
    metrics: bool = True
    logs: bool = True
    traced: int | None = None


KINDS = (
    Kind("telemetry off", metrics=False, logs=False),
    Kind("metrics", logs=False),
    Kind("metrics, JSON logs at INFO"),
    Kind("the same, 10 % of traces", traced=COUNTED // 10),
    Kind("the same, 100 % of traces", traced=COUNTED),
)


class UncountedRequests:
    """Metrics whose methods count nothing; what is read at a scrape, such as gauges, is as in the others."""

    def __init__(self) -> None:
        self._metrics = start_metrics(VERSION)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._metrics, name)
        return _nothing if callable(found) else found


def _nothing(*_arguments: object, **_named: object) -> None: ...


@asynccontextmanager
async def telling(kind: Kind, collector: str) -> AsyncIterator[tuple[ASGIApp, Telemetry]]:
    """Yield a server with this telemetry, and the telemetry."""
    if kind.traced is None:
        os.environ.pop(COLLECTOR, None)
    else:
        os.environ[COLLECTOR] = collector
    logging.disable(logging.NOTSET if kind.logs else logging.CRITICAL)
    metrics = start_metrics(VERSION) if kind.metrics else cast(Metrics, UncountedRequests())
    telemetry = Telemetry(tracing=start_tracing(VERSION), metrics=metrics, errors=ErrorTracking(None))
    async with in_process(lambda: create_app(Settings(), telemetry)) as app:
        for task in asyncio.all_tasks():
            if getattr(task.get_coro(), "__name__", "") in PERIODIC:
                task.cancel()
        yield app, telemetry


def trace_of(number: int, kind: Kind) -> dict[str, str]:
    """Return the header field with which the caller of a request says whether it is traced."""
    if kind.traced is None:
        return {}
    return {"traceparent": f"00-{number + 1:032x}-{number + 1:016x}-{number < kind.traced:02x}"}


def flush(telemetry: Telemetry) -> None:
    """Send the spans that wait."""
    provider = telemetry.tracing._provider
    if provider is not None:
        provider.force_flush()


async def count(account: str, folder: Path) -> None:
    """Inside callgrind: warm up each case, then count it separately."""
    issuer = DevelopmentIssuer.load_or_create(Path(os.environ["TURNUP_HOME"]))
    token = issuer.issue(peers.SUBJECT, lifetime_seconds=43_200, now=time.time(), audience=AUDIENCE)
    collector = os.environ.pop(COLLECTOR)
    for case in MEASURED:
        body, least = body_of(case, account), 0.0
        for kind in KINDS:
            async with telling(kind, collector) as (app, telemetry):
                for number in range(WARM):
                    await called(app, body, {**bearer(token), **trace_of(number, kind)})
                flush(telemetry)
                with counted(folder) as millions:
                    for number in range(COUNTED):
                        await called(app, body, {**bearer(token), **trace_of(number, kind)})
                    flush(telemetry)
            each = millions[0] / COUNTED
            least = least or each
            print(f"| {case.name} | {kind.name} | {each:.2f} | {each / least:.2f} |", flush=True)


async def main(home: Path, cluster: embedded.Cluster, locations: int, port: int) -> None:
    """Fill the database, then count."""
    account, _ = await filled(cluster, home, locations)
    collector = await sink(port)
    os.environ[COLLECTOR] = f"http://127.0.0.1:{port}"
    head = "| case | server | million instructions per request | to telemetry off |\n|---|---|---|---|"
    await count_in_callgrind("bench.telemetry", account, home, head=head)
    collector.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.telemetry", description=__doc__)
    parser.add_argument("--locations", type=int, default=2_000, metavar="N", help="how many to fill in (2000)")
    parser.add_argument("--port", type=int, default=8190, help="the port of the collector (8190)")
    parser.add_argument("--inside", nargs=2, metavar=("ACCOUNT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            start_logging(development=False, stream=nowhere)
            uvloop.run(count(given.inside[0], Path(given.inside[1])))
    elif shutil.which("valgrind") is None:
        sys.exit("NOT COUNTED: this needs valgrind (apt-get install valgrind).")
    else:
        with tempfile.TemporaryDirectory(prefix="turnup-bench-") as scratch:
            scenario = (Path(scratch) / "home").resolve()
            with embedded.start(scenario) as postgres:
                uvloop.run(main(scenario, postgres.cluster, given.locations, given.port))
            embedded.erase(scenario)
