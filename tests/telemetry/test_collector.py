"""A collector that takes nothing is one line per minute and signal in the log, without its URL and its answers."""

import json
import logging
from collections.abc import Callable
from io import StringIO

import pytest

from app.telemetry.collector import CollectorSession
from app.telemetry.logging import start_logging
from app.telemetry.otlp import MetricsExport
from app.telemetry.tracing import start_tracing

from .test_otlp import until
from .tracker import an_error_server

pytestmark = pytest.mark.usefixtures("_logging_restored")

SECRET = "APIKEY0123456789abcdef"


def undelivered_spans(failed: Callable[[], None]) -> None:
    """End spans until some are lost."""
    tracing = start_tracing("1.2.3", dropped=lambda _count: failed())
    for _ in range(3):
        with tracing.operation():
            pass
    tracing.shutdown()


def undelivered_metrics(failed: Callable[[], None]) -> None:
    """Export metrics in vain."""
    MetricsExport(list, service_version="1", failed=failed, every_seconds=60).shutdown()


@pytest.fixture
def stream() -> StringIO:
    """Where lines go, as JSON."""
    stream = StringIO()
    start_logging(development=False, stream=stream)
    return stream


@pytest.mark.parametrize("status", [None, 403, 503], ids=["refuses connections", "refuses the key", "is overloaded"])
@pytest.mark.parametrize(
    ("undelivered", "signal", "logger"),
    [(undelivered_spans, "spans", "turnup.tracing"), (undelivered_metrics, "metrics", "turnup.metrics")],
)
def test_a_collector_that_takes_nothing_is_one_line_with_its_host_and_the_reason(
    stream: StringIO,
    monkeypatch: pytest.MonkeyPatch,
    undelivered: Callable[[Callable[[], None]], None],
    signal: str,
    logger: str,
    status: int | None,
) -> None:
    failures: list[None] = []
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    with an_error_server() as server:
        server.status, server.body = status or 200, SECRET.encode()
        host = "127.0.0.1:1" if status is None else server.url.removeprefix("http://")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{SECRET}:{SECRET}@{host}/{SECRET}?key={SECRET}")
        undelivered(lambda: failures.append(None))
        until(lambda: bool(failures) and bool(stream.getvalue()))
    (line,) = [json.loads(each) for each in stream.getvalue().splitlines()]
    assert SECRET not in stream.getvalue()
    assert (line["message"], line["logger"], line["level"]) == (f"{signal} are not delivered", logger, "warning")
    assert (line["collector"], line["reason"]) == (host, f"status_{status}" if status else "ConnectionError")


def test_undelivered_exports_have_a_line_per_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    session = CollectorSession("spans", logging.getLogger("turnup.test"), clock=lambda: now[0])
    for now[0] in (0.0, 30.0, 59.0, 60.0, 119.0, 121.0):
        session.tell()
    assert len(caplog.records) == 3
