"""The frame of every write: sign in, key, lock, decide, apply, audit, commit; a refusal is entered and travels up.

What a refusal wrote is rolled back to the savepoint; whether the refusal itself is entered is a list here.
"""

import secrets
from time import time_ns

import asyncpg

from app.db import audit, writing
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
        location_id = await writing.location_of(tx, use_case.table, call.input[use_case.key])
        if location_id is None or not await writing.lock_location(tx, location_id):
            raise NotFound
        dossier = await writing.dossier_of(tx, location_id)
        work = await _work(desk, tx, dossier, call)
        try:
            async with tx.savepoint():
                change = use_case.decide(work, call.input)
                if not change.is_nothing:
                    await _enter(tx, desk, call, work, change)
                    await apply(tx, work, change)
                outcome = Outcome(ids={"location": location_id, **change.ids})
                await keys.keep(tx, call, outcome.ids)
                await audit.seal(tx)
        except Refusal as error:
            refusal = error
            if _is_entered(error, dossier, call):
                await _enter(tx, desk, call, work, error)
                await audit.seal(tx)
    if refusal is not None:
        raise refusal
    assert outcome is not None  # noqa: S101 - either refused or done
    return outcome


async def _work(desk: Desk, tx: Transaction, dossier: Dossier, call: Call) -> Work:
    editors: frozenset[str] = frozenset()
    if call.mutation == "approve":
        found = await writing.editors_since(tx, dossier.location.id, edits=EDITS, marks=SUBMIT_OR_APPROVE)
        editors = frozenset(found)
    return Work(
        viewer=tx.viewer,
        dossier=dossier,
        new_id=new_id,
        self_approval_allowed=desk.self_approval_allowed,
        editors=editors,
    )


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
