"""What a log line holds, and what it never holds."""

import asyncio
import errno
import json
import logging
import threading
import time
from datetime import UTC, datetime
from enum import Enum
from io import StringIO
from pathlib import Path
from socket import gethostname
from typing import Any
from uuid import UUID

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.telemetry.current_ids import bind_request
from app.telemetry.logging import LONGEST_TEXT, MASK, MOST_ITEMS, VETTED, Configuration, masked, start_logging
from app.telemetry.tracing import Tracing
from app.version import VERSION

from .telemetry_builders import SECRETS

pytestmark = pytest.mark.usefixtures("_logging_restored")

log = logging.getLogger("turnup.test")


@pytest.fixture
def stream() -> StringIO:
    """Where lines go, as JSON."""
    stream = StringIO()
    start_logging(development=False, stream=stream)
    return stream


def test_a_line_is_one_json_object_whoever_wrote_it(stream: StringIO) -> None:
    with bind_request("request-1"):
        log.warning("%s is back", "PostgreSQL", extra={"attempt": 2})
        structlog.get_logger("turnup.test").warning("PostgreSQL is back", attempt=2)
        logging.getLogger("uvicorn.error").warning("PostgreSQL is back", extra={"attempt": 2, "color_message": "red"})
    lines = _lines(stream)
    assert all(line.pop("timestamp").endswith("Z") for line in lines)
    assert [line.pop("logger") for line in lines] == ["turnup.test", "turnup.test", "uvicorn.error"]
    expected = {"message": "PostgreSQL is back", "attempt": 2, "level": "warning", "request_id": "request-1"}
    assert lines == [{**expected, "service": "turnup", "version": VERSION, "instance": gethostname()}] * 3


def test_a_line_begins_with_what_all_lines_have(stream: StringIO) -> None:
    log.info("seen", extra={"attempt": 2})
    assert [*_lines(stream)[0]][:7] == ["timestamp", "level", "service", "version", "instance", "message", "logger"]


def test_a_line_within_a_span_has_its_ids(stream: StringIO, tracing: Tracing, spans: InMemorySpanExporter) -> None:
    with tracing.operation():
        log.info("seen")
    log.info("after")
    within, after = _lines(stream)
    (span,) = spans.get_finished_spans()
    assert span.context
    assert within["trace_id"] == f"{span.context.trace_id:032x}"
    assert within["span_id"] == f"{span.context.span_id:016x}"
    assert not {"trace_id", "span_id"} & after.keys()


