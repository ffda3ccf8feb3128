"""Error tracking: counts unexpected exceptions, and reports them to a server of Sentry's protocol, if there is a DSN.

Every exception that is logged at level ERROR is unexpected, unless its type is one of those that are expected while the
code is right. It is counted once, with or without a DSN. A report has types, code and ids. It has no message, value,
variable, document or name of a machine.

One bug is one issue: reports of one cause have one fingerprint, whatever the requests were. A cause is reported
MOST_PER_CAUSE times per minute and all causes together MOST_REPORTS times, so that a failure of every request costs
neither memory nor bandwidth. The next report of a cause says how many were left out.
"""

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from pathlib import PurePath
from types import TracebackType
from typing import Any, cast

import sentry_sdk
from sentry_sdk.consts import EndpointType
from sentry_sdk.transport import HttpTransport
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import get_source_context
from urllib3 import BaseHTTPResponse, PoolManager

from app.telemetry.bounded_http import bounded
from app.telemetry.causes import OWN, Cause, cause_of, chain_of, code_of, leaf_of
from app.telemetry.current_ids import TRACE_IDS, current_ids
from app.telemetry.output import log_uncaught_in_thread

SHUTDOWN_SECONDS = 2.0
SEND_SECONDS = 5
"""The maximum time of a delivery."""
MOST_PENDING = 50
"""Reports that wait for their delivery; further ones are dropped."""

WINDOW_SECONDS = 60.0
MOST_PER_CAUSE = 3
MOST_REPORTS = 30
MOST_KNOWN_CAUSES = 500
MOST_FRAMES = 60

KEPT = frozenset({
    "contexts", "environment", "event_id", "exception", "extra", "fingerprint", "level", "logger", "platform",
    "release", "sdk", "tags", "timestamp", "transaction", "user",
})  # fmt: skip
TAGS = ("request_id", "role", "operation_type", "root_fields", "field", "route", "command")
FACTS = frozenset({*TAGS, "user_id"})
"""What is taken from the log line and its context."""
MOST_ITEMS = 5

_WELL_FORMED = re.compile(r"[A-Za-z0-9_.,:/{}-]{1,200}")
_IGNORED_LOGGERS = ("sentry_sdk", "opentelemetry", "urllib3")  # a collector that fails is no bug
_REPORTED = "_turnup_reported"  # the attribute of an exception that was reported, or left out

log = logging.getLogger("turnup.errors")

Count = Callable[[int], None]


def start_error_tracking(
    dsn: str | None,
    *,
    service_version: str,
    environment: str,
    expected: tuple[type[BaseException], ...] = (),
    counted: Callable[[str], None] | None = None,
    dropped: Count = lambda _count: None,
    left_out: Count = lambda _count: None,
    clock: Callable[[], float] = time.monotonic,
) -> "ErrorTracking":
    """Count and report each unexpected exception that is logged at level ERROR; without a DSN nothing is reported.

    `counted` is called with the name of the logger of each of them, `dropped` with the number of reports that were not
    delivered, and `left_out` with that of reports that were not made, because a quota was used up. Raises
    sentry_sdk.utils.BadDsn.
    """
    if not dsn and counted is None:
        return ErrorTracking(None)
    client = _client(dsn, service_version, environment, dropped) if dsn else None
    reports = Reports(client, expected=expected, counted=counted, dropped=dropped, left_out=left_out, clock=clock)
    logging.getLogger().addHandler(reports)
    tracking = ErrorTracking(reports)
    threading.excepthook = log_uncaught_in_thread
    return tracking


def _client(dsn: str, service_version: str, environment: str, dropped: Count) -> sentry_sdk.Client:
    client = sentry_sdk.Client(
        dsn=dsn,
        release=service_version,
        environment=environment,
        transport=BoundedTransport,
        transport_queue_size=MOST_PENDING,
        # Each server of the protocol understands gzip; the library prefers Brotli where it is installed.
        _experiments={"transport_compression_algo": "gzip"},  # type: ignore[typeddict-item] # - it compares text
        send_client_reports=False,
        default_integrations=False,
        auto_enabling_integrations=False,
        enable_backpressure_handling=False,
        auto_session_tracking=False,
        spotlight=False,
        shutdown_timeout=SHUTDOWN_SECONDS,
        before_send=_allowed,
    )
    assert isinstance(client.transport, BoundedTransport)  # noqa: S101 - for mypy: it is the one above
    client.transport.dropped = dropped
    return client


