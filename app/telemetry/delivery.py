"""Counts the spans that are not delivered to their collector: because it fails, or because too many wait for it."""

import logging
import re
from collections.abc import Callable, Sequence
from os import environ

from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_SCHEDULE_DELAY,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

MOST_PENDING = 2_048
"""Spans that wait for their delivery, unless OTEL_BSP_MAX_QUEUE_SIZE says otherwise; beyond, the oldest are dropped."""
MOST_PER_EXPORT = 512
"""Spans of one export, unless OTEL_BSP_MAX_EXPORT_BATCH_SIZE says otherwise; never more than may wait."""
DELAY_MS = 5_000
"""Milliseconds between two exports, unless OTEL_BSP_SCHEDULE_DELAY says otherwise."""

_POSITIVE = re.compile(r"0*[1-9][0-9]{0,8}")

log = logging.getLogger("turnup.tracing")


class CountedExporter(SpanExporter):
    """Exports by another exporter.

    Calls `dropped` with the number of spans that it did not deliver, and then `failed`.
    """

    def __init__(self, exporter: SpanExporter, dropped: Callable[[int], None], failed: Callable[[], None]) -> None:
        self._exporter = exporter
        self._failed = failed
        self._dropped = dropped
        self.taken = 0
        """The number of spans that were handed to the exporter."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver spans. Raises nothing."""
        self.taken += len(spans)
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - whatever a library of HTTP raises, the spans are lost
            result = SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            self._dropped(len(spans))
            self._failed()
        return result

    def shutdown(self) -> None:
        """Stop the exporter."""
        self._exporter.shutdown()


class CountedSpans(BatchSpanProcessor):
    """Hands ended spans to a thread that exports them in batches, and calls `dropped` for those that it drops.

    `failed` is called after each export that was not delivered.
    """

    def __init__(
        self, exporter: SpanExporter, dropped: Callable[[int], None], failed: Callable[[], None] = lambda: None
    ) -> None:
        self._counted = CountedExporter(exporter, dropped, failed)
        self._dropped = dropped
        self._ended = 0
        self._most = positive(OTEL_BSP_MAX_QUEUE_SIZE, MOST_PENDING)
        super().__init__(
            self._counted,
            max_queue_size=self._most,
            max_export_batch_size=min(positive(OTEL_BSP_MAX_EXPORT_BATCH_SIZE, MOST_PER_EXPORT), self._most),
            schedule_delay_millis=positive(OTEL_BSP_SCHEDULE_DELAY, DELAY_MS),
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span; if too many wait, the oldest one is dropped."""
        super().on_end(span)
        if span.context is None or not span.context.trace_flags.sampled:
            return
        self._ended += 1
        if self._ended - self._counted.taken > self._most:
            self._ended -= 1
            self._dropped(1)


def positive(variable: str, default: int) -> int:
    """Return the positive number in an environment variable, or the default: a wrong one does not end the server."""
    given = environ.get(variable, "").strip()
    if _POSITIVE.fullmatch(given):
        return int(given)
    if given:
        log.warning("%s is not a positive number; the default is used", variable, extra={"default": default})
    return default
