"""The frame of administration: what leads change outside any one location, entered and committed like every write."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import Table

from app import audit
from app.db import writing
from app.db.database import Transaction
from app.domain.refusals import Conflict, InvalidInput, NotFound, Refusal
from app.domain.viewer import Viewer
from app.operations import idempotency
from app.operations.context import NOTHING_WATCHED, Input, MutationCall, MutationOutcome, WriteContext
from app.operations.unit_of_work import before_commit, new_id, retried


@dataclass(frozen=True, slots=True)
class AdministrationContext:
    """What an administrative decision is given: who decides, when, and rows to look at, locked as they are read."""

    viewer: Viewer
    now: datetime
    transaction: Transaction
    new_id: Callable[[str], str] = new_id

    async def found(self, table: Table, row_id: str) -> Any:
        """The row with this id, locked; raises NotFound."""
        row = await writing.locked_row(self.transaction, table, row_id)
        if row is None:
            raise NotFound
        return row

    async def kept(self, table: Table, row_ids: Iterable[str]) -> dict[str, Any]:
        """The rows with these ids that are in reach, by id; they can be named in what is written."""
        return await writing.kept_rows(self.transaction, table, row_ids)

    async def at_revision(self, table: Table, row_id: str, expected: int) -> Any:
        """As `found`; raises Conflict when the row has changed since it was read."""
        row = await self.found(table, row_id)
        if row.revision != expected:
            raise Conflict(current_revision=row.revision, path=("expectedRevision",))
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to write, on which audit chain, and the ids of the objects concerned."""

    writes: tuple[writing.Write, ...] = ()
    chain: str = audit.SYSTEM
    location_id: str | None = None
    reason: str | None = None
    ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminCase:
    """One administrative mutation: its name and its decision."""

    mutation: str
    decide: Callable[[AdministrationContext, Input], Awaitable[Decision]]


async def administer(context: WriteContext, case: AdminCase, call: MutationCall) -> MutationOutcome:
    """Run one administrative use case in a transaction of its own. Raises what it refuses."""
    try:
        with idempotency.alone(context, call):
            outcome = await retried(lambda: _once(context, case, call))
    except Refusal as refusal:
        context.performed(case.mutation, refusal.code, NOTHING_WATCHED)
        raise
    context.performed(case.mutation, "REPLAYED" if outcome.replayed else "APPLIED", outcome.watched)
    return outcome


async def _once(context: WriteContext, case: AdminCase, call: MutationCall) -> MutationOutcome:
    async with context.database.writing(context.subject, timeout_ms=context.timeout_ms) as tx:
        with before_commit():
            kept = await idempotency.earlier(tx, call)
            if kept is not None:
                return MutationOutcome(ids=kept, replayed=True)
            decision = await case.decide(AdministrationContext(tx.viewer, await writing.clock(tx), tx), call.input)
            if decision.writes:
                await _carry_out(tx, context, case, decision)
            await idempotency.keep(tx, call, decision.ids)
            return MutationOutcome(ids=decision.ids)


async def _carry_out(tx: Transaction, context: WriteContext, case: AdminCase, decision: Decision) -> None:
    await audit.open_entry(
        tx,
        entry_id=new_id("AuditEntry"),
        chain=decision.chain,
        action=case.mutation,
        location_id=decision.location_id,
        request_id=context.request_id,
        reason=decision.reason,
    )
    try:
        await writing.write(tx, decision.writes)
    except asyncpg.UniqueViolationError as error:
        taken = _TAKEN.get(error.constraint_name or "")
        if taken is None:
            raise
        raise InvalidInput(field=taken, rule="it is taken", path=(taken,)) from error
    await audit.seal(tx)


# What a unique constraint says to whoever wanted the value.
_TAKEN = {"uq_user_email": "email", "uq_user_subject": "subject"}
