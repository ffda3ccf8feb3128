"""The slots of requests in progress: who gets one, when it is given back, and how a request without one is refused."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from app.http import slots as module
from app.http.slots import (
    REFUSAL_SECONDS,
    UNPACED_SECONDS,
    WAITED_SECONDS,
    Fields,
    Full,
    RequestSlots,
    most_per_user,
)
from app.main import create_app
from app.settings import LEAST_REQUESTS, Settings

from .wire import Serving, Wire, eventually, serving

HOST = b"Host: localhost\r\n"
SLOTS = 4
MEBIBYTE = 1024 * 1024


def user_of(fields: Fields) -> str | None:
    """The user whose name is the Authorization header."""
    return dict(fields).get(b"authorization", b"").decode() or None


def ask(act: str = "echo", *, user: str = "", fields: bytes = b"", path: bytes = b"/graphql") -> bytes:
    """A GET request."""
    authorization = b"" if not user else b"Authorization: %b\r\n" % user.encode()
    return b"GET %b?act=%b HTTP/1.1\r\n%b%b%b\r\n" % (path, act.encode(), HOST, authorization, fields)


def post(body: bytes, length: int | None = None, *, act: str = "echo", fields: bytes = b"") -> bytes:
    """A POST request with a body that may be a part of its length."""
    length = len(body) if length is None else length
    return b"POST /graphql?act=%b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (
        act.encode(),
        HOST,
        fields,
        length,
        body,
    )


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def slotted(
    limit: int = SLOTS, waiting: list[int] | None = None
) -> Iterator[tuple[Serving, RequestSlots, Counter[str]]]:
    """Yield a server with this number of slots, and the counts of its refusals."""
    refused: Counter[str] = Counter()
    slots = RequestSlots(
        limit,
        user_of=user_of,
        waiting=(lambda: 0) if waiting is None else (lambda: waiting[0]),
        refused=lambda reason: refused.update([reason]),
        origins=("https://app.example.com",),
    )
    with serving(slots=slots) as server:
        yield server, slots, refused


@contextmanager
def held(server: Serving, slots: RequestSlots, count: int = SLOTS) -> Iterator[list[Wire]]:
    """Hold slots with requests in progress, of one user each."""
    with ExitStack() as stack:
        wires = [stack.enter_context(server.connect()) for _ in range(count)]
        before = len(server.seen)
        for number, wire in enumerate(wires):
            wire.send(ask("hold", user=f"holder {number}"))
        eventually(lambda: len(slots) == count <= len(server.seen) - before)
        yield wires


# Who gets a slot


def begun(slots: RequestSlots, *users: str) -> list[Full | None]:
    """Begin work for each user; return the refusals."""
    return [slots.work([(b"authorization", user.encode())]).begin() for user in users]


def test_work_beyond_the_limit_is_refused_until_a_slot_is_given_back() -> None:
    slots = RequestSlots(2, user_of=user_of)
    first = slots.work([(b"authorization", b"a")])
    assert first.begin() is None
    assert begun(slots, "b", "c") == [None, Full.SERVER]
    first.end()
    assert begun(slots, "c", "d") == [None, Full.SERVER]


def test_a_slot_is_given_back_once() -> None:
    slots = RequestSlots(2, user_of=user_of)
    work, other = slots.work([(b"authorization", b"a")]), slots.work([(b"authorization", b"a")])
    work.end()
    assert len(slots) == 0
    assert [work.begin(), work.begin(), len(slots)] == [None, None, 1]
    work.end()
    work.end()
    assert [other.begin(), len(slots)] == [None, 1]


def test_one_user_leaves_slots_for_the_others() -> None:
    slots = RequestSlots(8, user_of=user_of)
    assert begun(slots, *["a"] * 7) == [None] * 6 + [Full.USER]
    assert begun(slots, "b", "b", "b") == [None, None, Full.SERVER]


def of_unknown_users(slots: RequestSlots, *addresses: str) -> list[Full | None]:
    """Begin work of an unknown user for each client address; return the refusals."""
    return [slots.work([], address).begin() for address in addresses]


def test_requests_of_unknown_users_have_the_slots_of_one() -> None:
    slots = RequestSlots(8)
    assert of_unknown_users(slots, *"abcdefg") == [None] * 6 + [Full.USER]


def test_addresses_that_flood_leave_slots_to_new_tokens_of_others() -> None:
    slots = RequestSlots(8, floods=lambda address: address in "abcdef")
    assert of_unknown_users(slots, *"abcdef", *"xyz") == [None] * 4 + [Full.ADDRESS] * 2 + [None] * 2 + [Full.USER]


def test_slots_of_addresses_that_flood_are_given_back() -> None:
    slots = RequestSlots(2, floods=lambda _: True)
    first = slots.work([], "a")
    assert [first.begin(), *of_unknown_users(slots, "a")] == [None, Full.ADDRESS]
    first.end()
    assert of_unknown_users(slots, "a") == [None]


def test_the_clients_of_a_trusted_proxy_have_addresses_of_their_own() -> None:
    slots = RequestSlots(4, floods=lambda address: address == "198.51.100.1")
    fields = [[(b"x-forwarded-for", b"203.0.113.9, 198.51.100.%d" % number)] for number in (1, 2)]
    assert [slots.work(each, None).of_flood for each in fields] == [True, False]
    assert not slots.work(fields[0], "192.0.2.1").of_flood, "whatever a peer claims that is no trusted proxy"


def test_a_request_that_has_waited_in_a_bulkhead_for_long_takes_no_slot() -> None:
    clock, waiting = Clock(), [0]
    slots = RequestSlots(4, user_of=user_of, waiting=lambda: waiting[0], clock=clock)
    assert begun(slots, *"abcd") == [None] * 4
    waiting[0] = 3
    assert begun(slots, "e") == [Full.SERVER], "the queue is short: the processor may be the bottleneck"
    clock.now = WAITED_SECONDS
    assert begun(slots, *"efgh") == [None, None, None, Full.SERVER]
    waiting[0] = 0
    assert begun(slots, "h") == [Full.SERVER]


def test_no_more_requests_are_left_out_than_wait() -> None:
    clock = Clock()
    slots = RequestSlots(4, user_of=user_of, waiting=lambda: 1, clock=clock)
    assert begun(slots, *"abcd") == [None] * 4
    clock.now = WAITED_SECONDS
    assert begun(slots, "e", "f") == [None, Full.SERVER]


def test_the_default_admits_a_page_that_sends_several_requests_at_once_and_uses_every_connection() -> None:
    assert Settings().most_requests == LEAST_REQUESTS
    assert most_per_user(LEAST_REQUESTS) >= 2 * 6, "browsers open six connections per server"
    assert Settings(pool_size=50).most_requests == 50
    assert Settings(pool_size=50, limit_requests=5).most_requests == 5


# How a request without a slot is refused


@pytest.mark.parametrize("path", [b"/graphql", b"/%67raphql", b"http://localhost/graphql"])
def test_a_request_without_a_slot_is_refused_at_once_and_its_connection_stays_usable(path: bytes) -> None:
    with slotted() as (server, slots, refused), held(server, slots) as wires, server.connect() as wire:
        before = len(server.seen)
        wire.send(ask(path=path, fields=b"X-Request-Id: abc\r\n"))
        answer = wire.answer()
        assert (answer.status, answer.code) == (503, "OVERLOADED")
        assert answer.fields["x-request-id"] != "abc"
        assert int(answer.fields["retry-after"]) > 0
        assert "connection" not in answer.fields
        assert (len(server.seen), refused) == (before, {"server": 1}), "the application has not seen it"
        server.released.set()
        assert [each.answer().body for each in wires] == [b"released"] * SLOTS
        eventually(lambda: len(slots) == 0)
        wire.send(post(b"again"))
        assert wire.answer().body == b"again"


def test_a_user_with_too_many_requests_is_refused_with_the_number() -> None:
    with slotted() as (server, slots, refused), ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(server.connect()).send(ask("hold", user="a"))
        eventually(lambda: len(slots) == 3)
        answer = server.ask(ask(user="a"))
        assert (answer.status, answer.code, refused) == (503, "OVERLOADED", {"user": 1})
        assert b"3 requests of the user" in answer.body
        assert server.ask(ask(user="b")).status == 200


def test_health_and_other_paths_are_answered_without_a_slot() -> None:
    with slotted() as (server, slots, _), held(server, slots):
        for path in (b"/healthz", b"/readyz", b"/echo"):
            assert server.ask(ask(path=path)).status == 200
        preflight = server.ask(b"OPTIONS /graphql HTTP/1.1\r\n" + HOST + b"\r\n")
        assert preflight.status == 200


def test_a_refusal_of_head_has_no_body() -> None:
    with slotted() as (server, slots, _), held(server, slots), server.connect() as wire:
        wire.send(b"HEAD /graphql HTTP/1.1\r\n" + HOST + b"\r\n")
        assert wire.answer("HEAD").status == 503
        wire.send(ask())
        assert wire.answer().code == "OVERLOADED"


@pytest.mark.parametrize(("accept", "sent"), [
    ("application/graphql-response+json", "application/graphql-response+json"),
    ("application/graphql-response+json, application/json;q=0.9", "application/graphql-response+json"),
    ("image/png", "application/json"),
    ("application/graphql-response+json\r\nAccept: text/html", "application/graphql-response+json"),
])  # fmt: skip
def test_a_refusal_has_the_media_type_that_the_client_accepts(accept: str, sent: str) -> None:
    with slotted() as (server, slots, _), held(server, slots):
        answer = server.ask(ask(fields=f"Accept: {accept}\r\n".encode()))
        assert answer.fields["content-type"] == f"{sent}; charset=utf-8"


@pytest.mark.parametrize("origin", [None, "https://app.example.com", "https://other.example.com"])
async def test_a_refusal_has_the_header_fields_of_every_other_refusal(origin: str | None) -> None:
    """A page of another origin reads both in the same way."""
    settings = Settings(cors_origins=("https://app.example.com",), limit_anonymous=1)
    app = create_app(settings.model_copy(update={"database_url": "unused"}))
    sent = {} if origin is None else {"origin": origin}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        await client.get("/nowhere", headers=sent)
        other = await client.get("/nowhere", headers=sent)
    assert other.status_code == 429
    slots = RequestSlots(1, origins=settings.origins)
    fields = [(name.encode(), value.encode()) for name, value in sent.items()]
    ours = slots.refusal(Full.SERVER, other.headers["x-request-id"], fields)
    found = {name.decode(): value.decode() for name, value in ours.headers}
    differing = {"content-length": "", "retry-after": ""}
    assert found | differing == dict(other.headers) | differing
    assert len(dict(ours.headers)) == len(ours.headers), "no field is sent twice"


def test_refusals_ahead_of_their_pace_let_connections_pause() -> None:
    clock = Clock()
    slots = RequestSlots(1, clock=clock)
    ahead = round(UNPACED_SECONDS / REFUSAL_SECONDS)
    assert sum(slots.pause_seconds() for _ in range(ahead)) == pytest.approx(0.0)
    assert [slots.pause_seconds() for _ in range(3)] == pytest.approx([n * REFUSAL_SECONDS for n in (1, 2, 3)])
    clock.now = 1.0
    assert slots.pause_seconds() == 0.0


def test_clients_that_connect_again_for_each_request_pause_the_others_for_a_second_at_most() -> None:
    slots = RequestSlots(1, clock=Clock())
    assert max(slots.pause_seconds() for _ in range(100_000)) <= 1.0


def test_a_client_that_repeats_refused_requests_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFUSAL_SECONDS", 0.05)
    monkeypatch.setattr(module, "UNPACED_SECONDS", 0.0)
    with slotted() as (server, slots, _), held(server, slots), server.connect() as wire:
        began = time.monotonic()
        for request in (ask(), post(b"body"), post(b"", 4), b"body" + ask(), ask()):
            wire.send(request)
            assert wire.answer().code == "OVERLOADED"
        assert time.monotonic() - began > 0.2
        wire.send(ask(path=b"/healthz"))
        assert wire.answer().status == 200
        wire.send(ask() * 3)  # the client leaves during a pause


# Bodies


def test_a_request_takes_no_slot_while_its_body_arrives() -> None:
    with slotted() as (server, slots, _), ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(3 * SLOTS)]
        for wire in slow:
            wire.send(post(b"a", 2))
        eventually(lambda: len(server.seen) == len(slow))
        assert len(slots) == 0
        assert server.ask(ask()).status == 200
        slow[0].send(b"b")
        assert slow[0].answer().body == b"ab"


def test_a_body_that_ends_when_no_slot_is_free_is_refused_and_the_connection_stays_usable() -> None:
    with slotted() as (server, slots, refused), server.connect() as wire:
        wire.send(post(b"a", 2))
        eventually(lambda: len(server.seen) == 1)
        with held(server, slots):
            wire.send(b"b")
            assert wire.answer().code == "OVERLOADED"
            assert (len(slots), refused) == (SLOTS, {"server": 1})
            server.released.set()
        eventually(lambda: len(slots) == 0)
        wire.send(ask())
        assert wire.answer().status == 200


@pytest.mark.parametrize("kind", ["length", "chunks"])
def test_a_request_is_refused_before_its_body_arrives_which_is_then_discarded(kind: str) -> None:
    body = b"x" * 100_000
    head = post(b"", len(body))
    if kind == "chunks":
        head = b"POST /graphql HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with slotted() as (server, slots, _), held(server, slots), server.connect() as wire:
        wire.send(head)
        assert wire.answer().code == "OVERLOADED"
        wire.send(body + ask())
        assert wire.answer().code == "OVERLOADED"


def test_a_refused_request_with_a_body_that_is_too_large_to_discard_ends_its_connection() -> None:
    with slotted() as (server, slots, _), held(server, slots), server.connect() as wire:
        wire.send(post(b"x", 2 * MEBIBYTE))
        answer = wire.answer()
        assert (answer.code, answer.fields["connection"]) == ("OVERLOADED", "close")
        assert wire.closed()


@pytest.mark.parametrize("request_head", [
    b"GET /graphql HTTP/1.0\r\n\r\n",
    b"GET /graphql HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"POST /graphql HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
])  # fmt: skip
def test_a_refusal_closes_where_every_other_response_would(request_head: bytes) -> None:
    with slotted() as (server, slots, _), held(server, slots), server.connect() as wire:
        wire.send(request_head)
        answer = wire.answer()
        assert (answer.code, answer.fields["connection"]) == ("OVERLOADED", "close")
        assert wire.closed()


def test_thousands_of_pipelined_requests_are_refused_one_by_one() -> None:
    with slotted() as (server, slots, refused), held(server, slots), server.connect() as wire:
        for _ in range(20):
            wire.send(ask() * 50 + post(b"body") * 50)
            assert [wire.answer().status for _ in range(100)] == [503] * 100
        assert refused == {"server": 2_000}


# When a slot is given back


def leave_a_slow_reading(server: Serving) -> None:
    with server.connect() as wire:
        wire.send(ask("leave"))
        eventually(lambda: len(server.seen) > 0)


def leave_in_a_body(server: Serving) -> None:
    with server.connect() as wire:
        wire.send(post(b"a", 2))


def malformed_chunks(server: Serving) -> None:
    server.ask(b"POST /graphql HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nnothing\r\n")


ENDS = {
    "success": lambda server: server.ask(post(b"body")),
    "a refusal by the application": lambda server: server.ask(ask("refuse")),
    "a refusal before the body is read": lambda server: server.ask(post(b"a", 2, act="refuse")),
    "an exception": lambda server: server.ask(ask("break")),
    "a client that leaves": leave_a_slow_reading,
    "a client that leaves while it sends": leave_in_a_body,
    "a malformed body": malformed_chunks,
}


@pytest.mark.parametrize("end", ENDS)
def test_every_slot_is_given_back_after(end: str) -> None:
    with slotted() as (server, slots, refused):
        for _ in range(3 * SLOTS):
            ENDS[end](server)
            eventually(lambda: len(slots) == 0)
        assert not refused
        with held(server, slots):
            assert server.ask(ask()).code == "OVERLOADED"


def test_a_request_whose_client_has_left_keeps_its_slot_while_it_is_worked_on() -> None:
    with slotted() as (server, slots, _):
        with held(server, slots):
            pass
        assert server.ask(ask()).code == "OVERLOADED"
        server.released.set()
        eventually(lambda: len(slots) == 0)
        assert server.ask(ask()).status == 200


def test_a_burst_beyond_the_slots_is_admitted_and_is_regained_slowly() -> None:
    now = [0.0]
    slots = RequestSlots(4, burst=3, clock=lambda: now[0])
    works = [slots.work(()) for _ in range(20)]
    admitted = [work for work in works if work.begin() is None]
    assert len(admitted) == most_per_user(4) + 3, "the slots of a user, and the burst"
    for work in admitted:
        work.end()
    assert len(slots) == 0
    assert [slots.work(()).begin() for _ in range(4)] == [None, None, None, Full.USER], "the burst is used up"
    now[0] += 5.0
    assert [slots.work(()).begin() for _ in range(2)] == [None, Full.SERVER], "one request is regained in five seconds"
