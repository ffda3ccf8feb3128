"""Telemetry: tracing, metrics, logging and error tracking, wired once, named nowhere else."""

from dataclasses import dataclass

from app.telemetry.errors import ErrorTracking, start_error_tracking
from app.telemetry.logging import start_logging
from app.telemetry.metrics import Metrics, start_metrics
from app.telemetry.tracing import Tracing, start_tracing


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What watches a running server."""

    tracing: Tracing
    metrics: Metrics
    errors: ErrorTracking

    def shutdown(self) -> None:
        """Send what is left and stop; blocks for some seconds at most. Log lines are written on."""
        self.tracing.shutdown()
        self.errors.shutdown()


def start_telemetry(
    *, service_version: str, environment: str, sentry_dsn: str | None = None, log_level: str = "INFO"
) -> Telemetry:
    """Start everything; `environment` is "development", which logs text for people, or "production".

    Raises sentry_sdk.utils.BadDsn, and ValueError for an unknown log level.
    """
    start_logging(development=environment == "development", level=log_level)
    return Telemetry(
        tracing=start_tracing(service_version),
        metrics=start_metrics(service_version),
        errors=start_error_tracking(sentry_dsn, service_version=service_version, environment=environment),
    )


def unwired_telemetry(service_version: str) -> Telemetry:
    """Telemetry that leaves logging as it is and reports no errors elsewhere."""
    return Telemetry(
        tracing=start_tracing(service_version),
        metrics=start_metrics(service_version),
        errors=start_error_tracking(None, service_version=service_version, environment="development"),
    )
