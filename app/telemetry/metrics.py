"""Prometheus metrics for operators: rates, refusals, approvals, bulk operations, denials, connection pool.

Labels have few values by construction: they are names from this product or of operations, and invented operation names
are counted under `other`. Processes with the same PROMETHEUS_MULTIPROC_DIR count together: scraping any of them returns
the sums of all.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable of the shared folder; prometheus-client reads it on import."""
RESTARTS_FILE = "TURNUP_RESTARTS_FILE"
"""The environment variable of the file that has one byte per restart of the embedded PostgreSQL.

The process that supervises PostgreSQL serves no requests when there are several workers or a reloader.
"""
CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"
ANONYMOUS = "anonymous"

MOST_VALUES = {"operation": 200, "mutation": 200, "field": 500}
MOST_VALUES_OF_OTHERS = 50

# Seconds. An alert compares the 95th percentile with 2 s; a request's deadline is 15 s.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0)
HOUR, DAY = 3_600, 86_400
APPROVAL_BUCKETS = (1, 60, 600, HOUR, 4 * HOUR, 8 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY)

_LABEL = re.compile(r"[A-Za-z_]\w{0,79}(\.\w{1,80})?", re.ASCII)


def start_metrics(service_version: str) -> "Metrics":
    """Create the instruments on their own registry. Counters without labels are rendered as 0 from the start."""
    disable_created_metrics()  # no alert uses creation times, and they would double the series
    registry = CollectorRegistry()

    def counter(name: str, description: str, *labels: str) -> Counter:
        return Counter(f"turnup_{name}", description, labels, registry=registry)

    def gauge(name: str, description: str) -> Gauge:
        return Gauge(f"turnup_{name}", description, registry=registry, multiprocess_mode="livesum")

    labels = ("service_name", "service_version")
    target = Gauge("target_info", "the version that runs", labels, registry=registry, multiprocess_mode="max")
    target.labels("turnup", service_version).set(1)
    folder, restarts_file = os.environ.get(FOLDER), os.environ.get(RESTARTS_FILE)
    restarts = _Restarts(None if restarts_file is None else Path(restarts_file))
    registry.register(restarts)
    return Metrics(
        _registry=registry,
        _target=target,
        _folder=None if folder is None else Path(folder),
        _requests=Histogram(
            "turnup_request_duration_seconds",
            "GraphQL requests by operation and outcome",
            ("operation", "outcome"),
            buckets=REQUEST_BUCKETS,
            registry=registry,
        ),
        _errors=counter("errors", "errors answered, by operation and code", "operation", "code"),
        _submissions=counter("submissions", "onboardings submitted, by outcome", "outcome"),
        _approvals=Histogram(
            "turnup_approval_processing_seconds",
            "time from submission to approval",
            buckets=APPROVAL_BUCKETS,
            registry=registry,
        ),
        _bulk_items=counter("bulk_items", "items of bulk operations, by outcome", "operation", "outcome"),
        _denied=counter("permission_denied", "fields refused for the viewer's role", "field"),
        _overrides=counter("overrides_opened", "lock overrides opened"),
        _locks_passed=counter(
            "overrides_moves", "overrides that need only a reason, such as reopening, by operation", "operation"
        ),
        _security_events=counter("security_events", "security events, by kind", "kind"),
        _limiter_failures=counter("limiter_failures", "rate limiter out of reach"),
        _connections_refused=counter("connections_refused", "connections or requests refused by the edge", "reason"),
        _requests_refused=counter("requests_refused", "requests refused because too many were in progress", "reason"),
        _in_progress=gauge("requests_in_progress", "requests in progress"),
        _connections=gauge("connections", "open connections of clients"),
        _restarts=restarts,
        _in_use=gauge("pool_in_use", "connections in use"),
        _waiting=gauge("pool_waiting", "callers waiting for one"),
    )


