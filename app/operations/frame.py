"""The frame of every write: sign in, key, lock, decide, apply, audit, commit; a refusal is entered and travels up.

What a refusal wrote is rolled back to the savepoint; whether the refusal itself is entered is a list here.
"""

import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import time_ns
from typing import TypeVar

import asyncpg

from app.db import audit, tables, writing
from app.db.audit import history
from app.db.audit.history import AsOf
from app.db.database import Overloaded, Transaction
from app.db.dossiers import Dossier
from app.domain import ids
from app.domain.digest import is_digest
from app.domain.mac_address import show_mac
from app.domain.refusals import MacInUse, NotFound, Refusal
from app.domain.vocabulary import LOCKED_STATUSES, ProblemCode
from app.operations import keys
from app.operations.applying import claims_of, writes_of
from app.operations.constraints import constraints_named
from app.operations.desk import NOTHING_WATCHED, Call, Change, Desk, Outcome, UseCase, Work

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


async def perform(desk: Desk, use_case: UseCase, call: Call) -> Outcome:
    """Run one use case on one location in a transaction of its own.

    Raises what it refuses, NotFound for a location out of reach, and the idempotency refusals. A deadlock or
    a serialisation failure before COMMIT was sent is tried again, at most three times in all.
    """
    try:
        with keys.alone(desk, call):
            outcome = await retried(lambda: _once(desk, use_case, call))
    except Refusal as refusal:
        desk.performed(use_case.mutation, refusal.code, NOTHING_WATCHED)
        raise
    desk.performed(use_case.mutation, "REPLAYED" if outcome.replayed else "APPLIED", outcome.watched)
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


async def _once(desk: Desk, use_case: UseCase, call: Call) -> Outcome:
    async with desk.database.writing(desk.subject, timeout_ms=desk.timeout_ms) as tx:
        with before_commit():
            done = await _attempt(tx, desk, use_case, call)
    if isinstance(done, Refusal):
        raise done
    return done


async def _attempt(tx: Transaction, desk: Desk, use_case: UseCase, call: Call) -> Outcome | Refusal:
    """What was done, or why not; either is to be committed."""
    kept = await keys.earlier(tx, call)
    if kept is not None:
        return Outcome(ids=kept, replayed=True)
    works = await _locked(tx, desk, use_case, call)
    try:
        with constraints_named(works[0]):
            async with tx.savepoint(final=True):
                return await _carry_out(tx, desk, use_case, call, works)
    except Refusal as refusal:
        approving = use_case.mutation == APPROVE
        entered = [each for each in works if is_entered(refusal, each.dossier, approving=approving)]
        if entered:
            await audit.open_entries(tx, [opening(desk, use_case.mutation, each, refusal) for each in entered])
            await audit.seal(tx)
        return refusal


async def _locked(tx: Transaction, desk: Desk, use_case: UseCase, call: Call) -> list[Work]:
    """The locations concerned, locked in the order of their ids, as the use case names them.

    A device that was moved away while its location's lock was waited for is looked for anew.
    """
    wanted = [await writing.location_of(tx, use_case.table, call.input[use_case.key])]
    if use_case.other_key is not None:
        wanted.append(await writing.location_of(tx, tables.location, call.input[use_case.other_key]))
    named = [each for each in wanted if each is not None]
    if len(named) < len(wanted) or await writing.lock_locations(tx, named) < set(named):
        raise NotFound
    reviewed = {named[0]: call.input["expected_digest"]} if use_case.mutation == APPROVE else None
    works = await works_of(tx, desk, named, reviewed=reviewed)
    if use_case.table is tables.device and call.input[use_case.key] not in works[named[0]].dossier.row_revisions:
        raise _GivenUp
    return [works[location_id] for location_id in named]


async def works_of(
    tx: Transaction, desk: Desk, location_ids: Sequence[str], *, reviewed: Mapping[str, str] | None
) -> dict[str, Work]:
    """What decisions are handed, by location.

    Where something is to be approved, `reviewed` has the digest that was reviewed of each location; who edited what is
    asked only then, and what was reviewed only where the content is another one by now.
    """
    dossiers = await writing.dossiers_of(tx, location_ids)
    editors: dict[str, frozenset[str]] = {}
    seen: Mapping[str, AsOf] = {}
    if reviewed is not None:
        editors = await writing.editors_since(tx, location_ids, edits=EDITS, marks=SUBMIT_OR_APPROVE)
        stale = {
            location_id: reviewed[location_id]
            for location_id, dossier in dossiers.items()
            if is_digest(reviewed[location_id]) and reviewed[location_id] != dossier.location.content_digest
        }
        seen = await history.with_digest(tx, stale) if stale else {}
    return {
        location_id: Work(
            viewer=tx.viewer,
            dossier=dossier,
            new_id=new_id,
            self_approval_allowed=desk.self_approval_allowed,
            editors=editors.get(location_id, frozenset()),
            reviewed=seen[location_id].content if location_id in seen else None,
        )
        for location_id, dossier in dossiers.items()
    }


async def _carry_out(tx: Transaction, desk: Desk, use_case: UseCase, call: Call, works: list[Work]) -> Outcome:
    decided = use_case.decide(*works, call.input)
    changes = decided if isinstance(decided, tuple) else (decided,)
    ids = {"location": works[0].dossier.location.id}
    for change in changes:
        ids |= change.ids
    doing = [pair for pair in zip(works, changes, strict=True) if not pair[1].is_nothing]
    if doing:
        await audit.open_entries(tx, [opening(desk, use_case.mutation, *each) for each in doing])
    missed = await claim(tx, doing)
    if missed:
        raise MacInUse(mac_addresses=tuple(show_mac(mac) for mac, _ in sorted(missed)))
    await writing.write(tx, (write for work, change in doing for write in writes_of(work, change)))
    await keys.keep(tx, call, ids)
    await audit.seal(tx)
    return Outcome(ids=ids, watched=changes[0].watched)


async def claim(tx: Transaction, doing: Iterable[tuple[Work, Change]]) -> set[tuple[str, str]]:
    """Bring the claims in line with the changes; returns the (mac, location id) that others hold."""
    claims = [(work.dossier.location, claims_of(work, change)) for work, change in doing]
    await writing.release_macs(tx, ((mac, place.id) for place, each in claims for mac in each.release))
    return await writing.claim_macs(
        tx, ((mac, place.account_id, place.id) for place, each in claims for mac in each.take)
    )


def new_id(type_name: str) -> str:
    """A new id at this moment."""
    return ids.new_id(type_name, milliseconds=time_ns() // 1_000_000, randomness=secrets.token_bytes(10))


def opening(desk: Desk, mutation: str, work: Work, entered: Change | Refusal) -> audit.Opening:
    """The audit entry of a change, or of a refused attempt at one."""
    applied = isinstance(entered, Change)
    return audit.Opening(
        entry_id=new_id("AuditEntry"),
        chain=work.dossier.location.account_id,
        action=mutation,
        location_id=work.dossier.location.id,
        request_id=desk.request_id,
        reason=entered.reason if isinstance(entered, Change) else None,
        override_id=entered.override_id if isinstance(entered, Change) else None,
        outcome="APPLIED" if applied else "REFUSED",
        code=None if isinstance(entered, Change) else entered.code,
        is_override=isinstance(entered, Change) and entered.is_override,
    )


def is_entered(refusal: Refusal, dossier: Dossier, *, approving: bool) -> bool:
    """Whether the audit trail keeps a refused attempt: on a locked location, and of any approval."""
    if refusal.code in _ONLY_LOGGED:
        return False
    return dossier.location.status in LOCKED_STATUSES or approving


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
