"""Sends requests at their scheduled times, and measures each from that time: a stall counts for all who wait for it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson

from bench.overload import Client

MOST_CONNECTIONS = 150
"""Connections of everybody together, within the limit of one address. Further requests wait; their time counts."""
ANSWER_SECONDS = 30.0
NO_ANSWER = "NO_ANSWER"
MAY_BE_WRITTEN = frozenset({"APPLIED", "UNKNOWN"})
"""The outcomes of a failed mutation after which it may have been written."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A request: its kind, the scheduled time, and the seconds from then to its answer.

    `client_delay` are the seconds by which this process itself was late. `code` is the error's, `problem` the first
    problem's.
    """

    kind: str
    at: float
    seconds: float
    client_delay: float
    code: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `data` is that of the root field named by the request; None if there is an error, with its `code`."""

    data: Any
    code: str | None = None
    may_be_written: bool = False

    @property
    def problem(self) -> str | None:
        """The code of the first problem of a mutation."""
        problems = self.data.get("problems") if isinstance(self.data, dict) else None
        return problems[0]["code"] if problems else None


class LoadConnection(Client):
    """A keep-alive connection. A connection that is closed instead of an answer gives an empty head."""

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio passes it
        """Wake the task that waits for the answer."""
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(b"", b"")

    def abandon(self) -> None:
        """Close the connection; nobody waits for its answer any more."""
        self._answered = None
        self.transport.abort()


@dataclass(slots=True)
class Network:
    """The clients' side of all requests to a server on this machine, and what was measured."""

    port: int
    samples: list[Sample] = field(default_factory=list)
    _idle: list[LoadConnection] = field(default_factory=list)
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_CONNECTIONS))

    async def ask(self, kind: str, root: str, request: bytes, at: float) -> Reply:
        """Send a request at a time of the event loop, at once if it has passed; record and return what came back."""
        loop = asyncio.get_running_loop()
        due = max(at, loop.time())
        await asyncio.sleep(due - loop.time())
        client_delay = loop.time() - due
        async with self._free:
            head, body = await self._sent(request)
        seconds = loop.time() - at
        reply = reply_of(head, body, root)
        self.samples.append(Sample(kind, at, seconds, client_delay, reply.code, reply.problem))
        return reply

    async def _sent(self, request: bytes) -> tuple[bytes, bytes]:
        connection = answer = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = await self._connection()
                answer = await connection.ask(request)
        except OSError:  # a TimeoutError is one
            return b"", b""
        finally:
            if connection is not None and answer is None:
                connection.abandon()
        self._idle.append(connection)
        return answer

    async def _connection(self) -> LoadConnection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():  # the server closes connections that are idle for long
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(LoadConnection, "127.0.0.1", self.port)
        return connection

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.transport.abort()


def reply_of(head: bytes, body: bytes, root: str) -> Reply:
    """Return the meaning of a response; an empty head is none."""
    if not head:
        return Reply(None, NO_ANSWER, may_be_written=True)
    answer = orjson.loads(body)
    if not answer.get("errors"):
        return Reply(answer["data"][root])
    extensions = answer["errors"][0].get("extensions", {})
    code = extensions.get("code", f"HTTP_{head[9:12].decode()}")
    return Reply(None, code, may_be_written=extensions.get("outcome") in MAY_BE_WRITTEN)
