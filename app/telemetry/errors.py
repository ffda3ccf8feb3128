"""Error tracking: sends exceptions logged as errors to Sentry, without personal data, when a DSN is given."""

from typing import Any, cast

import sentry_sdk
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport
from sentry_sdk.types import DataCollectionUserOptions, Event, Hint
from structlog.contextvars import get_contextvars

from app.telemetry.tracing import trace_id

SHUTDOWN_SECONDS = 2.0

COLLECT_NOTHING: DataCollectionUserOptions = {
    "user_info": False,
    "cookies": {"mode": "off"},
    "http_headers": {"request": {"mode": "off"}},
    "http_bodies": [],
    "url_query_params": {"mode": "off"},
    "graphql": {"document": False, "variables": False},
    "database_query_data": False,
    "stack_frame_variables": False,
}

KEPT = ("event_id", "timestamp", "level", "logger", "platform", "release", "environment", "sdk")
KEPT_OF_EXCEPTION = ("type", "module")
KEPT_OF_FRAME = ("filename", "function", "module", "lineno", "in_app", "context_line", "pre_context", "post_context")


def start_error_tracking(
    dsn: str | None, *, service_version: str, environment: str, transport: Transport | None = None
) -> "ErrorTracking":
    """Report each exception that is logged at level ERROR to the DSN; without a DSN nothing is reported.

    `transport` replaces the connection to Sentry. Raises sentry_sdk.utils.BadDsn.
    """
    if not dsn:
        return ErrorTracking(active=False)
    sentry_sdk.init(
        dsn=dsn,
        release=service_version,
        environment=environment,
        transport=transport,
        # Explicit integrations only: the default ones send process arguments, installed packages and log lines.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[DedupeIntegration(), LoggingIntegration(level=None, sentry_logs_level=None)],
        include_local_variables=False,
        data_collection=COLLECT_NOTHING,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        propagate_traces=False,
        shutdown_timeout=SHUTDOWN_SECONDS,
        before_send=scrubbed,
    )
    return ErrorTracking(active=True)


def scrubbed(event: Event, _hint: Hint) -> Event | None:
    """Reduce an event to exception types, stacks and the request's ids; None when it has no exception."""
    exceptions = (event.get("exception") or {}).get("values") or []
    if not exceptions:
        return None
    kept = {key: value for key, value in event.items() if key in KEPT}
    kept["exception"] = {"values": [_scrubbed_exception(each) for each in exceptions]}
    bound = get_contextvars()
    tags = {name: bound.get(name) for name in ("request_id", "client_request_id")} | {"trace_id": trace_id()}
    kept["tags"] = {name: value for name, value in tags.items() if value}
    return cast(Event, kept)


class ErrorTracking:
    """The running error tracker, or none."""

    __slots__ = ("_active",)

    def __init__(self, *, active: bool) -> None:
        self._active = active

    def shutdown(self, seconds: float = SHUTDOWN_SECONDS) -> None:
        """Send pending data and stop; blocks for at most `seconds`."""
        if self._active:
            sentry_sdk.get_client().close(timeout=seconds)


def _scrubbed_exception(exception: dict[str, Any]) -> dict[str, Any]:
    kept = {key: exception[key] for key in KEPT_OF_EXCEPTION if key in exception}
    kept["value"] = str(exception.get("type"))
    frames = (exception.get("stacktrace") or {}).get("frames") or []
    kept["stacktrace"] = {"frames": [{key: frame[key] for key in KEPT_OF_FRAME if key in frame} for frame in frames]}
    return kept
