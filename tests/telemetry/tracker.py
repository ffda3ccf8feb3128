"""A server of Sentry's protocol over real HTTP, written after the protocol's description and not after any client.

It decodes and checks what it receives. It can also limit the rate, refuse, stay silent, or answer something else.
"""

import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789abcdef0123456789abcdef"
PROJECT = "42"
AUTH = re.compile(r"Sentry (\w+=[^,\s]+)(?:, ?(\w+=[^,\s]+))*\Z")
EVENT_ID = re.compile(r"[0-9a-f]{32}\Z")


class ErrorServer:
    """Keeps the events of the envelopes, and what was wrong with those that break the protocol."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.received = b""
        """The bodies of all requests, without the compression."""
        self.requests = 0
        self.status = 200
        self.fields: dict[str, str] = {}
        self.body: bytes | None = None
        self.released = threading.Event()
        self.released.set()
        """While it is not set, no request is answered."""
        self.arrived = threading.Condition()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.take(self)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The root of the server."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def dsn(self) -> str:
        """Where clients send their events."""
        return f"{self.url.replace('//', f'//{KEY}@')}/{PROJECT}"

    def close(self) -> None:
        """Accept no more."""
        self.released.set()
        self._http.shutdown()
        self._http.server_close()

    def wait(self, count: int, seconds: float = 20) -> list[dict[str, Any]]:
        """Wait for a number of events; returns all."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.events) >= count, seconds), (len(self.events), self.faults)
        assert not self.faults, self.faults
        return self.events

    def wait_for_requests(self, count: int, seconds: float = 20) -> None:
        """Wait for a number of requests."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: self.requests >= count, seconds), self.requests

    def take(self, request: BaseHTTPRequestHandler) -> None:
        """Check, keep and answer a request."""
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        with self.arrived:
            self.requests += 1
            try:
                self._keep(request, body)
            except (AssertionError, ValueError, KeyError) as fault:
                self.faults.append(repr(fault))
            self.arrived.notify_all()
        self.released.wait()
        answer = json.dumps({"id": "0" * 32}).encode() if self.body is None else self.body
        try:
            request.send_response(self.status)
            for name, value in {"Content-Length": str(len(answer)), **self.fields}.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(answer)
        except OSError:
            pass  # the client has gone

    def _keep(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        assert request.path == f"/api/{PROJECT}/envelope/", request.path
        assert request.headers["Content-Type"] == "application/x-sentry-envelope"
        assert request.headers["Content-Encoding"] == "gzip"
        assert AUTH.match(request.headers["X-Sentry-Auth"]), request.headers["X-Sentry-Auth"]
        auth = dict(part.strip().split("=", 1) for part in request.headers["X-Sentry-Auth"][7:].split(","))
        assert (auth["sentry_key"], auth["sentry_version"]) == (KEY, "7")
        assert "/" in auth["sentry_client"]
        plain = gzip.decompress(body)
        self.received += plain
        header, items = envelope_of(plain)
        for item, payload in items:
            assert item["type"] == "event", item
            event = json.loads(payload)
            assert EVENT_ID.match(event["event_id"])
            assert header["event_id"] == event["event_id"]
            assert event["platform"] == "python"
            self.events.append(event)


def envelope_of(body: bytes) -> tuple[dict[str, Any], list[tuple[dict[str, Any], bytes]]]:
    """Return the headers of an envelope, and the headers and the payload of each of its items."""
    line, _, rest = body.partition(b"\n")
    items = []
    while rest.strip(b"\n"):
        head, _, rest = rest.partition(b"\n")
        item = json.loads(head)
        length = item.get("length", rest.find(b"\n") if b"\n" in rest else len(rest))
        payload, rest = rest[:length], rest[length:]
        assert len(payload) == length, "the payload is shorter than its length"
        assert rest[:1] in {b"", b"\n"}, "the payload is longer than its length"
        items.append((item, payload))
        rest = rest[1:]
    return json.loads(line), items


@contextmanager
def an_error_server() -> Iterator[ErrorServer]:
    """A server until the block ends."""
    server = ErrorServer()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def a_silent_listener() -> Iterator[str]:
    """The DSN of a listener that accepts connections, and reads and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://{KEY}@127.0.0.1:{listener.getsockname()[1]}/{PROJECT}"


def a_refusing_dsn() -> str:
    """A DSN with a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://{KEY}@127.0.0.1:{listener.getsockname()[1]}/{PROJECT}"
