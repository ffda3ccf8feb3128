"""The unit of work of location mutations: sign in, idempotency key, lock, decide, persist, audit, commit.

A refusal rolls back to the savepoint, is recorded in the audit log if the mutation declares this, and is re-raised.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, TypeVar

from app import audit
from app.audit import history
from app.audit.history import AsOf
from app.db import tables, writing
from app.db.aggregates import AggregateRecord
from app.db.database import Transaction
from app.domain.digest import is_digest
from app.domain.events import Effect, object_id_of
from app.domain.mac_address import in_use
from app.domain.refusals import MacInUse, NotFound, Refusal
from app.domain.vocabulary import LOCKED_STATUSES, AuditOutcome, ProblemCode
from app.operations import idempotency
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.constraints import constraints_named
from app.operations.context import (
    LocationChange,
    MutationCall,
    MutationOutcome,
    RefusedAttempt,
    WriteContext,
    new_id,
)
from app.operations.current_viewer import as_now
from app.operations.mutation import AggregateMutation, ContentEffect, Mutation, RecordedRefusals
from app.operations.names import check_location_name
from app.operations.persistence import claims_of, writes_of
from app.operations.registry import APPROVES, EDITS, SUBMITS
from app.operations.transactions import GivenUp, attempted, before_commit, hold_locations
from permissions.matrix import Action
from permissions.policy import acting_scope, check_allowed

C = TypeVar("C", bound=Command)

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


async def perform(context: WriteContext, mutation: AggregateMutation[C], call: MutationCall[C]) -> MutationOutcome:
    """Run one location mutation in its own transaction.

    Raises the refusals of the decision, NotFound for a location out of scope, Forbidden, and the idempotency refusals.
    A deadlock or serialization failure before COMMIT is sent is retried, three attempts in total.
    """
    return await attempted(context, mutation.name, call, lambda: _once(context, mutation, call))


async def _once(
    context: WriteContext, mutation: AggregateMutation[C], call: MutationCall[C]
) -> MutationOutcome | RefusedAttempt:
    async with context.transaction() as tx:
        with before_commit():
            return await _attempt(tx, context, mutation, call)


async def _attempt(
    tx: Transaction, context: WriteContext, mutation: AggregateMutation[C], call: MutationCall[C]
) -> MutationOutcome | RefusedAttempt:
    """The outcome or the refusal; the caller commits in both cases. Raises Forbidden."""
    check_allowed(tx.viewer, mutation.action)
    kept = await idempotency.earlier(tx, call)
    if kept is not None:
        return MutationOutcome(ids=kept, replayed=True)
    aggregates = await _locked(tx, context, mutation, call)
    try:
        with constraints_named(aggregates[0]):
            async with tx.savepoint(final=True):
                return await _carry_out(tx, context, mutation, call, aggregates)
    except Refusal as refusal:
        recorded = [each for each in aggregates if is_recorded(mutation, refusal, each.record)]
        if recorded:
            await audit.open_entries(tx, [opening(context, mutation, each, refusal) for each in recorded])
            await audit.seal(tx)
        return RefusedAttempt(refusal=refusal, effect=_refused_effect(mutation, call.command, aggregates[0]))


async def _locked(
    tx: Transaction, context: WriteContext, mutation: AggregateMutation[C], call: MutationCall[C]
) -> list[Aggregate]:
    """The aggregates of the locations concerned, in the order in which the mutation names them; locked in id order.

    Raises NotFound, and LocationsBusy before anything is locked. If a device was moved away while waiting for the lock,
    GivenUp starts a new attempt.
    """
    row_id, other = mutation.row_id(call.command), mutation.other_location_id(call.command)
    wanted = [await writing.location_of(tx, mutation.table, row_id)]
    if other is not None:
        wanted.append(await writing.location_of(tx, tables.location, other))
    named = [each for each in wanted if each is not None]
    hold_locations(context, named)
    scope = acting_scope(tx.viewer, mutation.action)
    if len(named) < len(wanted) or await writing.lock_locations(tx, named, scope) < set(named):
        raise NotFound
    digest = mutation.reviewed_digest(call.command)
    reviewed = None if digest is None else {named[0]: digest}
    aggregates = await aggregates_of(tx, context, named, reviewed=reviewed)
    if mutation.needs_payload_document:
        document = await writing.document_of(tx, row_id)
        if document is None:
            raise NotFound
        aggregates[named[0]] = replace(aggregates[named[0]], payload_document=document)
    if mutation.table is tables.device and row_id not in aggregates[named[0]].record.row_revisions:
        raise GivenUp
    return [aggregates[location_id] for location_id in named]


async def aggregates_of(
    tx: Transaction, context: WriteContext, location_ids: Sequence[str], *, reviewed: Mapping[str, str] | None
) -> dict[str, Aggregate]:
    """The aggregates for decisions, by location.

    For an approval, `reviewed` has the reviewed digest of each location. Only then are the editors read, and the
    reviewed content only for locations whose content has changed since. The viewer is then the one of this moment,
    because others may have changed the viewer's role since the transaction began. Raises SuspendedUser and Forbidden.
    If the viewer no longer has access to all accounts of the scope, GivenUp starts a new attempt.
    """
    viewer = tx.viewer
    if reviewed is not None:
        async with tx.locking(1 + len(location_ids)):
            now = await writing.hold_approval_users(tx, location_ids)
        viewer = as_now(viewer, now, Action.APPROVE)
        has_all = now is not None and now.all_accounts
        if not has_all and not await _still_has(tx, viewer.scope.accounts):
            raise GivenUp
    records = await writing.aggregate_records_of(tx, location_ids)
    editors: dict[str, frozenset[str]] = {}
    seen: Mapping[str, AsOf] = {}
    if reviewed is not None:
        editors = await writing.editors_since(tx, location_ids, edits=EDITS, submits=SUBMITS, approves=APPROVES)
        stale = {
            location_id: reviewed[location_id]
            for location_id, record in records.items()
            if is_digest(reviewed[location_id]) and reviewed[location_id] != record.location.content_digest
        }
        seen = await history.with_digest(tx, stale) if stale else {}
    return {
        location_id: Aggregate(
            viewer=viewer,
            record=record,
            new_id=new_id,
            self_approval_allowed=context.self_approval_allowed,
            editors=editors.get(location_id, frozenset()),
            reviewed=seen[location_id].content if location_id in seen else None,
        )
        for location_id, record in records.items()
    }


async def _still_has(tx: Transaction, accounts: AbstractSet[str] | None) -> bool:
    """Whether the user, whose access is limited, has access to these accounts; None for all of them."""
    return accounts is not None and accounts <= await writing.granted_accounts(tx, tx.viewer.id)


async def _carry_out(
    tx: Transaction,
    context: WriteContext,
    mutation: AggregateMutation[C],
    call: MutationCall[C],
    aggregates: list[Aggregate],
) -> MutationOutcome:
    changes = mutation.changes(aggregates, call.command)
    ids = {"location": aggregates[0].record.location.id}
    for change in changes:
        ids |= change.ids
    doing = [pair for pair in zip(aggregates, changes, strict=True) if not pair[1].is_nothing]
    for aggregate, change in doing:
        await _check_name(tx, aggregate, change)
    if doing:
        await audit.open_entries(tx, [opening(context, mutation, *each) for each in doing])
    missed = await claim(tx, doing)
    if missed:
        raise await mac_in_use(tx, (mac for mac, _ in missed))
    await writing.write(tx, (write for aggregate, change in doing for write in writes_of(aggregate, change)))
    await idempotency.keep(tx, call, ids)
    await audit.seal(tx)
    effects = tuple(effect_of(*each) for each in doing)
    return MutationOutcome(ids=ids, measurements=changes[0].measurements, effects=effects)


def effect_of(aggregate: Aggregate, change: LocationChange) -> Effect:
    """The effect of a change of a location, for its event."""
    return Effect(
        account_id=aggregate.record.location.account_id,
        location_id=aggregate.record.location.id,
        override_id=change.override_id or change.ids.get("override"),
        payload_id=change.payload_id or change.ids.get("payload"),
        object_id=object_id_of(change.ids),
        verb=change.transition.verb if change.transition else None,
    )


def _refused_effect(mutation: AggregateMutation[C], command: C, aggregate: Aggregate) -> Effect:
    """The ids of a refused attempt: of the location, and of the row of it that the command names."""
    location, row_id = aggregate.record.location, mutation.row_id(command)
    return Effect(
        account_id=location.account_id,
        location_id=location.id,
        override_id=row_id if mutation.table is tables.override else None,
        payload_id=row_id if mutation.table is tables.provisioning_payload else None,
        object_id=row_id if mutation.table in {tables.device, tables.person} else None,
    )


async def _check_name(tx: Transaction, aggregate: Aggregate, change: LocationChange) -> None:
    """Raises InvalidInput if the change gives the location the name of another location of the account."""
    if change.content is None or change.content.name in {"", aggregate.content.name}:
        return
    location = aggregate.record.location
    await check_location_name(tx, location.account_id, change.content.name, besides=location.id)


async def claim(tx: Transaction, doing: Iterable[tuple[Aggregate, LocationChange]]) -> set[tuple[str, str]]:
    """Release and take the claims of the changes; returns the (mac, location id) that other locations hold.

    Raises LockTimeout.
    """
    claims = [(aggregate.record.location, claims_of(aggregate, change)) for aggregate, change in doing]
    released = [(mac, place.id) for place, each in claims for mac in each.release]
    wanted = [(mac, place.account_id, place.id) for place, each in claims for mac in each.take | each.retake]
    if not released and not wanted:
        return set()
    async with tx.locking(len(released) + len(wanted)):
        await writing.release_macs(tx, released)
        missed = await writing.claim_macs(tx, wanted)
    return missed & {(mac, place.id) for place, each in claims for mac in each.take}


async def mac_in_use(tx: Transaction, macs: Iterable[str]) -> MacInUse:
    """The refusal of addresses that other locations hold. It names the holders to leads."""
    held = set(macs)
    holders = await writing.holders_of(tx, held)
    return in_use({mac: holders.get(mac) for mac in held})


def opening(
    context: WriteContext, mutation: Mutation[Any], aggregate: Aggregate, recorded: LocationChange | Refusal
) -> audit.Opening:
    """The audit entry of a change or of a refused attempt.

    Raises RuntimeError if a mutation changes content without declaring it, because the editors are found by that
    declaration.
    """
    applied = isinstance(recorded, LocationChange)
    if isinstance(recorded, LocationChange) and recorded.content and mutation.content is not ContentEffect.EDITS:
        raise RuntimeError(f"mutation {mutation.name} changes content and does not declare that it edits")
    return audit.Opening(
        entry_id=new_id("AuditEntry"),
        chain=aggregate.record.location.account_id,
        action=mutation.name,
        location_id=aggregate.record.location.id,
        request_id=context.request_id,
        client_request_id=context.client_request_id,
        reason=recorded.reason if isinstance(recorded, LocationChange) else None,
        override_id=recorded.override_id if isinstance(recorded, LocationChange) else None,
        outcome=AuditOutcome.APPLIED if applied else AuditOutcome.REFUSED,
        code=None if isinstance(recorded, LocationChange) else recorded.code,
        is_override=isinstance(recorded, LocationChange) and recorded.is_override,
    )


def is_recorded(mutation: Mutation[Any], refusal: Refusal, record: AggregateRecord) -> bool:
    """Whether a refused attempt is recorded in the audit log."""
    if refusal.code in _ONLY_LOGGED or mutation.refusals is RecordedRefusals.NEVER:
        return False
    return mutation.refusals is RecordedRefusals.ALWAYS or record.location.status in LOCKED_STATUSES
