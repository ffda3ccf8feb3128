"""Attempts at a transaction: one that deadlocks before its COMMIT is tried again, one whose COMMIT was sent is not."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import asyncpg

from app.db.database import Overloaded

T = TypeVar("T")

MOST_TRIES = 3


class GivenUp(Exception):  # noqa: N818 - reads as what happened
    """A transaction was given up because of what others did; nothing of it is left."""


async def retried(attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of an attempt that is made again when it was given up before its COMMIT, three times at most.

    Raises Overloaded after the third.
    """
    for tries in range(1, MOST_TRIES + 1):
        try:
            return await attempt()
        except GivenUp as error:
            if tries == MOST_TRIES:
                raise Overloaded from error
    raise AssertionError("the last try returns or raises")


@contextmanager
def before_commit() -> Iterator[None]:
    """Everything that a transaction does before its COMMIT is sent; what goes wrong from then on is never repeated."""
    try:
        yield
    except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
        raise GivenUp from error
