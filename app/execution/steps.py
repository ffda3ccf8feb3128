"""Generators that yield awaitables: the same code completes synchronously or continues in an event loop."""

import asyncio
from collections.abc import Coroutine, Generator, Sequence
from contextvars import Context
from types import CoroutineType
from typing import Any, TypeVar

Result = TypeVar("Result")


class Concurrent:
    """Awaitables to await concurrently. Awaiting gives a list with the result or exception of each.

    Cancellation cancels all awaitables and waits for their end. If the object is deleted before it starts, it closes
    its coroutines.
    """

    def __init__(self, awaitables: Sequence[Any]) -> None:
        self._awaitables = awaitables

    def take(self) -> Sequence[Any]:
        """Return the awaitables once; the caller is then responsible for them."""
        awaitables, self._awaitables = self._awaitables, ()
        return awaitables

    def __del__(self) -> None:
        for awaitable in self._awaitables:
            if isinstance(awaitable, CoroutineType | InContext | Sequential):
                awaitable.close()


Steps = Generator[Concurrent, list[Any], Result]
"""A generator that yields awaitables, receives their results, and returns its own result."""


def start(steps: Steps[Result]) -> Result | Coroutine[Any, Any, Result]:
    """Run steps up to the first wait. Returns their result, or a coroutine of the result that has not started."""
    try:
        concurrent = next(steps)
    except StopIteration as done:
        result: Result = done.value
        return result
    return _resume(steps, concurrent)


class InContext:
    """A coroutine that runs as a task in its own context."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
        self._coroutine = coroutine
        self._context = context

    def __await__(self) -> Generator[Any, Any, Any]:
        return asyncio.get_running_loop().create_task(self._coroutine, context=self._context).__await__()

    def close(self) -> None:
        """Close the coroutine if it has not started."""
        self._coroutine.close()


class Sequential:
    """Awaitables to await one after another. Awaiting gives the list of their results."""

    def __init__(self, awaitables: Sequence[Any]) -> None:
        self._awaitables = awaitables

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self._run().__await__()

    def close(self) -> None:
        """Close the coroutines that have not started."""
        for awaitable in self._awaitables:
            awaitable.close()

    async def _run(self) -> list[Any]:
        try:
            return [await awaitable for awaitable in self._awaitables]
        finally:
            self.close()


async def _resume(steps: Steps[Result], concurrent: Concurrent) -> Result:
    while True:
        try:
            outcomes = await _settle(concurrent.take())
        except BaseException as error:
            steps.throw(error)
            raise
        try:
            concurrent = steps.send(outcomes)
        except StopIteration as done:
            result: Result = done.value
            return result


async def _settle(awaitables: Sequence[Any]) -> list[Any]:
    if len(awaitables) == 1:
        try:
            return [await awaitables[0]]
        except Exception as error:  # noqa: BLE001 - the exception is the outcome, as with `gather`
            return [error]
    if not _GATHERED.issuperset(map(type, awaitables)):
        awaitables = [each if type(each) in _GATHERED else _as_coroutine(each) for each in awaitables]
    outcomes = await asyncio.gather(*awaitables, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
            raise outcome
    return outcomes


_GATHERED = {CoroutineType, InContext, Sequential, asyncio.Future, asyncio.Task}
"""Classes that `asyncio.gather` accepts. It may reject or mishandle other awaitables, so they are wrapped."""


async def _as_coroutine(awaitable: Any) -> Any:
    return await awaitable
