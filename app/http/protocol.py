"""The HTTP/1.1 connections of uvicorn, with a limit for everything that a client may send, keep open or leave waiting.

One request of a connection is in progress at a time. The next one waits unread: the connection is not read while a
response is made, except for the rest of the request's body. Whatever this module refuses itself, it answers in the form
of the API, without a word of what was received.

The task of a request calls the connection when its response is complete, and the next request may begin in this call.
So each task, timer and report has a context of its own: it would inherit the ids and the span of the other request.

Each answer to a request that the application has not seen is reported to `Connections.answered`. Status and code of any
other refusal are in `scope["state"]["refused"]` of its request; to the application, the client has left.
"""

import asyncio
import fcntl
import logging
import sys
import termios
from collections.abc import Callable, Iterable
from contextvars import Context
from enum import Enum, auto
from typing import Any, Literal
from urllib.parse import unquote

from uvicorn import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from app.http.answers import new_request_id
from app.http.chunks import Chunks, MalformedChunks
from app.http.connections import ConnectionLimits, Connections, EdgeRefusal, Refused
from app.http.heads import END, HttpHead, check_incomplete, read_head
from app.http.health import HEALTH_PATHS
from app.http.listening import receive_all
from app.http.refusals import TransportRefused, refused
from app.http.slots import PATHS, SLOTS, UNCOUNTED_METHODS, Full, RequestSlots, Work

CONNECTIONS = "connections"
"""The key of the Connections in the state of the lifespan."""
WRITE_BYTES = 256 * 1024
"""The part of a response that a client must take within `write_seconds`."""
DISCARD_BYTES = 1024 * 1024
"""The maximum of an unread body that is read after the response, so that the connection stays usable."""
DISCARD_CHUNKS = 256
"""The maximum number of its chunks: a body that is not read yet must not cost the time of its decoding."""
LINGER_BYTES = 16 * 1024 * 1024
"""The maximum of what is still read, and thrown away, from a client that was answered before it had sent everything."""
FIRST_REQUEST_SECONDS = 1.0
"""The time in which a client that has just connected sends a request to a server that stops."""

_REASONS = {
    "BAD_REQUEST": Refused.MALFORMED,
    "URI_TOO_LONG": Refused.HEAD_TOO_LARGE,
    "HEADERS_TOO_LARGE": Refused.HEAD_TOO_LARGE,
}


class Phase(Enum):
    """What a connection does."""

    HEAD = auto()
    """It waits for a head, or reads one."""
    BODY = auto()
    """It reads a body; the application may have responded already."""
    RESPONSE = auto()
    """The whole request was read; the response is not complete, or too much of it is not sent."""
    LINGER = auto()
    """The last response was sent; what still arrives is thrown away."""


