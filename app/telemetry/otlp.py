"""Sends all metrics to an OTLP endpoint as well, under the names and with the values of `/metrics`.

A thread converts and sends them once a minute. It holds up no request, and the end of the server for STOP_SECONDS at
most. Of processes that count together, the one that holds a lock exports the sums of all; when it ends, another one
goes on with the same identity.
"""

import fcntl
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT,
    OTEL_METRIC_EXPORT_INTERVAL,
    OTEL_SDK_DISABLED,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as ExportedMetric
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import Metric
from prometheus_client.samples import Sample

from app.telemetry.collector import CollectorSession
from app.telemetry.logging import SERVICE
from app.telemetry.resource import resource_of

EVERY_SECONDS = 60.0
"""Seconds between two exports, unless OTEL_METRIC_EXPORT_INTERVAL says otherwise."""
LEAST_SECONDS = 1.0
STOP_SECONDS = 2.0
"""Seconds within which the last export must be done when the server stops."""
LOCK_FILE = "exporter"
"""The file, in the folder of processes that count together, whose lock the exporting process holds."""

log = logging.getLogger("turnup.metrics")

_KNOWN = re.compile(rb"(\S+) (\d+)\n")
"""The identity in the file of the lock. Without the end of the line it was written in part."""
_UNKNOWN: Any = None  # Prometheus' histograms have no least and no greatest value


@dataclass(frozen=True, slots=True)
class SeriesIdentity:
    """What the exported series belong to: an id, and the Unix time in nanoseconds since when their values count."""

    id: str
    since: int


def exports_metrics() -> bool:
    """Return whether OpenTelemetry's environment variables ask for an export of metrics."""
    if (
        os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true"
        or os.environ.get("OTEL_METRICS_EXPORTER") == "none"
    ):
        return False
    return bool(os.environ.get(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT) or os.environ.get(OTEL_EXPORTER_OTLP_ENDPOINT))


def export_seconds() -> float:
    """Return the seconds between two exports."""
    with suppress(ValueError):
        return max(LEAST_SECONDS, float(os.environ.get(OTEL_METRIC_EXPORT_INTERVAL, "")) / 1_000)
    return EVERY_SECONDS


