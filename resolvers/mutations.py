"""From a mutation to a use case, and from its outcome, or its refusal, to the payload that the client selected from."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any

from strawberry import Some
from strawberry.types.base import StrawberryMaybe, get_object_definition

from app.db.database import DatabaseUnavailable, Overloaded, StatementTimeout, UnknownUser
from app.domain.refusals import Refusal
from app.operations.administration import AdminCase, administer
from app.operations.bulk import BulkCase, BulkOutcome, ItemResult, perform_bulk
from app.operations.context import MutationCall, MutationOutcome, UseCase
from app.operations.unit_of_work import perform
from resolvers.context import Info

KEY = "idempotency_key"


class ReadingFailed(Exception):  # noqa: N818 - reads as what happened
    """The write was committed, and a bug kept it from being read afterwards."""


class ReadingLost(ReadingFailed):
    """The write was committed, and nothing could be read afterwards."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal as data: an exception among a field's values would be taken for an error of that field."""

    refusal: Refusal

    def __getattr__(self, name: str) -> Any:
        """The refusal's facts."""
        return getattr(self.refusal, name)


@dataclass(frozen=True, slots=True)
class Result:
    """What a mutation's payload is made of: the ids of the objects concerned, or the problems."""

    ids: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False
    problems: tuple[Refused, ...] = ()


async def run(info: Info, use_case: UseCase, given: Any) -> Any:
    """Perform a use case, once its budget allows; what the payload's selection reads afterwards is a fresh snapshot."""
    return await _answered(info, use_case.mutation, given, partial(perform, info.context.write_context, use_case))


async def run_administration(info: Info, case: AdminCase, given: Any) -> Any:
    """Perform an administrative use case, as `run`."""
    return await _answered(info, case.mutation, given, partial(administer, info.context.write_context, case))


async def _answered(
    info: Info, mutation: str, given: Any, act: Callable[[MutationCall], Awaitable[MutationOutcome]]
) -> Result:
    await info.context.budgets.spend(mutation)
    values = plain(given)
    call = MutationCall(mutation=mutation, input=values, idempotency_key=values.pop(KEY, None))
    info.context.written.add(info.path.key)
    try:
        outcome = await act(call)
    except Refusal as refusal:
        return Result(problems=(Refused(refusal),))
    await _read_anew(info)
    return Result(ids=outcome.ids, replayed=outcome.replayed)


@dataclass(frozen=True, slots=True)
class BulkItem:
    """An item's result as the payload shows it."""

    index: int
    id: str
    outcome: BulkOutcome
    problem: Refused | None
    payload_id: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """How many items came to what."""

    applied: int = 0
    unchanged: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Bulk:
    """What a bulk mutation's payload is made of."""

    results: tuple[BulkItem, ...] = ()
    summary: Summary = Summary()
    dry_run: bool = False
    replayed: bool = False
    problems: tuple[Refused, ...] = ()


async def run_bulk(info: Info, case: BulkCase, given: Any) -> Any:
    """Perform a bulk use case, as `run`. A dry run takes no budget."""
    values = plain(given)
    key = values.pop(KEY)
    if "location_ids" in values:
        values["items"] = [{"location_id": each} for each in values.pop("location_ids")]
    if not values["dry_run"]:
        await info.context.budgets.spend(case.mutation, items=len(values["items"]))
        info.context.written.add(info.path.key)
    call = MutationCall(mutation=case.mutation, input=values, idempotency_key=key)
    try:
        result = await perform_bulk(info.context.write_context, case, call)
    except Refusal as refusal:
        return Bulk(dry_run=values["dry_run"], problems=(Refused(refusal),))
    await (info.context.renew_reading() if values["dry_run"] else _read_anew(info))
    counts = Counter(item.outcome for item in result.items)
    return Bulk(
        results=tuple(_shown(item) for item in result.items),
        summary=Summary(counts[BulkOutcome.APPLIED], counts[BulkOutcome.UNCHANGED], counts[BulkOutcome.FAILED]),
        dry_run=values["dry_run"],
        replayed=result.replayed,
    )


async def _read_anew(info: Info) -> None:
    try:
        await info.context.renew_reading()
    except (DatabaseUnavailable, Overloaded, StatementTimeout, UnknownUser) as error:
        raise ReadingLost from error
    except Exception as error:
        raise ReadingFailed from error


def _shown(item: ItemResult) -> BulkItem:
    problem = Refused(item.refusal) if item.refusal else None
    return BulkItem(item.index, item.id, item.outcome, problem, item.payload_id)


def plain(value: Any) -> Any:
    """An input as plain values by field names; a field that a patch leaves out is not there."""
    if isinstance(value, Some):
        return plain(value.value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    definition = None if isinstance(value, Enum) else get_object_definition(type(value))
    if definition is None:
        return value
    found = {each.python_name: (each.type, getattr(value, each.python_name)) for each in definition.fields}
    return {name: plain(held) for name, (kind, held) in found.items() if not (held is None and _may_be_absent(kind))}


def _may_be_absent(kind: Any) -> bool:
    return isinstance(kind, StrawberryMaybe)