class ErrorTracking:
    """The running error tracker, or none."""

    __slots__ = ("_hook", "_reports")

    def __init__(self, reports: "Reports | None") -> None:
        self._reports = reports
        self._hook = threading.excepthook

    def report(self, error: BaseException, **facts: str) -> None:
        """Report an exception that is not logged. `facts` are of TAGS."""
        if self._reports is not None:
            self._reports.report(error, "turnup", facts)

    def shutdown(self, seconds: float = SHUTDOWN_SECONDS) -> None:
        """Send what is pending within `seconds`. What is reported afterwards is sent at once, within the rest."""
        if self._reports is not None:
            self._reports.end_within(seconds)

    def close(self) -> None:
        """Report nothing more."""
        if self._reports is not None:
            logging.getLogger().removeHandler(self._reports)
            threading.excepthook = self._hook
            self._reports.close()


class Reports(logging.Handler):
    """Decides which exceptions of log records are unexpected, counts them, and makes reports of them.

    The client sends the reports in its own thread; without one, none are made. The lock of a handler is held for one
    record at a time.
    """

    def __init__(
        self,
        client: sentry_sdk.Client | None,
        *,
        expected: tuple[type[BaseException], ...],
        counted: Callable[[str], None] | None,
        dropped: Count,
        left_out: Count,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(logging.ERROR)
        self._client = client
        self._expected = expected
        self._counted = counted
        self._dropped = dropped
        self._left_out = left_out
        self._clock = clock
        self._per_cause, self._in_total = Quota(MOST_PER_CAUSE), Quota(MOST_REPORTS)
        self._ends: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Count and report the exception of a record, if it has one that is unexpected."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not record.name.startswith(_IGNORED_LOGGERS):
            facts = current_ids() | {name: value for name, value in vars(record).items() if name in FACTS}
            self.report(error, record.name, facts)

    def report(self, error: BaseException, logger: str, facts: Mapping[str, object]) -> None:
        """Count and report an exception once, unless it is expected or, for the report, its quota is used up.

        Raises nothing.
        """
        error = leaf_of(error)
        root = chain_of(error)[-1]
        if not isinstance(error, Exception) or isinstance(error, self._expected) or hasattr(root, _REPORTED):
            return
        with suppress(AttributeError, TypeError):  # a class without room for attributes
            setattr(root, _REPORTED, True)
        if self._counted is not None:
            self._counted(logger)
        if self._client is None:
            return
        try:
            self._send(
                self._client,
                error,
                logger,
                {name: text for name in FACTS if (text := _text(facts.get(name))) is not None},
            )
        except Exception:  # noqa: BLE001 - a failure to report must not become one of what failed
            self._dropped(1)

    def end_within(self, seconds: float) -> None:
        """Send what is pending, and from now on each report at once, in this time altogether."""
        self._ends = self._clock() + seconds
        if self._client is not None:
            self._client.flush(timeout=seconds)

    def close(self) -> None:
        """Stop the thread of the client."""
        super().close()
        if self._client is not None:
            self._client.close(timeout=0)

    def _send(self, client: sentry_sdk.Client, error: Exception, logger: str, facts: Mapping[str, str]) -> None:
        cause, now = cause_of(error), self._clock()
        key = tuple(cause.fingerprint(facts.get("field")))
        if not self._per_cause.admits(key, now) or not self._in_total.admits(None, now):
            self._per_cause.leave_out(key)
            self._left_out(1)
            return
        client.capture_event(event_of(error, cause, logger, facts, left_out=self._per_cause.take(key)))
        self._in_total.take(None)
        if self._ends is not None and self._ends > now:
            client.flush(timeout=self._ends - now)


class Quota:
    """How many reports of a key are sent per WINDOW_SECONDS. Knows the newest MOST_KNOWN_CAUSES keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: OrderedDict[Hashable, _Window] = OrderedDict()

    def admits(self, key: Hashable, now: float) -> bool:
        """Return whether one more may be sent."""
        window = self._keys.get(key)
        if window is None:
            window = self._keys[key] = _Window(now)
            if len(self._keys) > MOST_KNOWN_CAUSES:
                self._keys.popitem(last=False)
        elif now - window.began >= WINDOW_SECONDS:
            window.began, window.sent = now, 0
        self._keys.move_to_end(key)
        return window.sent < self._most

    def take(self, key: Hashable) -> int:
        """Note that one is sent; return how many were left out since the one before."""
        window = self._keys[key]
        window.sent += 1
        left_out, window.left_out = window.left_out, 0
        return left_out

    def __len__(self) -> int:
        return len(self._keys)

    def leave_out(self, key: Hashable) -> None:
        """Note that one is not sent."""
        self._keys[key].left_out += 1


class _Window:
    __slots__ = ("began", "left_out", "sent")

    def __init__(self, began: float) -> None:
        self.began = began
        self.sent = 0
        self.left_out = 0


class BoundedTransport(HttpTransport):
    """Bounded deliveries, which call `dropped` for each report that is not delivered."""

    TIMEOUT = SEND_SECONDS
    dropped: Count
    _told_at = -WINDOW_SECONDS

    def on_dropped_event(self, reason: str) -> None:
        """Count it, and say so once per minute."""
        self.dropped(1)
        now = time.monotonic()
        if now - self._told_at >= WINDOW_SECONDS:
            self._told_at = now
            log.warning("error reports are not delivered", extra={"reason": reason})

    def _make_pool(self) -> PoolManager:
        return bounded(super()._make_pool())

    def _request(
        self, method: str, endpoint_type: EndpointType, body: bytes, headers: Mapping[str, str]
    ) -> BaseHTTPResponse:
        url = self._auth.get_api_url(endpoint_type)
        return self._pool.request(method, url, body=body, headers=headers, redirect=False, retries=False)

    def _update_rate_limits(self, response: Any) -> None:
        with suppress(Exception):  # one that is not well-formed is none; the library would lose the report uncounted
            super()._update_rate_limits(response)


def event_of(error: Exception, cause: Cause, logger: str, facts: Mapping[str, str], *, left_out: int) -> Event:
    """Return the report of an exception as an event of Sentry's protocol."""
    operation = " ".join(facts[name] for name in ("operation_type", "root_fields") if name in facts)
    event: dict[str, Any] = {
        "level": "error",
        "logger": logger,
        "transaction": operation or facts.get("route") or facts.get("command") or logger,
        "fingerprint": cause.fingerprint(facts.get("field")),
        "exception": {"values": [_exception(each) for each in reversed(chain_of(error))]},
        "tags": {name: facts[name] for name in TAGS if name in facts} | cause.tags(),
    }
    if "user_id" in facts:
        event["user"] = {"id": facts["user_id"]}
    if left_out:
        event["extra"] = {"left_out": left_out}
    trace = {name: value for name, value in current_ids().items() if name in TRACE_IDS}
    if trace:
        event["contexts"] = {"trace": trace}
        event["tags"]["trace_id"] = trace["trace_id"]
    return cast(Event, event)


def _exception(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    frames = []
    traceback = error.__traceback__
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    return {
        "type": kind.__qualname__,
        "module": kind.__module__,
        "value": code_of(error) or kind.__qualname__,
        "stacktrace": {"frames": [_frame(each) for each in frames[-MOST_FRAMES:]]},
    }


def _frame(traceback: TracebackType) -> dict[str, Any]:
    code = traceback.tb_frame.f_code
    module = str(traceback.tb_frame.f_globals.get("__name__", "?"))
    before, line, after = get_source_context(traceback.tb_frame, traceback.tb_lineno)
    return {
        "filename": "/".join(PurePath(code.co_filename).parts[-module.count(".") - 1 :]),
        "function": code.co_qualname,
        "module": module,
        "lineno": traceback.tb_lineno,
        "in_app": module.partition(".")[0] in OWN,
        "pre_context": before,
        "context_line": line,
        "post_context": after,
    }


def _allowed(event: Event, _hint: Hint) -> Event:
    """Remove what the library adds, such as the name of the machine."""
    return cast(Event, {key: value for key, value in event.items() if key in KEPT})


def _text(value: object) -> str | None:
    """Return a well-formed fact as text, or None: what is not well-formed may be a client's."""
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value[:MOST_ITEMS]))
    return value if isinstance(value, str) and _WELL_FORMED.fullmatch(value) else None
