"""A client that leaves while its answer is made: the work for it ends, unless it writes."""

import asyncio
from types import TracebackType

from starlette.requests import ClientDisconnect
from starlette.types import Receive

PATIENCE_SECONDS = 1.0
"""After how long it is asked whether the client is still there; most requests are done before, and pay a timer."""


class Departure:
    """Cancels the task that entered it once its client has left, and raises ClientDisconnect instead."""

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
        """Finish the work from here on whether or not the client waits, as a write has to be."""
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def _begin(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # what is left of a body that nobody reads
        self._left = True
        if self._work is not None:
            self._work.cancel()
