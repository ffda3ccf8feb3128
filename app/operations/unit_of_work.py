"""The frame of every write: sign in, key, lock, decide, apply, audit, commit; a refusal is entered and travels up.

What a refusal wrote is rolled back to the savepoint; whether the refusal itself is entered is a list here.
"""

import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import time_ns
from typing import TypeVar

import asyncpg

from app import audit
from app.audit import history
from app.audit.history import AsOf
from app.db import tables, writing
from app.db.aggregates import AggregateRecord
from app.db.database import Overloaded, Transaction
from app.domain import ids
from app.domain.digest import is_digest
from app.domain.mac_address import show_mac
from app.domain.refusals import MacInUse, NotFound, Refusal
from app.domain.vocabulary import LOCKED_STATUSES, ProblemCode
from app.operations import idempotency
from app.operations.aggregate import Aggregate
from app.operations.constraints import constraints_named
from app.operations.context import NOTHING_WATCHED, LocationChange, MutationCall, MutationOutcome, UseCase, WriteContext
from app.operations.persistence import claims_of, writes_of

T = TypeVar("T")

MOST_TRIES = 3
APPROVE = "approve"
SUBMIT_OR_APPROVE = ("submitOnboarding", "bulkUpdateStatus", APPROVE, "bulkApprove")
_ONLY_LOGGED = frozenset(
    {
        ProblemCode.NOT_FOUND,
        ProblemCode.INVALID_INPUT,
        ProblemCode.CONFLICT,
        ProblemCode.LIMIT_REACHED,
        ProblemCode.IDEMPOTENCY_KEY_REUSED,
        ProblemCode.IDEMPOTENCY_IN_PROGRESS,
    }
)


async def perform(context: WriteContext, use_case: UseCase, call: MutationCall) -> MutationOutcome:
    """Run one use case on one location in a transaction of its own.

    Raises what it refuses, NotFound for a location out of reach, and the idempotency refusals. A deadlock or
    a serialisation failure before COMMIT was sent is tried again, at most three times in all.
    """
    try:
        with idempotency.alone(context, call):
            outcome = await retried(lambda: _once(context, use_case, call))
    except Refusal as refusal:
        context.performed(use_case.mutation, refusal.code, NOTHING_WATCHED)
        raise
    context.performed(use_case.mutation, "REPLAYED" if outcome.replayed else "APPLIED", outcome.watched)
    return outcome