class HttpConnection(asyncio.Protocol):
    """A client's connection; uvicorn creates one per accepted socket.

    The application's lifespan state has a Connections under the key CONNECTIONS.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._app = config.loaded_app
        self._root_path = config.root_path
        self._asgi_version = config.asgi_version
        self._app_state = app_state
        self._server_state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        connections = app_state.get(CONNECTIONS)
        if connections is None:  # an application without limits of its own
            connections = app_state[CONNECTIONS] = Connections(ConnectionLimits())
        self._connections: Connections = connections
        self._limits = self._connections.limits
        self._slots: RequestSlots | None = app_state.get(SLOTS)
        self.address: str | None = None
        self._phase = Phase.HEAD
        self._received = bytearray()
        """The bytes of an incomplete head; those of a body that is not read yet; those of the next request."""
        self._timer: asyncio.TimerHandle | None = None
        """Ends the wait for a head, for a body or for the next request."""
        self._writing_timer: asyncio.TimerHandle | None = None
        self._cycle: Exchange | None = None
        self._head_begun = True
        self._keep_alive = False
        self._ending = False
        """Whether no further request is awaited."""
        self._lingered = 0
        self._body_left = self._discarded = 0
        self._chunks: Chunks | None = None
        self._wanted = False
        """Whether the body is to be read: the application has asked for it, or has responded."""
        self._body_seconds = 0.0
        self._body_since = 0.0

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # - a TCP transport
        """Take a place or one in the reserve, and wait for the first head."""
        self._transport = transport
        receive_all(transport.get_extra_info("socket"))
        self._output = Output(self, transport)
        self._flow = FlowControl(transport)
        self._client = get_remote_addr(transport)
        self._server = get_local_addr(transport)
        self._scheme: Literal["http", "https"] = "https" if is_ssl(transport) else "http"
        self._server_state.connections.add(self)  # type: ignore[arg-type] # - uvicorn only calls `shutdown`
        self.address = self._connections.address_of(self._client)
        self._has_place = self._connections.admit(self)
        self._wait(self._limits.head_seconds if self._has_place else self._limits.reserve_seconds, self._head_too_late)

    def connection_lost(self, _error: Exception | None) -> None:
        """Leave, and inform the application of the request in progress."""
        self._server_state.connections.discard(self)
        self._connections.discard(self)
        self._cancel_timers()
        self._abandon()
        self._flow.resume_writing()
        self._cycle = None
        del self._output  # both refer to this connection

    def eof_received(self) -> bool:
        """Keep the connection open for the response if the client has stopped sending after a whole request.

        It may have left instead. The application learns that when it asks, and may then stop.
        """
        if self._phase is not Phase.RESPONSE or self._cycle is None or self._cycle.response_complete:
            return False
        self._keep_alive = self._cycle.keep_alive = False
        self._cycle.client_has_finished = True
        self._cycle.message_event.set()
        return True

    def data_received(self, data: bytes) -> None:
        """Take what was read."""
        if self._phase is Phase.BODY and self._wanted:
            self._read_body(data)
        elif self._phase is Phase.HEAD:
            self._read_head(data)
        elif self._phase is not Phase.LINGER:
            self._received += data
            self._flow.pause_reading()
        else:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES:
                self._transport.abort()

    def pause_writing(self) -> None:
        """Let the application wait, and the client only for a time."""
        self._flow.pause_writing()
        self._connections.unsent(self, self._transport.get_write_buffer_size())
        self._watch_writing()

    def resume_writing(self) -> None:
        """Let the application continue, or begin the next request."""
        self._flow.resume_writing()
        self._connections.unsent(self, 0)
        if self._writing_timer is not None:
            self._writing_timer.cancel()
            self._writing_timer = None
        if self._cycle is None or self._cycle.response_complete:
            self._next()

    # What uvicorn and the connections' limits call

    def last_response(self) -> None:
        """Let the response in progress say that it is the last one, unless its header was sent."""
        if self._cycle is not None and not self._cycle.response_started:
            self._keep_alive = self._cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close as soon as no request is in progress.

        A request of which bytes have arrived is in progress, and a new connection has a moment to send its first one.
        What is still sent or read for a client that was answered takes its time.
        """
        self._ending = True
        if self._cycle is not None and not self._cycle.response_complete:
            self._keep_alive = self._cycle.keep_alive = False
        elif self._phase is Phase.HEAD and not self._received and not self._unread():
            if self._head_begun:  # before the first request
                self._wait(FIRST_REQUEST_SECONDS, self._first_request_too_late)
            else:
                self._close()

    def give_way(self) -> None:
        """Close at once, for the benefit of another connection."""
        self._phase = Phase.LINGER
        self._transport.abort()

    # Heads

    def _read_head(self, data: bytes) -> None:
        received: bytes | bytearray = data
        start = 0
        if self._received:
            start = max(0, len(self._received) - len(END))
            self._received += data
            received = self._received
        elif data[:2] == b"\r\n":  # an empty line before a request is ignored (RFC 9112, section 2.2)
            received = data[2:]
        at = received.find(END, start)
        try:
            if at < 0:
                self._keep(received, data)
                return
            head = read_head(bytes(received[: at + len(END)]))
        except TransportRefused as refusal:
            self._connections.count(_REASONS[refusal.code])
            self._refuse_unseen(refusal.code, str(refusal), without_body=received[:5] == b"HEAD ")
            return
        rest = bytes(received[at + len(END) :])
        self._received = bytearray()
        self._stop_waiting()
        if self._may_begin(head):
            self._begin(head, rest)

    def _keep(self, received: bytes | bytearray, latest: bytes) -> None:
        """Keep the beginning of a head; from its first byte on, the time for it runs."""
        if received:
            self._received = received if isinstance(received, bytearray) else bytearray(received)
            check_incomplete(self._received, latest)
            if not self._head_begun:
                self._head_begun = True
                self._wait(self._limits.head_seconds, self._head_too_late)
        elif self._timer is None:
            self._wait(self._limits.keep_alive_seconds, self._close)
        self._flow.resume_reading()

    def _may_begin(self, head: HttpHead) -> bool:
        """Note that a request is in progress; refuse it in the reserve unless it asks for the server's health."""
        if self._has_place:
            self._connections.works(self)
            return True
        full = self._connections.promote(self)
        if full is None:
            self._has_place = True
            return True
        if head.path in HEALTH_PATHS and head.method in {"GET", "HEAD"}:
            return True
        self._connections.count(full)
        own_share = full is Refused.ADDRESS_LIMIT
        self._refuse_unseen(
            "OVERLOADED", "Too many connections are open. Retry shortly.", head=head, own_share=own_share
        )
        return False

    def _begin(self, head: HttpHead, rest: bytes) -> None:
        path = _path_of(head)
        has_body = head.length > 0 or head.chunked
        self._keep_alive = head.keep_alive and self._has_place and not (self._ending or self._connections.stopping)
        expects = head.expects_continue and has_body and not rest
        # A client that waits for 100 (Continue) may send its body after another response, or the next request.
        reusable = self._keep_alive and head.length <= DISCARD_BYTES and not expects
        work: Work | None = None
        if self._slots is not None and path in PATHS and head.method not in UNCOUNTED_METHODS:
            work = self._slots.work(head.fields, self.address)
            is_whole = not head.chunked and len(rest) >= head.length
            full = work.begin() if is_whole else work.refused()
            if full is not None:
                self._expect_body(head)
                if is_whole:
                    self._end_body(rest[head.length :])
                else:
                    self._received += rest
                request_id = new_request_id()
                status = self._refuse_work(work, full, head.method, request_id, reusable=reusable)
                self._report(head, status, "OVERLOADED", request_id, own_share=full.own_share)
                return
        state = self._app_state.copy()
        del state[CONNECTIONS]
        state.pop(SLOTS, None)
        scope: Any = {
            "type": "http",
            "asgi": {"version": self._asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "method": head.method,
            "root_path": self._root_path,
            "path": self._root_path + path,
            "raw_path": self._root_path.encode("ascii") + head.path,
            "query_string": head.query,
            "headers": head.fields,
            "state": state,
        }
        cycle = self._cycle = Exchange(
            scope,
            self._output,
            self._flow,
            _ERRORS,
            _ERRORS,
            False,  # no access log: the application writes a line per request
            self._server_state.default_headers,
            asyncio.Event(),
            expect_100_continue=expects,
            keep_alive=reusable,
            on_response=self._responded,
        )
        cycle.connection = self
        task = self._loop.create_task(cycle.run_asgi(self._app), context=Context())
        task.add_done_callback(self._server_state.tasks.discard)
        self._server_state.tasks.add(task)
        if work is not None:
            cycle.work = work
            task.add_done_callback(work.end)
        self._expect_body(head)
        if not has_body:
            self._end_body(rest)
        elif rest:
            self._received += rest
            self._flow.pause_reading()

    def _expect_body(self, head: HttpHead) -> None:
        self._phase = Phase.BODY
        self._body_left, self._discarded = head.length, 0
        self._chunks = Chunks() if head.chunked else None
        self._wanted = False
        self._body_seconds = self._limits.body_seconds

    # Bodies

    def read_on(self) -> None:
        """Read a body, of which the application wants more, and let the time for it run.

        After the end of the body this only detects that the client has left.
        """
        if self._phase is Phase.BODY and not self._wanted:
            self._wanted = True
            if self._received:
                waiting, self._received = bytes(self._received), bytearray()
                self._read_body(waiting)
        if self._phase is Phase.BODY and self._wanted:
            self._flow.resume_reading()
            if self._timer is None:
                self._body_since = self._loop.time()
                self._wait(self._body_seconds, self._body_too_late)
        elif self._phase is Phase.RESPONSE and not self._received:
            self._flow.resume_reading()

    def _read_body(self, data: bytes) -> None:
        cycle = self._cycle
        rest: bytes | None
        if self._chunks is None:
            body, rest = data[: self._body_left], data[self._body_left :]
            self._body_left -= len(body)
            if self._body_left:
                rest = None
        else:
            try:
                body, rest = self._chunks.feed(data)
            except MalformedChunks:
                if cycle is None or cycle.response_complete:
                    self.finish()
                    return
                self._connections.count(Refused.MALFORMED)
                self._give_up("BAD_REQUEST", "The chunks of the body are malformed or too many.")
                return
        if cycle is None or cycle.response_complete:
            self._discarded += len(body)
            if rest is not None:
                self._end_body(rest)
                self._continue()
            elif self._discarded > DISCARD_BYTES:
                self.finish()
            return
        cycle.waiting_for_100_continue = False
        cycle.body += body
        if rest is not None:
            self._end_body(rest)
        elif len(cycle.body) > HIGH_WATER_LIMIT:
            self._flow.pause_reading()
            if self._timer is not None:
                self._stop_waiting()
                self._body_seconds -= self._loop.time() - self._body_since
        cycle.message_event.set()

    def _end_body(self, rest: bytes) -> None:
        self._stop_waiting()
        self._phase = Phase.RESPONSE
        if rest:
            self._received += rest
            self._flow.pause_reading()
        cycle = self._cycle
        if cycle is None:  # the request was refused
            return
        if not cycle.response_started:
            cycle.keep_alive = self._keep_alive
            full = None if cycle.work is None else cycle.work.begin()
            if full is not None:
                self._refuse_received(cycle, full)
                return
        cycle.more_body = False
        cycle.message_event.set()

    # Responses

    def _responded(self) -> None:
        """Continue with the next request, after the rest of a body that the application did not want."""
        self._server_state.total_requests += 1
        if self._cycle is not None and self._cycle.work is not None:
            self._cycle.work.end()
        if self._phase is Phase.BODY and self._cycle is not None:
            self._cycle.body = bytearray()
            self._discard_body()
        else:
            self._next()

    def _discard_body(self) -> None:
        if self._chunks is not None:
            self._chunks.expect(DISCARD_CHUNKS)
        self.read_on()

    def _next(self) -> None:
        """Wait for the next request, or begin it if it has been received; but first, the client takes its response."""
        if self._phase is not Phase.RESPONSE or self._flow.write_paused or self._transport.is_closing():
            return
        if self._cycle is not None and not self._cycle.response_complete:
            return
        self._phase = Phase.HEAD
        self._cycle = None  # an idle connection keeps nothing of its last request
        self._head_begun = False
        self._connections.rests(self)
        if self._received:
            waiting, self._received = bytes(self._received), bytearray()
            self._read_head(waiting)
        elif self._ending:
            self._close()
        else:
            self._wait(self._limits.keep_alive_seconds, self._close)
            self._flow.resume_reading()

    def _continue(self) -> None:
        """Begin the next request: after a pause when refusals take too much of the processor.

        One that was received begins in another call, because pipelined refusals would recurse.
        """
        was_refused = self._cycle is None
        pause = self._slots.pause_seconds() if was_refused and self._slots is not None else 0.0
        if pause or self._received:
            self._flow.pause_reading()
            self._wait(pause, self._next)
        else:
            self._next()

    def finish(self) -> None:
        """Close after what was written. A client that is still sending is read for a while, to receive the response.

        Closing a socket with unread data resets the connection, and the client may lose the response.
        """
        if self._phase is Phase.LINGER or self._transport.is_closing():
            return
        if self._phase is Phase.RESPONSE and not self._received:
            self._close()
            return
        self._phase = Phase.LINGER
        self._received = bytearray()
        self._chunks = None
        if self._has_place:
            self._connections.rests(self)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._flow.resume_reading()
        self._wait(self._limits.linger_seconds, self._close)

    def _refuse_unseen(
        self,
        code: str,
        sentence: str,
        *,
        head: HttpHead | None = None,
        without_body: bool = False,
        own_share: bool = False,
    ) -> None:
        """Answer a request that the application has not seen, and close."""
        request_id = new_request_id()
        without_body = without_body or (head is not None and head.method == "HEAD")
        status = self._refuse(code, sentence, request_id, without_body=without_body)
        self._report(head, status, code, request_id, own_share=own_share)

    def _report(self, head: HttpHead | None, status: int, code: str, request_id: str, *, own_share: bool) -> None:
        method, path = (None, None) if head is None else (head.method, _path_of(head))
        self.report(
            EdgeRefusal(method=method, path=path, status=status, code=code, request_id=request_id, own_share=own_share)
        )

    def report(self, refusal: EdgeRefusal) -> None:
        """Report an answer to a request that the application has not seen."""
        Context().run(self._connections.answered, refusal)

    def _refuse(self, code: str, sentence: str, request_id: str, *, without_body: bool) -> int:
        """Answer in place of the application, and close. Returns the status."""
        status, fields, body = refusal(code, sentence, request_id)
        self._write(status, fields, body, without_body=without_body)
        self.finish()
        return status

    def _refuse_work(self, work: Work, full: Full, method: str, request_id: str, *, reusable: bool) -> int:
        """Answer a request that gets no slot, and continue after its body unless the connection is not reusable.

        Returns the status.
        """
        self._server_state.total_requests += 1
        response = work.refusal(full, request_id)
        fields = response.headers if reusable else [*response.headers, (b"connection", b"close")]
        self._write(response.status, fields, response.body, without_body=method == "HEAD")
        if not reusable:
            self.finish()
        elif self._phase is Phase.RESPONSE:
            self._continue()
        else:
            self._discard_body()
        return response.status

    def _refuse_received(self, cycle: "Exchange", full: Full) -> None:
        """Answer a request that gets no slot after its body was received. The application sees a client that left."""
        work, scope = cycle.work, cycle.scope
        assert work is not None  # noqa: S101 - it was refused
        self._abandon()
        self._cycle = None
        state = scope["state"]
        request_id = state.setdefault("request_id", new_request_id())
        status = self._refuse_work(work, full, scope["method"], request_id, reusable=cycle.keep_alive)
        state["refused"] = (status, "OVERLOADED")
        state["own_share"] = full.own_share

    def _write(self, status: int, fields: Iterable[tuple[bytes, bytes]], body: bytes, *, without_body: bool) -> None:
        content = [STATUS_LINE[status]]
        for name, value in (*self._server_state.default_headers, *fields):
            content += (name, b": ", value, b"\r\n")
        content += (b"\r\n", b"" if without_body else body)
        self._transport.write(b"".join(content))

    def _give_up(self, code: str, sentence: str) -> None:
        """End a request whose body cannot be read to its end."""
        cycle = self._cycle
        assert cycle is not None  # noqa: S101 - called while reading a body
        started = cycle.response_started
        self._abandon()
        if started:
            self.finish()
        else:
            state, without_body = cycle.scope["state"], cycle.scope["method"] == "HEAD"
            request_id = state.setdefault("request_id", new_request_id())
            state["refused"] = (self._refuse(code, sentence, request_id, without_body=without_body), code)

    def _abandon(self) -> None:
        """Let the application know that the client is gone."""
        if self._cycle is not None:
            if not self._cycle.response_complete:
                self._cycle.disconnected = True
            self._cycle.message_event.set()

    def _unread(self) -> bool:
        """Return whether the kernel has received bytes that the event loop has not read yet."""
        descriptor = self._transport.get_extra_info("socket").fileno()
        return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder) > 0

    def _close(self) -> None:
        """Close when everything is sent, which a client that does not read cannot prevent for long."""
        self._stop_waiting()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._watch_writing()

    # Times

    def _wait(self, seconds: float, late: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = self._loop.call_later(seconds, late, context=Context())

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cancel_timers(self) -> None:
        self._stop_waiting()
        if self._writing_timer is not None:
            self._writing_timer.cancel()
            self._writing_timer = None

    def _head_too_late(self) -> None:
        self._connections.count(Refused.HEAD_TIMEOUT)
        if self._received:
            self._refuse_unseen("REQUEST_TIMEOUT", "The header was not received in time.")
        else:
            self._close()

    def _first_request_too_late(self) -> None:
        if self._received:
            self._wait(self._limits.head_seconds, self._head_too_late)
        else:
            self._close()

    def _body_too_late(self) -> None:
        self._connections.count(Refused.BODY_TIMEOUT)
        self._give_up("REQUEST_TIMEOUT", "The body was not received in time.")

    def _watch_writing(self) -> None:
        if self._writing_timer is None:
            size = self._transport.get_write_buffer_size()
            seconds = self._limits.write_seconds
            self._writing_timer = self._loop.call_later(seconds, self._check_writing, size, context=Context())

    def _check_writing(self, size: int) -> None:
        self._writing_timer = None
        left = self._transport.get_write_buffer_size()
        if left and size - left < WRITE_BYTES:
            self._connections.count(Refused.NOT_READING)
            self._transport.abort()
        elif left:
            self._connections.unsent(self, left)
            self._watch_writing()


class Output(asyncio.Transport):
    """The transport for a response: closing it lets the connection finish."""

    def __init__(self, connection: HttpConnection, transport: asyncio.Transport) -> None:
        super().__init__()
        self._connection = connection
        self._transport = transport

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Send."""
        self._transport.write(data)

    def close(self) -> None:
        """Finish after what was written."""
        self._connection.finish()

    def is_closing(self) -> bool:
        """Return whether nothing more can be sent."""
        return self._transport.is_closing()


class Exchange(RequestResponseCycle):
    """A request and its response, as the application sees them."""

    connection: HttpConnection
    work: Work | None = None
    """The work on the request, if it takes a slot."""
    client_has_finished = False
    """Whether the client sends no more; it may still read, or have left."""
    _received = False
    """Whether the application has the whole request."""

    async def receive(self) -> Any:
        """Return the next part of the body, or the client's departure."""
        if not self.disconnected and not self.response_complete:
            if self.waiting_for_100_continue and not self.transport.is_closing():
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self.waiting_for_100_continue = False
            self.connection.read_on()
            if not (self._received and self.client_has_finished):
                await self.message_event.wait()
                self.message_event.clear()
        if self._received and self.client_has_finished and not self.response_complete:
            self.disconnected = True
            self.connection.finish()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        self._received = not self.more_body
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send_500_response(self) -> None:
        """Answer for an application that failed before its response."""
        seen = self.scope["state"].get("request_id")
        request_id = seen or new_request_id()
        status, fields, body = refusal("INTERNAL", "The server failed to answer.", request_id)
        await self.send({"type": "http.response.start", "status": status, "headers": fields})
        await self.send({"type": "http.response.body", "body": body})
        if seen is None:
            method, path = self.scope["method"], self.scope["path"]
            self.connection.report(
                EdgeRefusal(method=method, path=path, status=status, code="INTERNAL", request_id=request_id)
            )


def _path_of(head: HttpHead) -> str:
    path = head.path.decode("ascii")
    return unquote(path) if "%" in path else path


def refusal(code: str, sentence: str, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return the status, the fields and the body of an answer after which the connection is closed."""
    response = refused(code, sentence, request_id)
    more = [
        (b"x-request-id", request_id.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    return response.status, response.headers + more, response.body


_ERRORS = logging.getLogger("uvicorn.error")
