"""What leaves for the error tracker: types and stacks of exceptions that were logged, nothing of anybody's."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from app.telemetry.errors import ErrorTracking, start_error_tracking
from app.telemetry.requests import bind_request
from app.telemetry.tracing import Tracing

from .telemetry_builders import SECRETS

log = logging.getLogger("turnup.test")


class FakeTransport(Transport):
    """Keeps what would have been sent: nothing here can reach Sentry."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []
        self.bytes = b""

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep the envelope's event."""
        self.bytes += envelope.serialize()
        event = envelope.get_event()
        if event is not None:
            self.events.append(dict(event))


@pytest.fixture
def transport() -> FakeTransport:
    """Where events of `_tracking` end up."""
    return FakeTransport()


@pytest.fixture
def _tracking(transport: FakeTransport) -> Iterator[ErrorTracking]:
    tracking = start_error_tracking(
        "https://key@sentry.invalid/1", service_version="1.2.3", environment="production", transport=transport
    )
    yield tracking
    tracking.shutdown()
    sentry_sdk.init(default_integrations=False, auto_enabling_integrations=False)


@pytest.mark.usefixtures("_tracking")
def test_a_logged_exception_is_reported_by_type_stack_and_ids(transport: FakeTransport, tracing: Tracing) -> None:
    with bind_request("request-1"), tracing.operation_span("query", "Rollout"):
        _fail()
    (event,) = transport.events
    (exception,) = event["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("LookupError", "LookupError")
    assert exception["stacktrace"]["frames"][-1]["function"] == "_look_up"
    assert (event["release"], event["environment"], event["logger"]) == ("1.2.3", "production", "turnup.test")
    assert event["tags"]["request_id"] == "request-1"
    assert len(event["tags"]["trace_id"]) == 32


@pytest.mark.usefixtures("_tracking")
def test_no_message_variable_argument_or_earlier_line_leaves(transport: FakeTransport) -> None:
    log.warning("before: %s", SECRETS["mac"])
    sentry_sdk.set_user({"email": SECRETS["email"]})
    sentry_sdk.set_extra("variables", SECRETS["phone"])
    sentry_sdk.add_breadcrumb(message=SECRETS["query_string"])
    _fail()
    assert len(transport.events) == 1
    sent = transport.bytes.decode()
    assert not any(secret in sent for secret in SECRETS.values())
    assert not any(word in sent for word in ('"vars"', "breadcrumbs", "server_name", "sys.argv"))


@pytest.mark.usefixtures("_tracking")
def test_an_error_line_without_an_exception_is_not_reported(transport: FakeTransport) -> None:
    log.error("refused %s", SECRETS["email"])
    assert transport.events == []


@pytest.mark.usefixtures("_tracking")
def test_the_same_exception_logged_twice_is_reported_once(transport: FakeTransport) -> None:
    error = LookupError()
    log.error("inner", exc_info=error)
    log.error("outer", exc_info=error)
    assert len(transport.events) == 1


@pytest.mark.parametrize("dsn", [None, ""])
def test_without_a_dsn_nothing_is_started(monkeypatch: pytest.MonkeyPatch, dsn: str | None) -> None:
    monkeypatch.setenv("SENTRY_DSN", "https://key@sentry.invalid/1")
    tracking = start_error_tracking(dsn, service_version="1.2.3", environment="production")
    assert sentry_sdk.get_client().dsn is None
    tracking.shutdown()


def _fail() -> None:
    try:
        _look_up({"name": "Ada", "phone": SECRETS["phone"]})
    except LookupError:
        log.exception("failed for %s", SECRETS["token"], extra={"detail": SECRETS["mac"]})


def _look_up(person: dict[str, str]) -> None:
    raise LookupError(SECRETS["email"], person)