async def retried(attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of an attempt that is made again when it was given up before its COMMIT, three times at most.

    Raises Overloaded after the third.
    """
    for tries in range(1, MOST_TRIES + 1):
        try:
            return await attempt()
        except _GivenUp as error:
            if tries == MOST_TRIES:
                raise Overloaded from error
    raise AssertionError("the last try returns or raises")


class _GivenUp(Exception):  # noqa: N818 - reads as what happened
    """A transaction was given up because of what others did; nothing of it is left."""


@contextmanager
def before_commit() -> Iterator[None]:
    """Everything that a transaction does before its COMMIT is sent; what goes wrong from then on is never repeated."""
    try:
        yield
    except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
        raise _GivenUp from error


async def _once(context: WriteContext, use_case: UseCase, call: MutationCall) -> MutationOutcome:
    async with context.database.writing(context.subject, timeout_ms=context.timeout_ms) as tx:
        with before_commit():
            done = await _attempt(tx, context, use_case, call)
    if isinstance(done, Refusal):
        raise done
    return done


async def _attempt(
    tx: Transaction, context: WriteContext, use_case: UseCase, call: MutationCall
) -> MutationOutcome | Refusal:
    """What was done, or why not; either is to be committed."""
    kept = await idempotency.earlier(tx, call)
    if kept is not None:
        return MutationOutcome(ids=kept, replayed=True)
    aggregates = await _locked(tx, context, use_case, call)
    try:
        with constraints_named(aggregates[0]):
            async with tx.savepoint(final=True):
                return await _carry_out(tx, context, use_case, call, aggregates)
    except Refusal as refusal:
        approving = use_case.mutation == APPROVE
        recorded = [each for each in aggregates if is_recorded(refusal, each.record, approving=approving)]
        if recorded:
            await audit.open_entries(tx, [opening(context, use_case.mutation, each, refusal) for each in recorded])
            await audit.seal(tx)
        return refusal


async def _locked(tx: Transaction, context: WriteContext, use_case: UseCase, call: MutationCall) -> list[Aggregate]:
    """The locations concerned, locked in the order of their ids, as the use case names them.

    A device that was moved away while its location's lock was waited for is looked for anew.
    """
    wanted = [await writing.location_of(tx, use_case.table, call.input[use_case.key])]
    if use_case.other_key is not None:
        wanted.append(await writing.location_of(tx, tables.location, call.input[use_case.other_key]))
    named = [each for each in wanted if each is not None]
    if len(named) < len(wanted) or await writing.lock_locations(tx, named, tx.viewer.scope) < set(named):
        raise NotFound
    reviewed = {named[0]: call.input["expected_digest"]} if use_case.mutation == APPROVE else None
    aggregates = await aggregates_of(tx, context, named, reviewed=reviewed)
    if use_case.table is tables.device and call.input[use_case.key] not in aggregates[named[0]].record.row_revisions:
        raise _GivenUp
    return [aggregates[location_id] for location_id in named]


async def aggregates_of(
    tx: Transaction, context: WriteContext, location_ids: Sequence[str], *, reviewed: Mapping[str, str] | None
) -> dict[str, Aggregate]:
    """What decisions are handed, by location.

    Where something is to be approved, `reviewed` has the digest that was reviewed of each location; who edited what is
    asked only then, and what was reviewed only where the content is another one by now.
    """
    records = await writing.aggregate_records_of(tx, location_ids)
    editors: dict[str, frozenset[str]] = {}
    seen: Mapping[str, AsOf] = {}
    if reviewed is not None:
        editors = await writing.editors_since(tx, location_ids, edits=EDITS, marks=SUBMIT_OR_APPROVE)
        stale = {
            location_id: reviewed[location_id]
            for location_id, record in records.items()
            if is_digest(reviewed[location_id]) and reviewed[location_id] != record.location.content_digest
        }
        seen = await history.with_digest(tx, stale) if stale else {}
    return {
        location_id: Aggregate(
            viewer=tx.viewer,
            record=record,
            new_id=new_id,
            self_approval_allowed=context.self_approval_allowed,
            editors=editors.get(location_id, frozenset()),
            reviewed=seen[location_id].content if location_id in seen else None,
        )
        for location_id, record in records.items()
    }


async def _carry_out(
    tx: Transaction, context: WriteContext, use_case: UseCase, call: MutationCall, aggregates: list[Aggregate]
) -> MutationOutcome:
    decided = use_case.decide(*aggregates, call.input)
    changes = decided if isinstance(decided, tuple) else (decided,)
    ids = {"location": aggregates[0].record.location.id}
    for change in changes:
        ids |= change.ids
    doing = [pair for pair in zip(aggregates, changes, strict=True) if not pair[1].is_nothing]
    if doing:
        await audit.open_entries(tx, [opening(context, use_case.mutation, *each) for each in doing])
    missed = await claim(tx, doing)
    if missed:
        raise MacInUse(mac_addresses=tuple(show_mac(mac) for mac, _ in sorted(missed)))
    await writing.write(tx, (write for aggregate, change in doing for write in writes_of(aggregate, change)))
    await idempotency.keep(tx, call, ids)
    await audit.seal(tx)
    return MutationOutcome(ids=ids, watched=changes[0].watched)


async def claim(tx: Transaction, doing: Iterable[tuple[Aggregate, LocationChange]]) -> set[tuple[str, str]]:
    """Bring the claims in line with the changes; returns the (mac, location id) that others hold."""
    claims = [(aggregate.record.location, claims_of(aggregate, change)) for aggregate, change in doing]
    await writing.release_macs(tx, ((mac, place.id) for place, each in claims for mac in each.release))
    return await writing.claim_macs(
        tx, ((mac, place.account_id, place.id) for place, each in claims for mac in each.take)
    )


def new_id(type_name: str) -> str:
    """A new id at this moment."""
    return ids.new_id(type_name, milliseconds=time_ns() // 1_000_000, randomness=secrets.token_bytes(10))


def opening(
    context: WriteContext, mutation: str, aggregate: Aggregate, recorded: LocationChange | Refusal
) -> audit.Opening:
    """The audit entry of a change, or of a refused attempt at one."""
    applied = isinstance(recorded, LocationChange)
    return audit.Opening(
        entry_id=new_id("AuditEntry"),
        chain=aggregate.record.location.account_id,
        action=mutation,
        location_id=aggregate.record.location.id,
        request_id=context.request_id,
        reason=recorded.reason if isinstance(recorded, LocationChange) else None,
        override_id=recorded.override_id if isinstance(recorded, LocationChange) else None,
        outcome="APPLIED" if applied else "REFUSED",
        code=None if isinstance(recorded, LocationChange) else recorded.code,
        is_override=isinstance(recorded, LocationChange) and recorded.is_override,
    )


def is_recorded(refusal: Refusal, record: AggregateRecord, *, approving: bool) -> bool:
    """Whether the audit trail keeps a refused attempt: on a locked location, and of any approval."""
    if refusal.code in _ONLY_LOGGED:
        return False
    return record.location.status in LOCKED_STATUSES or approving


# The mutations that change content; whoever made one since the submission does not approve it.
EDITS = (
    "updateLocation",
    "setContacts",
    "setPhoneSystem",
    "addDevice",
    "editDevice",
    "moveDevice",
    "removeDevice",
    "addPerson",
    "editPerson",
    "removePerson",
    "setExtensions",
    "setWorkingHours",
    "setCallFlow",
)
