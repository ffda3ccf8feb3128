"""The export by OTLP: every value of /metrics, once per host, and no harm from endpoints that fail."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry import Telemetry, start_telemetry
from app.telemetry.metrics import FOLDER, start_metrics
from app.telemetry.otlp import EVERY_SECONDS, LOCK_FILE, MetricsExport, export_seconds, exports_metrics

from .test_metrics import DECLARED

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]

ENDPOINT, OF_METRICS = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
AGE = "turnup_gauges_age_seconds"

# A process that counts together with others: it has opened one override, and exports every second.
PROCESS = """
import sys
from app.telemetry import start_telemetry
telemetry = start_telemetry(service_version="1.2.3", environment="production")
telemetry.metrics.override_opened()
print("ready", flush=True)
sys.stdin.read()
"""


class MetricsEndpoint(ThreadingHTTPServer):
    """Keeps what it receives. It answers with a status, once it may answer."""

    daemon_threads = True

    def __init__(self, status: int, *, answers: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _TakesMetrics)
        self.status = status
        self.may_answer = threading.Event()
        if answers:
            self.may_answer.set()
        self.received: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def exports(self) -> list[ExportMetricsServiceRequest]:
        return [ExportMetricsServiceRequest.FromString(body) for _, body in self.received]

    def until(self, number: int) -> None:
        """Wait until this many exports have come."""
        until(lambda: len(self.received) >= number)


class _TakesMetrics(BaseHTTPRequestHandler):
    server: MetricsEndpoint

    def do_POST(self) -> None:
        self.server.received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.may_answer.wait(30)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        """Keep the test's output clean."""


@contextmanager
def endpoint(status: int = 200, *, answers: bool = True) -> Iterator[MetricsEndpoint]:
    with MetricsEndpoint(status, answers=answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.may_answer.set()
        server.shutdown()
        thread.join()


def until(holds: Any) -> None:
    ends = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)


def telemetry_with_every_kind() -> Telemetry:
    """Telemetry that counted: a counter, a counter with labels, gauges, histograms with and without labels."""
    telemetry = start_telemetry(service_version="1.2.3", environment="production")
    metrics = telemetry.metrics
    metrics.declare(DECLARED)
    for seconds in (0.001, 0.2, 0.2, 3.0, 99.0):
        metrics.request("ok", {"location": ("ok", ())}, seconds)
    metrics.request("failed", {"approve": ("failed", ("TIMEOUT",))}, 0.3)
    metrics.approval_processed(7_200)
    metrics.override_opened()
    metrics.request_refused("server")
    metrics.gauges.watch({"turnup_connections": lambda: 5, "turnup_event_loop_lag_seconds": lambda: 0.25})
    metrics.gauges.read()
    metrics.business.expect(("IN_PROGRESS", "COMPLETED"))
    metrics.business.take({"locations": {"IN_PROGRESS": 7}, "approvals_oldest_seconds": 12.5}, age_seconds=30)
    return telemetry


