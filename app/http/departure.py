"""Client disconnects: cancels the work for a client that has left, unless the request writes."""

import asyncio
from types import TracebackType

from starlette.requests import ClientDisconnect
from starlette.types import Receive

PATIENCE_SECONDS = 1.0
"""Seconds before the connection is watched. Most requests finish earlier and only pay for a timer."""


class Departure:
    """A context manager that cancels its task when the client disconnects, and raises ClientDisconnect instead."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = False
        self._watch: asyncio.Task[None] | None = None

    def __enter__(self) -> "Departure":
        loop = asyncio.get_running_loop()
        self._work = asyncio.current_task(loop)
        self._timer = loop.call_later(PATIENCE_SECONDS, self._begin)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.ignore()
        if self._left and kind is asyncio.CancelledError and self._work is not None and self._work.uncancel() == 0:
            raise ClientDisconnect from error

    def ignore(self) -> None:
        """Stop watching: finish the work even when the client disconnects, as writes must."""
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def _begin(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # the rest of a body that is not read
        self._left = True
        if self._work is not None:
            self._work.cancel()
