"""Counts and durations for operators, scraped by Prometheus: rates, refusals, approvals, bulk work, denials, the pool.

Labels are names of ours or of operations, few by construction: a client that invents names ends up under `other`.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"
ANONYMOUS = "anonymous"

MOST_VALUES = {"operation": 200, "field": 500}
MOST_VALUES_OF_OTHERS = 50

# Seconds. An alert compares the 95th percentile with 2 s; a request's deadline is 15 s.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0)
HOUR, DAY = 3_600, 86_400
APPROVAL_BUCKETS = (1, 60, 600, HOUR, 4 * HOUR, 8 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY)

_LABEL = re.compile(r"[A-Za-z_]\w{0,79}(\.\w{1,80})?", re.ASCII)


def start_metrics(service_version: str) -> "Metrics":
    """Make the instruments, on a registry of their own. Counters without labels are rendered from the start, as 0."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(scope_info_enabled=False, registry=registry)
    resource = Resource.create({"service.name": "turnup", "service.version": service_version})
    meter = MeterProvider([reader], resource=resource, shutdown_on_exit=False).get_meter("turnup")
    metrics = Metrics(
        _registry=registry,
        _meter=meter,
        _requests=meter.create_histogram(
            "turnup.request.duration",
            unit="s",
            description="GraphQL requests by operation and outcome",
            explicit_bucket_boundaries_advisory=REQUEST_BUCKETS,
        ),
        _errors=meter.create_counter("turnup.errors", description="errors answered, by operation and code"),
        _submissions=meter.create_counter("turnup.submissions", description="onboardings submitted, by outcome"),
        _approvals=meter.create_histogram(
            "turnup.approval.processing",
            unit="s",
            description="time from submission to approval",
            explicit_bucket_boundaries_advisory=APPROVAL_BUCKETS,
        ),
        _bulk_items=meter.create_counter("turnup.bulk.items", description="items of bulk operations, by outcome"),
        _denied=meter.create_counter("turnup.permission.denied", description="fields refused for the viewer's role"),
        _overrides=meter.create_counter("turnup.overrides.opened", description="lock overrides opened"),
        _moves_past_locks=meter.create_counter(
            "turnup.overrides.moves", description="locked locations reopened or completed by hand, by operation"
        ),
        _security_events=meter.create_counter("turnup.security.events", description="security events, by kind"),
        _limiter_failures=meter.create_counter("turnup.limiter.failures", description="rate limiter out of reach"),
        _restarts=meter.create_counter("turnup.embedded.restarts", description="embedded PostgreSQL started again"),
    )
    for counter in (metrics._overrides, metrics._limiter_failures, metrics._restarts):
        counter.add(0)
    return metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What operators watch, one method an event."""

    _registry: CollectorRegistry
    _meter: Meter
    _requests: Histogram
    _errors: Counter
    _submissions: Counter
    _approvals: Histogram
    _bulk_items: Counter
    _denied: Counter
    _overrides: Counter
    _moves_past_locks: Counter
    _security_events: Counter
    _limiter_failures: Counter
    _restarts: Counter
    _seen: dict[str, set[str]] = field(default_factory=dict)

    def request(self, operation: str | None, outcome: str, seconds: float) -> None:
        """A request was answered. Pass None as the operation of callers who are not signed in: names are theirs."""
        self._requests.record(seconds, self._labels(operation=operation or ANONYMOUS, outcome=outcome))

    def error(self, operation: str | None, code: str) -> None:
        """An error went back to the client under its code."""
        self._errors.add(1, self._labels(operation=operation or ANONYMOUS, code=code))

    def submission(self, outcome: str) -> None:
        """An onboarding was submitted: `succeeded` or `refused`."""
        self._submissions.add(1, self._labels(outcome=outcome))

    def approval_processed(self, seconds: float) -> None:
        """A location was approved, so long after its submission."""
        self._approvals.record(seconds)

    def bulk_items(self, operation: str, outcome: str, count: int = 1) -> None:
        """Items of a bulk operation ended alike."""
        self._bulk_items.add(count, self._labels(operation=operation, outcome=outcome))

    def permission_denied(self, coordinate: str) -> None:
        """A field, `Location.devices`, was refused for the viewer's role."""
        self._denied.add(1, self._labels(field=coordinate))

    def override_opened(self) -> None:
        """A lead opened a lock override."""
        self._overrides.add(1)

    def moved_past_lock(self, operation: str) -> None:
        """A lead reopened a locked location or completed it by hand, which counts as an override."""
        self._moves_past_locks.add(1, self._labels(operation=operation))

    def security_event(self, kind: str) -> None:
        """Something happened that an attack would cause too."""
        self._security_events.add(1, self._labels(kind=kind))

    def limiter_failed(self) -> None:
        """The rate limiter could not reach its store."""
        self._limiter_failures.add(1)

    def embedded_restarted(self) -> None:
        """The embedded PostgreSQL had ended unasked and was started again."""
        self._restarts.add(1)

    def watch_pool(self, read: Callable[[], tuple[int, int]]) -> None:
        """Ask at each scrape how many connections are in use and how many callers wait for one."""

        def in_use(_options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(read()[0])]

        def waiting(_options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(read()[1])]

        self._meter.create_observable_gauge("turnup.pool.in_use", [in_use], description="connections in use")
        self._meter.create_observable_gauge("turnup.pool.waiting", [waiting], description="callers waiting for one")

    def render(self) -> bytes:
        """Everything in Prometheus' text format; its media type is CONTENT_TYPE."""
        return generate_latest(self._registry)

    def _labels(self, **values: str) -> dict[str, str]:
        return {label: self._bounded(label, value) for label, value in values.items()}

    def _bounded(self, label: str, value: str) -> str:
        seen = self._seen.setdefault(label, set())
        if value in seen:
            return value
        if len(seen) >= MOST_VALUES.get(label, MOST_VALUES_OF_OTHERS) or not _LABEL.fullmatch(value):
            return OTHER
        seen.add(value)
        return value