def shown(text: str) -> Values:
    """The values of /metrics. The bounds of buckets are numbers that are written in one form."""
    return {
        (
            sample.name,
            frozenset((name, bound(value) if name == "le" else value) for name, value in sample.labels.items()),
        ): (sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def bound(text: str) -> str:
    return repr(float(text))


def decoded(request: ExportMetricsServiceRequest) -> Values:
    """The values of an export, as /metrics shows them."""
    found: Values = {}
    for metric in metrics_of(request):
        data = getattr(metric, metric.WhichOneof("data"))
        for point in data.data_points:
            labels = frozenset((each.key, each.value.string_value) for each in point.attributes)
            if metric.WhichOneof("data") != "histogram":
                found[metric.name, labels] = point.as_double
                continue
            found[f"{metric.name}_count", labels], found[f"{metric.name}_sum", labels] = point.count, point.sum
            below = 0
            bounds = [*point.explicit_bounds, float("inf")]
            for number, most in zip(point.bucket_counts, bounds, strict=True):
                below += number
                found[f"{metric.name}_bucket", labels | {("le", repr(most))}] = below
    return found


def metrics_of(request: ExportMetricsServiceRequest) -> list[Any]:
    (resource,) = request.resource_metrics
    (scope,) = resource.scope_metrics
    return list(scope.metrics)


def sums_in(request: ExportMetricsServiceRequest) -> list[Any]:
    """The points of all counters."""
    return [point for metric in metrics_of(request) if metric.HasField("sum") for point in metric.sum.data_points]


def resource_of(request: ExportMetricsServiceRequest) -> dict[str, str]:
    return {each.key: each.value.string_value for each in request.resource_metrics[0].resource.attributes}


def opened_in(request: ExportMetricsServiceRequest) -> float:
    """How many overrides all processes together have opened, by an export."""
    return decoded(request)["turnup_overrides_opened_total", frozenset()]


@pytest.mark.usefixtures("_logging_restored")
@pytest.mark.parametrize("variable", [ENDPOINT, OF_METRICS])
def test_every_value_of_metrics_is_exported_under_its_name(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with endpoint() as collector:
        monkeypatch.setenv(variable, collector.url + ("/v1/metrics" if variable == OF_METRICS else ""))
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "turnup-west")
        telemetry = telemetry_with_every_kind()
        before = shown(telemetry.metrics.render().decode())
        telemetry.shutdown()
    ((path, _),), (request,) = collector.received, collector.exports
    exported = decoded(request)
    age = (AGE, frozenset[tuple[str, str]]())
    assert exported.pop(age) == pytest.approx(before.pop(age), abs=5)
    assert len(exported) > 50
    assert exported == before
    assert path == "/v1/metrics"
    resource = resource_of(request)
    assert (resource["service.name"], resource["service.version"]) == ("turnup-west", "1.2.3")
    assert resource["service.instance.id"]


@pytest.mark.usefixtures("_logging_restored")
def test_counters_and_histograms_are_cumulative_since_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint() as collector:
        monkeypatch.setenv(OF_METRICS, f"{collector.url}/v1/metrics")
        began = time.time_ns()
        telemetry = telemetry_with_every_kind()
        telemetry.shutdown()
    by_name = {each.name: each for each in metrics_of(collector.exports[0])}
    counter, histogram = (
        by_name["turnup_overrides_opened_total"].sum,
        by_name["turnup_request_duration_seconds"].histogram,
    )
    assert counter.is_monotonic
    assert {each.aggregation_temporality for each in (counter, histogram)} == {
        AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    }
    for point in (*counter.data_points, *histogram.data_points):
        assert began <= point.start_time_unix_nano <= point.time_unix_nano <= time.time_ns()
    assert by_name["turnup_connections"].WhichOneof("data") == "gauge"


@pytest.mark.parametrize(
    ("variables", "exports"),
    [
        ({}, False),
        ({ENDPOINT: "http://127.0.0.1:1"}, True),
        ({OF_METRICS: "http://127.0.0.1:1"}, True),
        ({ENDPOINT: "http://127.0.0.1:1", "OTEL_METRICS_EXPORTER": "none"}, False),
        ({ENDPOINT: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, False),
    ],
    ids=["nothing", "endpoint", "of metrics", "none", "disabled", "of traces"],
)
def test_the_environment_says_whether_metrics_are_exported(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], exports: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert exports_metrics() is exports


@pytest.mark.parametrize(("text", "seconds"), [("", EVERY_SECONDS), ("x", EVERY_SECONDS), ("30000", 30), ("1", 1)])
def test_the_environment_says_how_often(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", text)
    assert export_seconds() == seconds


@pytest.mark.parametrize("status", [400, 500, None], ids=["bad request", "server error", "no listener"])
def test_an_endpoint_that_refuses_changes_nothing_but_a_counter(
    monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    metrics = start_metrics("1.2.3")
    with nullcontext() if status is None else endpoint(status) as collector:
        monkeypatch.setenv(OF_METRICS, "http://127.0.0.1:1" if collector is None else collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        export = MetricsExport(
            metrics.together().collect, service_version="1.2.3", failed=lambda: metrics.telemetry_dropped("metrics")
        )
        for number in (1, 2):
            export.export()
            assert f'turnup_telemetry_dropped_total{{signal="metrics"}} {number}.0' in metrics.render().decode()
        export.shutdown()


def test_an_endpoint_that_hangs_holds_up_neither_a_caller_nor_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = start_metrics("1.2.3")
    failures: list[None] = []
    with endpoint(answers=False) as collector:
        monkeypatch.setenv(OF_METRICS, collector.url)
        export = MetricsExport(
            metrics.together().collect,
            service_version="1.2.3",
            failed=lambda: failures.append(None),
            every_seconds=0.01,
        )
        collector.until(1)
        began = time.monotonic()
        metrics.override_opened()
        metrics.render()
        export.shutdown(0.3)
        assert time.monotonic() - began < 5
    until(lambda: not any(each.name == "metrics-export" for each in threading.enumerate()))


def test_an_error_in_the_conversion_does_not_end_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[None] = []

    def broken() -> Any:
        raise ValueError

    monkeypatch.setenv(OF_METRICS, "http://127.0.0.1:1")
    export = MetricsExport(broken, service_version="1", failed=lambda: failures.append(None), every_seconds=0.01)
    until(lambda: len(failures) > 2)
    export.shutdown()


@contextmanager
def process(folder: Path, url: str) -> Iterator["subprocess.Popen[str]"]:
    variables = {FOLDER: str(folder), OF_METRICS: f"{url}/v1/metrics", "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS],
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        try:
            yield running
        finally:
            running.kill()
            running.wait()


def test_of_the_processes_of_a_host_one_exports_the_sums_of_all_and_another_one_after_it(tmp_path: Path) -> None:
    with endpoint() as collector:
        with process(tmp_path, collector.url) as first:
            collector.until(1)
            with process(tmp_path, collector.url):
                until(lambda: opened_in(collector.exports[-1]) == 2)
                first.kill()
                first.wait()
                exported = len(collector.received)
                collector.until(exported + 2)
        exports = collector.exports
    assert opened_in(exports[-1]) == 2
    assert len({resource_of(each)["service.instance.id"] for each in exports}) == 1
    starts = {point.start_time_unix_nano for each in exports for point in sums_in(each)}
    assert len(starts) == 1


def test_of_two_that_count_together_only_one_exports_until_it_stops(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    metrics = start_metrics("1.2.3")
    with endpoint() as collector:
        monkeypatch.setenv(OF_METRICS, collector.url)
        first, second = (
            MetricsExport(metrics.together().collect, service_version="1", failed=lambda: None, folder=tmp_path)
            for _ in range(2)
        )
        for export in (first, second, first, second):
            export.export()
        assert len(collector.received) == 2
        first.shutdown()
        assert len(collector.received) == 3
        second.export()
        assert len(collector.received) == 4
        second.shutdown()
    assert len({resource_of(each)["service.instance.id"] for each in collector.exports}) == 1


@contextmanager
def exporting_in(folder: Path, number: int) -> Iterator[list[MetricsExport]]:
    """Exports that count together, which the test triggers."""
    metrics = start_metrics("1.2.3")
    exports = [
        MetricsExport(
            metrics.together().collect,
            service_version="1",
            failed=lambda: metrics.telemetry_dropped("metrics"),
            folder=folder,
        )
        for _ in range(number)
    ]
    yield exports
    for each in exports:
        each.shutdown()


def identities(collector: MetricsEndpoint) -> list[str]:
    return [resource_of(each)["service.instance.id"] for each in collector.exports]


@pytest.mark.parametrize(
    "torn", [b"word", b"2b3c 17", b"2b3c x\n", b"\xff\xfe"], ids=["a word", "cut", "no number", "no text"]
)
def test_an_identity_that_was_written_in_part_is_replaced_for_good(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, torn: bytes
) -> None:
    (tmp_path / LOCK_FILE).write_bytes(torn)
    with endpoint() as collector:
        monkeypatch.setenv(OF_METRICS, collector.url)
        with exporting_in(tmp_path, 2) as (first, second):
            first.export()
            first.shutdown()
            second.export()
        assert len(collector.received) >= 3
        assert len(set(identities(collector))) == 1
        assert not identities(collector)[0].startswith("2b3c")


def test_an_export_without_its_folder_is_a_failure_and_the_next_one_with_it_succeeds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failures: list[None] = []
    folder = tmp_path / "metrics"
    metrics = start_metrics("1.2.3")
    with endpoint() as collector:
        monkeypatch.setenv(OF_METRICS, collector.url)
        export = MetricsExport(
            metrics.together().collect,
            service_version="1",
            failed=lambda: failures.append(None),
            folder=folder,
            every_seconds=0.01,
        )
        until(lambda: len(failures) > 2)
        assert not collector.received
        folder.mkdir()
        collector.until(2)
        export.shutdown()


def test_two_never_export_the_same_sums_after_the_file_of_the_lock_was_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lock = tmp_path / LOCK_FILE
    with endpoint() as collector:
        monkeypatch.setenv(OF_METRICS, collector.url)
        with exporting_in(tmp_path, 2) as (first, second):
            first.export()
            lock.unlink()
            first.export()
            second.export()
            assert len(collector.received) == 2
            assert len(set(identities(collector))) == 1
            lock.unlink()
            second.export()
            assert len(collector.received) == 3
            first.export()
            assert len(collector.received) == 3


def test_each_export_keeps_the_file_of_the_lock_young(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = tmp_path / LOCK_FILE
    with endpoint() as collector:
        monkeypatch.setenv(OF_METRICS, collector.url)
        with exporting_in(tmp_path, 1) as (export,):
            export.export()
            os.utime(lock, (0, 0))
            export.export()
            assert min(lock.stat().st_atime, lock.stat().st_mtime) > time.time() - 600
