"""A uvicorn with the product's protocol class and a small application, and raw sockets to talk to it."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.connections import ConnectionLimits, Connections, EdgeRefusal
from app.http.health import SharedChecks, health_routes
from app.http.protocol import CONNECTIONS, HttpConnection
from app.http.slots import SLOTS, RequestSlots
from app.serving import StoppingServer, StopTimes

PATIENCE = 10.0
"""Seconds that a test waits for something that happens at once on an idle machine."""
LARGE = 5_000_000
AT_ONCE = StopTimes(delay=0, drain=5)
REQUEST_ID = "id-of-the-application"
BOUND: ContextVar[str | None] = ContextVar("BOUND", default=None)
"""The path of the request that is in progress, bound to its context as telemetry binds ids and spans."""


@dataclass
class Serving:
    """A running server: what its application saw, and what the protocol refused."""

    port: int
    limits: ConnectionLimits
    seen: list[Scope] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    reported: list[EdgeRefusal] = field(default_factory=list)
    inherited: list[str | None] = field(default_factory=list)
    """What was bound when each request began, and when each refusal was reported."""
    connections: Connections | None = None
    slots: RequestSlots | None = None
    released: threading.Event = field(default_factory=threading.Event)
    server: StoppingServer | None = None

    @property
    def open(self) -> int:
        """The number of open connections."""
        assert self.connections is not None
        return len(self.connections)

    def connect(self, source: str = "127.0.0.1") -> "Wire":
        """Open a connection from an address of the loopback network."""
        return Wire(socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0)))

    def ask(self, request: bytes) -> "Answered":
        """Send one request on a connection of its own."""
        with self.connect() as wire:
            wire.send(request)
            return wire.answer()


@dataclass(frozen=True)
class Answered:
    """A response."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of a refusal, whose form is checked."""
        assert self.fields["content-type"].startswith("application/json")
        assert self.fields["x-content-type-options"] == "nosniff"
        assert self.fields["cache-control"] == "no-store"
        (error,) = json.loads(self.body)["errors"]
        assert error["extensions"]["requestId"] == self.fields["x-request-id"]
        assert error["message"]
        return str(error["extensions"]["code"])


class Wire:
    """A client's end of a connection."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.end.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.end.sendall(data)

    def answer(self, method: str = "GET") -> Answered:
        """Return the next response. The connection must not be pipelined: reading ahead loses bytes."""
        response = http.client.HTTPResponse(_Unbuffered(self.end), method=method)  # type: ignore[arg-type] # - only makefile is used
        response.begin()
        body = response.read()
        return Answered(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def closed(self) -> bool:
        """Return whether the server closes the connection without sending more."""
        try:
            return self.end.recv(1) == b""
        except ConnectionResetError:
            return True


class _Unbuffered:
    """Lets http.client read no more than it needs."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def makefile(self, mode: str) -> Any:
        """Return a file without a buffer that reads ahead."""
        return _File(self._end, mode)


class _File:
    def __init__(self, end: socket.socket, _mode: str) -> None:
        self._end = end

    def readline(self, limit: int = -1) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n") and len(line) != limit:
            byte = self._end.recv(1)
            if not byte:
                break
            line += byte
        return bytes(line)

    def read(self, size: int = -1) -> bytes:
        data = bytearray()
        while len(data) != size:
            more = self._end.recv(65_536 if size < 0 else min(size - len(data), 65_536))
            if not more:
                break
            data += more
        return bytes(data)

    def readinto(self, buffer: bytearray) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...


@contextmanager
def serving(
    loop: str = "uvloop", times: StopTimes = AT_ONCE, *, slots: RequestSlots | None = None, **limits: Any
) -> Iterator[Serving]:
    """Run a server in a thread of its own while the block runs. Without `slots`, no request takes one."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(2_048)
        found = Serving(listener.getsockname()[1], ConnectionLimits(**limits), slots=slots)
        config = uvicorn.Config(
            application(found),
            http=HttpConnection,
            ws="none",
            loop=loop,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        found.server = server = StoppingServer(config, times)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            eventually(lambda: server.started or not thread.is_alive())
            yield found
        finally:
            found.released.set()
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def application(found: Serving) -> ASGIApp:
    """Return the application; it notes the requests that reach it."""

    async def echo(request: Request) -> Response:
        body = await request.body()
        found.bodies.append(body)
        return Response(body)

    async def refuse(_request: Request) -> Response:
        return PlainTextResponse("who are you", 401)

    async def large(_request: Request) -> Response:
        return Response(b"x" * LARGE)

    async def hold(_request: Request) -> Response:
        while not found.released.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        return PlainTextResponse("released")

    async def slow_reader(request: Request) -> Response:
        while not found.released.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        return PlainTextResponse(str(len(await request.body())))

    async def until_it_leaves(request: Request) -> Response:
        await request.body()
        while not await request.is_disconnected():  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.01)
        return PlainTextResponse("left")

    async def graphql(request: Request) -> Response:
        """Do what the query parameter `act` says."""
        act = request.query_params.get("act", "echo")
        if act == "break":
            raise LookupError("the secret of the application")
        if act == "refuse":
            return await refuse(request)
        await request.body()
        if act == "hold":
            return await hold(request)
        if act == "leave":
            return await until_it_leaves(request)
        return await echo(request)

    async def end_all(_request: Request) -> Response:
        while not found.released.is_set():  # the event loop reads nothing in the meantime
            time.sleep(0.01)  # noqa: ASYNC251 - on purpose
        assert found.server is not None
        for connection in list(found.server.server_state.connections):
            connection.shutdown()
        return PlainTextResponse("ended")

    async def checks() -> dict[str, bool]:
        return {"ready": True}

    def report(refusal: EdgeRefusal) -> None:
        found.inherited.append(BOUND.get())
        found.reported.append(refusal)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, object]]:
        found.connections = Connections(found.limits, lambda reason: found.refused.update([reason]), report)
        yield {CONNECTIONS: found.connections} | ({} if found.slots is None else {SLOTS: found.slots})

    methods = ["GET", "POST", "OPTIONS"]
    routes = [
        *(
            Route(f"/{each.__name__}", each, methods=methods)
            for each in (echo, refuse, large, hold, slow_reader, until_it_leaves, end_all)
        ),
        Route("/graphql", graphql, methods=methods),
        *health_routes(SharedChecks(checks), lambda: found.connections is not None and found.connections.stopping),
    ]
    return _Noting(Starlette(routes=routes, lifespan=lifespan), found)


class _Noting:
    def __init__(self, app: ASGIApp, found: Serving) -> None:
        self._app, self._found = app, found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._found.inherited.append(BOUND.get())
            BOUND.set(scope["path"])
            self._found.seen.append(scope)
            if scope["path"] == "/broken/at-once":
                raise LookupError("the secret of the application")
            scope["state"]["request_id"] = REQUEST_ID
            if scope["path"] == "/broken":
                raise LookupError("the secret of the application")
        await self._app(scope, receive, send)


def eventually(holds: Callable[[], bool], within: float = PATIENCE) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.005)
