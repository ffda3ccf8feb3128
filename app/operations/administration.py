"""Administration: changes that are not about the content of a location, audited and committed like every write."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import Table

from app import audit
from app.db import writing
from app.db.content_columns import UNIQUE_FIELDS
from app.db.database import Transaction
from app.domain.events import Effect, object_id_of
from app.domain.refusals import Conflict, InvalidInput, NotFound
from app.domain.viewer import Viewer
from app.operations import idempotency
from app.operations.commands import Command
from app.operations.context import MutationCall, MutationOutcome, WriteContext, new_id
from app.operations.mutation import ContentEffect, Mutation, RecordedRefusals
from app.operations.transactions import attempted, before_commit
from permissions.policy import check_allowed

C = TypeVar("C", bound=Command)


@dataclass(frozen=True, slots=True)
class AdministrationContext:
    """The environment of an administrative decision: the viewer, the time, and access to rows, which it locks."""

    viewer: Viewer
    now: datetime
    transaction: Transaction
    configured_issuer: str | None = None
    """The issuer of the users who have none of their own."""
    sign_in_url: str | None = None
    """The address of browser sign-in; None if there is none."""
    new_id: Callable[[str], str] = new_id

    @property
    def by_system(self) -> bool:
        """Whether the command line decides, and not a user."""
        return self.viewer.id == audit.SYSTEM

    async def found(self, table: Table, row_id: str) -> Any:
        """The row with this id, locked. Raises NotFound."""
        row = await writing.locked_row(self.transaction, table, row_id)
        if row is None:
            raise NotFound
        return row

    async def kept(self, table: Table, row_ids: Iterable[str]) -> dict[str, Any]:
        """The rows with these ids that are in scope, by id. They are locked, so that new rows can refer to them."""
        return await writing.kept_rows(self.transaction, table, row_ids)

    async def at_revision(self, table: Table, row_id: str, expected: int) -> Any:
        """The row with this id, locked. Raises NotFound, and Conflict if the row has another revision."""
        row = await self.found(table, row_id)
        if row.revision != expected:
            raise Conflict(current_revision=row.revision, path=("expectedRevision",))
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministrationChange:
    """The writes, their audit chain, and the ids of the objects concerned.

    `secret` is what the response shows once, such as a service token. It is stored nowhere, not with the idempotency
    key either: a repeated call shows none. Its response says that nothing on the way may store or compress it.
    """

    writes: tuple[writing.Write, ...] = ()
    chain: str = audit.SYSTEM
    location_id: str | None = None
    reason: str | None = None
    ids: Mapping[str, str] = field(default_factory=dict)
    secret: str | None = field(default=None, repr=False)

    @property
    def effect(self) -> Effect:
        """The effect, for the event."""
        return Effect(
            account_id=None if self.chain == audit.SYSTEM else self.chain,
            location_id=self.location_id,
            payload_id=self.ids.get("payload"),
            object_id=object_id_of(self.ids),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdministrationMutation(Mutation[C]):
    """An administrative mutation. It neither edits content nor records refusals."""

    decide: Callable[[AdministrationContext, C], Awaitable[AdministrationChange]]
    content: ContentEffect = field(init=False, default=ContentEffect.NONE)
    refusals: RecordedRefusals = field(init=False, default=RecordedRefusals.NEVER)


async def administer(
    context: WriteContext, mutation: AdministrationMutation[C], call: MutationCall[C]
) -> MutationOutcome:
    """Run one administrative mutation in its own transaction. Raises refusals and Forbidden."""
    return await attempted(context, mutation.name, call, lambda: _once(context, mutation, call))


async def _once(context: WriteContext, mutation: AdministrationMutation[C], call: MutationCall[C]) -> MutationOutcome:
    async with context.transaction() as tx:
        with before_commit():
            check_allowed(tx.viewer, mutation.action)
            kept = await idempotency.earlier(tx, call)
            if kept is not None:
                return MutationOutcome(ids=kept, replayed=True)
            administration = AdministrationContext(
                tx.viewer,
                await writing.clock(tx),
                tx,
                configured_issuer=context.configured_issuer,
                sign_in_url=context.sign_in_url,
            )
            change = await mutation.decide(administration, call.command)
            if change.writes:
                await _carry_out(tx, context, mutation.name, change)
            await idempotency.keep(tx, call, change.ids)
            effects = (change.effect,) if change.writes else ()
            return MutationOutcome(ids=change.ids, secret=change.secret, effects=effects)


async def _carry_out(tx: Transaction, context: WriteContext, action: str, change: AdministrationChange) -> None:
    await audit.open_entry(
        tx,
        entry_id=new_id("AuditEntry"),
        chain=change.chain,
        action=action,
        location_id=change.location_id,
        request_id=context.request_id,
        client_request_id=context.client_request_id,
        reason=change.reason,
    )
    await write(tx, change)
    await audit.seal(tx)


async def write(tx: Transaction, change: AdministrationChange) -> None:
    """Execute the writes of a change. Raises InvalidInput for a value that must be unique and is in use."""
    try:
        await writing.write(tx, change.writes)
    except asyncpg.UniqueViolationError as error:
        taken = _TAKEN.get(error.constraint_name or "")
        if taken is None:
            raise
        field, rule = taken
        raise InvalidInput(field=field, rule=rule, path=(field,)) from error


# The field that a violated unique constraint is about, and the rule.
_TAKEN = {
    "uq_user_email": ("email", "already in use"),
    "uq_user_subject_issuer": ("subject", "another user has this subject of the same issuer"),
    **{constraint: (field, "already in use") for constraint, field in UNIQUE_FIELDS.items()},
    "uq_invitation_email_open": ("email", "has an open invitation; revoke it first"),
}
