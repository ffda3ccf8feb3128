"""Tracing that keeps its spans, and logging that is put back as it was."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.telemetry.logging import SILENT_LOGGERS
from app.telemetry.tracing import Tracing, start_tracing


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "OTEL_METRICS_EXPORTER",
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_SDK_DISABLED",
        "OTEL_TRACES_EXPORTER",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_SERVICE_NAME",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """Where the spans of `tracing` end up."""
    return InMemorySpanExporter()


@pytest.fixture
def tracing(spans: InMemorySpanExporter) -> Iterator[Tracing]:
    """Tracing that records everything."""
    tracing = start_tracing("1.2.3", exporters=[spans])
    yield tracing
    tracing.shutdown()


@pytest.fixture
def _logging_restored() -> Iterator[None]:
    names = ("", "turnup", "uvicorn", "uvicorn.error", *SILENT_LOGGERS)
    before = {
        name: (logger.handlers[:], logger.filters[:], logger.level, logger.propagate)
        for name in names
        for logger in [logging.getLogger(name or None)]
    }
    yield
    for name, (handlers, filters, level, propagate) in before.items():
        logger = logging.getLogger(name or None)
        logger.handlers[:], logger.filters[:], logger.propagate = handlers, filters, propagate
        logger.setLevel(level)
    structlog.reset_defaults()
