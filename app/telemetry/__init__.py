"""Telemetry: tracing, metrics, logging and error tracking, configured in this package only."""

from dataclasses import dataclass
from threading import Thread

from app.telemetry import errors
from app.telemetry.errors import ErrorTracking, start_error_tracking
from app.telemetry.logging import start_logging
from app.telemetry.metrics import Metrics, start_metrics
from app.telemetry.tracing import Tracing, start_tracing


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The telemetry of a running server."""

    tracing: Tracing
    metrics: Metrics
    errors: ErrorTracking

    def shutdown(self) -> None:
        """Send pending data and stop; blocks for SHUTDOWN_SECONDS of tracing at most. Logging continues."""
        stopping = Thread(target=self.errors.shutdown, name="errors-shutdown", daemon=True)
        stopping.start()
        self.tracing.shutdown()
        stopping.join(errors.SHUTDOWN_SECONDS)


def start_telemetry(
    *, service_version: str, environment: str, sentry_dsn: str | None = None, log_level: str = "INFO"
) -> Telemetry:
    """Start all telemetry. `environment` is "development" (log lines as text) or "production" (JSON).

    Raises sentry_sdk.utils.BadDsn, or ValueError for an unknown log level.
    """
    start_logging(development=environment == "development", level=log_level)
    return Telemetry(
        tracing=start_tracing(service_version),
        metrics=start_metrics(service_version),
        errors=start_error_tracking(sentry_dsn, service_version=service_version, environment=environment),
    )


def unwired_telemetry(service_version: str) -> Telemetry:
    """Return telemetry that leaves logging unchanged and reports no errors."""
    return Telemetry(
        tracing=start_tracing(service_version),
        metrics=start_metrics(service_version),
        errors=start_error_tracking(None, service_version=service_version, environment="development"),
    )
