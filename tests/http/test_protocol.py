"""The connections of the server, over raw sockets: what it answers itself, and what it never waits for or keeps."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from app.http.chunks import CHUNKS, LINE_BYTES, TRAILER_BYTES
from app.http.connections import ConnectionLimits
from app.http.heads import FIELD_BYTES, FIELDS, TARGET_BYTES
from app.http.protocol import DISCARD_CHUNKS

from .wire import LARGE, PATIENCE, REQUEST_ID, Answered, Serving, Wire, eventually, serving

HOST = b"Host: localhost\r\n"
GET = b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
SHORT = 0.2
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def server(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A server on each event loop, with limits in seconds that no test reaches."""
    with serving(request.param) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    """Forget what earlier tests asked."""
    if "server" in request.fixturenames:
        found: Serving = request.getfixturevalue("server")
        eventually(lambda: found.open == 0)  # what an earlier test started has begun by then
        found.seen.clear()
        found.bodies.clear()
        found.refused.clear()


def post(body: bytes, *fields: bytes, path: bytes = b"/echo") -> bytes:
    head = b"".join(each + b"\r\n" for each in (b"POST %b HTTP/1.1" % path, *fields))
    return head + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes) -> bytes:
    return b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + body


def refused(server: Serving, request: bytes) -> Answered:
    """The answer to a request that the server must refuse itself, after which it closes."""
    with server.connect() as wire:
        wire.send(request)
        answer = wire.answer("HEAD" if request.startswith(b"HEAD") else "GET")
        assert answer.fields["connection"] == "close"
        assert wire.closed()
    assert not server.seen
    return answer


MALFORMED = {
    "no host": b"GET /echo HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /echo HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "an empty host": b"GET /echo HTTP/1.1\r\nHost:\r\n\r\n",
    "a host with a path": b"GET /echo HTTP/1.1\r\nHost: localhost/echo\r\n\r\n",
    "a host with a user": b"GET /echo HTTP/1.1\r\nHost: user@localhost\r\n\r\n",
    "a host with a space": b"GET /echo HTTP/1.1\r\nHost: local host\r\n\r\n",
    "two hosts in one field": b"GET /echo HTTP/1.1\r\nHost: localhost, example.com\r\n\r\n",
    "a host with a wrong port": b"GET /echo HTTP/1.1\r\nHost: localhost:http\r\n\r\n",
    "a host with a port out of range": b"GET /echo HTTP/1.1\r\nHost: localhost:65536\r\n\r\n",
    "a host that is no IPv6 address": b"GET /echo HTTP/1.1\r\nHost: [:::::]\r\n\r\n",
    "a host in brackets that is an IPv4 address": b"GET /echo HTTP/1.1\r\nHost: [127.0.0.1]\r\n\r\n",
    "a host of dots": b"GET /echo HTTP/1.1\r\nHost: ..\r\n\r\n",
    "a target with a port out of range": b"GET http://localhost:65536/echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a user": b"GET http://user@localhost/echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method without an end": b"A" * 100_000,
    "two hosts in HTTP/1.0": b"GET /echo HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "a length and chunks": b"POST /echo HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    "chunks and a length": b"POST /echo HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    "two lengths": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\nabc",
    "a hexadecimal length": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 0x3\r\n\r\nabc",
    "an empty length": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\nabc",
    "a length of many digits": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\nabc",
    "identity after chunked": b"POST /echo HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: identity\r\n\r\n",
    "gzip before chunked": b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST /echo HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a misspelled coding": b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding with a control": b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /echo HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded field": b"GET /echo HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "a folded first field": b"GET /echo HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "a lone LF after a field": b"GET /echo HTTP/1.1\r\nX: a\n" + HOST + b"\r\n",
    "lone LFs": b"GET /echo HTTP/1.1\nHost: localhost\n\n",
    "a lone CR in a value": b"GET /echo HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "NUL in a value": b"GET /echo HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "NUL in a name": b"GET /echo HTTP/1.1\r\n" + HOST + b"X\x00: a\r\n\r\n",
    "whitespace before the colon": b"GET /echo HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "a tab before the colon": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length\t: 3\r\n\r\nabc",
    "a field without a colon": b"GET /echo HTTP/1.1\r\n" + HOST + b"X\r\n\r\n",
    "a field without a name": b"GET /echo HTTP/1.1\r\n" + HOST + b": a\r\n\r\n",
    "HTTP/0.9": b"GET /echo\r\n",
    "HTTP/0.9 with fields": b"GET /echo\r\n" + HOST + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0": b"GET /echo HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/1.2": b"GET /echo HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/1.10": b"GET /echo HTTP/1.10\r\n" + HOST + b"\r\n",
    "lower-case http": b"GET /echo http/1.1\r\n" + HOST + b"\r\n",
    "two spaces": b"GET  /echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab for a space": b"GET\t/echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space after the version": b"GET /echo HTTP/1.1 \r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /ec ho HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment": b"GET /echo#a HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in the target": b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target of a proxy": b"GET ftp://localhost/echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT localhost:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "another method": b"BREW /echo HTTP/1.1\r\n" + HOST + b"\r\n",
    "another protocol": b"DESCRIBE /echo RTSP/1.0\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "anything": b"\x00\xff\r\n\r\n",
}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_what_servers_read_differently_is_refused_and_the_connection_closed(server: Serving, request_: bytes) -> None:
    answer = refused(server, request_)
    assert (answer.status, answer.code) == (400, "BAD_REQUEST")
    assert server.refused == {"malformed": 1}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_a_refusal_repeats_nothing_of_the_request(server: Serving, request_: bytes) -> None:
    body = refused(server, request_).body
    assert b"localhost" not in body
    assert b"echo" not in body


