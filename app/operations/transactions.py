"""Attempts of a mutation: one that fails before its COMMIT is retried, one whose COMMIT was sent is not."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncpg

from app.db.database import Overloaded
from app.domain.refusals import Refusal
from app.operations import idempotency
from app.operations.context import NO_MEASUREMENTS, MutationCall, MutationOutcome, WriteContext

T = TypeVar("T")

MOST_TRIES = 3


class GivenUp(Exception):  # noqa: N818 - named after the event
    """A transaction was rolled back because of concurrent transactions. Nothing was written."""


async def attempted(
    context: WriteContext, mutation: str, call: MutationCall[Any], attempt: Callable[[], Awaitable[MutationOutcome]]
) -> MutationOutcome:
    """Run the attempts of a mutation, alone with its idempotency key, and report its outcome. Raises its refusals."""
    try:
        with idempotency.alone(context, call):
            outcome = await retried(attempt)
    except Refusal as refusal:
        context.performed(mutation, refusal.code, NO_MEASUREMENTS)
        raise
    context.performed(mutation, "REPLAYED" if outcome.replayed else "APPLIED", outcome.measurements)
    return outcome


async def retried(attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of an attempt. An attempt that is rolled back before its COMMIT is retried, three attempts in total.

    Raises Overloaded after the third attempt.
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
    """The part of a transaction before its COMMIT is sent: a deadlock or serialization failure raises GivenUp."""
    try:
        yield
    except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
        raise GivenUp from error
