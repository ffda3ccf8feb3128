"""The frame of every write: sign in, key, lock, decide, apply, audit, commit; a refusal is entered and travels up.

What a refusal wrote is rolled back to the savepoint; whether the refusal itself is entered is a list here.
"""

import secrets
from time import time_ns

import asyncpg

from app.db import audit, tables, writing
from app.db.database import Transaction
from app.db.dossiers import Dossier
from app.domain import ids
from app.domain.refusals import NotFound, Refusal
from app.domain.vocabulary import LOCKED_STATUSES, ProblemCode
from app.operations import keys
from app.operations.applying import apply
from app.operations.desk import Call, Change, Desk, Outcome, UseCase, Work

MOST_TRIES = 3
SUBMIT_OR_APPROVE = ("submitOnboarding", "approve")
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
    for attempt in range(1, MOST_TRIES + 1):
        try:
            outcome = await _once(desk, use_case, call)
        except Refusal as refusal:
            desk.performed(use_case.mutation, refusal.code)
            raise
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            if attempt == MOST_TRIES:
                raise
        else:
            desk.performed(use_case.mutation, "REPLAYED" if outcome.replayed else "APPLIED")
            return outcome
    raise AssertionError("the last try returns or raises")


async def _once(desk: Desk, use_case: UseCase, call: Call) -> Outcome:
    refusal: Refusal | None = None
    async with desk.database.writing(desk.subject, timeout_ms=desk.timeout_ms) as tx:
        outcome = await keys.earlier_outcome(tx, call)
        if outcome is not None:
            return outcome
        works = await _locked(tx, desk, use_case, call)
        try:
            async with tx.savepoint():
                outcome = await _carry_out(tx, desk, use_case, call, works)
        except Refusal as error:
            refusal = error
            for work in works:
                if _is_entered(error, work.dossier, call):
                    await _enter(tx, desk, call, work, error)
            await audit.seal(tx)
    if refusal is not None:
        raise refusal
    assert outcome is not None  # noqa: S101 - either refused or done
    return outcome


async def _locked(tx: Transaction, desk: Desk, use_case: UseCase, call: Call) -> list[Work]:
    """The locations concerned, locked in the order of their ids, as the use case names them."""
    wanted = [await writing.location_of(tx, use_case.table, call.input[use_case.key])]
    if use_case.other_key is not None:
        wanted.append(await writing.location_of(tx, tables.location, call.input[use_case.other_key]))
    for location_id in sorted({each for each in wanted if each is not None}):
        if not await writing.lock_location(tx, location_id):
            raise NotFound
    return [await _work(desk, tx, location_id, call) for location_id in wanted]


async def _work(desk: Desk, tx: Transaction, location_id: str | None, call: Call) -> Work:
    if location_id is None:
        raise NotFound
    editors: set[str] = set()
    if call.mutation == "approve":
        editors = await writing.editors_since(tx, location_id, edits=EDITS, marks=SUBMIT_OR_APPROVE)
    return Work(
        viewer=tx.viewer,
        dossier=await writing.dossier_of(tx, location_id),
        new_id=new_id,
        self_approval_allowed=desk.self_approval_allowed,
        editors=frozenset(editors),
    )


async def _carry_out(tx: Transaction, desk: Desk, use_case: UseCase, call: Call, works: list[Work]) -> Outcome:
    decided = use_case.decide(*works, call.input)
    changes = decided if isinstance(decided, tuple) else (decided,)
    ids = {"location": works[0].dossier.location.id}
    for work, change in zip(works, changes, strict=True):
        ids |= change.ids
        if not change.is_nothing:
            await _enter(tx, desk, call, work, change)
            await apply(tx, work, change)
    await keys.keep(tx, call, ids)
    await audit.seal(tx)
    return Outcome(ids=ids)


def new_id(type_name: str) -> str:
    """A new id at this moment."""
    return ids.new_id(type_name, milliseconds=time_ns() // 1_000_000, randomness=secrets.token_bytes(10))


async def _enter(tx: Transaction, desk: Desk, call: Call, work: Work, entered: Change | Refusal) -> None:
    await audit.open_entry(
        tx,
        entry_id=new_id("AuditEntry"),
        chain=work.dossier.location.account_id,
        action=call.mutation,
        location_id=work.dossier.location.id,
        request_id=desk.request_id,
        reason=entered.reason if isinstance(entered, Change) else None,
        override_id=entered.override_id if isinstance(entered, Change) else None,
        outcome="APPLIED" if isinstance(entered, Change) else "REFUSED",
        code=None if isinstance(entered, Change) else entered.code,
    )


def _is_entered(refusal: Refusal, dossier: Dossier, call: Call) -> bool:
    """Whether the audit trail keeps a refused attempt: on a locked location, and of any approval."""
    if refusal.code in _ONLY_LOGGED:
        return False
    return dossier.location.status in LOCKED_STATUSES or call.mutation == "approve"


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
