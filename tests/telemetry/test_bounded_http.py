"""Collectors that redirect or answer without an end: each lost delivery is counted, and the next one goes on.

The same holds for spans, metrics and error reports, which are sent here as the product sends them.
"""

import gzip
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from typing import BinaryIO

import pytest

from app.telemetry import errors
from app.telemetry.bounded_http import MOST_ANSWER_BYTES
from app.telemetry.errors import start_error_tracking
from app.telemetry.metrics import start_metrics
from app.telemetry.otlp import MetricsExport
from app.telemetry.tracing import start_tracing

from .test_errors import Counted

Answer = Callable[[socket.socket], None]
Deliver = Callable[[], None]

SECONDS = 0.5
"""The time of a delivery where a test waits for its end."""
MOST_BUFFERED_BYTES = 32 * 1024 * 1024
"""What the system takes for a connection that nobody reads."""
KEY = "secret-of-the-dsn"

log = logging.getLogger("turnup.test")


class Collector:
    """A server that reads requests of a `Content-Length`, and answers each by a function."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.connections = 0
        self._arrived = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def host(self) -> str:
        """The host and the port."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def wait(self, number: int) -> None:
        """Wait for a number of requests."""
        assert self.receives(number, 30), len(self.requests)

    def receives(self, number: int, seconds: float) -> bool:
        """Return whether a number of requests comes in time."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.requests) >= number, seconds)

    def close(self) -> None:
        """Accept no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as file:
            while head := _head(file):
                lengths = [line for line in head.lower().splitlines() if line.startswith(b"content-length:")]
                body = file.read(int(lengths[0].split(b":")[1]))
                with self._arrived:
                    self.requests.append(head + body)
                    self._arrived.notify_all()
                self.answer(connection)


def _head(file: BinaryIO) -> bytes:
    """The lines of a request before its body; none after the end of the connection."""
    lines = []
    while (line := file.readline()) not in {b"\r\n", b""}:
        lines.append(line)
    return b"".join(lines)


@contextmanager
def a_collector(answer: Answer) -> Iterator[Collector]:
    """A collector until the block ends."""
    collector = Collector(answer)
    try:
        yield collector
    finally:
        collector.close()


def says(text: str, body: bytes = b"") -> Answer:
    """An answer with a head and a body."""
    return lambda connection: connection.sendall(text.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)


def closes_after(answer: Answer) -> Answer:
    """An answer whose end is the end of the connection."""

    def answered(connection: socket.socket) -> None:
        answer(connection)
        connection.shutdown(socket.SHUT_RDWR)

    return answered


def without_end(begin: str, part: bytes, pause: float = 0.05) -> Answer:
    """An answer that goes on in small parts, each long before a timeout of a read, until the client leaves."""

    def answered(connection: socket.socket) -> None:
        connection.sendall(begin.replace("\n", "\r\n").encode())
        left = threading.Event()
        while not left.wait(pause):
            connection.sendall(part)

    return answered


FINE = says("HTTP/1.1 200 OK\nContent-Length: 0")


@contextmanager
def spans_to(host: str, dropped: Counted, variables: pytest.MonkeyPatch) -> Iterator[Deliver]:
    """Tracing as the environment asks for it."""
    variables.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://{host}/v1/traces")
    variables.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    tracing = start_tracing("1.2.3", dropped=dropped)
    tracer = tracing.tracer
    assert tracer is not None
    try:
        yield lambda: tracer.start_span("span").end()
    finally:
        tracing.shutdown()


@contextmanager
def metrics_to(host: str, dropped: Counted, variables: pytest.MonkeyPatch) -> Iterator[Deliver]:
    """An export of metrics as the environment asks for it."""
    variables.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"http://{host}/v1/metrics")
    collect = start_metrics("1.2.3").together().collect
    export = MetricsExport(collect, service_version="1.2.3", failed=lambda: dropped(1))
    try:
        yield export.export
    finally:
        export.shutdown()


@contextmanager
def reports_to(host: str, dropped: Counted, variables: pytest.MonkeyPatch) -> Iterator[Deliver]:
    """Error tracking that reports another bug each time."""
    started = start_error_tracking(
        f"http://{KEY}@{host}/1", service_version="1.2.3", environment="production", dropped=dropped
    )
    numbers = count()
    try:
        yield lambda: log.error("failed", exc_info=type(f"Bug{next(numbers)}", (Exception,), {})())
        started.shutdown()
    finally:
        started.close()


Sending = Callable[[Answer, Counted], tuple[Collector, Deliver]]


@pytest.fixture(params=[spans_to, metrics_to, reports_to], ids=["spans", "metrics", "reports"])
def sending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sending]:
    """Starts a collector with an answer, and to send something to it; what is not delivered is counted."""
    with ExitStack() as stack:

        def started(answer: Answer, dropped: Counted) -> tuple[Collector, Deliver]:
            collector = stack.enter_context(a_collector(answer))
            return collector, stack.enter_context(request.param(collector.host, dropped, monkeypatch))

        yield started


@pytest.fixture
def _short_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(SECONDS))
    monkeypatch.setattr(errors.BoundedTransport, "TIMEOUT", SECONDS)


@pytest.mark.parametrize("status", [302, 303, 307])
def test_a_redirect_is_not_followed_and_what_was_sent_is_counted_as_lost(sending: Sending, status: int) -> None:
    dropped = Counted()
    with a_collector(FINE) as other:
        location = f"http://{other.host.replace('127.0.0.1', 'localhost')}/elsewhere"
        redirect = says(f"HTTP/1.1 {status} Moved\nLocation: {location}\nContent-Length: 0")
        collector, deliver = sending(redirect, dropped)
        deliver()
        dropped.wait(1)
        deliver()
        dropped.wait(2)
        assert len(collector.requests) == 2
        assert not other.requests