async def test_what_goes_on_after_a_request_has_none_of_its_ids(
    stream: StringIO, tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    ended = asyncio.Event()

    async def go_on() -> None:
        log.warning("within")
        await ended.wait()
        with tracing.observer("sql", "keep alive", {}):
            log.warning("after")
            log.warning("after", extra={VETTED: FACTS})

    with bind_request("request-1", "client-1"), tracing.operation(), tracing.observer("step", "read", {}):
        task = asyncio.create_task(go_on())
        await asyncio.sleep(0)
    recorded = len(spans.get_finished_spans())
    ended.set()
    await task
    ids = {"request_id", "client_request_id", "trace_id", "span_id"}
    assert [ids & line.keys() for line in _lines(stream)] == [ids, set(), set()]
    assert len(spans.get_finished_spans()) == recorded


def test_a_line_names_the_instance_by_host_and_port(tmp_path: Path) -> None:
    for port in (8001, 8002):
        with (tmp_path / "turnup.log").open("a") as file:
            start_logging(development=False, port=port, stream=file)
            log.info("seen")
            log.info("seen", extra={VETTED: FACTS})
    lines = [json.loads(line) for line in (tmp_path / "turnup.log").read_text().splitlines()]
    assert [line["instance"] for line in lines] == [f"{gethostname()}:{port}" for port in (8001, 8001, 8002, 8002)]


@pytest.mark.parametrize("development", [False, True], ids=["production", "development"])
def test_text_names_the_instance_in_production(development: bool) -> None:
    stream = StringIO()
    start_logging(development=development, as_text=True, port=8001, stream=stream)
    log.info("seen")
    assert (f"{gethostname()}:8001" in stream.getvalue()) is not development


@pytest.mark.parametrize("as_text", [False, True], ids=["json", "text"])
def test_an_exception_in_the_text_of_a_library_is_shown_as_its_type(as_text: bool) -> None:
    stream = StringIO()
    start_logging(development=False, as_text=as_text, stream=stream)
    refused, unreadable = OSError(errno.ECONNREFUSED, "Ada Lovelace"), ValueError("Ada Lovelace")
    library = logging.getLogger("library")
    library.error(refused)
    library.error("it failed: %s, %d times", unreadable, 3)
    library.error("it failed: %(error)s", {"error": unreadable})
    text = stream.getvalue()
    assert "Ada" not in text
    assert "ConnectionRefusedError ECONNREFUSED" in text
    assert "it failed: ValueError, 3 times" in text
    assert text.count("it failed: ValueError") == 2


@pytest.mark.parametrize(("level", "own", "library"), [("DEBUG", 10, 30), ("INFO", 20, 30), ("ERROR", 40, 40)])
def test_libraries_log_no_headers_and_no_addresses_of_requests(level: str, own: int, library: int) -> None:
    start_logging(development=False, level=level, stream=StringIO())
    assert logging.getLogger("turnup.test").getEffectiveLevel() == own
    assert logging.getLogger("turnup.auth").getEffectiveLevel() == own
    assert logging.getLogger("httpcore").getEffectiveLevel() == library
    assert logging.getLogger("uvicorn.error").getEffectiveLevel() == max(own, logging.INFO)


def test_the_values_of_settings_are_all_shown_and_masked_as_texts(stream: StringIO) -> None:
    values: dict[str, Any] = {f"limit_{number}": number for number in range(99)}
    values |= {
        "TURNUP_LIMIT_CONNECTIONS_PER_ADDRESS": 200,
        "TURNUP_JWKS_URL": f"https://ada:{SECRETS['token']}@idp.example/",
    }
    log.info("configured", extra={"settings": Configuration(values)})
    (line,) = _lines(stream)
    assert line["settings"] == {**values, "TURNUP_JWKS_URL": f"https://{MASK}@idp.example/"}


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, float("nan")])
def test_a_number_that_json_does_not_have_makes_no_line_unreadable(stream: StringIO, value: float) -> None:
    log.info("seen", extra={"value": value})
    (line,) = _lines(stream)
    assert line["value"] in {str(value), None}


def test_lines_below_the_level_are_not_written(stream: StringIO) -> None:
    log.debug("hidden")
    structlog.get_logger("turnup.test").debug("hidden")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "key",
    [
        "Authorization", "access_token", "apiKey", "contact_email", "document", "email", "input", "macAddress",
        "mac_address", "name", "password", "phone", "query", "set-cookie", "variables",
    ],
)  # fmt: skip
def test_values_under_telling_keys_are_masked_however_deep(stream: StringIO, key: str) -> None:
    structlog.get_logger("turnup.test").info("changed", **{key: "Ada"}, change=[{key: {"inner": "Ada"}}])
    (line,) = _lines(stream)
    assert line[key] == MASK
    assert line["change"] == [{key: MASK}]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_secrets_are_masked_wherever_they_stand_in_a_text(stream: StringIO, secret: str) -> None:
    text = f"/graphql?{secret}" if "=" in secret else secret
    log.info("seen %s, and more", text, extra={"detail": [f"({text})", {text: 1}]})
    structlog.get_logger("turnup.test").info(f"seen {text}", detail=text)
    written = stream.getvalue()
    assert secret not in written
    assert written.count(MASK) >= 5


def test_a_callers_value_under_a_key_of_the_lines_own_is_replaced(stream: StringIO) -> None:
    own = dict.fromkeys(("level", "logger", "timestamp", "trace_id"), SECRETS["email"])
    structlog.get_logger("turnup.test").info("seen", **own)
    log.info("seen", extra=own)
    assert len(_lines(stream)) == 2
    assert SECRETS["email"] not in stream.getvalue()


def test_a_database_address_keeps_its_host_and_loses_its_password(stream: StringIO) -> None:
    log.error("cannot reach postgresql://turnup:hunter2@db.internal/turnup")
    (line,) = _lines(stream)
    assert line["message"] == f"cannot reach postgresql://{MASK}@db.internal/turnup"


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05.000006+00:00",
        "0190b5c2-7c1e-7e7b-9d5e-00155d012345",
        "the embedded PostgreSQL did not stop within 30 s",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_ordinary_texts_are_left_alone(stream: StringIO, text: str) -> None:
    log.info(text)
    assert _lines(stream)[0]["message"] == text


