"""Telemetry: tracing, metrics, logging and error tracking, configured in this package only."""

from dataclasses import dataclass
from functools import partial
from threading import Thread

from app.telemetry import errors, otlp
from app.telemetry.errors import ErrorTracking, start_error_tracking
from app.telemetry.logging import start_logging
from app.telemetry.metrics import Metrics, start_metrics
from app.telemetry.otlp import MetricsExport, exports_metrics
from app.telemetry.tracing import Tracing, start_tracing


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The telemetry of a running server."""

    tracing: Tracing
    metrics: Metrics
    errors: ErrorTracking
    export: MetricsExport | None = None
    """The export of the metrics, if the environment asks for one."""

    def shutdown(self) -> None:
        """Send pending data and stop; blocks for SHUTDOWN_SECONDS of tracing at most. Logging continues."""
        stopping = Thread(target=self.errors.shutdown, name="errors-shutdown", daemon=True)
        stopping.start()
        ending = None
        if self.export is not None:
            ending = Thread(target=self.export.shutdown, name="metrics-shutdown", daemon=True)
            ending.start()
        self.tracing.shutdown()
        stopping.join(errors.SHUTDOWN_SECONDS)
        if ending is not None:
            ending.join(otlp.STOP_SECONDS)


def start_telemetry(
    *,
    service_version: str,
    environment: str,
    sentry_dsn: str | None = None,
    expected: tuple[type[BaseException], ...] = (),
    log_level: str = "INFO",
    log_as_text: bool | None = None,
    port: int | None = None,
) -> Telemetry:
    """Start all telemetry. `environment` is "development" (log lines are text by default) or "production" (JSON).

    `expected` are the types of exceptions that are no bugs: they are neither counted as such nor reported. Log lines
    name the server by its host and `port`. Raises sentry_sdk.utils.BadDsn, or ValueError for an unknown log level.
    """
    metrics = start_metrics(service_version)
    handler = start_logging(development=environment == "development", as_text=log_as_text, level=log_level, port=port)
    handler.on_drop = partial(metrics.telemetry_dropped, "logs")
    return Telemetry(
        tracing=start_tracing(service_version, dropped=partial(metrics.telemetry_dropped, "traces")),
        metrics=metrics,
        errors=start_error_tracking(
            sentry_dsn,
            service_version=service_version,
            environment=environment,
            expected=expected,
            counted=metrics.unexpected_exception,
            dropped=partial(metrics.telemetry_dropped, "errors"),
            left_out=metrics.error_reports_left_out,
        ),
        export=_export(metrics, service_version) if exports_metrics() else None,
    )


def unwired_telemetry(service_version: str) -> Telemetry:
    """Return telemetry that leaves logging unchanged and reports no errors."""
    return Telemetry(
        tracing=start_tracing(service_version),
        metrics=start_metrics(service_version),
        errors=start_error_tracking(None, service_version=service_version, environment="development"),
    )


def _export(metrics: Metrics, service_version: str) -> MetricsExport:
    return MetricsExport(
        lambda: metrics.together().collect(),
        service_version=service_version,
        failed=partial(metrics.telemetry_dropped, "metrics"),
        folder=metrics.folder,
    )
