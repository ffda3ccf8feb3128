"""Prometheus metrics for operators: requests, refusals, approvals, bulk operations, denials, connection pool.

The values of labels are declared: names of the schema, of routes and of this code. Everything else is counted as
`other`, so that no client can create series. Declared series exist at 0 from the start: `increase()` sees the first
failure as well. Processes with the same PROMETHEUS_MULTIPROC_DIR count together: scraping any of them returns the sums
of all.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from itertools import islice, product
from pathlib import Path
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from app.telemetry.gauges import BusinessGauges, RuntimeGauges
from app.telemetry.logging import SERVICE
from app.telemetry.shared_files import merge_ended, unmerged, use_folder, use_reserved_files

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable of the shared folder; prometheus-client reads it on import."""
RESTARTS_FILE = "TURNUP_RESTARTS_FILE"
"""The environment variable of the file that has one byte per restart of the embedded PostgreSQL.

The process that supervises PostgreSQL serves no requests when there are several workers or a reloader.
"""
CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"
"""The label for every value that is not declared."""
NONE = "none"
"""The label of a request that executed no field, or that the application has not seen."""
REFUSED, FAILED = "refused", "failed"
"""The outcomes of a request for which the client, or the server, is responsible."""

LOADED = "loaded"
LOADS = (LOADED, FAILED)
"""The outcomes of a load of the trusted documents."""
MOST_OPERATIONS = 500
"""The maximum number of operations of trusted documents that have series of their own, per process."""

EXPORTED = ("traces", "errors", "metrics", "logs")
"""The signals that are sent to collectors, or to the reader of the log."""

# Seconds. Alerts compare the 95th percentile with 0.3 s and 2 s; a request's deadline is 15 s.
REQUEST_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 5.0, 15.0)
BULK_BUCKETS = (0.1, 0.3, 1.0, 2.0, 5.0, 15.0)
BULK_SIZES = (1, 2, 5, 10, 20, 50, 100)
HOUR, DAY = 3_600, 86_400
APPROVAL_BUCKETS = (1, 60, 600, HOUR, 4 * HOUR, 8 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY)

UNEXPECTED = "turnup_unexpected_exceptions"
_UNEXPECTED_DESCRIPTION = "exceptions that the code does not expect, by the logger of their line"

M = TypeVar("M", Counter, Histogram)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelValues:
    """The values of the labels of metrics."""

    fields: Collection[str]
    """The root fields of the schema."""
    codes: Collection[str]
    failures: Collection[str]
    """The codes of failures of the server."""
    outcomes: Collection[str]
    """The outcomes of requests."""
    routes: Collection[str]
    statuses: Collection[int]
    """The statuses of refusals, and 200."""
    roles: Collection[str]
    mutations: Collection[str]
    bulk_mutations: Collection[str]
    bulk_calls: Collection[str]
    """The outcomes of bulk mutations as a whole."""
    changes: Collection[str]
    """The outcomes of mutations and their items: what was applied, and the codes of problems."""
    guarded_fields: Collection[str]
    """The fields that a role may lack."""
    security_events: Collection[str]
    sign_ins: Collection[str]
    connection_refusals: Collection[str]
    request_refusals: Collection[str]
    loggers: Collection[str]
    """The loggers of this product."""