def test_an_exception_leaves_types_and_stack_without_messages_or_variables(stream: StringIO) -> None:
    secret = "kept in a local variable"
    try:
        _fail_because_of(KeyError(SECRETS["email"], secret), secret)
    except RuntimeError as error:
        log.exception("failed")
        log.error("failed", exc_info=error)  # noqa: TRY400 - the other way to say it
        structlog.get_logger("turnup.test").exception("failed")
    lines = _lines(stream)
    assert len(lines) == 3
    for line in lines:
        outer, cause = line["exception"]
        assert (outer["type"], cause["type"]) == ("builtins.RuntimeError", "builtins.KeyError")
        assert outer["stack"][-1].endswith(" _fail_because_of")
    assert not any(each in stream.getvalue() for each in (SECRETS["email"], secret, "Ada"))


def test_long_values_are_cut(stream: StringIO) -> None:
    structlog.get_logger("turnup.test").info("x" * 100_000, many=list(range(1_000)), big={str(n): n for n in range(99)})
    (line,) = _lines(stream)
    assert line["message"] == "x" * LONGEST_TEXT + "…"
    assert (len(line["many"]), len(line["big"])) == (MOST_ITEMS, MOST_ITEMS)


def test_values_that_are_not_plain_are_named_by_their_type(stream: StringIO) -> None:
    class Person:
        def __repr__(self) -> str:
            return "Person(Ada)"

    class Role(Enum):
        LEAD = "LEAD"

    moment = datetime(2026, 1, 2, tzinfo=UTC)
    values: dict[str, Any] = {"who": Person(), "role": Role.LEAD, "at": moment, "id": UUID(int=1), "raw": b"Ada"}
    structlog.get_logger("turnup.test").info("seen", **values, deep=[[[[[["Ada"]]]]]])
    (line,) = _lines(stream)
    assert line["role"] == "LEAD"
    assert line["at"] == "2026-01-02 00:00:00+00:00"
    assert line["id"] == str(UUID(int=1))
    assert "Ada" not in stream.getvalue()


def test_a_hostile_text_is_masked_in_no_time() -> None:
    hostile = ("a" * 63 + "@" + "?" * 200 + "+1 " + "1" * 40 + "eyJ" + "://") * 40
    assert min(_milliseconds(hostile) for _ in range(3)) < 50


def test_development_prints_text_with_the_message_of_the_exception() -> None:
    stream = StringIO()
    start_logging(development=True, stream=stream)
    try:
        _fail_because_of(LookupError("no such device model"))
    except RuntimeError:
        log.exception("failed", extra={"token": "hunter2"})
    assert "LookupError: no such device model" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        start_logging(development=False, level="LOUD")


FACTS = {"method": "POST", "status": 200, "root_fields": ("viewer", "locations"), "document_hash": "0f" * 32}


@pytest.mark.parametrize("as_text", [False, True], ids=["json", "text"])
def test_a_line_with_vetted_facts_is_like_every_other(tracing: Tracing, as_text: bool) -> None:
    stream = StringIO()
    start_logging(development=False, as_text=as_text, stream=stream)
    with bind_request("request-1", "client-1"), tracing.operation():
        log.info("answered", extra=FACTS)
        log.info("answered", extra={VETTED: FACTS})
    usual, vetted = stream.getvalue().splitlines()
    if as_text:
        assert usual.partition(" ")[2] == vetted.partition(" ")[2]
    else:
        assert {**json.loads(vetted), "timestamp": ""} == {**json.loads(usual), "timestamp": ""}
        assert [*json.loads(vetted)][:7] == [*json.loads(usual)][:7]


def test_threads_do_not_share_a_requests_id(stream: StringIO) -> None:
    def elsewhere() -> None:
        log.info("elsewhere")

    with bind_request("request-1"):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert "request_id" not in _lines(stream)[0]


def _fail_because_of(cause: Exception, detail: str = "") -> None:
    raise RuntimeError(f"Ada Lovelace, {detail}") from cause


def _lines(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def _milliseconds(text: str) -> float:
    before = time.process_time()
    masked(None, "info", {"event": text})
    return (time.process_time() - before) * 1_000
