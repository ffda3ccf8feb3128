"""Many locations in one transaction: each item is decided by the same function as the single mutation.

The number of statements does not grow with the items: locks, dossiers, claims, entries and writes each travel in
one, or one a kind of row. A refused item leaves the others as they are, or none of them when all or nothing is asked.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any, TypeVar

from app import audit
from app.db import writing
from app.db.database import Transaction
from app.domain.bulk import check_items, verb_towards
from app.domain.ids import is_well_formed
from app.domain.mac_address import show_mac
from app.domain.refusals import InvalidInput, MacInUse, NotFound, Refusal
from app.domain.vocabulary import LocationStatus, Verb
from app.operations import idempotency, unit_of_work
from app.operations.aggregate import Aggregate
from app.operations.approve import APPROVE
from app.operations.context import NOTHING_WATCHED, Input, LocationChange, MutationCall, UseCase, Watched, WriteContext
from app.operations.generate_payload import GENERATE_PAYLOAD
from app.operations.persistence import claims_of, writes_of
from app.operations.submit_onboarding import SUBMIT_ONBOARDING
from app.operations.transitions import BLOCK, CANCEL, REOPEN, UNBLOCK
from app.operations.trigger_provisioning import TRIGGER_PROVISIONING

T = TypeVar("T")


@unique
class BulkPolicy(StrEnum):
    """What a refused item means for the others."""

    PER_ITEM = "PER_ITEM"
    ALL_OR_NOTHING = "ALL_OR_NOTHING"


@unique
class BulkOutcome(StrEnum):
    """What became of an item."""

    APPLIED = "APPLIED"
    UNCHANGED = "UNCHANGED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one item, at its place in the input."""

    index: int
    id: str
    outcome: BulkOutcome
    refusal: Refusal | None = None
    payload_id: str | None = None
    watched: Watched = NOTHING_WATCHED
    """Not kept for a repeated call, which does nothing."""


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of a bulk call."""

    items: tuple[ItemResult, ...]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class BulkCase:
    """One bulk mutation: its name, and the single use case, with its input, that an item stands for.

    `single` returns None when the item is there already.
    """

    mutation: str
    single: Callable[[Aggregate, Input, Input], tuple[UseCase, Input] | None]
    approves: bool = False


def _towards(aggregate: Aggregate, given: Input, item: Input) -> tuple[UseCase, Input] | None:
    verb = verb_towards(given["status"], aggregate.status)
    if verb is None:
        return None
    return _SINGLE_OF_VERB[verb], {"location_id": item["location_id"], "reason": given.get("reason")}


def _approved(_work: Aggregate, given: Input, item: Input) -> tuple[UseCase, Input]:
    return APPROVE, {**item, "comment": given.get("comment")}


def _generated(_work: Aggregate, _given: Input, item: Input) -> tuple[UseCase, Input]:
    return GENERATE_PAYLOAD, item


_SINGLE_OF_VERB: Mapping[Verb, UseCase] = {
    Verb.SUBMIT: SUBMIT_ONBOARDING,
    Verb.TRIGGER_PROVISIONING: TRIGGER_PROVISIONING,
    Verb.BLOCK: BLOCK,
    Verb.UNBLOCK: UNBLOCK,
    Verb.CANCEL: CANCEL,
    Verb.REOPEN: REOPEN,
}

BULK_UPDATE_STATUS = BulkCase("bulkUpdateStatus", _towards)
BULK_APPROVE = BulkCase("bulkApprove", _approved, approves=True)
BULK_GENERATE_PAYLOADS = BulkCase("bulkGeneratePayloads", _generated)
BULK_MUTATIONS = frozenset({BULK_UPDATE_STATUS.mutation, BULK_APPROVE.mutation, BULK_GENERATE_PAYLOADS.mutation})


async def perform_bulk(context: WriteContext, case: BulkCase, call: MutationCall) -> BulkResult:
    """Run a bulk call. `call.input` has items, each with a location_id, a policy and dry_run.

    Raises LimitReached or InvalidInput for the call as a whole before anything is written, and the idempotency
    refusals. A call that applied nothing leaves its key free. A dry run predicts what the real one would do, and
    leaves no trace: no row, number, entry or key.
    """
    items: Sequence[Input] = call.input["items"]
    check_items(case.mutation, [each["location_id"] for each in items], path=("items",))
    if not all(is_well_formed(each["location_id"]) for each in items):
        raise InvalidInput(field="items", rule="one of them is not an id", path=("items",))
    if case is BULK_UPDATE_STATUS:
        verb_towards(call.input["status"], LocationStatus.NOT_STARTED)
    idempotency.as_kept(call)
    if call.input["dry_run"]:
        return await unit_of_work.retried(lambda: _once(context, case, call, items))
    with idempotency.alone(context, call):
        result = await unit_of_work.retried(lambda: _once(context, case, call, items))
    for item in result.items:
        outcome = "REPLAYED" if result.replayed else item.refusal.code if item.refusal else item.outcome
        context.performed(case.mutation, outcome, item.watched)
    return result


async def _once(context: WriteContext, case: BulkCase, call: MutationCall, items: Sequence[Input]) -> BulkResult:
    async with context.database.writing(context.subject, timeout_ms=context.timeout_ms) as tx:
        with unit_of_work.before_commit():
            if call.input["dry_run"]:
                async with tx.undone():
                    return await _carry_out(tx, context, case, call, items)
            kept = await idempotency.earlier(tx, call)
            if kept is not None:
                return BulkResult(tuple(_from_json(each) for each in kept["items"]), replayed=True)
            result = await _carry_out(tx, context, case, call, items)
            if any(item.outcome is BulkOutcome.APPLIED for item in result.items):
                await idempotency.keep(tx, call, {"items": [_to_json(each) for each in result.items]})
            await audit.seal(tx)
            return result


async def _carry_out(
    tx: Transaction, context: WriteContext, case: BulkCase, call: MutationCall, items: Sequence[Input]
) -> BulkResult:
    """Decide every item, claim, enter and write what is to be done."""
    wanted = [each["location_id"] for each in items]
    reached = await writing.lock_locations(tx, wanted, tx.viewer.scope)
    reviewed = {each["location_id"]: each["expected_digest"] for each in items} if case.approves else None
    aggregates = await unit_of_work.aggregates_of(tx, context, sorted(reached), reviewed=reviewed)
    decided = {
        each["location_id"]: _decided(case, aggregates.get(each["location_id"]), call.input, each)
        async for each in _in_turns(items)
    }
    settled = await _settled(tx, aggregates, decided, context=context, case=case, call=call)
    if not call.input["dry_run"]:
        doing = _in_turns(_doing(aggregates, settled))
        await writing.write(tx, [write async for aggregate, change in doing for write in writes_of(aggregate, change)])
    return BulkResult(tuple(_result(index, *each) for index, each in enumerate(settled.items())))


async def _in_turns(them: Iterable[T]) -> AsyncIterator[T]:
    """Each of them, after everybody else in the process had a turn: a large location takes a tenth of a second."""
    for each in them:
        await asyncio.sleep(0)
        yield each


Decided = LocationChange | Refusal
Decisions = dict[str, Decided]
"""What was decided, by location, in the order of the input."""


def _decided(case: BulkCase, aggregate: Aggregate | None, given: Input, item: Input) -> Decided:
    if aggregate is None:
        return NotFound()
    try:
        single = case.single(aggregate, given, item)
        if single is None:
            return LocationChange()
        use_case, values = single
        change = use_case.decide(aggregate, values)
    except Refusal as refusal:
        return refusal
    assert isinstance(change, LocationChange)  # noqa: S101 - single use cases on one location return one change
    return change


async def _settled(
    tx: Transaction,
    aggregates: Mapping[str, Aggregate],
    decided: Decisions,
    *,
    context: WriteContext,
    case: BulkCase,
    call: MutationCall,
) -> Decisions:
    """The decisions as they stand once their entries are open and every address that they need is claimed.

    The first try claims for all. What nobody got is held by others, and who of the rivals gets the rest follows from
    that, so that a second try does, unless somebody else takes an address in between: each further try knows of one
    more that is held.
    """
    held: set[str] = set()
    settled = _all_or_nothing(decided, call)
    while missed := await _missed(tx, _doing(aggregates, settled), _openings(context, case, aggregates, settled)):
        held |= _held_by_others(missed, _takes(aggregates, settled))
        settled = _all_or_nothing(_granted(_takes(aggregates, decided), decided, held), call)
    return settled


def _all_or_nothing(decided: Decisions, call: MutationCall) -> Decisions:
    """With that policy one refusal leaves every other item unchanged."""
    refused = any(isinstance(each, Refusal) for each in decided.values())
    if call.input["policy"] is BulkPolicy.PER_ITEM or not refused:
        return decided
    return {place: each if isinstance(each, Refusal) else LocationChange() for place, each in decided.items()}


def _doing(aggregates: Mapping[str, Aggregate], decided: Decisions) -> list[tuple[Aggregate, LocationChange]]:
    return [
        (aggregates[location_id], each)
        for location_id, each in decided.items()
        if isinstance(each, LocationChange) and not each.is_nothing
    ]


def _takes(aggregates: Mapping[str, Aggregate], decided: Decisions) -> dict[str, frozenset[str]]:
    """The addresses that each location has to claim."""
    return {
        aggregate.record.location.id: claims_of(aggregate, change).take
        for aggregate, change in _doing(aggregates, decided)
    }


def _held_by_others(missed: set[tuple[str, str]], takes: Mapping[str, frozenset[str]]) -> set[str]:
    """The addresses that no location of the call got."""
    got = {mac for location_id, take in takes.items() for mac in take if (mac, location_id) not in missed}
    return {mac for mac, _ in missed} - got


def _granted(takes: Mapping[str, frozenset[str]], decided: Decisions, held: set[str]) -> Decisions:
    """The decisions, with those refused that miss an address.

    Of rivals the first by its location's id has it, unless it misses another: who is refused keeps nothing from others.
    """
    taken = set(held)
    refused: Decisions = {}
    for location_id, take in sorted(takes.items()):
        if missing := take & taken:
            refused[location_id] = MacInUse(mac_addresses=tuple(show_mac(mac) for mac in sorted(missing)))
        else:
            taken |= take
    return decided | refused


class _MissedError(Exception):
    """Some items did not get what they had to claim."""


async def _missed(
    tx: Transaction, doing: Sequence[tuple[Aggregate, LocationChange]], openings: Sequence[audit.Opening]
) -> set[tuple[str, str]]:
    """Enter and claim for all, or for none when some item misses an address; returns the (mac, location id) missed.

    Entries are open before the first change: each change then belongs to its own location's.
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
    context: WriteContext, case: BulkCase, aggregates: Mapping[str, Aggregate], decided: Decisions
) -> list[audit.Opening]:
    return [
        unit_of_work.opening(context, case.mutation, aggregates[location_id], each)
        for location_id, each in decided.items()
        if location_id in aggregates and _is_recorded(case, aggregates[location_id], each)
    ]


def _is_recorded(case: BulkCase, aggregate: Aggregate, decided: Decided) -> bool:
    if isinstance(decided, LocationChange):
        return not decided.is_nothing
    return unit_of_work.is_recorded(decided, aggregate.record, approving=case.approves)


def _result(index: int, location_id: str, decided: Decided) -> ItemResult:
    if isinstance(decided, Refusal):
        return ItemResult(index, location_id, BulkOutcome.FAILED, decided)
    outcome = BulkOutcome.UNCHANGED if decided.is_nothing else BulkOutcome.APPLIED
    return ItemResult(index, location_id, outcome, payload_id=decided.ids.get("payload"), watched=decided.watched)


def _to_json(item: ItemResult) -> dict[str, Any]:
    kept = {"index": item.index, "id": item.id, "outcome": item.outcome, "payload_id": item.payload_id}
    return kept | {"refusal": idempotency.refusal_to_json(item.refusal) if item.refusal else None}


def _from_json(kept: Mapping[str, Any]) -> ItemResult:
    refusal = idempotency.refusal_from_json(kept["refusal"]) if kept["refusal"] else None
    return ItemResult(kept["index"], kept["id"], BulkOutcome(kept["outcome"]), refusal, kept["payload_id"])