class Family(Generic[M]):
    """A metric with labels. Before their values are declared, all of them are OTHER."""

    def __init__(self, metric: M, description: str, name: str, labels: Sequence[str], *buckets: float) -> None:
        """`buckets` are those of a histogram."""
        self.metric: M = metric
        self.description = description
        self.name = name
        self.labels = labels
        self._buckets = (*map(floatToGoString, buckets), "+Inf") if buckets else ()
        self._known: Sequence[frozenset[str]] = [frozenset() for _ in labels]
        self._series: Mapping[tuple[str, ...], Sequence[Sample]] = {}
        self._children: dict[tuple[str, ...], M] = {}

    def declare(self, *known: Collection[str], series: Iterable[tuple[str, ...]] | None = None) -> None:
        """Set the values of each label. The `series` exist at 0 from now on; by default those of all combinations."""
        self._known = [frozenset(values) for values in known]
        self._series = {values: self._zero(values) for values in (product(*known) if series is None else series)}

    def of(self, *values: str) -> M:
        """Return the series with these values, in the order of the labels."""
        child = self._children.get(values)
        if child is None:
            declared = [value if value in known else OTHER for value, known in zip(values, self._known, strict=True)]
            child = self.metric.labels(*declared)
            if tuple(declared) == values:
                self._children[values] = child
        return child

    def completed(self, metric: Metric | None) -> Metric:
        """Return a metric with the declared series that it lacks; None has no series."""
        if metric is None:
            metric = Metric(self.name, self.description, "histogram" if self._buckets else "counter")
        present = {tuple(sample.labels[label] for label in self.labels) for sample in metric.samples}
        for values, samples in self._series.items():
            if values not in present:
                metric.samples += samples
        return metric

    def _zero(self, values: tuple[str, ...]) -> list[Sample]:
        labels = dict(zip(self.labels, values, strict=True))
        if not self._buckets:
            return [Sample(f"{self.name}_total", labels, 0.0)]
        zeros: list[Sample] = [Sample(f"{self.name}_bucket", {**labels, "le": bound}, 0.0) for bound in self._buckets]
        return [*zeros, Sample(f"{self.name}_count", labels, 0.0), Sample(f"{self.name}_sum", labels, 0.0)]


def start_metrics(service_version: str) -> "Metrics":
    """Create the instruments on their own registry. Counters without labels are rendered as 0 from the start."""
    use_reserved_files()
    disable_created_metrics()  # no alert uses creation times, and they would double the series
    registry = CollectorRegistry()

    def counter(name: str, description: str) -> Counter:
        return Counter(f"turnup_{name}", description, registry=registry)

    def counters(name: str, description: str, *labels: str) -> Family[Counter]:
        name = f"turnup_{name}"
        return Family(Counter(name, description, labels, registry=registry), description, name, labels)

    def histograms(name: str, description: str, *labels: str, buckets: Sequence[float]) -> Family[Histogram]:
        name = f"turnup_{name}"
        made = Histogram(name, description, labels, buckets=buckets, registry=registry)
        return Family(made, description, name, labels, *buckets)

    labels = ("service_name", "service_version")
    target = Gauge("target_info", "the version that runs", labels, registry=registry, multiprocess_mode="livemax")
    target.labels(SERVICE, service_version).set(1)
    folder, restarts_file = os.environ.get(FOLDER), os.environ.get(RESTARTS_FILE)
    restarts = _Restarts(None if restarts_file is None else Path(restarts_file))
    registry.register(restarts)
    business = BusinessGauges()
    registry.register(business)
    return Metrics(
        _registry=registry,
        _target=target,
        _folder=None if folder is None else Path(folder),
        _responses=counters("responses", "answers by route and status", "route", "status"),
        _abandoned=counter("requests_abandoned", "requests whose client left before the answer"),
        _graphql=counters("graphql_requests", "GraphQL requests", "outcome"),
        _graphql_durations=Histogram(
            "turnup_graphql_request_duration_seconds",
            "duration of GraphQL requests that executed a field",
            buckets=REQUEST_BUCKETS,
            registry=registry,
        ),
        _requests=counters("requests", "GraphQL requests by executed root field", "field", "outcome"),
        _durations=histograms(
            "request_duration_seconds",
            "duration of GraphQL requests by executed root field",
            "field",
            buckets=REQUEST_BUCKETS,
        ),
        _errors=counters("errors", "GraphQL requests with an error of this code, by root field", "field", "code"),
        _signed_in=counters("signed_in_requests", "GraphQL requests of signed-in users", "role"),
        _submissions=counters("submissions", "onboardings submitted, by outcome", "outcome"),
        _approved=counters("approvals", "approvals, single or in bulk, by outcome", "outcome"),
        _approvals=Histogram(
            "turnup_approval_processing_seconds",
            "time from submission to approval",
            buckets=APPROVAL_BUCKETS,
            registry=registry,
        ),
        _bulk_calls=counters("bulk_calls", "bulk mutations, by outcome as a whole", "mutation", "outcome"),
        _bulk_items=counters("bulk_items", "items of bulk mutations, by outcome", "mutation", "outcome"),
        _bulk_durations=histograms(
            "bulk_duration_seconds", "duration of bulk mutations", "mutation", buckets=BULK_BUCKETS
        ),
        # Not bulk_items: the names of metrics are unique without `_total`.
        _bulk_sizes=histograms("bulk_size", "number of items of bulk mutations", "mutation", buckets=BULK_SIZES),
        _denied=counters("permission_denied", "requests with a field refused for the viewer's role", "field"),
        _overrides=counter("overrides_opened", "lock overrides opened"),
        _locks_passed=counters(
            "overrides_moves", "overrides that need only a reason, such as reopening, by mutation", "mutation"
        ),
        _security_events=counters("security_events", "security events, by kind", "kind"),
        _sign_ins=counters("sign_ins", "sign-ins by browser that ended, by outcome", "outcome"),
        _limiter_failures=counter("limiter_failures", "rate limiter out of reach"),
        _key_set_failures=counter("key_set_failures", "attempts to fetch the key set that failed"),
        _connections_refused=counters("connections_refused", "connections or requests refused by the edge", "reason"),
        _requests_refused=counters("requests_refused", "requests refused because too many were in progress", "reason"),
        _unexpected=Family(
            Counter(UNEXPECTED, _UNEXPECTED_DESCRIPTION, ("logger",), registry=registry),
            _UNEXPECTED_DESCRIPTION,
            UNEXPECTED,
            ("logger",),
        ),
        _trusted=counters("trusted_requests", "requests that ran a trusted document", "operation", "outcome"),
        _documents_loaded=counters("trusted_document_loads", "loads of the trusted documents", "outcome"),
        _restarts=restarts,
        _telemetry_dropped=_telemetry_dropped(registry),
        _reports_left_out=counter(
            "error_reports_left_out", "error reports that were not made, because enough were made"
        ),
        gauges=RuntimeGauges(registry, service_version),
        business=business,
    )


