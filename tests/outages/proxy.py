"""A TCP proxy that breaks the network between the server and what it depends on.

It runs an event loop in a thread of its own, so that a test that blocks does not stop it. Its methods may be called
from any thread.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from operator import itemgetter
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

CHUNK = 64 * 1024
LOCALHOST = "127.0.0.1"
LINGER_NOT = struct.pack("ii", 1, 0)
"""The socket option with which a close sends a reset."""


class Mode(Enum):
    """What happens to connections, established ones and new ones alike."""

    PASS = auto()
    """Forward everything."""
    LATENCY = auto()
    """Forward each chunk `latency_seconds` late, in both directions."""
    BLACK_HOLE = auto()
    """Accept connections, keep them open and forward nothing, not even that one side has closed.

    What is sent meanwhile is not lost: as in TCP, it arrives when the network is back.
    """
    SWALLOW = auto()
    """Forward requests, and hold the replies back."""
    CUT = auto()
    """Forward requests, and reset the connection when a reply arrives: the reply is lost."""
    RESET = auto()
    """Reset every connection."""
    REFUSE = auto()
    """Reset established connections, and refuse new ones."""


class FaultProxy:
    """Forwards connections to a target: the path of a Unix socket, or a host and a port.

    A context manager; listens on 127.0.0.1 at `port` from `__enter__` to `__exit__`.
    """

    def __init__(self, target: str | tuple[str, int]) -> None:
        self._target = target
        self._mode = Mode.PASS
        self._latency = 0.0
        self._trap: tuple[bytes, Mode] | None = None
        self._sprung = 0
        self._served: dict[asyncio.Task[None], _Connection] = {}
        self._server: asyncio.Server | None = None
        # Bound without listening: it keeps the port while connections are refused.
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]

    # From any thread

    def __enter__(self) -> Self:
        """Start to listen."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._call(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Reset all connections and stop."""
        self.set(Mode.REFUSE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()

    def set(self, mode: Mode, *, latency_seconds: float = 0.0) -> None:
        """Change the mode of all connections, established ones included, and remove the trap."""

        async def change() -> None:
            self._mode, self._latency, self._trap = mode, latency_seconds, None
            for task, connection in self._served.items():
                connection.change(None)
                if mode in {Mode.RESET, Mode.REFUSE}:
                    task.cancel()
            if mode is Mode.REFUSE:
                await self._stop_listening()
            elif self._server is None:
                await self._listen()

        self._call(change)

    def trap(self, marker: bytes, mode: Mode) -> None:
        """Change the mode of each connection that sends a chunk with these bytes, from that chunk on.

        With BLACK_HOLE and RESET the chunk itself is not forwarded; with SWALLOW and CUT it is. The text of a statement
        such as COMMIT is in one chunk. `set` removes the trap.
        """

        async def change() -> None:
            self._trap = marker, mode

        self._call(change)

    @property
    def sprung(self) -> int:
        """How many connections have met the trap."""
        return self._sprung

    @property
    def connections(self) -> int:
        """The number of connections that are open."""
        return len(self._served)

    def url(self, original: str) -> str:
        """Return a URL of the target with the proxy's address: of PostgreSQL, Redis or an HTTP server.

        A host that PostgreSQL's URL names in its query is replaced, too.
        """
        parts = urlsplit(original)
        credentials, at, _ = parts.netloc.rpartition("@")
        query = [(name, value) for name, value in parse_qsl(parts.query) if name not in {"host", "port"}]
        scheme, path = ("redis", "") if parts.scheme == "unix" else (parts.scheme, parts.path)
        netloc = f"{credentials}{at}{LOCALHOST}:{self.port}"
        return urlunsplit((scheme, netloc, path, urlencode(query), ""))

    def _call(self, function: Callable[[], Coroutine[None, None, None]]) -> None:
        asyncio.run_coroutine_threadsafe(function(), self._loop).result(10)

    # In the proxy's thread

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, sock=_bound(self.port))

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        while self._served:
            await asyncio.wait(set(self._served))

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = self._served[task] = _Connection(self)
        try:
            await connection.serve(self._target, reader, writer)
        except (OSError, asyncio.CancelledError):
            _reset(writer)
        finally:
            del self._served[task]
            writer.close()

    def mode_of(self, _connection: object, chunk: bytes) -> Mode | None:
        """Return the mode of a connection that sends this chunk, if it is trapped."""
        if self._trap is None or self._trap[0] not in chunk:
            return None
        self._sprung += 1
        return self._trap[1]

    @property
    def state(self) -> tuple[Mode, float]:
        """The mode of all connections that are not trapped, and the latency in seconds."""
        return self._mode, self._latency


class _Connection:
    """One client's connection and its connection to the target."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._trapped: Mode | None = None
        self._changed = asyncio.Event()

    def change(self, trapped: Mode | None) -> None:
        """Change the connection's own mode, and let what waits look again."""
        self._trapped = trapped
        self._changed.set()
        self._changed = asyncio.Event()

    async def serve(
        self, target: str | tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Forward until one side closes. Raises OSError when the connection is to be reset."""
        await self._pass()
        opened = asyncio.open_unix_connection(target) if isinstance(target, str) else asyncio.open_connection(*target)
        upstream_reader, upstream_writer = await opened
        pumps = [
            asyncio.ensure_future(self._pump(reader, upstream_writer, is_reply=False)),
            asyncio.ensure_future(self._pump(upstream_reader, writer, is_reply=True)),
        ]
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in done:
                pump.result()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            upstream_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_reply: bool) -> None:
        while True:
            chunk = await reader.read(CHUNK)
            trapped = None if is_reply else self._proxy.mode_of(self, chunk)
            if trapped is not None:
                self.change(trapped)
            await self._pass(is_reply=is_reply)
            if not chunk:
                return
            writer.write(chunk)
            await writer.drain()

    async def _pass(self, *, is_reply: bool = False) -> None:
        """Return when a chunk may be forwarded, or the target be connected to."""
        while True:
            mode, latency = self._proxy.state
            mode = self._trapped or mode
            if mode in {Mode.RESET, Mode.REFUSE} or (mode is Mode.CUT and is_reply):
                raise ConnectionResetError
            if mode is Mode.BLACK_HOLE or (mode is Mode.SWALLOW and is_reply):
                await self._changed.wait()
                continue
            if mode is Mode.LATENCY:
                await asyncio.sleep(latency)
            return


def socket_of(url: str) -> str:
    """Return the path of PostgreSQL's Unix socket."""
    (folder,), (port,) = itemgetter("host", "port")(parse_qs(urlsplit(url).query))
    return f"{folder}/.s.PGSQL.{port}"


@contextmanager
def unanswered() -> Iterator[int]:
    """Yield a port on 127.0.0.1 that neither accepts nor refuses connections: SYN packets are dropped."""
    with _bound(0) as listener, socket.socket() as filler:
        listener.listen(0)
        address = listener.getsockname()
        filler.connect(address)
        yield address[1]


def _bound(port: int) -> socket.socket:
    """Return a socket that is bound to a port of 127.0.0.1, which others of this module may bind, too."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((LOCALHOST, port))
    return bound


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a reset."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    writer.transport.abort()