class MetricsExport:
    """The thread that exports metrics."""

    def __init__(
        self,
        collect: Callable[[], Iterable[Metric]],
        *,
        service_version: str,
        failed: Callable[[], None],
        folder: Path | None = None,
        exporter: MetricExporter | None = None,
        every_seconds: float | None = None,
    ) -> None:
        """`collect` returns the metrics, and `failed` is called after an export that did not succeed.

        `folder` is that of the processes that count together, None if this process counts alone.
        """
        self._collect = collect
        self._failed = failed
        self._service_version = service_version
        self._lock = None if folder is None else folder / LOCK_FILE
        self._held: IO[bytes] | None = None
        self._identity = None if folder is not None else SeriesIdentity(str(uuid4()), time.time_ns())
        self._session = CollectorSession("metrics", log)
        self._exporter = exporter or OTLPMetricExporter(session=self._session)
        self._every_seconds = every_seconds or export_seconds()
        self._ending = Event()
        self._thread = Thread(target=self._run, name="metrics-export", daemon=True)
        self._thread.start()

    def export(self) -> None:
        """Convert and send all metrics, unless another process does; a failure is counted."""
        try:
            identity = self._identity if self._lock is None else self._of_all(self._lock)
            if identity is None:
                return
            data = converted(self._collect(), identity=identity, service_version=self._service_version)
            succeeded = self._exporter.export(data) is MetricExportResult.SUCCESS
        except Exception:  # noqa: BLE001 - nothing that an export meets may end the thread
            succeeded = False
        if not succeeded:
            self._failed()
            self._session.tell()

    def shutdown(self, seconds: float = STOP_SECONDS) -> None:
        """Send what was counted since the last export, and stop; blocks for at most `seconds`."""
        self._ending.set()
        self._thread.join(seconds)
        self._exporter.shutdown()  # an attempt that goes on is not repeated
        if self._held is not None:
            self._held.close()

    def _run(self) -> None:
        while not self._ending.wait(self._every_seconds):
            self.export()
        self.export()

    def _of_all(self, lock: Path) -> SeriesIdentity | None:
        """Return the identity of the processes that count together if this one may export now.

        The system releases the lock when the process that holds it ends. It belongs to the file: when something removed
        the file, or put another one in its place, it is taken again. Raises OSError.
        """
        if self._held is not None and not _is_at(lock, self._held):
            self._held.close()
            self._held = None
        if self._held is None:
            self._held = self._taken(lock)
        if self._held is None:
            return None
        os.utime(self._held.fileno())  # systems that clean up leave young files alone
        return self._identity

    def _taken(self, lock: Path) -> IO[bytes] | None:
        """Take the lock, and the identity in its file, or write one. Returns None if another process holds the lock."""
        file = lock.open("a+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.seek(0)
            known = _KNOWN.fullmatch(file.read())
            if known is not None:
                self._identity = SeriesIdentity(known[1].decode(), int(known[2]))
            else:
                self._identity = self._identity or SeriesIdentity(str(uuid4()), time.time_ns())
                file.truncate(0)  # what was written in part
                file.write(f"{self._identity.id} {self._identity.since}\n".encode())
        except BlockingIOError:
            file.close()
            return None
        except BaseException:
            file.close()
            raise
        return file


def _is_at(path: Path, file: IO[bytes]) -> bool:
    """Return whether an open file is still the one at this path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def converted(metrics: Iterable[Metric], *, identity: SeriesIdentity, service_version: str) -> MetricsData:
    """Return metrics of Prometheus in OTLP's data model, under the names that Prometheus shows.

    Counters become cumulative sums, gauges stay gauges, and histograms have the same buckets. Other types, which this
    product does not have, are left out.
    """
    now = time.time_ns()
    exported = [each for metric in metrics for each in _converted(metric, identity.since, now)]
    scope = ScopeMetrics(InstrumentationScope(SERVICE, service_version), exported, "")
    return MetricsData([ResourceMetrics(resource_of(service_version, identity.id), [scope], "")])


def _converted(metric: Metric, since: int, now: int) -> Iterator[ExportedMetric]:
    if not metric.samples:
        return
    data: Gauge | Histogram | Sum
    name = metric.name
    if metric.type == "counter":
        name = f"{name}_total"
        points = [
            NumberDataPoint(each.labels, since, now, float(each.value)) for each in metric.samples if each.name == name
        ]
        data = Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    elif metric.type == "gauge":
        data = Gauge([NumberDataPoint(each.labels, since, now, float(each.value)) for each in metric.samples])
    elif metric.type == "histogram":
        data = Histogram(list(_histogram_points(metric, since, now)), AggregationTemporality.CUMULATIVE)
    else:
        return
    yield ExportedMetric(name, metric.documentation, "", data)


def _histogram_points(metric: Metric, since: int, now: int) -> Iterator[HistogramDataPoint]:
    """Yield a point per combination of labels. Prometheus' buckets contain those below them, those of OTLP do not."""
    series: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in metric.samples:
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        series.setdefault(labels, []).append(sample)
    for labels, samples in series.items():
        buckets = sorted((float(each.labels["le"]), each.value) for each in samples if "le" in each.labels)
        values: Mapping[str, float] = {each.name: each.value for each in samples if "le" not in each.labels}
        below = [0.0, *(count for _, count in buckets)]
        yield HistogramDataPoint(
            dict(labels),
            since,
            now,
            count=int(values[f"{metric.name}_count"]),
            sum=values[f"{metric.name}_sum"],
            bucket_counts=[int(count - before) for before, (_, count) in zip(below, buckets, strict=False)],
            explicit_bounds=[bound for bound, _ in buckets[:-1]],
            min=_UNKNOWN,
            max=_UNKNOWN,
        )
