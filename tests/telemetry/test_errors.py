"""What arrives at the error tracker: types, code and ids of exceptions, one issue per bug, nothing personal."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sentry_sdk

from app.observing import note_statement
from app.telemetry import errors
from app.telemetry.causes import cause_of
from app.telemetry.current_ids import bind_request
from app.telemetry.errors import (
    MOST_FRAMES,
    MOST_KNOWN_CAUSES,
    MOST_PENDING,
    MOST_PER_CAUSE,
    MOST_REPORTS,
    SHUTDOWN_SECONDS,
    WINDOW_SECONDS,
    ErrorTracking,
    Quota,
    start_error_tracking,
)
from app.telemetry.tracing import Tracing

from .telemetry_builders import SECRETS, an_operation
from .tracker import ErrorServer, a_refusing_dsn, a_silent_listener, an_error_server

log = logging.getLogger("turnup.test")

SLACK_SECONDS = 3.0
"""What a busy machine may add to a time of the product."""


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@contextmanager
def tracking(dsn: str, **options: Any) -> Iterator[ErrorTracking]:
    """Error tracking until the block ends."""
    started = start_error_tracking(dsn, service_version="1.2.3", environment="production", **options)
    try:
        yield started
    finally:
        started.close()


@pytest.fixture
def tracker() -> Iterator[ErrorServer]:
    """A server of the protocol."""
    with an_error_server() as server:
        yield server


@pytest.fixture
def _tracking(tracker: ErrorServer) -> Iterator[ErrorTracking]:
    with tracking(tracker.dsn) as started:
        yield started


@pytest.mark.usefixtures("_tracking")
def test_a_logged_exception_arrives_by_the_protocol_with_its_type_stack_and_ids(
    tracker: ErrorServer, tracing: Tracing
) -> None:
    facts = {"user_id": "user-7", "role": "LEAD", "operation_type": "mutation", "root_fields": ["approve", "bulkEdit"]}
    with bind_request("request-1", "of-the-client"), an_operation(tracing, "mutation", "Rollout"):
        _fail(**facts)
    (event,) = tracker.wait(1)
    (exception,) = event["exception"]["values"]
    assert (exception["type"], exception["module"], exception["value"]) == ("LookupError", "builtins", "LookupError")
    frame = exception["stacktrace"]["frames"][-1]
    assert (frame["function"], frame["filename"]) == ("_look_up", "tests/telemetry/test_errors.py")
    assert "raise LookupError" in frame["context_line"]
    assert (event["release"], event["environment"], event["level"]) == ("1.2.3", "production", "error")
    assert (event["logger"], event["transaction"]) == ("turnup.test", "mutation approve,bulkEdit")
    assert event["user"] == {"id": "user-7"}
    assert b"of-the-client" not in tracker.received, "the client chose it freely"
    trace_id = event["contexts"]["trace"]["trace_id"]
    assert len(trace_id) == 32
    assert event["tags"] == {
        "request_id": "request-1",
        "role": "LEAD",
        "operation_type": "mutation",
        "root_fields": "approve,bulkEdit",
        "trace_id": trace_id,
    }


@pytest.mark.usefixtures("_tracking")
def test_no_message_variable_argument_or_earlier_line_leaves(tracker: ErrorServer) -> None:
    log.warning("before: %s", SECRETS["mac"])
    sentry_sdk.set_user({"email": SECRETS["email"]})
    sentry_sdk.set_extra("variables", SECRETS["phone"])
    sentry_sdk.add_breadcrumb(message=SECRETS["query_string"])
    _fail(detail=SECRETS["mac"], role=SECRETS["email"], route=SECRETS["query_string"] + " ", user_id=SECRETS["phone"])
    (event,) = tracker.wait(1)
    sent = tracker.received.decode()
    assert not any(secret in sent for secret in SECRETS.values())
    assert not any(word in sent for word in ('"vars"', "breadcrumbs", "server_name", "sys.argv", "abs_path", "modules"))
    assert str(Path(__file__).parents[2]) not in sent
    assert "user" not in event
    assert event["tags"] == {}


@pytest.mark.usefixtures("_tracking")
def test_an_error_line_without_an_exception_is_not_reported(tracker: ErrorServer) -> None:
    log.error("refused %s", SECRETS["email"])
    _fail()
    (event,) = tracker.wait(1)
    assert "exception" in event


@pytest.mark.usefixtures("_tracking")
def test_an_exception_that_is_logged_twice_or_as_the_cause_of_another_is_reported_once(tracker: ErrorServer) -> None:
    cause, outer = LookupError(), RuntimeError()
    outer.__cause__ = cause
    log.error("inner", exc_info=cause)
    log.error("again", exc_info=cause)
    log.error("outer", exc_info=outer)
    log.error("the whole", exc_info=ExceptionGroup("of tasks", [cause]))
    log.error("another", exc_info=KeyError())
    assert [event["exception"]["values"][-1]["type"] for event in tracker.wait(2)] == ["LookupError", "KeyError"]


def test_expected_exceptions_and_interrupts_are_not_reported(tracker: ErrorServer) -> None:
    with tracking(tracker.dsn, expected=(ConnectionError,)):
        log.error("gone", exc_info=ConnectionResetError())
        log.error("stopped", exc_info=KeyboardInterrupt())
        log.error("bug", exc_info=LookupError())
        assert [event["exception"]["values"][-1]["type"] for event in tracker.wait(1)] == ["LookupError"]


@pytest.mark.parametrize("dsn", [None, ""])
def test_without_a_dsn_nothing_is_started(monkeypatch: pytest.MonkeyPatch, dsn: str | None) -> None:
    monkeypatch.setenv("SENTRY_DSN", "https://key@sentry.invalid/1")
    handlers = logging.getLogger().handlers[:]
    started = start_error_tracking(dsn, service_version="1.2.3", environment="production")
    assert logging.getLogger().handlers == handlers
    started.shutdown()
    started.close()


@pytest.mark.usefixtures("_tracking")
def test_a_stack_of_any_depth_and_any_number_of_causes_are_cut(tracker: ErrorServer) -> None:
    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)
        error: BaseException = LookupError()
        for _ in range(100):
            outer = RuntimeError()
            outer.__cause__ = error
            error = outer
        raise error

    try:
        deeper(300)
    except RuntimeError:
        log.exception("failed")
    (event,) = tracker.wait(1)
    assert len(event["exception"]["values"]) < 20
    assert max(len(each["stacktrace"]["frames"]) for each in event["exception"]["values"]) == MOST_FRAMES


# How often


def test_a_failure_of_every_request_is_reported_a_few_times_per_minute_with_the_number_of_those_left_out(
    tracker: ErrorServer,
) -> None:
    clock, dropped, left_out = Clock(), Counted(), Counted()
    with tracking(tracker.dsn, clock=clock, dropped=dropped, left_out=left_out) as started:
        for number in range(1_000):
            with bind_request(f"request-{number}"):
                _fail()
        started.shutdown()
        assert [event["tags"]["request_id"] for event in tracker.events] == [
            f"request-{number}" for number in range(MOST_PER_CAUSE)
        ]
        assert (left_out.count, dropped.count) == (1_000 - MOST_PER_CAUSE, 0)
        clock.now += WINDOW_SECONDS
        _fail()
        assert tracker.wait(MOST_PER_CAUSE + 1)[-1]["extra"] == {"left_out": 1_000 - MOST_PER_CAUSE}
        assert len({tuple(event["fingerprint"]) for event in tracker.events}) == 1


def test_one_bug_under_many_fields_leaves_room_for_the_other_bugs(tracker: ErrorServer, tmp_path: Path) -> None:
    helper = own_module(tmp_path / "helper.py", "def act():\n    raise LookupError\n", name="permissions.made_up")
    left_out = Counted()
    with tracking(tracker.dsn, clock=Clock(), left_out=left_out) as started:
        for number in range(MOST_REPORTS * MOST_PER_CAUSE):
            try:
                helper["act"]()
            except LookupError:
                log.exception("failed", extra={"field": f"field{number % MOST_REPORTS}"})
        log.error("failed", exc_info=KeyError())
        started.shutdown()
        found = [event["exception"]["values"][-1]["type"] for event in tracker.events]
        assert found == [*["LookupError"] * MOST_PER_CAUSE, "KeyError"]
        assert left_out.count == (MOST_REPORTS - 1) * MOST_PER_CAUSE


def test_a_thousand_bugs_at_once_are_bounded_and_say_nothing_against_the_tracker(tracker: ErrorServer) -> None:
    dropped, left_out = Counted(), Counted()
    with tracking(tracker.dsn, clock=Clock(), dropped=dropped, left_out=left_out) as started:
        for number in range(1_000):
            log.error("failed", exc_info=type(f"Bug{number}", (Exception,), {})())
        started.shutdown()
        assert len(tracker.events) == MOST_REPORTS
        assert (left_out.count, dropped.count) == (1_000 - MOST_REPORTS, 0)


def test_the_memory_of_causes_is_bounded() -> None:
    quota = Quota(1)
    for number in range(10 * MOST_KNOWN_CAUSES):
        assert quota.admits(number, 0.0)
    assert len(quota) == MOST_KNOWN_CAUSES


def test_a_report_that_is_left_out_costs_little(tracker: ErrorServer) -> None:
    with tracking(tracker.dsn):
        _fail()
        tracker.wait(1)
        began = time.perf_counter()
        for _ in range(2_000):
            _fail()
        assert (time.perf_counter() - began) / 2_000 < 0.002


# A server that does not take them


def test_the_time_in_a_429_is_respected(tracker: ErrorServer) -> None:
    dropped = Counted()
    tracker.status, tracker.fields = 429, {"Retry-After": "3600"}
    with tracking(tracker.dsn, dropped=dropped) as started:
        _bugs(1)
        tracker.wait_for_requests(1)
        dropped.wait(1)
        tracker.status = 200
        _bugs(5)
        dropped.wait(6)
        started.shutdown()
        assert tracker.requests == 1


def test_a_limit_of_the_category_is_respected_and_ends(tracker: ErrorServer) -> None:
    dropped = Counted()
    tracker.fields = {"X-Sentry-Rate-Limits": "1:error:organization"}
    with tracking(tracker.dsn, dropped=dropped) as started:
        _bugs(1)
        tracker.wait(1)
        tracker.fields = {}
        started.shutdown()
        for number in range(MOST_REPORTS):
            _bugs(1, first=number + 1)
            started.shutdown()
            if len(tracker.events) > 1:
                break
            time.sleep(0.1)
        assert len(tracker.events) > 1
        assert dropped.count >= 1


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"broken"), (403, b'{"detail": "no such project"}'), (413, b""), (302, b""), (200, b"\x00 not JSON")],
)
def test_what_a_server_refuses_is_counted_and_nothing_else_happens(
    tracker: ErrorServer, caplog: pytest.LogCaptureFixture, status: int, body: bytes
) -> None:
    dropped = Counted()
    tracker.status, tracker.body = status, body
    with tracking(tracker.dsn, dropped=dropped) as started:
        _bugs(5)
        started.shutdown()
    assert tracker.requests == 5
    assert dropped.count == (0 if status == 200 else 5)
    lines = [record for record in caplog.records if record.name == "turnup.errors"]
    assert len(lines) == (0 if status == 200 else 1), "one line per minute says so"


def test_what_nobody_listens_for_is_counted() -> None:
    dropped = Counted()
    with tracking(a_refusing_dsn(), dropped=dropped) as started:
        _bugs(5)
        started.shutdown()
    assert dropped.count == 5


def test_a_silent_server_holds_up_neither_those_who_fail_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "MOST_REPORTS", 10_000)
    dropped = Counted()
    with a_silent_listener() as dsn, tracking(dsn, dropped=dropped) as started:
        began = time.monotonic()
        _bugs(10 * MOST_PENDING)
        assert time.monotonic() - began < SLACK_SECONDS
        assert dropped.count >= 9 * MOST_PENDING - 1, "only the pending ones are kept"
        began = time.monotonic()
        started.shutdown()
        _bugs(3)
        assert time.monotonic() - began < SHUTDOWN_SECONDS + SLACK_SECONDS


def test_what_fails_after_the_shutdown_is_still_sent(tracker: ErrorServer) -> None:
    """A server whose start fails ends its telemetry before it says why."""
    with tracking(tracker.dsn) as started:
        started.shutdown()
        _fail()
        assert len(tracker.events) == 1


# One bug is one issue


def test_one_bug_has_one_fingerprint_whatever_the_request_and_the_message(tracker: ErrorServer) -> None:
    with tracking(tracker.dsn) as started:
        for user in ("user-1", "user-2"):
            _fail(user_id=user, root_fields=[user])
        other_caller()
        started.shutdown()
    assert len(tracker.events) == 3
    assert len({tuple(event["fingerprint"]) for event in tracker.events}) == 1


def test_different_bugs_in_one_function_have_different_fingerprints() -> None:
    found = {
        tuple(fingerprint_of(lambda: one_of_several(0))),
        tuple(fingerprint_of(lambda: one_of_several(1))),
        tuple(fingerprint_of(lambda: one_of_several(2))),
    }
    assert len(found) == 3


def test_a_bug_keeps_its_fingerprint_when_the_lines_above_it_change(tmp_path: Path) -> None:
    before = own_module(tmp_path / "before.py", "def act(given):\n    return given['missing']\n")
    after = own_module(tmp_path / "after.py", "import os\n\n\ndef act(given):\n    return given['missing']\n")
    assert fingerprint_of(lambda: before["act"]({})) == fingerprint_of(lambda: after["act"]({}))


def test_an_error_of_the_database_is_told_apart_by_its_statement_and_its_sqlstate(tmp_path: Path) -> None:
    shared = own_module(tmp_path / "shared.py", "def fetch(error):\n    raise error\n", name="app.db.made_up")
    callers = own_module(
        tmp_path / "callers.py",
        "def first(fetch, error):\n    fetch(error)\n\n\ndef second(fetch, error):\n    fetch(error)\n",
        name="app.operations.made_up",
    )

    def found(statement: str, error: Exception, caller: str = "first") -> list[str]:
        note_statement(error, statement)
        return fingerprint_of(lambda: callers[caller](shared["fetch"], error), "editDevice")

    undefined, ambiguous = asyncpg.UndefinedColumnError, asyncpg.AmbiguousColumnError
    assert found("update device", undefined()) == found("update device", undefined(), "second")
    assert found("update device", undefined()) != found("update person", undefined())
    assert found("update device", undefined()) != found("update device", ambiguous())
    assert found("update device", TypeError()) != found("update person", TypeError()), "a value that does not fit"
    assert "42703" in found("update device", undefined())


def test_an_error_of_postgresql_at_the_commit_is_told_apart_by_the_field(tmp_path: Path) -> None:
    code = "def commit(error):\n    raise error\n"
    commit = own_module(tmp_path / "commit.py", code, name="app.db.made_up")["commit"]

    def found(field: str, error: Exception) -> list[str]:
        return fingerprint_of(lambda: commit(error), field)

    assert found("editDevice", asyncpg.DataCorruptedError()) != found("editPerson", asyncpg.DataCorruptedError())
    assert found("editDevice", KeyError()) == found("editPerson", KeyError()), "any other exception is a bug there"


def test_where_every_field_passes_the_field_tells_bugs_apart(tmp_path: Path) -> None:
    shared = own_module(tmp_path / "shared.py", "def complete():\n    raise TypeError\n", name="app.execution.made_up")
    own = own_module(tmp_path / "own.py", "def resolve():\n    raise TypeError\n", name="resolvers.made_up")
    assert fingerprint_of(shared["complete"], "name") != fingerprint_of(shared["complete"], "status")
    assert fingerprint_of(own["resolve"], "name") == fingerprint_of(own["resolve"], "status")


# Builders


class Counted:
    """Counts what was dropped."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self, count: int) -> None:
        """Add to the count."""
        with self._changed:
            self.count += count
            self._changed.notify_all()

    def wait(self, count: int) -> None:
        """Wait for a count."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, 20), self.count


def _fail(**facts: object) -> None:
    try:
        _look_up({"name": "Ada", "phone": SECRETS["phone"]})
    except LookupError:
        log.exception("failed for %s", SECRETS["token"], extra=facts)


def _look_up(person: dict[str, str]) -> None:
    raise LookupError(SECRETS["email"], person)


def other_caller() -> None:
    """Fails in the same place, with other values, on another way."""
    try:
        list(map(_look_up, [{"name": "Grace"}]))
    except LookupError:
        log.exception("failed elsewhere")


def _bugs(count: int, *, first: int = 0) -> None:
    """Log different bugs."""
    for number in range(first, first + count):
        log.error("failed", exc_info=type(f"Bug{number}", (Exception,), {})())


def one_of_several(which: int) -> None:
    """Fail in one of several ways."""
    if which == 0:
        raise KeyError
    if which == 1:
        raise ValueError
    raise KeyError("another line")


def own_module(file: Path, text: str, name: str = "app.operations.made_up") -> dict[str, Any]:
    """The names of a module of the product with this code."""
    file.write_text(text)
    names: dict[str, Any] = {"__name__": name}
    exec(compile(text, str(file), "exec"), names)
    return names


def fingerprint_of(act: Callable[[], object], field: str | None = None) -> list[str]:
    """The fingerprint of what a call raises."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever the call raises
        return cause_of(error).fingerprint(field)
    raise AssertionError("it did not fail")