@pytest.mark.parametrize("status", [304, 401, 413, 500])
def test_every_status_outside_of_2xx_is_counted(sending: Sending, status: int) -> None:
    dropped = Counted()
    collector, deliver = sending(says(f"HTTP/1.1 {status} No\nContent-Length: 0"), dropped)
    deliver()
    dropped.wait(1)
    assert len(collector.requests) == 1


@pytest.mark.parametrize(
    "head", ["Content-Length: 10000000000", "Connection: close", "Transfer-Encoding: chunked"], ids=str.lower
)
def test_an_answer_without_an_end_is_read_up_to_a_bound(sending: Sending, head: str) -> None:
    dropped, sent, part = Counted(), Counted(), b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    ended = threading.Event()

    def giant(connection: socket.socket) -> None:
        says(f"HTTP/1.1 200 OK\n{head}")(connection)
        try:
            while sent.count < 4 * MOST_BUFFERED_BYTES:
                connection.sendall(part)
                sent(len(part))
        finally:
            ended.set()

    collector, deliver = sending(giant, dropped)
    deliver()
    dropped.wait(1)
    assert ended.wait(30)
    assert sent.count < MOST_BUFFERED_BYTES
    collector.answer = FINE
    deliver()
    collector.wait(2)


@pytest.mark.parametrize(
    ("begin", "part"),
    [
        ("HTTP/1.1 200 OK\nContent-Length: 100000\n\n", b"x"),
        ("HTTP/1.1 200 OK\nConnection: close\n\n", b"x"),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", b"1\r\nx\r\n"),
        ("HTTP/1.1 200 OK\nX-Long: ", b"x"),
        ("HTTP/1.1 2", b"0"),
        ("", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "body until the close", "chunks", "header", "status line", "interim answers"],
)
@pytest.mark.usefixtures("_short_of_time")
def test_an_answer_in_single_bytes_is_given_up_in_time_and_the_next_delivery_goes_on(
    sending: Sending, begin: str, part: bytes
) -> None:
    dropped = Counted()
    collector, deliver = sending(without_end(begin, part), dropped)
    deliver()
    dropped.wait(1)
    collector.answer = FINE
    for _ in range(20):  # on a busy machine the time may be over before there is a connection
        deliver()
        if collector.receives(2, 1):
            break
    assert len(collector.requests) > 1


@pytest.mark.parametrize(
    "answer",
    [
        says("HTTP/1.1 200 OK\nContent-Length: 2", b"{}"),
        says("HTTP/1.1 202 Accepted\nContent-Length: 0"),
        says("HTTP/1.1 204 No Content"),
        says("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n"),
        says("HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: 22", gzip.compress(b"{}")),
        says("HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: 2", b"{}"),
        says(f"HTTP/1.1 200 OK\nContent-Length: {MOST_ANSWER_BYTES}", b"x" * MOST_ANSWER_BYTES),
        says("HTTP/1.1 200 OK\nContent-Length: 0\nSet-Cookie: a=b"),
    ],
    ids=["length", "202", "204", "chunks", "gzip", "no gzip", "long", "cookie"],
)
def test_a_collector_that_accepts_receives_each_delivery_on_one_connection(sending: Sending, answer: Answer) -> None:
    dropped = Counted()
    collector, deliver = sending(answer, dropped)
    for number in range(1, 4):
        deliver()
        collector.wait(number)
    assert collector.connections == 1
    assert not any(b"\ncookie:" in each.lower() for each in collector.requests)
    assert dropped.count == 0


def test_a_delivery_after_the_collector_has_closed_the_connection_arrives(sending: Sending) -> None:
    dropped = Counted()
    collector, deliver = sending(closes_after(says("HTTP/1.1 200 OK\nConnection: close", b"{}")), dropped)
    for number in range(1, 4):
        deliver()
        collector.wait(number)
    assert dropped.count == 0


@pytest.mark.parametrize(
    "field",
    [
        *(f"Retry-After: {text}" for text in ("nan", "inf", "-5", "0.5", "", "Wed, 99 Foo", "9" * 30)),
        *(
            f"X-Sentry-Rate-Limits: {text}"
            for text in ("99999999999999:error:organization", "-1:error", "x", ":::", "9" * 5_000, "1e9:error")
        ),
    ],
    ids=lambda field: field[:40],
)
def test_reports_that_a_tracker_limits_are_counted_whatever_it_says_about_the_limit(
    monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    dropped = Counted()
    with (
        a_collector(says(f"HTTP/1.1 429 Limited\n{field}\nContent-Length: 0")) as collector,
        reports_to(collector.host, dropped, monkeypatch) as deliver,
    ):
        for number in range(1, 4):
            deliver()
            dropped.wait(number)
    assert dropped.count == 3


def test_a_report_that_is_accepted_with_a_limit_that_is_not_well_formed_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dropped = Counted()
    limit = f"X-Sentry-Rate-Limits: {'9' * 14}:error:organization"
    with (
        a_collector(says(f"HTTP/1.1 200 OK\n{limit}\nContent-Length: 0")) as collector,
        reports_to(collector.host, dropped, monkeypatch) as deliver,
    ):
        for number in range(1, 4):
            deliver()
            collector.wait(number)
    assert dropped.count == 0