def count_unexpected_beside_workers(logger: str) -> None:
    """Count an exception that the code does not expect in the process that starts the workers.

    It serves no request and no scrape. It counts in the folder of the workers, which is there once they are started.
    """
    if FOLDER in os.environ:
        _beside_workers().labels(logger if logger.startswith(f"{SERVICE}.") else OTHER).inc()


@cache
def _beside_workers() -> Counter:
    use_folder()
    return Counter(UNEXPECTED, _UNEXPECTED_DESCRIPTION, ("logger",), registry=None)


@dataclass(slots=True, kw_only=True)
class Metrics:
    """The metrics for operators, with one method per event."""

    _registry: CollectorRegistry
    _target: Gauge
    _folder: Path | None
    """The folder in which processes count together; None when this process counts alone."""
    _responses: Family[Counter]
    _abandoned: Counter
    _graphql: Family[Counter]
    _graphql_durations: Histogram
    _requests: Family[Counter]
    _durations: Family[Histogram]
    _errors: Family[Counter]
    _signed_in: Family[Counter]
    _submissions: Family[Counter]
    _approved: Family[Counter]
    _approvals: Histogram
    _bulk_calls: Family[Counter]
    _bulk_items: Family[Counter]
    _bulk_durations: Family[Histogram]
    _bulk_sizes: Family[Histogram]
    _denied: Family[Counter]
    _overrides: Counter
    _locks_passed: Family[Counter]
    _security_events: Family[Counter]
    _sign_ins: Family[Counter]
    _limiter_failures: Counter
    _key_set_failures: Counter
    _connections_refused: Family[Counter]
    _requests_refused: Family[Counter]
    _unexpected: Family[Counter]
    _trusted: Family[Counter]
    _documents_loaded: Family[Counter]
    _restarts: "_Restarts"
    _telemetry_dropped: Counter
    _reports_left_out: Counter
    gauges: RuntimeGauges
    business: BusinessGauges
    _operations: Sequence[str] = (NONE,)
    """The declared names of operations of trusted documents."""
    _outcomes: Collection[str] = ()
    """The declared outcomes of requests."""

    def declare(self, values: LabelValues) -> None:
        """Set the values of all labels; the series that an alert or a dashboard needs exist at 0 from now on.

        Codes of refusals are not combined with fields in advance: there are too many combinations, and refusals are
        the clients' faults.
        """
        fields = (*values.fields, NONE)
        failures = product(fields, values.failures)
        refusals = ((NONE, code) for code in values.codes if code not in values.failures)
        routes = (*values.routes, OTHER, NONE)
        statuses = tuple(map(str, values.statuses))
        self._responses.declare(routes, [str(each.value) for each in HTTPStatus], series=product(routes, statuses))
        self._graphql.declare(values.outcomes)
        self._requests.declare(fields, values.outcomes)
        self._durations.declare(fields)
        self._errors.declare(fields, values.codes, series=(*failures, *refusals))
        self._signed_in.declare(values.roles)
        self._submissions.declare(values.changes)
        self._approved.declare(values.changes)
        self._bulk_calls.declare(values.bulk_mutations, values.bulk_calls)
        self._bulk_items.declare(values.bulk_mutations, values.changes)
        self._bulk_durations.declare(values.bulk_mutations)
        self._bulk_sizes.declare(values.bulk_mutations)
        self._denied.declare(values.guarded_fields)
        self._locks_passed.declare(values.mutations)
        self._security_events.declare(values.security_events)
        self._sign_ins.declare(values.sign_ins)
        self._connections_refused.declare(values.connection_refusals)
        self._requests_refused.declare(values.request_refusals)
        self._unexpected.declare((*values.loggers, OTHER))
        self._outcomes = values.outcomes
        self._trusted.declare(self._operations, values.outcomes)
        self._documents_loaded.declare(LOADS)

    def response(self, route: str, status: int) -> None:
        """Count an answer. `route` is the path of a route, OTHER, or NONE."""
        self._responses.of(route, str(status)).inc()

    def abandoned(self) -> None:
        """Count a request whose client left before the answer."""
        self._abandoned.inc()

    def request(self, outcome: str, fields: Mapping[str, tuple[str, Collection[str]]], seconds: float | None) -> None:
        """Count an answered GraphQL request once, and the outcome and the distinct codes of each executed root field.

        The field of a request that executed none is NONE. `seconds` is None if no time was measured.
        """
        self._graphql.of(outcome).inc()
        if seconds is not None and NONE not in fields:
            self._graphql_durations.observe(seconds)
        for name, (of_field, codes) in fields.items():
            self._requests.of(name, of_field).inc()
            if seconds is not None:
                self._durations.of(name).observe(seconds)
            for code in codes:
                self._errors.of(name, code).inc()

    def trusted_documents_loaded(self, operations: Iterable[str]) -> None:
        """Count a load of the trusted documents, and declare the names of their operations.

        A process declares at most MOST_OPERATIONS names, with those of earlier loads. Others are counted as OTHER.
        """
        self._documents_loaded.of(LOADED).inc()
        known = dict.fromkeys((*self._operations, *operations))
        self._operations = tuple(islice(known, MOST_OPERATIONS))
        self._trusted.declare(self._operations, self._outcomes)

    def trusted_documents_refused(self) -> None:
        """Count a load of the trusted documents that failed: those before stay."""
        self._documents_loaded.of(FAILED).inc()

    def trusted_request(self, operation: str, outcome: str) -> None:
        """Count a request that ran a trusted document, by the name of its operation."""
        self._trusted.of(operation, outcome).inc()

    def signed_in_request(self, role: str) -> None:
        """Count a GraphQL request of a signed-in user."""
        self._signed_in.of(role).inc()

    def submission(self, outcome: str) -> None:
        """Count a submission by outcome: `APPLIED`, `REPLAYED` or a problem's code."""
        self._submissions.of(outcome).inc()

    def approval(self, outcome: str) -> None:
        """Count an approval by outcome: `APPLIED`, `REPLAYED` or a problem's code."""
        self._approved.of(outcome).inc()

    def approval_processed(self, seconds: float) -> None:
        """Record an approval and the seconds since the submission."""
        self._approvals.observe(seconds)

    def bulk_item(self, mutation: str, outcome: str) -> None:
        """Count an item of a bulk mutation by outcome: `APPLIED`, `UNCHANGED`, `REPLAYED` or a problem's code."""
        self._bulk_items.of(mutation, outcome).inc()

    def bulk_called(self, mutation: str, outcome: str) -> None:
        """Count a bulk mutation by its outcome as a whole."""
        self._bulk_calls.of(mutation, outcome).inc()

    def bulk_ended(self, mutation: str, items: int, seconds: float) -> None:
        """Count a bulk mutation with the number of its items and its duration."""
        self._bulk_sizes.of(mutation).observe(items)
        self._bulk_durations.of(mutation).observe(seconds)

    def permission_denied(self, field: str) -> None:
        """Count a request with a field that was refused for the viewer's role."""
        self._denied.of(field).inc()

    def override_opened(self) -> None:
        """Count an opened lock override."""
        self._overrides.inc()

    def passed_lock(self, mutation: str) -> None:
        """Count a locked location that a lead reopened or completed manually; both count as overrides."""
        self._locks_passed.of(mutation).inc()

    def security_event(self, kind: str) -> None:
        """Count an event that an attack would also cause."""
        self._security_events.of(kind).inc()

    def sign_in(self, outcome: str) -> None:
        """Count a sign-in by browser that ended, by outcome."""
        self._sign_ins.of(outcome).inc()

    def limiter_failed(self) -> None:
        """Count a failed access of the rate limiter to its store."""
        self._limiter_failures.inc()

    def key_set_failed(self) -> None:
        """Count a failed attempt to fetch the key set of the token issuer."""
        self._key_set_failures.inc()

    def connection_refused(self, reason: str) -> None:
        """Count a connection that the server ended, or a request that it refused before the application saw it."""
        self._connections_refused.of(reason).inc()

    def request_refused(self, reason: str) -> None:
        """Count a request that was refused because too many were in progress."""
        self._requests_refused.of(reason).inc()

    def unexpected_exception(self, logger: str) -> None:
        """Count an exception that the code does not expect, by the logger of its line."""
        self._unexpected.of(logger).inc()

    def telemetry_dropped(self, signal: str, count: int = 1) -> None:
        """Count what did not reach its collector; `signal` is one of EXPORTED."""
        self._telemetry_dropped.labels(signal).inc(count)

    def error_reports_left_out(self, count: int) -> None:
        """Count exceptions that were not reported, because their cause, or all together, were reported often enough."""
        self._reports_left_out.inc(count)

    @property
    def folder(self) -> Path | None:
        """The folder in which processes count together; None when this process counts alone."""
        return self._folder

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format; the media type is CONTENT_TYPE."""
        self.gauges.read()
        return generate_latest(self.together())

    def together(self) -> Collector:
        """Return the metrics of all processes that count together, of which those of the others are a second old."""
        if self._folder is None:
            return _Completed(self._registry, self._families())
        ended = _ended(self._folder)
        for pid in ended:
            with suppress(FileNotFoundError):  # another process does the same at the same time
                mark_process_dead(pid, self._folder)
        if ended:
            merge_ended(self._folder, ended)
        everyone = CollectorRegistry()
        everyone.register(_OfAll(self._folder))
        everyone.register(self._restarts)
        everyone.register(self.business)
        return _Completed(everyone, self._families())

    def _families(self) -> list[Family[Counter] | Family[Histogram]]:
        held = (getattr(self, each) for each in self.__slots__)
        return [each for each in held if isinstance(each, Family)]


class _Completed(Collector):
    """The metrics of a collector, with the declared series that nothing was counted for."""

    def __init__(self, inner: Collector, families: Iterable[Family[Counter] | Family[Histogram]]) -> None:
        self._inner = inner
        self._families = {each.name: each for each in families}

    def collect(self) -> Iterator[Metric]:
        """Yield each metric once."""
        missing = dict(self._families)
        for metric in self._inner.collect():
            family = missing.pop(metric.name, None)
            yield metric if family is None else family.completed(metric)
        for family in missing.values():
            yield family.completed(None)


def _telemetry_dropped(registry: CollectorRegistry) -> Counter:
    description = "spans, error reports, readings of metrics and log lines that were not delivered, by signal"
    dropped = Counter("turnup_telemetry_dropped", description, ("signal",), registry=registry)
    for signal in EXPORTED:
        dropped.labels(signal)
    return dropped


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


class _OfAll(Collector):
    """The metrics of all processes that count in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = MultiProcessCollector(None, folder)

    def collect(self) -> Iterator[Metric]:
        """Yield each metric once. Raises OSError if the files cannot be read."""
        with unmerged(self._folder):
            found = list(self._files.collect())
        yield from found


def _ended(folder: Path) -> set[int]:
    """Return the ids of ended processes that left files behind."""
    names = (file.stem.rpartition("_")[2] for file in folder.glob("*.db"))
    return {int(name) for name in {*names} if name.isdecimal() and not _lives(int(name))}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True
