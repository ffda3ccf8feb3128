"""What a log line holds, and what it never holds."""

import asyncio
import json
import logging
import threading
import time
from datetime import UTC, datetime
from enum import Enum
from io import StringIO
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog
import uvicorn
from starlette.types import Receive, Scope, Send

from app.telemetry.logging import LONGEST_TEXT, MASK, MOST_ITEMS, masked, start_logging
from app.telemetry.requests import bind_request

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
    assert lines == [expected] * 3


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


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/graphql", "/graphql"),
        ("/anna%40clinic.example/x", f"/{MASK}/x"),
        ("/devices/00%3A15%3A5D%3A01%3A01%3A01", f"/devices/{MASK}"),
        ("/call/%2B1%20555%20010%207788", f"/call/{MASK}"),
        ("/caf%C3%A9%0Aline", "/caf%C3%A9%0Aline"),
    ],
)
def test_an_access_line_masks_personal_data_in_the_path(stream: StringIO, path: str, shown: str) -> None:
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "192.0.2.7:1", "GET", path, "1.1", 404)
    assert _lines(stream)[0]["path"] == shown


async def test_uvicorns_access_lines_carry_the_requests_id_and_no_query_string(stream: StringIO) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        with bind_request("request-1"):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    serving = asyncio.ensure_future(server._serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn sets a flag
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"http://127.0.0.1:{port}/graphql?{SECRETS['query_string']}")
    server.should_exit = True
    await serving
    (line,) = [line for line in _lines(stream) if line["logger"] == "uvicorn.access"]
    del line["timestamp"]
    assert line == {
        "level": "info",
        "logger": "uvicorn.access",
        "message": "request",
        "method": "GET",
        "path": "/graphql",
        "request_id": "request-1",
        "status": 204,
    }
    assert "variables" not in stream.getvalue()


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
