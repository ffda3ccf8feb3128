"""The unit of work of bulk mutations: many locations in one transaction.

The number of statements does not depend on the number of items: locks, aggregates, claims, audit entries and writes
each need one statement, or one per kind of row. With PER_ITEM, a refused item has no effect on the others; with
ALL_OR_NOTHING, no item is applied.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

from app import audit
from app.db import writing
from app.db.database import Transaction
from app.domain.bulk import check_items
from app.domain.events import NO_EFFECT, Effect
from app.domain.mac_address import in_use, read_mac
from app.domain.refusals import MacInUse, NotFound, Refusal
from app.domain.vocabulary import BulkOutcome, BulkPolicy
from app.operations import idempotency, transactions, unit_of_work
from app.operations.aggregate import Aggregate
from app.operations.bulk_mutations import BulkCommand, BulkItem, BulkMutation
from app.operations.context import NO_MEASUREMENTS, LocationChange, Measurements, MutationCall, WriteContext
from app.operations.persistence import claims_of, writes_of
from permissions.policy import acting_scope, check_allowed

T = TypeVar("T")
B = TypeVar("B", bound=BulkCommand[Any])
I = TypeVar("I", bound=BulkItem)  # noqa: E741 - an item


@dataclass(frozen=True, slots=True)
class ItemResult:
    """Result of one item, with its position in the input."""

    index: int
    location_id: str
    outcome: BulkOutcome
    refusal: Refusal | None = None
    payload_id: str | None = None
    measurements: Measurements = NO_MEASUREMENTS
    """Not stored for replays."""
    effect: Effect = NO_EFFECT
    """Not stored for replays."""


@dataclass(frozen=True, slots=True)
class BulkResult:
    """Result of a bulk mutation."""

    items: tuple[ItemResult, ...]
    replayed: bool = False


async def perform_bulk(context: WriteContext, mutation: BulkMutation[B, I], call: MutationCall[B]) -> BulkResult:
    """Run a bulk mutation.

    Raises LimitReached or InvalidInput for the whole call before anything is written, Forbidden, and the idempotency
    refusals. If no item is applied, the key is not stored. A dry run reports what the call would do and leaves no
    row, number, audit entry or key.
    """
    try:
        result = await _attempted(context, mutation, call)
    except Refusal as refusal:
        if not call.command.dry_run:
            report_whole_refusal(context, mutation.name, refusal)
        raise
    if call.command.dry_run:
        return result
    context.bulk_called(mutation.name, "REPLAYED" if result.replayed else _outcome_of_all(result))
    for item in result.items:
        outcome = "REPLAYED" if result.replayed else item.refusal.code if item.refusal else item.outcome
        context.performed(mutation.name, outcome, item.measurements)
        if not result.replayed and item.outcome is not BulkOutcome.UNCHANGED:
            context.emit(mutation.name, item.effect, item.refusal.code if item.refusal else None)
    return result


def report_whole_refusal(context: WriteContext, mutation: str, refusal: Refusal) -> None:
    """Report a call that was refused as a whole and was no dry run."""
    context.bulk_called(mutation, refusal.code)
    context.emit(mutation, NO_EFFECT, refusal.code)


def _outcome_of_all(result: BulkResult) -> BulkOutcome:
    found = {item.outcome for item in result.items}
    return next((each for each in (BulkOutcome.APPLIED, BulkOutcome.REFUSED) if each in found), BulkOutcome.UNCHANGED)


async def _attempted(context: WriteContext, mutation: BulkMutation[B, I], call: MutationCall[B]) -> BulkResult:
    items = call.command.named_items()
    check_items(mutation.name, [each.location_id for each in items], field=mutation.named_in)
    if mutation.check is not None:
        mutation.check(call.command)
    idempotency.as_kept(call)
    if call.command.dry_run:
        return await transactions.retried(context, lambda: _once(context, mutation, call, items))
    began = perf_counter()
    try:
        with idempotency.alone(context, call):
            return await transactions.retried(context, lambda: _once(context, mutation, call, items))
    finally:
        context.bulk_ended(mutation.name, len(items), perf_counter() - began)


async def _once(
    context: WriteContext, mutation: BulkMutation[B, I], call: MutationCall[B], items: tuple[I, ...]
) -> BulkResult:
    async with context.transaction() as tx:
        with transactions.before_commit():
            check_allowed(tx.viewer, mutation.action)
            if call.command.dry_run:
                async with tx.undone():
                    return await _carry_out(tx, context, mutation, call, items)
            kept = await idempotency.earlier(tx, call)
            if kept is not None:
                return BulkResult(tuple(_from_json(each) for each in kept["items"]), replayed=True)
            result = await _carry_out(tx, context, mutation, call, items)
            if any(item.outcome is BulkOutcome.APPLIED for item in result.items):
                await idempotency.keep(tx, call, {"items": [_to_json(each) for each in result.items]})
            async with tx.locking(len(items)):
                await audit.seal(tx)
            return result


async def _carry_out(
    tx: Transaction, context: WriteContext, mutation: BulkMutation[B, I], call: MutationCall[B], items: tuple[I, ...]
) -> BulkResult:
    """Decide all items, claim their MAC addresses, record them in the audit log and persist their changes."""
    wanted = [each.location_id for each in items]
    transactions.hold_locations(context, wanted)
    reached = await writing.lock_locations(tx, wanted, acting_scope(tx.viewer, mutation.action))
    reviewed = mutation.reviewed_digests(items)
    aggregates = await unit_of_work.aggregates_of(tx, context, sorted(reached), reviewed=reviewed)
    decided = {
        each.location_id: _decided(mutation, aggregates.get(each.location_id), call.command, each)
        async for each in _in_turns(items)
    }
    settled = await _settled(tx, aggregates, decided, context=context, mutation=mutation, command=call.command)
    settled = await _with_holders(tx, settled)
    if not call.command.dry_run:
        doing = _in_turns(_doing(aggregates, settled))
        await writing.write(tx, [write async for aggregate, change in doing for write in writes_of(aggregate, change)])
    return BulkResult(
        tuple(
            _result(index, location_id, each, aggregates.get(location_id))
            for index, (location_id, each) in enumerate(settled.items())
        )
    )


async def _in_turns(them: Iterable[T]) -> AsyncIterator[T]:
    """Yield each item after yielding to the event loop: a large location takes a tenth of a second."""
    for each in them:
        await asyncio.sleep(0)
        yield each


Decided = LocationChange | Refusal
Decisions = dict[str, Decided]
"""The decisions by location, in the order of the input."""


def _decided(mutation: BulkMutation[B, I], aggregate: Aggregate | None, command: B, item: I) -> Decided:
    if aggregate is None:
        return NotFound()
    try:
        return mutation.decide(aggregate, command, item)
    except Refusal as refusal:
        return refusal


async def _settled(
    tx: Transaction,
    aggregates: Mapping[str, Aggregate],
    decided: Decisions,
    *,
    context: WriteContext,
    mutation: BulkMutation[B, I],
    command: B,
) -> Decisions:
    """The decisions after their audit entries are open and all MAC addresses that they need are claimed.

    The first attempt claims for all items. Addresses that no item got are held by other locations. This determines
    which of the competing items are refused, so the second attempt succeeds unless another call claims an address in
    between. Each further attempt knows at least one more address that is held.
    """
    held: set[str] = set()
    settled = _all_or_nothing(decided, command.policy)
    while missed := await _missed(tx, _doing(aggregates, settled), _openings(context, mutation, aggregates, settled)):
        held |= _held_by_others(missed, _takes(aggregates, settled))
        settled = _all_or_nothing(_granted(_takes(aggregates, decided), decided, held), command.policy)
    return settled


def _all_or_nothing(decided: Decisions, policy: BulkPolicy) -> Decisions:
    """With ALL_OR_NOTHING, one refusal leaves all other items unchanged."""
    refused = any(isinstance(each, Refusal) for each in decided.values())
    if policy is BulkPolicy.PER_ITEM or not refused:
        return decided
    return {place: each if isinstance(each, Refusal) else LocationChange() for place, each in decided.items()}


def _doing(aggregates: Mapping[str, Aggregate], decided: Decisions) -> list[tuple[Aggregate, LocationChange]]:
    return [
        (aggregates[location_id], each)
        for location_id, each in decided.items()
        if isinstance(each, LocationChange) and not each.is_nothing
    ]


def _takes(aggregates: Mapping[str, Aggregate], decided: Decisions) -> dict[str, frozenset[str]]:
    """The MAC addresses that each location has to claim."""
    return {
        aggregate.record.location.id: claims_of(aggregate, change).take
        for aggregate, change in _doing(aggregates, decided)
    }


def _held_by_others(missed: set[tuple[str, str]], takes: Mapping[str, frozenset[str]]) -> set[str]:
    """The MAC addresses that no location of the call got."""
    got = {mac for location_id, take in takes.items() for mac in take if (mac, location_id) not in missed}
    return {mac for mac, _ in missed} - got


def _granted(takes: Mapping[str, frozenset[str]], decided: Decisions, held: set[str]) -> Decisions:
    """The decisions, with a refusal for each location that cannot get one of its MAC addresses.

    If several locations need the same address, the first by id gets it, unless it cannot get another address that it
    needs. A refused location does not take any address.
    """
    taken = set(held)
    refused: Decisions = {}
    for location_id, take in sorted(takes.items()):
        if missing := take & taken:
            refused[location_id] = in_use(dict.fromkeys(missing))
        else:
            taken |= take
    return decided | refused


async def _with_holders(tx: Transaction, settled: Decisions) -> Decisions:
    """The decisions; refusals of MAC addresses name the holders to leads."""
    refused = {place: each for place, each in settled.items() if isinstance(each, MacInUse)}
    if not refused:
        return settled
    wanted = {place: [read_mac(mac) for mac in each.mac_addresses] for place, each in refused.items()}
    holders = await writing.holders_of(tx, {mac for macs in wanted.values() for mac in macs})
    return settled | {place: in_use({mac: holders.get(mac) for mac in macs}) for place, macs in wanted.items()}


class _MissedError(Exception):
    """Some items did not get all their MAC addresses."""


async def _missed(
    tx: Transaction, doing: Sequence[tuple[Aggregate, LocationChange]], openings: Sequence[audit.Opening]
) -> set[tuple[str, str]]:
    """Open the entries and claim for all items, or for none if one misses an address.

    Returns the (mac, location id) missed. Entries are open before the first change, so that each change belongs to the
    entry of its location.
    """
    missed: set[tuple[str, str]] = set()
    with suppress(_MissedError):
        async with tx.savepoint():
            await audit.open_entries(tx, openings)
            missed = await unit_of_work.claim(tx, doing)
            if missed:
                raise _MissedError
    return missed


def _openings(
    context: WriteContext, mutation: BulkMutation[B, I], aggregates: Mapping[str, Aggregate], decided: Decisions
) -> list[audit.Opening]:
    return [
        unit_of_work.opening(context, mutation, aggregates[location_id], each)
        for location_id, each in decided.items()
        if location_id in aggregates and _is_recorded(mutation, aggregates[location_id], each)
    ]


def _is_recorded(mutation: BulkMutation[B, I], aggregate: Aggregate, decided: Decided) -> bool:
    if isinstance(decided, LocationChange):
        return not decided.is_nothing
    return unit_of_work.is_recorded(mutation, decided, aggregate.record)


def _result(index: int, location_id: str, decided: Decided, aggregate: Aggregate | None) -> ItemResult:
    change = LocationChange() if isinstance(decided, Refusal) else decided
    effect = NO_EFFECT if aggregate is None else unit_of_work.effect_of(aggregate, change)
    if isinstance(decided, Refusal):
        return ItemResult(index, location_id, BulkOutcome.REFUSED, decided, effect=effect)
    return ItemResult(
        index,
        location_id,
        BulkOutcome.UNCHANGED if decided.is_nothing else BulkOutcome.APPLIED,
        payload_id=decided.ids.get("payload"),
        measurements=decided.measurements,
        effect=effect,
    )


def _to_json(item: ItemResult) -> dict[str, Any]:
    kept = {"index": item.index, "id": item.location_id, "outcome": item.outcome, "payload_id": item.payload_id}
    return kept | {"refusal": idempotency.refusal_to_json(item.refusal) if item.refusal else None}


def _from_json(kept: Mapping[str, Any]) -> ItemResult:
    refusal = idempotency.refusal_from_json(kept["refusal"]) if kept["refusal"] else None
    return ItemResult(kept["index"], kept["id"], BulkOutcome(kept["outcome"]), refusal, kept["payload_id"])
