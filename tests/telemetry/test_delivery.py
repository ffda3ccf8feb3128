"""Spans that do not reach their collector are counted, and neither requests nor the end of the process wait for it."""

import logging
import threading
import time
from collections.abc import Sequence

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_SCHEDULE_DELAY,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from app.telemetry.collector import CollectorSession
from app.telemetry.delivery import MOST_PENDING, CountedSpans

from .test_errors import SLACK_SECONDS, Counted
from .tracker import ErrorServer, an_error_server


class Held(SpanExporter):
    """An exporter that does not come back until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.entered = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - an exporter takes them
        """Wait."""
        self.entered.set()
        self.released.wait()
        return SpanExportResult.SUCCESS


class Raising(SpanExporter):
    """An exporter with a bug."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - an exporter takes them
        """Fail."""
        raise LookupError


def spans_through(processor: CountedSpans, count: int) -> TracerProvider:
    """End a number of spans."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")
    for number in range(count):
        tracer.start_span(str(number)).end()
    return provider


def test_spans_beyond_the_bound_are_dropped_and_counted_while_the_exporter_hangs() -> None:
    dropped, exporter = Counted(), Held()
    processor = CountedSpans(exporter, dropped)
    first = spans_through(processor, MOST_PENDING // 2)  # enough for a batch, which the thread takes
    assert exporter.entered.wait(20)
    began = time.monotonic()
    spans_through(processor, 3 * MOST_PENDING)
    assert time.monotonic() - began < SLACK_SECONDS
    assert MOST_PENDING < dropped.count <= 3 * MOST_PENDING
    exporter.released.set()
    first.shutdown()


def test_spans_that_the_exporter_fails_to_deliver_are_counted() -> None:
    dropped = Counted()
    spans_through(CountedSpans(Raising(), dropped), 7).shutdown()
    assert dropped.count == 7


@pytest.mark.parametrize("status", [400, 401, 500])
def test_spans_that_a_collector_refuses_are_counted(status: int) -> None:
    dropped = Counted()
    with an_error_server() as server:
        server.status = status
        spans_through(CountedSpans(exporter_to(server), dropped), 7).shutdown()
        assert server.requests >= 1
    assert dropped.count == 7


def test_spans_that_arrive_or_are_not_sampled_are_not_counted() -> None:
    dropped = Counted()
    with an_error_server() as server:
        server.body = b""
        spans_through(CountedSpans(exporter_to(server), dropped), 7).shutdown()
        provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
        provider.add_span_processor(CountedSpans(exporter_to(server), dropped))
        provider.get_tracer("test").start_span("unsampled").end()
        provider.shutdown()
        assert server.requests == 1
    assert dropped.count == 0


@pytest.mark.parametrize("variable", [OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_MAX_EXPORT_BATCH_SIZE, OTEL_BSP_SCHEDULE_DELAY])
@pytest.mark.parametrize("value", ["", " ", "abc", "-1", "0", "1", "100", "1e3", "9" * 30])
def test_spans_are_delivered_whatever_the_variables_say(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    dropped, exporter = Counted(), InMemorySpanExporter()
    spans_through(CountedSpans(exporter, dropped), 7).shutdown()
    assert len(exporter.get_finished_spans()) + dropped.count == 7


def test_as_many_spans_wait_as_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OTEL_BSP_MAX_QUEUE_SIZE, "100")
    dropped, exporter = Counted(), Held()
    processor = CountedSpans(exporter, dropped)
    first = spans_through(processor, 100)
    assert exporter.entered.wait(20)
    spans_through(processor, 300)
    assert dropped.count >= 200
    exporter.released.set()
    first.shutdown()


def exporter_to(server: ErrorServer) -> SpanExporter:
    """The exporter of the product to a server."""
    return OTLPSpanExporter(
        endpoint=f"{server.url}/v1/traces", session=CollectorSession("spans", logging.getLogger("turnup.test"))
    )
