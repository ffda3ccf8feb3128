"""Runs the unit of work of a mutation, and converts its outcome or refusal to the values of the payload."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from app.db.database import UnknownUser
from app.db.failures import DatabaseUnavailable, Overloaded, StatementTimeout
from app.domain.refusals import Refusal
from app.domain.vocabulary import BulkOutcome
from app.operations.administration import AdministrationMutation, administer
from app.operations.bulk import ItemResult, perform_bulk
from app.operations.bulk_mutations import BulkCommand, BulkMutation
from app.operations.commands import Command
from app.operations.context import MutationCall, MutationOutcome, WriteContext
from app.operations.mutation import AggregateMutation, DeclarationError, Mutation
from app.operations.unit_of_work import perform
from resolvers.commands import KEY, conversion
from resolvers.context import Info

C = TypeVar("C", bound=Command)
B = TypeVar("B", bound=BulkCommand[Any])

Resolver = Callable[[Info, Any], Awaitable[Any]]
"""Performs the mutation with the given input. Returns the values that the payload shows."""


class ReadingFailed(Exception):  # noqa: N818 - named after the event
    """The write was committed, but a bug prevented reading afterwards."""


class ReadingLost(ReadingFailed):
    """The write was committed, but the database could not be read afterwards."""


@dataclass(frozen=True, slots=True)
class RefusalValue:
    """A refusal as data: graphql-core treats an exception among the values of a field as an error of the field."""

    refusal: Refusal

    def __getattr__(self, name: str) -> Any:
        """The facts of the refusal."""
        return getattr(self.refusal, name)


@dataclass(frozen=True, slots=True)
class MutationResult:
    """The values of a mutation's payload: the ids of the objects concerned, or the problems."""

    ids: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False
    problems: tuple[RefusalValue, ...] = ()


@dataclass(frozen=True, slots=True)
class BulkItemValue:
    """The values of one item in the payload of a bulk mutation."""

    index: int
    id: str
    outcome: BulkOutcome
    problem: RefusalValue | None
    payload_id: str | None


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """The number of items of a bulk mutation with each outcome."""

    applied: int = 0
    unchanged: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class BulkMutationResult:
    """The values of the payload of a bulk mutation."""

    results: tuple[BulkItemValue, ...] = ()
    summary: OutcomeCounts = OutcomeCounts()
    dry_run: bool = False
    replayed: bool = False
    problems: tuple[RefusalValue, ...] = ()


def resolver_of(mutation: Mutation[Any], input_type: type) -> Resolver:
    """The resolver of a mutation with this input type. Raises DeclarationError if the two do not match."""
    to_command = conversion(input_type, mutation.command)
    match mutation:
        case AggregateMutation():
            return partial(_run, mutation, to_command, perform)
        case AdministrationMutation():
            return partial(_run, mutation, to_command, administer)
        case BulkMutation():
            return partial(_run_bulk, mutation, to_command)
    raise DeclarationError(f"mutation {mutation.name} has no unit of work for its class")


async def _run(
    mutation: Mutation[C],
    to_command: Callable[[Any], C],
    unit_of_work: Callable[[WriteContext, Any, MutationCall[C]], Awaitable[MutationOutcome]],
    info: Info,
    given: Any,
) -> MutationResult:
    """Perform a mutation if its budget allows. The payload is read from a new snapshot."""
    await info.context.budgets.spend(mutation.budget)
    call = _call(mutation, to_command, given)
    info.context.written.add(info.path.key)
    try:
        outcome = await unit_of_work(info.context.write_context, mutation, call)
    except Refusal as refusal:
        return MutationResult(problems=(RefusalValue(refusal),))
    await _renew_reading(info)
    return MutationResult(ids=outcome.ids, replayed=outcome.replayed)


async def _run_bulk(
    mutation: BulkMutation[B, Any], to_command: Callable[[Any], B], info: Info, given: Any
) -> BulkMutationResult:
    """Perform a bulk mutation, as `_run` does. A dry run uses the budget of dry runs only."""
    call = _call(mutation, to_command, given)
    dry_run = call.command.dry_run
    items = len(call.command.named_items())
    if dry_run:
        await info.context.budgets.spend_dry_run(items=items)
    else:
        await info.context.budgets.spend(mutation.budget, items=items)
        info.context.written.add(info.path.key)
    try:
        result = await perform_bulk(info.context.write_context, mutation, call)
    except Refusal as refusal:
        return BulkMutationResult(dry_run=dry_run, problems=(RefusalValue(refusal),))
    await (info.context.renew_reading() if dry_run else _renew_reading(info))
    counts = Counter(item.outcome for item in result.items)
    return BulkMutationResult(
        results=tuple(map(_shown, result.items)),
        summary=OutcomeCounts(counts[BulkOutcome.APPLIED], counts[BulkOutcome.UNCHANGED], counts[BulkOutcome.FAILED]),
        dry_run=dry_run,
        replayed=result.replayed,
    )


def _call(mutation: Mutation[C], to_command: Callable[[Any], C], given: Any) -> MutationCall[C]:
    return MutationCall(mutation=mutation.name, command=to_command(given), idempotency_key=getattr(given, KEY))


async def _renew_reading(info: Info) -> None:
    try:
        await info.context.renew_reading()
    except (DatabaseUnavailable, Overloaded, StatementTimeout, UnknownUser) as error:
        raise ReadingLost from error
    except Exception as error:
        raise ReadingFailed from error


def _shown(item: ItemResult) -> BulkItemValue:
    problem = RefusalValue(item.refusal) if item.refusal else None
    return BulkItemValue(item.index, item.id, item.outcome, problem, item.payload_id)