def test_bytes_after_a_refused_request_are_no_request(server: Serving) -> None:
    with server.connect() as wire:
        wire.send(b"GET /echo HTTP/1.1\r\n\r\n" + GET + GET)
        assert wire.answer().code == "BAD_REQUEST"
        assert wire.closed()
    assert not server.seen


def test_a_refusal_of_head_has_no_body(server: Serving) -> None:
    answer = refused(server, b"HEAD /echo HTTP/1.1\r\n\r\n")
    assert (answer.status, answer.body) == (400, b"")
    assert int(answer.fields["content-length"]) > 0


@pytest.mark.parametrize(
    "request_",
    [
        GET,
        b"GET /echo HTTP/1.0\r\n\r\n",
        b"GET /echo HTTP/1.0\r\nHost: localhost\r\n\r\n",
        b"\r\n" + GET,
        b"GET /echo HTTP/1.1\r\nhOsT:localhost\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: [::ffff:127.0.0.1]:65535\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: localhost:\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: api_1.example.com.\r\n\r\n",
        b"GET http://localhost/echo HTTP/1.1\r\nHost: other\r\n\r\n",
        b"GET /echo?a=%20&b HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
def test_unusual_but_unambiguous_requests_are_answered(server: Serving, request_: bytes) -> None:
    assert server.ask(request_).status == 200


def test_the_application_sees_the_request(server: Serving) -> None:
    server.ask(b"GET http://api.example/ec%68o?a=%20 HTTP/1.1\r\nHost: other\r\nX-Name: \t a b \t\r\n\r\n")
    (scope,) = server.seen
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("GET", "/echo", b"/ec%68o")
    assert (scope["query_string"], scope["http_version"]) == (b"a=%20", "1.1")
    assert scope["headers"] == [(b"host", b"api.example"), (b"x-name", b"a b")]
    assert scope["client"][0] == "127.0.0.1"
    assert set(scope["state"]) == {"request_id"}


# Sizes


def test_a_target_at_its_limit_is_answered_and_one_beyond_it_refused(server: Serving) -> None:
    at_limit = b"/echo?" + b"a" * (TARGET_BYTES - 6)
    assert server.ask(b"GET %b HTTP/1.1\r\n%b\r\n" % (at_limit, HOST)).status == 200
    server.seen.clear()
    answer = refused(server, b"GET %ba HTTP/1.1\r\n%b\r\n" % (at_limit, HOST))
    assert (answer.status, answer.code) == (414, "URI_TOO_LONG")


@pytest.mark.parametrize("size", [TARGET_BYTES + 100, 3 * TARGET_BYTES])
def test_a_target_without_an_end_is_refused(server: Serving, size: int) -> None:
    assert refused(server, b"GET /" + b"a" * size).status == 414


def test_fields_at_their_limit_are_answered_and_one_byte_more_refused(server: Serving) -> None:
    value = b"a" * (FIELD_BYTES - len(HOST + b"X: \r\n"))
    assert server.ask(b"GET /echo HTTP/1.1\r\n" + HOST + b"X: " + value + b"\r\n\r\n").status == 200
    server.seen.clear()
    answer = refused(server, b"GET /echo HTTP/1.1\r\n" + HOST + b"X: a" + value + b"\r\n\r\n")
    assert (answer.status, answer.code) == (431, "HEADERS_TOO_LARGE")


def test_as_many_fields_as_allowed_are_answered_and_one_more_refused(server: Serving) -> None:
    most = b"".join(b"X-%d: a\r\n" % n for n in range(FIELDS - 1))
    assert server.ask(b"GET /echo HTTP/1.1\r\n" + HOST + most + b"\r\n").status == 200
    server.seen.clear()
    assert refused(server, b"GET /echo HTTP/1.1\r\n" + HOST + most + b"Y: b\r\n\r\n").code == "HEADERS_TOO_LARGE"


@pytest.mark.parametrize("endless", [b"X: a\r\n" * 100, b"a" * 1_000], ids=["fields", "value"])
def test_a_header_without_an_end_is_refused_as_soon_as_it_is_too_large(server: Serving, endless: bytes) -> None:
    with server.connect() as wire:
        wire.send(b"GET /echo HTTP/1.1\r\n" + HOST + b"X: ")
        sent_until_cut_off(wire, endless, most=FIELD_BYTES * 8)
        assert wire.answer().code == "HEADERS_TOO_LARGE"
    assert server.refused == {"head_too_large": 1}


def test_a_head_may_arrive_byte_by_byte(server: Serving) -> None:
    with server.connect() as wire:
        wire.end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(b"abc", b"X: a"):
            wire.send(bytes([byte]))
        assert wire.answer().body == b"abc"


# Bodies


CHUNKED = {
    "one chunk": (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
    "no chunk": (b"0\r\n\r\n", b""),
    "several": (b"1\r\na\r\n2\r\nbc\r\n00\r\n\r\n", b"abc"),
    "capital digits": (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "an extension": (b"3;a=b\r\nabc\r\n0;c\r\n\r\n", b"abc"),
    "a trailer": (b"3\r\nabc\r\n0\r\nX: a\r\n\r\n", b"abc"),
}


@pytest.mark.parametrize("whole", [True, False], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(("sent", "body"), CHUNKED.values(), ids=CHUNKED)
def test_a_chunked_body_is_read_and_the_connection_stays_usable(
    server: Serving, sent: bytes, body: bytes, whole: bool
) -> None:
    with server.connect() as wire:
        wire.end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = chunked(sent)
        for part in [request] if whole else [bytes([byte]) for byte in request]:
            wire.send(part)
        assert wire.answer().body == body
        wire.send(post(b"next"))
        assert wire.answer().body == b"next"


WRONG_CHUNKS = {
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "no number": b"x\r\nabc\r\n0\r\n\r\n",
    "a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "a prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a space": b"3 \r\nabc\r\n0\r\n\r\n",
    "a size of many digits": b"0000000000000003\r\nabc\r\n0\r\n\r\n",
    "a huge size": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "more than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "a lone LF after the size": b"3\nabc\r\n0\r\n\r\n",
    "a lone LF after the chunk": b"3\r\nabc\n0\r\n\r\n",
    "an extension with LF": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "an extension with NUL": b"3;a\x00b\r\nabc\r\n0\r\n\r\n",
    "a long extension": b"3;" + b"a" * LINE_BYTES + b"\r\nabc\r\n0\r\n\r\n",
    "an extension without an end": b"3;" + b"a" * 100_000,
    "too many chunks": b"1\r\na\r\n" * (CHUNKS + 1) + b"0\r\n\r\n",
    "a trailer too large": b"0\r\n" + b"X: a\r\n" * TRAILER_BYTES + b"\r\n",
    "a trailer without an end": b"0\r\nX: " + b"a" * 100_000,
    "a trailer without a colon": b"0\r\nX\r\n\r\n",
    "a trailer with a lone LF": b"0\r\nX: a\nY: b\r\n\r\n",
    "a folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
}


@pytest.mark.parametrize("sent", WRONG_CHUNKS.values(), ids=WRONG_CHUNKS)
def test_malformed_chunks_are_refused_and_never_reach_the_application(server: Serving, sent: bytes) -> None:
    with server.connect() as wire:
        wire.send(chunked(sent) + GET)
        answer = wire.answer()
        assert (answer.status, answer.code) == (400, "BAD_REQUEST")
        assert wire.closed()
    assert not server.bodies
    assert all(scope["method"] == "POST" for scope in server.seen)


@pytest.mark.parametrize("name", [b"Authorization", b"Host", b"Content-Length", b"X-User-Id", b"Transfer-Encoding"])
def test_no_field_of_a_trailer_becomes_a_header_field(server: Serving, name: bytes) -> None:
    with server.connect() as wire:
        wire.send(chunked(b"3\r\nabc\r\n0\r\n" + name + b": Bearer abc\r\n\r\n"))
        assert wire.answer().status == 200
        wire.send(GET)
        assert wire.answer().status == 200
    for scope in server.seen:
        assert b"Bearer abc" not in dict(scope["headers"]).values()


def test_a_large_body_is_read_completely(server: Serving) -> None:
    body = bytes(range(256)) * 4 * 1024
    assert server.ask(post(body)).body == body


@pytest.mark.parametrize(
    "fields",
    [
        (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA"),
        (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: AAAA"),
        (b"Upgrade: anything",),
    ],
    ids=["h2c", "websocket", "anything"],
)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "in two parts"])
def test_an_offer_of_another_protocol_is_ignored(server: Serving, fields: tuple[bytes, ...], late: bool) -> None:
    with server.connect() as wire:
        body = GET  # must not be run as a request
        head, _, _ = post(body, *fields).partition(b"\r\n\r\n")
        wire.send(head + b"\r\n\r\n" + (b"" if late else body))
        if late:
            eventually(lambda: len(server.seen) == 1)
            wire.send(body)
        answer = wire.answer()
        assert (answer.status, answer.body) == (200, body)
        wire.send(b"GET /echo HTTP/1.1\r\n" + b"\r\n".join(fields) + b"\r\n" + HOST + b"\r\n")
        assert wire.answer().status == 200
    assert len(server.seen) == 2


# Expect: 100-continue, and answers before the body


def test_a_body_is_asked_for_when_the_application_reads_it(server: Serving) -> None:
    request = post(b"abc", b"Expect: 100-continue")
    with server.connect() as wire:
        wire.send(request[:-3])
        assert wire.end.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"abc")
        assert wire.answer().body == b"abc"


def test_a_body_that_is_not_wanted_is_not_asked_for(server: Serving) -> None:
    with server.connect() as wire:
        wire.send(post(b"abc", b"Expect: 100-continue", path=b"/refuse")[:-3])
        answer = wire.answer()
        assert (answer.status, answer.fields["connection"]) == (401, "close")
        assert wire.closed()


@pytest.mark.parametrize("rest", [post(b"abc")[-3:], chunked(b"3\r\nabc\r\n0\r\n\r\n")[-13:]], ids=["length", "chunks"])
def test_the_rest_of_a_body_that_is_not_wanted_is_discarded_and_the_connection_stays_usable(
    server: Serving, rest: bytes
) -> None:
    request = (post(b"abc") if rest == b"abc" else chunked(rest)).replace(b"/echo", b"/refuse")
    with server.connect() as wire:
        wire.send(request[: -len(rest)])
        answer = wire.answer()
        assert (answer.status, "connection" in answer.fields) == (401, False)
        wire.send(rest + GET)
        assert wire.answer().status == 200


def test_a_body_that_is_not_wanted_is_not_decoded(server: Serving) -> None:
    with server.connect() as wire:
        wire.send(chunked(b"1\r\na\r\n" * (DISCARD_CHUNKS + 1) + b"0\r\n\r\n").replace(b"/echo", b"/refuse"))
        assert wire.answer().status == 401
        assert wire.closed()
    assert not server.refused


@pytest.mark.parametrize(
    "request_", [post(b"a" * MEBIBYTE), chunked(b"1\r\na\r\n" * (CHUNKS - 1) + b"0\r\n\r\n")], ids=["length", "chunks"]
)
def test_a_body_is_not_read_before_the_application_asks_for_it(request_: bytes) -> None:
    with serving(body_seconds=SHORT) as server, server.connect() as wire:
        wire.end.setblocking(False)
        sent = wire.end.send(request_.replace(b"/echo", b"/slow_reader"))
        eventually(lambda: len(server.seen) == 1)
        time.sleep(2 * SHORT)  # the time for a body does not run
        server.released.set()
        wire.end.settimeout(PATIENCE)
        with suppress(OSError):
            wire.send(request_.replace(b"/echo", b"/slow_reader")[sent:])
        assert wire.answer().status == 200


def test_a_body_without_an_end_is_not_discarded_for_ever(server: Serving) -> None:
    with server.connect() as wire:
        wire.send(b"POST /refuse HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        assert wire.answer().status == 401
        sent_until_cut_off(wire, b"10000\r\n" + b"a" * 65_536 + b"\r\n", most=64 * MEBIBYTE)
        eventually(lambda: server.open == 0)


def test_the_time_for_a_body_runs_after_its_response_too() -> None:
    with serving(body_seconds=SHORT, linger_seconds=SHORT) as server, server.connect() as wire:
        wire.send(post(b"abc", path=b"/refuse")[:-1])
        assert wire.answer().status == 401
        assert wire.closed()
        eventually(lambda: server.open == 0)


@pytest.mark.parametrize("size", [MEBIBYTE, 4 * MEBIBYTE])
def test_a_client_that_is_answered_early_receives_the_answer(server: Serving, size: int) -> None:
    for _ in range(5):
        answer = httpx.post(f"http://127.0.0.1:{server.port}/refuse", content=b"a" * size, trust_env=False)
        assert (answer.status_code, answer.text) == (401, "who are you")


def test_a_client_that_sends_slowly_and_is_answered_early_receives_the_answer(server: Serving) -> None:
    with server.connect() as wire:
        wire.send(post(b"a" * 1_000, path=b"/refuse")[:-1_000])
        eventually(lambda: bool(server.seen))
        for _ in range(50):
            wire.send(b"a")
            time.sleep(0.001)
        assert wire.answer().status == 401


def test_curl_receives_an_early_answer(server: Serving) -> None:
    found = subprocess.run(
        ["curl", "-sS", "-m", "10", "-w", "%{http_code}", "-d", "@-", f"http://127.0.0.1:{server.port}/refuse"],
        input=b"a" * MEBIBYTE,
        capture_output=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, b"who are you401")


def test_a_client_that_never_stops_sending_after_its_answer_is_cut_off() -> None:
    with serving(linger_seconds=SHORT) as server, server.connect() as wire:
        wire.send(b"POST /refuse HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000000\r\n\r\n")
        assert wire.answer().status == 401
        assert sent_until_cut_off(wire, b"a", pause=0.01) < 1_000
        eventually(lambda: server.open == 0)


def sent_until_cut_off(wire: Wire, data: bytes, *, most: int = 500_000_000, pause: float = 0) -> int:
    """Send again and again until the other side closes, or takes nothing for some time; return the number of bytes."""
    wire.end.settimeout(SHORT)
    sent = 0
    with suppress(OSError):
        while sent < most:
            sent += wire.end.send(data)
            time.sleep(pause)
    return sent


# Pipelining


def test_pipelined_requests_are_answered_in_their_order(server: Serving) -> None:
    with server.connect() as wire:
        wire.send(b"".join(post(b"%d" % n) for n in range(200)))
        assert [wire.answer().body for _ in range(200)] == [b"%d" % n for n in range(200)]


def test_a_request_is_not_read_before_the_one_before_it_is_answered() -> None:
    with serving() as server, server.connect() as wire:
        wire.send(b"GET /hold HTTP/1.1\r\n" + HOST + b"\r\n" + GET * 1_000)
        eventually(lambda: len(server.seen) == 1)
        server.released.set()
        assert wire.answer().body == b"released"
        for _ in range(1_000):
            assert wire.answer().status == 200
        assert len(server.seen) == 1_001


NEXT = {
    "a request": (GET, 200),
    "a health check": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "garbage": (b"X\r\n\r\n", 400),
    "a header that is not completed": (b"GET /x HT", 408),
    "a body that is not completed": (b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nx", 408),
}


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("first", ["echo", "large"])
@pytest.mark.parametrize("kind", NEXT)
def test_nothing_that_a_request_binds_to_its_context_reaches_the_next_of_the_connection(
    kind: str, first: str, loop: str
) -> None:
    after, status = NEXT[kind]
    with serving(loop, head_seconds=SHORT, body_seconds=SHORT) as server, server.connect() as wire:
        wire.send(b"GET /%b HTTP/1.1\r\n" % first.encode() + HOST + b"\r\n" + after)
        assert (wire.answer().status, wire.answer().status) == (200, status)
        eventually(lambda: len(server.inherited) == 2)
        assert server.inherited == [None, None]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_request_that_is_sent_after_the_answer_to_the_one_before_inherits_nothing_either(loop: str) -> None:
    with serving(loop) as server, server.connect() as wire:
        for _ in range(3):
            wire.send(GET)
            assert wire.answer().status == 200
        assert server.inherited == [None] * 3


def test_a_client_that_does_not_read_its_responses_is_not_read_and_then_cut_off() -> None:
    with serving(write_seconds=SHORT) as server, server.connect() as wire:
        wire.end.setblocking(False)
        sent = 0

        def cut_off() -> bool:
            nonlocal sent
            with suppress(OSError):
                sent += wire.end.send(HEALTH * 1_000)
            return server.refused["not_reading"] == 1

        eventually(cut_off, within=60)
        assert sent < 100_000_000
        eventually(lambda: server.open == 0)


def test_a_client_that_does_not_take_a_large_response_is_cut_off() -> None:
    with serving(write_seconds=SHORT) as server, server.connect() as wire:
        wire.send(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        eventually(lambda: server.refused["not_reading"] == 1)
        eventually(lambda: server.open == 0)


def test_the_responses_that_wait_for_their_clients_are_bounded_in_all() -> None:
    with serving(unsent_bytes=LARGE) as server:
        slow = [server.connect() for _ in range(8)]
        for each in slow:
            each.end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            each.send(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        eventually(lambda: server.refused["not_reading"] >= 4)
        assert server.ask(GET).status == 200
        eventually(lambda: 0 < server.open <= 4)
        for each in slow:
            each.end.close()
        eventually(lambda: server.open == 0)


def test_a_response_larger_than_the_bound_of_all_is_sent() -> None:
    with serving(unsent_bytes=1) as server, server.connect() as wire:
        wire.send(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        assert len(wire.answer().body) == LARGE
        assert not server.refused


@pytest.mark.parametrize(
    "request_",
    [GET, b"GET /echo HTTP/1.0\r\n\r\n", post(b"abc"), chunked(b"3\r\nabc\r\n0\r\n\r\n"), post(b"a" * 300_000)],
    ids=["GET", "HTTP/1.0", "length", "chunks", "large"],
)
def test_a_client_that_sends_no_more_after_its_request_is_answered(server: Serving, request_: bytes) -> None:
    with server.connect() as wire:
        wire.send(request_)
        wire.end.shutdown(socket.SHUT_WR)
        assert wire.answer().status == 200
        assert wire.closed()


def test_pipelined_requests_of_a_client_that_sends_no_more_are_answered(server: Serving) -> None:
    with server.connect() as wire:
        wire.send(GET + post(b"abc"))
        wire.end.shutdown(socket.SHUT_WR)
        assert [wire.answer().body, wire.answer().body] == [b"", b"abc"]
        assert wire.closed()


def test_a_request_that_its_client_cuts_short_is_not_answered(server: Serving) -> None:
    for request in (GET[:-1], post(b"abc")[:-1]):
        with server.connect() as wire:
            wire.send(request)
            wire.end.shutdown(socket.SHUT_WR)
            assert wire.closed()
    eventually(lambda: server.open == 0)
    assert not server.bodies


def test_an_application_that_asks_learns_that_its_client_sends_no_more(server: Serving) -> None:
    with server.connect() as wire:
        wire.send(b"GET /until_it_leaves HTTP/1.1\r\n" + HOST + b"\r\n")
        eventually(lambda: len(server.seen) == 1)
        wire.end.shutdown(socket.SHUT_WR)
        assert wire.closed()
    eventually(lambda: server.open == 0)


def test_a_client_that_takes_a_large_response_slowly_receives_all_of_it() -> None:
    with serving(write_seconds=1) as server, server.connect() as wire:
        wire.end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        wire.send(b"GET /large HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        size = 0
        while part := wire.end.recv(65_536):
            size += len(part)
            time.sleep(0.03)
        assert size > LARGE
        assert not server.refused


# Times


def test_a_silent_connection_ends() -> None:
    with serving(head_seconds=SHORT) as server, server.connect() as wire:
        assert wire.closed()
        assert server.refused == {"head_timeout": 1}


@pytest.mark.parametrize("part", [b"G", GET[:-2], GET[:-4]])
def test_a_head_that_is_not_completed_in_time_is_answered_with_408(part: bytes) -> None:
    with serving(head_seconds=SHORT) as server:
        answer = refused(server, part)
        assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")


def test_a_head_that_trickles_is_not_given_more_time() -> None:
    with serving(head_seconds=SHORT) as server, server.connect() as wire:
        wire.send(b"GET /")
        for _ in range(5):
            time.sleep(SHORT / 10)
            wire.send(b"a")
        assert wire.answer().code == "REQUEST_TIMEOUT"


def test_the_time_for_a_later_head_begins_with_its_first_byte() -> None:
    with serving(head_seconds=4 * SHORT) as server, server.connect() as wire:
        wire.send(GET)
        assert wire.answer().status == 200
        time.sleep(5 * SHORT)
        wire.send(GET[:10])
        time.sleep(SHORT / 10)
        wire.send(GET[10:])
        assert wire.answer().status == 200
        wire.send(GET[:10])
        assert wire.answer().code == "REQUEST_TIMEOUT"


@pytest.mark.parametrize(
    "request_", [post(b"abc")[:-1], post(b"abc")[:-3], chunked(b"3\r\nab"), chunked(b"3\r\nabc\r\n0\r\nX: a\r\n")]
)
def test_a_body_that_is_not_completed_in_time_is_answered_with_408(request_: bytes) -> None:
    with serving(body_seconds=SHORT) as server, server.connect() as wire:
        wire.send(request_)
        answer = wire.answer()
        assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")
        assert answer.fields["connection"] == "close"
        assert answer.fields["x-request-id"] == REQUEST_ID
        assert wire.closed()
        assert server.refused == {"body_timeout": 1}


def test_a_body_that_trickles_is_not_given_more_time() -> None:
    with serving(body_seconds=SHORT) as server, server.connect() as wire:
        wire.send(post(b"a" * 1_000)[:-1_000])
        for _ in range(5):
            time.sleep(SHORT / 10)
            wire.send(b"a")
        assert wire.answer().code == "REQUEST_TIMEOUT"


def test_the_time_for_a_body_stops_while_the_application_does_not_read_it() -> None:
    with serving(body_seconds=5 * SHORT) as server, server.connect() as wire:
        body = b"a" * (2 * MEBIBYTE)
        sending = threading.Thread(target=wire.send, args=(post(body, path=b"/slow_reader"),))
        sending.start()
        time.sleep(7 * SHORT)
        server.released.set()
        assert wire.answer().body == b"%d" % len(body)
        sending.join()


def test_an_idle_connection_is_closed_after_its_time() -> None:
    with serving(keep_alive_seconds=SHORT) as server, server.connect() as wire:
        wire.send(GET)
        assert "connection" not in wire.answer().fields
        assert wire.closed()
        assert not server.refused


def test_an_idle_connection_outlives_the_60_seconds_of_load_balancers() -> None:
    assert ConnectionLimits().keep_alive_seconds > 60


# Numbers of connections


def test_connections_beyond_the_limit_of_an_address_are_refused_and_others_served() -> None:
    with serving(per_address=3) as server:
        silent = [server.connect() for _ in range(3)]
        eventually(lambda: server.open == 3)
        answer = refused(server, GET[:-2] + b"X-Request-Id: abc\r\n\r\n")
        assert (answer.status, answer.code) == (503, "OVERLOADED")
        assert answer.fields["x-request-id"] != "abc"
        assert int(answer.fields["retry-after"]) > 0
        assert server.refused == {"address_limit": 1}
        with server.connect("127.0.0.2") as other:
            other.send(GET)
            assert other.answer().status == 200
        silent.pop().end.close()
        eventually(lambda: server.open == 2)
        assert server.ask(GET).status == 200
        for each in silent:
            each.end.close()


def test_health_is_answered_beyond_the_limit() -> None:
    with serving(per_address=3) as server:
        silent = [server.connect() for _ in range(3)]
        for path in (b"/healthz", b"/readyz"):
            answer = server.ask(b"GET %b HTTP/1.1\r\n%b\r\n" % (path, HOST))
            assert (answer.status, answer.fields["connection"]) == (200, "close")
        for each in silent:
            each.end.close()


def test_when_all_places_are_taken_the_oldest_silent_connection_gives_way() -> None:
    with serving(total=3) as server:
        silent = [server.connect(f"127.0.0.{n}") for n in range(2, 5)]
        eventually(lambda: server.open == 3)
        assert server.ask(GET).status == 200
        assert silent[0].closed()
        assert server.refused["gave_way"] == 1
        for each in silent:
            each.end.close()


def test_connections_with_a_request_in_progress_do_not_give_way() -> None:
    with serving(total=3, keep_alive_seconds=5) as server:
        busy = [server.connect(f"127.0.0.{n}") for n in range(2, 5)]
        for each in busy:
            each.send(b"GET /hold HTTP/1.1\r\n" + HOST + b"\r\n")
        eventually(lambda: len(server.seen) == 3)
        server.seen.clear()
        assert refused(server, GET).code == "OVERLOADED"
        assert server.refused == {"connection_limit": 1}
        assert server.ask(HEALTH).status == 200
        server.released.set()
        assert [each.answer().body for each in busy] == [b"released"] * 3
        for each in busy:
            each.end.close()


def test_silent_connections_hold_nobody_up() -> None:
    with serving(head_seconds=30) as server:
        silent = [server.connect() for _ in range(1_010)]
        began = time.monotonic()
        assert server.ask(HEALTH).status == 200
        with server.connect("127.0.0.2") as other:
            other.send(GET)
            assert other.answer().status == 200
        assert time.monotonic() - began < 1
        for each in silent:
            each.end.close()


def test_health_is_answered_while_silent_connections_are_opened_again_and_again() -> None:
    over = threading.Event()
    with serving(per_address=50, total=200, reserve=100, reserve_seconds=SHORT) as server:

        def flood() -> None:
            held: list[Wire] = []
            while not over.is_set():
                held.append(server.connect())
                if len(held) > 300:
                    held.pop(0).end.close()
            for each in held:
                each.end.close()

        flooding = threading.Thread(target=flood)
        flooding.start()
        try:
            eventually(lambda: server.open >= 150)
            for _ in range(5):
                began = time.monotonic()
                assert server.ask(HEALTH).status == 200
                with server.connect("127.0.0.2") as other:
                    other.send(GET)
                    assert other.answer().status == 200
                assert time.monotonic() - began < 2
            assert server.open <= 300
        finally:
            over.set()
            flooding.join()


# The end


def test_a_failing_application_is_answered_for() -> None:
    with serving() as server:
        answer = server.ask(b"GET /broken HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (answer.status, answer.code) == (500, "INTERNAL")
        assert answer.fields["x-request-id"] == REQUEST_ID
        assert b"secret" not in answer.body


def test_a_stopping_server_completes_the_request_in_progress_and_closes_the_others() -> None:
    with serving() as server, server.connect() as idle, server.connect() as fresh, server.connect() as busy:
        idle.send(GET)
        assert idle.answer().status == 200
        busy.send(b"GET /hold HTTP/1.1\r\n" + HOST + b"\r\n")
        eventually(lambda: len(server.seen) == 2)
        assert server.server is not None
        server.server.should_exit = True
        assert idle.closed()
        assert fresh.closed()
        server.released.set()
        answer = busy.answer()
        assert (answer.body, answer.fields["connection"]) == (b"released", "close")
        assert busy.closed()


def test_an_application_learns_that_its_client_has_left(server: Serving) -> None:
    with server.connect() as wire:
        wire.send(post(b"abc")[:-1])
        eventually(lambda: len(server.seen) == 1)
    eventually(lambda: server.open == 0)
    assert not server.bodies
