"""Runs the unit of work of a mutation, and converts its outcome or refusal to the values of the payload."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from app.db.database import UnknownUser
from app.db.failures import DatabaseUnavailable, Overloaded, StatementTimeout
from app.domain.events import NO_EFFECT
from app.domain.refusals import InvalidInput, Refusal
from app.domain.vocabulary import BulkOutcome
from app.operations.administration import AdministrationMutation, administer
from app.operations.bulk import ItemResult, perform_bulk, report_whole_refusal
from app.operations.bulk_mutations import BulkCommand, BulkMutation
from app.operations.commands import Command
from app.operations.context import NO_MEASUREMENTS, MutationCall, MutationOutcome, WriteContext
from app.operations.mutation import AggregateMutation, DeclarationError, Mutation
from app.operations.unit_of_work import perform
from resolvers.commands import Given, conversion, key_of
from resolvers.context import Info

C = TypeVar("C", bound=Command)
B = TypeVar("B", bound=BulkCommand[Any])

Resolver = Callable[[Info, Given], Awaitable[Any]]
"""Performs the mutation with the input as graphql-core coerced it. Returns the values that the payload shows."""


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
    """The values of a mutation's payload: the ids of the objects concerned and a secret, or the problems."""

    ids: Mapping[str, str] = field(default_factory=dict)
    secret: str | None = field(default=None, repr=False)
    replayed: bool = False
    problems: tuple[RefusalValue, ...] = ()


@dataclass(frozen=True, slots=True)
class BulkItemValue:
    """The values of one item in the payload of a bulk mutation."""

    index: int
    location_id: str
    outcome: BulkOutcome
    problem: RefusalValue | None
    payload_id: str | None


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """The number of items of a bulk mutation with each outcome."""

    applied: int = 0
    unchanged: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class BulkMutationResult:
    """The values of the payload of a bulk mutation."""

    results: tuple[BulkItemValue, ...] = ()
    summary: OutcomeCounts = OutcomeCounts()
    dry_run: bool = False
    replayed: bool = False
    problems: tuple[RefusalValue, ...] = ()


def resolver_of(mutation: Mutation[Any], input_type: type, *, shows_rows: bool) -> Resolver:
    """The resolver of a mutation with this input type. Raises DeclarationError if the two do not match.

    A payload that shows no rows (`shows_rows`) needs no snapshot: the user may have no access to one after the write.
    """
    to_command = conversion(input_type, mutation.command)
    match mutation:
        case AggregateMutation():
            return partial(_run, mutation, to_command, perform, shows_rows=shows_rows)
        case AdministrationMutation():
            return partial(_run, mutation, to_command, administer, shows_rows=shows_rows)
        case BulkMutation():
            return partial(_run_bulk, mutation, to_command)
    raise DeclarationError(f"mutation {mutation.name} has no unit of work for its class")


async def _run(
    mutation: Mutation[C],
    to_command: Callable[[Given], C],
    unit_of_work: Callable[[WriteContext, Any, MutationCall[C]], Awaitable[MutationOutcome]],
    info: Info,
    given: Given,
    *,
    shows_rows: bool,
) -> MutationResult:
    """Perform a mutation if its budget allows. The rows of the payload are read from a new snapshot."""
    await info.context.budgets.spend(mutation.budget)
    write_context = info.context.write_context
    try:
        call = _call(mutation, to_command, given)
    except InvalidInput as refusal:
        write_context.performed(mutation.name, refusal.code, NO_MEASUREMENTS)
        write_context.emit(mutation.name, NO_EFFECT, refusal.code)
        return MutationResult(problems=(RefusalValue(refusal),))
    info.context.written.add(info.path.key)
    try:
        outcome = await unit_of_work(write_context, mutation, call)
    except Refusal as refusal:
        return MutationResult(problems=(RefusalValue(refusal),))
    if outcome.secret is not None:
        info.context.holds_secret = True
    if shows_rows:
        await _renew_reading(info)
    return MutationResult(ids=outcome.ids, secret=outcome.secret, replayed=outcome.replayed)


async def _run_bulk(
    mutation: BulkMutation[B, Any], to_command: Callable[[Given], B], info: Info, given: Given
) -> BulkMutationResult:
    """Perform a bulk mutation, as `_run` does. A dry run uses the budget of dry runs only.

    A call whose input cannot be read counts without items.
    """
    dry_run: bool = given["dryRun"]
    try:
        call = _call(mutation, to_command, given)
    except InvalidInput as refusal:
        await _spend_bulk(mutation, info, dry_run=dry_run, items=0)
        if not dry_run:
            report_whole_refusal(info.context.write_context, mutation.name, refusal)
        return BulkMutationResult(dry_run=dry_run, problems=(RefusalValue(refusal),))
    await _spend_bulk(mutation, info, dry_run=dry_run, items=len(call.command.named_items()))
    if not dry_run:
        info.context.written.add(info.path.key)
    try:
        result = await perform_bulk(info.context.write_context, mutation, call)
    except Refusal as refusal:
        return BulkMutationResult(dry_run=dry_run, problems=(RefusalValue(refusal),))
    await (info.context.renew_reading() if dry_run else _renew_reading(info))
    counts = Counter(item.outcome for item in result.items)
    return BulkMutationResult(
        results=tuple(map(_shown, result.items)),
        summary=OutcomeCounts(counts[BulkOutcome.APPLIED], counts[BulkOutcome.UNCHANGED], counts[BulkOutcome.REFUSED]),
        dry_run=dry_run,
        replayed=result.replayed,
    )


async def _spend_bulk(mutation: BulkMutation[Any, Any], info: Info, *, dry_run: bool, items: int) -> None:
    budgets = info.context.budgets
    await (budgets.spend_dry_run(items=items) if dry_run else budgets.spend(mutation.budget, items=items))


def _call(mutation: Mutation[C], to_command: Callable[[Given], C], given: Given) -> MutationCall[C]:
    """The call that an input makes. Raises InvalidInput."""
    return MutationCall(mutation=mutation.name, command=to_command(given), idempotency_key=key_of(given))


async def _renew_reading(info: Info) -> None:
    try:
        await info.context.renew_reading()
    except (DatabaseUnavailable, Overloaded, StatementTimeout, UnknownUser) as error:
        raise ReadingLost from error
    except Exception as error:
        raise ReadingFailed from error


def _shown(item: ItemResult) -> BulkItemValue:
    problem = RefusalValue(item.refusal) if item.refusal else None
    return BulkItemValue(item.index, item.location_id, item.outcome, problem, item.payload_id)