@dataclass(slots=True, kw_only=True)
class Metrics:
    """The metrics for operators, with one method per event."""

    _registry: CollectorRegistry
    _target: Gauge
    _folder: Path | None
    """The folder in which processes count together; None when this process counts alone."""
    _requests: Histogram
    _errors: Counter
    _submissions: Counter
    _approvals: Histogram
    _bulk_items: Counter
    _denied: Counter
    _overrides: Counter
    _locks_passed: Counter
    _security_events: Counter
    _limiter_failures: Counter
    _connections_refused: Counter
    _requests_refused: Counter
    _in_progress: Gauge
    _connections: Gauge
    _restarts: "_Restarts"
    _in_use: Gauge
    _waiting: Gauge
    _pool: Callable[[], tuple[int, int]] | None = None
    _open_connections: Callable[[], int] | None = None
    _requests_in_progress: Callable[[], int] | None = None
    _seen: dict[str, set[str]] = field(default_factory=dict)

    def request(self, operation: str | None, outcome: str, seconds: float) -> None:
        """Count an answered request. `operation` is None for unauthenticated callers, who could invent names."""
        self._requests.labels(self._asked(operation), self._bounded("outcome", outcome)).observe(seconds)
        if self._folder is not None:  # another process may be the one that is scraped
            self._read_gauges()

    def error(self, operation: str | None, code: str) -> None:
        """Count an error sent to a client, by code."""
        self._errors.labels(self._asked(operation), self._bounded("code", code)).inc()

    def submission(self, outcome: str) -> None:
        """Count a submission by outcome: `APPLIED`, `REPLAYED` or a problem's code."""
        self._submissions.labels(self._bounded("outcome", outcome)).inc()

    def approval_processed(self, seconds: float) -> None:
        """Record an approval and the seconds since the submission."""
        self._approvals.observe(seconds)

    def bulk_item(self, operation: str, outcome: str) -> None:
        """Count an item of a bulk operation by outcome: `APPLIED`, `UNCHANGED`, `REPLAYED` or a problem's code."""
        self._bulk_items.labels(self._bounded("mutation", operation), self._bounded("outcome", outcome)).inc()

    def permission_denied(self, coordinate: str) -> None:
        """Count a field refused for the viewer's role, such as `Location.devices`."""
        self._denied.labels(self._bounded("field", coordinate)).inc()

    def override_opened(self) -> None:
        """Count an opened lock override."""
        self._overrides.inc()

    def passed_lock(self, operation: str) -> None:
        """Count a locked location that a lead reopened or completed manually; both count as overrides."""
        self._locks_passed.labels(self._bounded("mutation", operation)).inc()

    def security_event(self, kind: str) -> None:
        """Count an event that an attack would also cause."""
        self._security_events.labels(self._bounded("kind", kind)).inc()

    def limiter_failed(self) -> None:
        """Count a failed access of the rate limiter to its store."""
        self._limiter_failures.inc()

    def connection_refused(self, reason: str) -> None:
        """Count a connection that the server ended, or a request that it refused before the application saw it."""
        self._connections_refused.labels(self._bounded("reason", reason)).inc()

    def request_refused(self, reason: str) -> None:
        """Count a request that was refused because too many were in progress."""
        self._requests_refused.labels(self._bounded("reason", reason)).inc()

    def watch_requests(self, read: Callable[[], int]) -> None:
        """Set the callback that returns, at each scrape, the number of requests in progress."""
        self._requests_in_progress = read

    def watch_connections(self, read: Callable[[], int]) -> None:
        """Set the callback that returns, at each scrape, the number of open connections of clients."""
        self._open_connections = read

    def watch_pool(self, read: Callable[[], tuple[int, int]]) -> None:
        """Set the callback that returns, at each scrape, the connections in use and the number of waiting callers."""
        self._pool = read

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format; the media type is CONTENT_TYPE."""
        self._read_gauges()
        if self._folder is None:
            return generate_latest(self._registry)
        for pid in _ended(self._folder):
            mark_process_dead(pid, self._folder)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone, self._folder)
        everyone.register(self._restarts)
        return generate_latest(everyone)

    def _read_gauges(self) -> None:
        if self._pool is not None:
            in_use, waiting = self._pool()
            self._in_use.set(in_use)
            self._waiting.set(waiting)
        if self._open_connections is not None:
            self._connections.set(self._open_connections())
        if self._requests_in_progress is not None:
            self._in_progress.set(self._requests_in_progress())

    def _asked(self, name: str | None) -> str:
        """Return the label for a client's operation name; these have a limit of their own."""
        return self._bounded("operation", name) if name else ANONYMOUS

    def _bounded(self, label: str, value: str) -> str:
        seen = self._seen.setdefault(label, set())
        if value in seen:
            return value
        if len(seen) >= MOST_VALUES.get(label, MOST_VALUES_OF_OTHERS) or not _LABEL.fullmatch(value):
            return OTHER
        seen.add(value)
        return value


class _Restarts(Collector):
    """Restarts of the embedded PostgreSQL, read from their file at each scrape; 0 without a file.

    A system that removes old temporary files may remove this one; the last count stays.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._last = 0

    def collect(self) -> Iterator[Metric]:
        """Yield the single counter."""
        if self._file is not None:
            with suppress(FileNotFoundError):
                self._last = self._file.stat().st_size
        yield CounterMetricFamily("turnup_embedded_restarts", "embedded PostgreSQL started again", value=self._last)


def _ended(folder: Path) -> Iterator[int]:
    """Yield the ids of ended processes that left gauges behind."""
    for file in folder.glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            yield pid
        except PermissionError:
            pass  # the process is alive and belongs to another user
