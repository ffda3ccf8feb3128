"""Attempts of a mutation: one that fails before its COMMIT is retried, one whose COMMIT was sent is not.

A location whose lock others hold or wait for has only a few attempts at one time. Further ones wait without a
connection, and then start anew.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from app.db.failures import Overloaded, TransactionConflict
from app.domain.events import NO_EFFECT, Effect
from app.domain.refusals import Refusal
from app.operations import idempotency
from app.operations.context import (
    NO_MEASUREMENTS,
    MutationCall,
    MutationOutcome,
    RefusedAttempt,
    WriteContext,
)

T = TypeVar("T")

MOST_TRIES = 3


class GivenUp(Exception):  # noqa: N818 - named after the event
    """A transaction was rolled back because of concurrent transactions. Nothing was written."""


class LocationsBusy(Exception):  # noqa: N818 - named after the state
    """Other transactions lock these locations, or wait to lock them."""

    def __init__(self, location_ids: Collection[str]) -> None:
        super().__init__()
        self.location_ids = location_ids


def hold_locations(context: WriteContext, location_ids: Collection[str]) -> None:
    """Count the attempt as one that locks these locations. Raises LocationsBusy if there are too many."""
    if not context.locations.try_hold(location_ids):
        raise LocationsBusy(location_ids)


async def attempted(
    context: WriteContext,
    mutation: str,
    call: MutationCall[Any],
    attempt: Callable[[], Awaitable[MutationOutcome | RefusedAttempt]],
) -> MutationOutcome:
    """Run the attempts of a mutation, alone with its idempotency key, and report its outcome. Raises its refusals."""
    try:
        with idempotency.alone(context, call):
            outcome = await retried(context, attempt)
    except Refusal as refusal:
        _report_refusal(context, mutation, refusal, NO_EFFECT)
        raise
    if isinstance(outcome, RefusedAttempt):
        _report_refusal(context, mutation, outcome.refusal, outcome.effect)
        raise outcome.refusal
    context.performed(mutation, "REPLAYED" if outcome.replayed else "APPLIED", outcome.measurements)
    for effect in outcome.effects:
        context.emit(mutation, effect, None)
    return outcome


def _report_refusal(context: WriteContext, mutation: str, refusal: Refusal, effect: Effect) -> None:
    context.performed(mutation, refusal.code, NO_MEASUREMENTS)
    context.emit(mutation, effect, refusal.code)


async def retried(context: WriteContext, attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of an attempt. An attempt that is rolled back before its COMMIT is retried, three attempts in total.

    An attempt that found its locations busy is not counted. The next one starts when it is its turn, which the deadline
    of the request bounds. Raises Overloaded after the third attempt.
    """
    tries = 0
    try:
        while True:
            try:
                return await attempt()
            except LocationsBusy as busy:
                with context.database.observe("step", "wait for location", {}):
                    await context.locations.hold(busy.location_ids)
            except GivenUp as error:
                tries += 1
                if tries == MOST_TRIES:
                    raise Overloaded from error
    finally:
        context.locations.release()


@contextmanager
def before_commit() -> Iterator[None]:
    """The part of a transaction before its COMMIT is sent: a deadlock or serialization failure raises GivenUp."""
    try:
        yield
    except TransactionConflict as error:
        raise GivenUp from error
