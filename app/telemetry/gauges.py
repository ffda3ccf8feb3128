"""The gauges: of each server process, as it is now, and of the business, as the database has them.

Each process writes its own gauges to a file that all processes with the same PROMETHEUS_MULTIPROC_DIR read: the one
that is scraped returns the sums, or the worst value, of all that live. It writes them every second, so that a process
that nobody scrapes and that has no requests is included. The gauges of the business are the same for all processes of
all hosts. Each process reads them from the database and returns what it read.
"""

import asyncio
import logging
import platform
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

SAMPLE_SECONDS = 1.0
"""Seconds between two samples of the gauges of a process."""
LAG_SAMPLES = 60
"""The samples over which the longest delay of the event loop is reported."""
PROCESS_SAMPLES = 10
"""The samples between two looks at the memory and the files of the process."""

# How the values of several processes become one: their sum, the greatest or the least. Those that ended do not count.
Together = Literal["livesum", "livemax", "livemin"]
Read = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Declared:
    """A gauge of a server process, without labels."""

    description: str
    together: Together


RUNTIME: Mapping[str, Declared] = {
    "turnup_connections": Declared("open connections of clients", "livesum"),
    "turnup_requests_in_progress": Declared("requests in progress", "livesum"),
    "turnup_requests_waiting": Declared("requests in progress that wait for their user or location", "livesum"),
    "turnup_pool_size": Declared("database connections that may be open", "livesum"),
    "turnup_pool_in_use": Declared("database connections in use", "livesum"),
    "turnup_pool_waiting": Declared("callers that wait for a database connection", "livesum"),
    "turnup_key_set_up": Declared("1 if the last fetch of the issuer's keys succeeded", "livemin"),
    "turnup_key_set_age_seconds": Declared("age of the issuer's keys", "livemax"),
    "turnup_trusted_documents": Declared("trusted documents of each process", "livemin"),
    "turnup_limiter_up": Declared("1 if the store of the budgets was reached by the last call", "livemin"),
    "turnup_database_up": Declared("1 if the database answered the last readiness check", "livemin"),
    "turnup_migrations_current": Declared("1 if the database had all migrations at the last check", "livemin"),
    "turnup_database_writes": Declared("1 if the database accepted writes at the last check", "livemin"),
    "turnup_event_loop_lag_seconds": Declared("longest delay of the event loop in the last minute", "livemax"),
    "turnup_process_resident_memory_bytes": Declared("resident memory", "livesum"),
    "turnup_process_open_fds": Declared("open file descriptors", "livesum"),
    "turnup_process_start_time_seconds": Declared("start of the process, in Unix seconds", "livemax"),
}
TOTALS: Mapping[str, str] = {
    "turnup_pool_refused": "callers that waited for a database connection in vain",
    "turnup_process_cpu_seconds": "processor time, user and system",
}
"""The counters whose totals are read, as the gauges are. Their names end in `_total` when they are rendered."""

BUSINESS: Mapping[str, str] = {
    "approvals_waiting": "requests for approval that nobody decided",
    "approvals_oldest_seconds": "age of the oldest of them, 0 if there is none",
    "payloads_unacknowledged": "released payloads with an answer outstanding",
    "payloads_oldest_unacknowledged_seconds": "time since the oldest of them was released, 0 if there is none",
    "sessions_open": "sessions of browsers that can be used",
    "audit_verification_age_seconds": "time since the last verification of the audit log",
    "audit_verification_ok": "1 if the last verification of the audit log found nothing",
    "approvals_by_new_users": "approvals in the last hour by users made in the hour before",
}
LOCATIONS, LOCATIONS_DESCRIPTION = "locations", "locations that are not for tests, by status"
OLDEST_SECONDS = 300.0
"""The age from which on a measurement is not rendered: an alert about it would say what may not be so any more."""
AGE, AGE_DESCRIPTION = "gauges_age_seconds", "time since the gauges of the business were measured"

log = logging.getLogger("turnup.gauges")


