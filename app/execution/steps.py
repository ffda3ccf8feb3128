"""Generators that yield what must be awaited: the same code runs to its end at once, or goes on in an event loop."""

import asyncio
from collections.abc import Coroutine, Generator, Sequence
from contextvars import Context
from types import CoroutineType
from typing import Any, TypeVar

Result = TypeVar("Result")


class Together:
    """Awaits all awaitables at once and gives a list of what each gave or raised.

    Cancelling it cancels those in flight and waits for their end; dropped before its start, it closes its coroutines.
    """

    def __init__(self, awaitables: Sequence[Any]) -> None:
        self._awaitables = awaitables

    def take(self) -> Sequence[Any]:
        """The awaitables, once: who takes them sees to them."""
        awaitables, self._awaitables = self._awaitables, ()
        return awaitables

    def __del__(self) -> None:
        for awaitable in self._awaitables:
            if isinstance(awaitable, CoroutineType | InContext | InTurn):
                awaitable.close()


Steps = Generator[Together, list[Any], Result]
"""Yields what to await, is sent the outcomes, returns its result."""


def begin(steps: Steps[Result]) -> Result | Coroutine[Any, Any, Result]:
    """Run steps as far as they go without waiting; gives their result, or a coroutine of it that has not started."""
    try:
        together = next(steps)
    except StopIteration as done:
        result: Result = done.value
        return result
    return _go_on(steps, together)


class InContext:
    """A coroutine that runs as a task of its own context."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
        self._coroutine = coroutine
        self._context = context

    def __await__(self) -> Generator[Any, Any, Any]:
        return asyncio.get_running_loop().create_task(self._coroutine, context=self._context).__await__()

    def close(self) -> None:
        """Drop the coroutine unless it has started."""
        self._coroutine.close()


class InTurn:
    """Awaitables that are awaited one after the other; gives a list of what each gave."""

    def __init__(self, awaitables: Sequence[Any]) -> None:
        self._awaitables = awaitables

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self._go().__await__()

    def close(self) -> None:
        """Drop the coroutines that have not started."""
        for awaitable in self._awaitables:
            awaitable.close()

    async def _go(self) -> list[Any]:
        try:
            return [await awaitable for awaitable in self._awaitables]
        finally:
            self.close()


async def _go_on(steps: Steps[Result], together: Together) -> Result:
    while True:
        try:
            outcomes = await _settle(together.take())
        except BaseException as error:
            steps.throw(error)
            raise
        try:
            together = steps.send(outcomes)
        except StopIteration as done:
            result: Result = done.value
            return result


async def _settle(awaitables: Sequence[Any]) -> list[Any]:
    if len(awaitables) == 1:
        try:
            return [await awaitables[0]]
        except Exception as error:  # noqa: BLE001
            return [error]
    if not _GATHERED.issuperset(map(type, awaitables)):
        awaitables = [each if type(each) in _GATHERED else _awaited(each) for each in awaitables]
    outcomes = await asyncio.gather(*awaitables, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
            raise outcome
    return outcomes


_GATHERED = {CoroutineType, InContext, InTurn, asyncio.Future, asyncio.Task}
"""Classes that `asyncio.gather` is known to take; others may be awaited and yet refused or confused by it."""


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
