"""The protocol reports each answer that it gives in place of the application exactly once."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.http.connections import EdgeRefusal
from app.http.heads import TARGET_BYTES
from app.http.slots import RequestSlots

from .wire import Answered, Serving, eventually, serving

HOST = b"Host: localhost\r\n"
SHORT = 0.2
SLOTS = 2


def get(path: bytes, *fields: bytes) -> bytes:
    return b"".join([b"GET %b HTTP/1.1\r\n" % path, HOST, *(each + b"\r\n" for each in fields), b"\r\n"])


def post(sent: bytes, length: int) -> bytes:
    return b"POST /graphql HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % length + sent


UNSEEN = {
    "malformed": (b"GET /echo HTTP/1.1\r\n\r\n", 400, "BAD_REQUEST"),
    "a long target": (get(b"/" + b"x" * TARGET_BYTES), 414, "URI_TOO_LONG"),
    "too many fields": (get(b"/echo", *[b"X: a"] * 101), 431, "HEADERS_TOO_LARGE"),
    "an unfinished header": (b"GET /echo HTTP/1.1\r\nHost", 408, "REQUEST_TIMEOUT"),
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_a_header_that_is_refused_is_reported_without_a_word_of_it(kind: str) -> None:
    request, status, code = UNSEEN[kind]
    with serving(head_seconds=SHORT) as server:
        answer = server.ask(request)
        assert answer.code == code
        assert server.reported == [EdgeRefusal(status=status, code=code, request_id=answer.fields["x-request-id"])]


def test_a_request_beyond_the_connections_is_reported_with_its_path() -> None:
    with serving(per_address=1) as server, server.connect() as first:
        first.send(get(b"/hold"))
        eventually(lambda: len(server.seen) == 1)
        answer = server.ask(get(b"/graphq%6C?query=secret"))
        assert server.reported == [refusal_of(answer, "GET", "/graphql", own_share=True)]
        server.released.set()


def test_a_request_beyond_the_connections_of_all_is_not_reported_as_the_fault_of_its_address() -> None:
    with serving(total=1) as server, server.connect() as first:
        first.send(get(b"/hold"))
        eventually(lambda: len(server.seen) == 1)
        answer = server.ask(get(b"/graphql"))
        assert server.reported == [refusal_of(answer, "GET", "/graphql")]
        server.released.set()


def test_a_request_beyond_the_slots_of_its_user_is_reported_as_the_fault_of_that_user() -> None:
    slots = RequestSlots(SLOTS)
    with serving(slots=slots) as server:
        assert slots.limit_per_user < SLOTS
        assert slots.work((), "").begin() is None
        answer = server.ask(get(b"/graphql"))
        assert server.reported == [refusal_of(answer, "GET", "/graphql", own_share=True)]


def test_an_application_that_fails_before_its_request_has_an_id_is_reported() -> None:
    with serving() as server:
        answer = server.ask(get(b"/broken/at-once"))
        eventually(lambda: len(server.reported) == 1)
        assert server.reported == [refusal_of(answer, "GET", "/broken/at-once")]


def test_what_the_application_answers_is_not_reported() -> None:
    with serving() as server:
        for path in (b"/echo", b"/refuse", b"/nowhere", b"/broken"):
            server.ask(get(path))
        assert server.reported == []


@contextmanager
def full() -> Iterator[Serving]:
    """A server without a free slot."""
    slots = RequestSlots(SLOTS)
    with serving(slots=slots) as server:
        works = [slots.work((), str(number)) for number in range(SLOTS)]
        slots.limit_per_user = SLOTS
        assert [work.begin() for work in works] == [None] * SLOTS
        yield server


def test_each_of_many_pipelined_requests_without_a_slot_is_reported() -> None:
    with full() as server, server.connect() as wire:
        wire.send(get(b"/graphql") * 50 + post(b"body", 4) * 50)
        answers = [wire.answer() for _ in range(100)]
        eventually(lambda: len(server.reported) == 100)
        methods = ["GET"] * 50 + ["POST"] * 50
        expected = [refusal_of(answer, method, "/graphql") for answer, method in zip(answers, methods, strict=True)]
        assert server.reported == expected
        assert not server.seen


def test_a_request_whose_body_ends_without_a_slot_is_left_to_the_application_to_report() -> None:
    slots = RequestSlots(1)
    with serving(slots=slots) as server, server.connect() as wire:
        wire.send(post(b"a", 2))
        eventually(lambda: len(server.seen) == 1 and "request_id" in server.seen[0]["state"])
        work = slots.work((), "another")
        assert work.begin() is None
        wire.send(b"b")
        answer = wire.answer()
        state = server.seen[0]["state"]
        assert (answer.code, state["refused"]) == ("OVERLOADED", (503, "OVERLOADED"))
        assert state["own_share"] is False
        assert answer.fields["x-request-id"] == state["request_id"]
        assert server.reported == []


BODIES = {
    "malformed chunks": (b"Transfer-Encoding: chunked\r\n\r\nnothing\r\n", 400, "BAD_REQUEST"),
    "a late body": (b"Content-Length: 9\r\n\r\nlate", 408, "REQUEST_TIMEOUT"),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_request_whose_body_is_refused_is_left_to_the_application_to_report(kind: str) -> None:
    sent, status, code = BODIES[kind]
    with serving(body_seconds=SHORT) as server:
        answer = server.ask(b"POST /echo HTTP/1.1\r\n" + HOST + sent)
        state = server.seen[0]["state"]
        assert (answer.code, state["refused"]) == (code, (status, code))
        assert answer.fields["x-request-id"] == state["request_id"]
        assert server.reported == []


def refusal_of(answer: Answered, method: str, path: str, *, own_share: bool = False) -> EdgeRefusal:
    """The report of an answer."""
    request_id = answer.fields["x-request-id"]
    return EdgeRefusal(
        method=method,
        path=path,
        status=answer.status,
        code=answer.code,
        request_id=request_id,
        own_share=own_share,
    )