class RuntimeGauges:
    """The gauges of this process."""

    def __init__(self, registry: CollectorRegistry, service_version: str) -> None:
        self._registry = registry
        self._gauges: dict[str, Gauge] = {}
        self._counters = {name: Counter(name, description, registry=registry) for name, description in TOTALS.items()}
        self._totals = dict.fromkeys(TOTALS, 0.0)
        self._reads: dict[str, Read] = {}
        self._process = ProcessCollector(namespace="turnup", registry=None)
        self._lags: deque[float] = deque([0.0], LAG_SAMPLES)
        build = Gauge(
            "turnup_build_info", "the versions that run", ("version", "python"), registry=registry,
            multiprocess_mode="livemax",
        )  # fmt: skip
        build.labels(service_version, platform.python_version()).set(1)
        self.watch({"turnup_event_loop_lag_seconds": lambda: max(self._lags)})
        self.read_process()

    def watch(self, reads: Mapping[str, Read]) -> None:
        """Set the callbacks that return, at each sample and scrape, the values of these gauges and totals.

        A gauge that nobody watches yet is not rendered: 0 could be wrong.
        """
        unknown = reads.keys() - RUNTIME.keys() - TOTALS.keys()
        if unknown:
            raise LookupError(f"no gauge or total has the name {min(unknown)}")
        self._reads.update(reads)

    def read(self) -> None:
        """Read the values of all gauges and totals that are watched."""
        for name, read in self._reads.items():
            self._take(name, read())

    def read_process(self) -> None:
        """Read what the operating system knows about this process; nothing where it has no /proc."""
        for family in self._process.collect():
            for sample in family.samples:
                name = sample.name.removesuffix("_total")
                if name in RUNTIME or name in TOTALS:
                    self._take(name, sample.value)

    async def run(self) -> None:
        """Sample the gauges and the delay of the event loop every second until cancelled.

        Of failures in a row, the first one is logged; the next sample tries again.
        """
        samples, failed = 0, False
        while True:
            due = time.monotonic() + SAMPLE_SECONDS
            await asyncio.sleep(SAMPLE_SECONDS)
            self._lags.append(max(0.0, time.monotonic() - due))
            samples += 1
            try:
                if samples % PROCESS_SAMPLES == 0:
                    self.read_process()
                self.read()
            except Exception as error:
                if not failed:
                    log.exception("the gauges of the process could not be sampled: %s", type(error).__name__)
                failed = True
            else:
                failed = False

    def _take(self, name: str, value: float) -> None:
        if name in TOTALS:
            self._counters[name].inc(max(0.0, value - self._totals[name]))
            self._totals[name] = value
            return
        if name not in self._gauges:
            declared = RUNTIME[name]
            self._gauges[name] = Gauge(
                name, declared.description, registry=self._registry, multiprocess_mode=declared.together
            )
        self._gauges[name].set(value)


class BusinessGauges(Collector):
    """The gauges of the business, as this process read them last."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds from an arbitrary start."""
        self._clock = clock
        self._values: Mapping[str, Any] | None = None
        self._measured_at = clock()
        self._statuses: tuple[str, ...] = ()

    def expect(self, statuses: tuple[str, ...]) -> None:
        """Set the statuses of locations: those that no location has are rendered as 0."""
        self._statuses = statuses

    def take(self, values: Mapping[str, Any], age_seconds: float) -> None:
        """Take the gauges by name, as they were measured this many seconds ago."""
        self._values, self._measured_at = values, self._clock() - age_seconds

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges that were read, and the age of the measurement.

        As long as nothing was read, the age is the time since the start of the process, so that it can be watched.
        Beyond OLDEST_SECONDS there is only the age: a host that lost its database must not tell old values.
        """
        age = max(0.0, self._clock() - self._measured_at)
        yield GaugeMetricFamily(f"turnup_{AGE}", AGE_DESCRIPTION, value=age)
        if self._values is None or age > OLDEST_SECONDS:
            return
        locations = GaugeMetricFamily(f"turnup_{LOCATIONS}", LOCATIONS_DESCRIPTION, labels=("status",))
        counted: Mapping[str, int] = self._values.get(LOCATIONS, {})
        for status in self._statuses:
            locations.add_metric((status,), counted.get(status, 0))
        yield locations
        for name, description in BUSINESS.items():
            if name in self._values:
                yield GaugeMetricFamily(f"turnup_{name}", description, value=self._values[name])
