"""Runs a plan: resolves the levels wave by wave from the root down, then builds their rows from the bottom up."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from inspect import iscoroutine
from typing import Any

from graphql import ExecutionResult, GraphQLError, OperationType, located_error

from app.execution.completion import add_level, complete, complete_immediately
from app.execution.leaf_values import complete_leaf
from app.execution.model import Failure, Level, Place, PlanShape, Run, Selection
from app.execution.null_propagation import propagate_nulls
from app.execution.rows import build_rows
from app.execution.sources import Batch, checked_results
from app.execution.steps import Concurrent, InContext, Sequential, Steps, start

_UNOBSERVED: AbstractContextManager[None] = nullcontext()


class Executed(ExecutionResult):  # noqa: PLW1641 - compared by content, as its base class is
    """A result with the number of objects in its data, without the root. An object that appears twice counts twice."""

    __slots__ = ("objects",)

    def __init__(self, data: dict[str, Any] | None, errors: list[GraphQLError] | None, objects: int | None) -> None:
        super().__init__(data, errors)
        self.objects = objects
        """None if there are errors."""

    def __eq__(self, other: object) -> bool:
        return ExecutionResult(self.data, self.errors) == other


def run_operation(run: Run, shape: PlanShape) -> Steps[ExecutionResult]:
    """Run an operation: the root fields of a query together, those of a mutation in order until one nulls the data."""
    data: dict[str, Any] = {}
    errors: list[GraphQLError] = []
    try:
        for selection in shape.selections:
            part, failures = yield from _run_selection(run, selection)
            errors += failures
            if part is None:
                return ExecutionResult(None, errors)
            data.update(part)
        return Executed(data, errors or None, None if errors else run.objects)
    except Exception as error:  # noqa: BLE001 - not the error of a field, but the caller expects a result
        # The path below a root field shows that the field itself, such as a mutation, has been resolved.
        path = None if shape.operation.operation is OperationType.QUERY else _path_of(run.wave)
        return ExecutionResult(None, [*errors, located_error(error, [shape.operation], path)])
    finally:
        del run.executor.async_helpers  # breaks a reference cycle that would keep context and rows alive


def _run_selection(run: Run, selection: Selection) -> Steps[tuple[dict[str, Any] | None, list[GraphQLError]]]:
    root = Level(selection, [run.executor.root_value], None)
    run.levels, run.next_wave = [], []
    add_level(run, root)
    while run.next_wave:
        run.wave, run.next_wave = run.next_wave, []
        waiting = _start_wave(run, run.wave)
        if waiting:
            _raise_first((yield Concurrent(waiting)))
        if run.allowance is not None and run.objects > run.allowance.reserved:
            reserving = run.allowance.reserve(run.objects)
            if reserving is not None:
                _raise_first((yield Concurrent([reserving])))
    for level in reversed(run.levels):
        if not level.rows:
            build_rows(run, level)
    if run.late:
        late, run.late = run.late, []
        outcomes = yield Concurrent([value for _, _, value in late])
        for (row, field, _), outcome in zip(late, outcomes, strict=True):
            row[field.key] = complete_leaf(run, field, field.nullable, outcome)
    if run.failed:
        return propagate_nulls(root, run.levels, run.failed)
    return root.rows[0], []


def _raise_first(outcomes: Iterable[Any]) -> None:
    """Raise the first exception among the outcomes of awaitables."""
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


def _path_of(wave: list[Level]) -> list[str | int] | None:
    """The path of the first field of a wave."""
    return list(wave[0].selection.columns[0].path) if wave else None


def _start_wave(run: Run, wave: list[Level]) -> list[Any]:
    """Start all fields of a wave that have columns. Returns the awaitables that finish them."""
    waiting: list[Any] = []
    batches: list[Any] = []
    try:
        for level in wave:
            for field in level.selection.columns:
                rest = _start_field(run, Place(level, field))
                if rest is not None:
                    (batches if run.sequential_batches and field.is_batched else waiting).append(rest)
    except run.ending:
        Concurrent([*waiting, *batches])  # closes the coroutines, none of which has started
        raise
    if batches:
        waiting.append(Sequential(batches) if len(batches) > 1 else batches[0])
    return waiting


def _start_field(run: Run, place: Place) -> Any:
    """Start a field, inside the observer's context manager if any. Returns an awaitable that finishes it, or None."""
    field = place.field
    observed = None
    if run.observer is not None and field.is_resolved:
        try:
            observed = run.observer(field.path, field.parent_type.name, field.name, len(place.level.objects))
        except Exception as error:  # noqa: BLE001 - becomes the error of every parent
            place.level.columns[field] = _failed_column(run, place, error)
            return None
    if observed is not None:
        context = copy_context()  # a span opened here must be current for this field only
        rest = context.run(start, _resolve(run, place, observed))
        return None if rest is None else InContext(rest, context)
    if run.sequential_batches and isinstance(field.source, Batch) and field.source.is_async:
        return _resolve_batch(run, place, field.source)
    return start(_resolve(run, place))


async def _resolve_batch(run: Run, place: Place, batch: Batch) -> None:
    """Do the same as `_resolve` with fewer steps, for the fields on which most requests wait longest."""
    count = len(place.level.objects)
    try:
        values = checked_results(await batch.call(run, place), count)
    except run.ending:
        raise
    except Exception as error:  # noqa: BLE001 - becomes the error of every parent
        values = [error] * count
    try:
        column = complete_immediately(run, place, place.field.wrapped, values)
        if column is None:
            column = start(complete(run, place, place.field.wrapped, values))
            if iscoroutine(column):
                column = await column
    except run.ending:
        raise
    except Exception as error:  # noqa: BLE001 - becomes the error of every parent
        column = _failed_column(run, place, error)
    place.level.columns[place.field] = column


def _resolve(run: Run, place: Place, observed: AbstractContextManager[Any] = _UNOBSERVED) -> Steps[None]:
    """Resolve the values of one field for a level and complete them."""
    source = place.field.source
    assert source is not None  # noqa: S101 - called for fields with a source only
    raised: Exception | None = None
    try:
        with observed:
            try:
                values = yield from source(run, place)
            except run.ending:
                raise
            except Exception as error:  # noqa: BLE001 - becomes the error of every parent
                raised, values = error, [error] * len(place.level.objects)
            # Inside the observation, because this awaits the awaitables of ordinary resolvers.
            place.level.columns[place.field] = yield from complete(run, place, place.field.wrapped, values)
            if raised is not None:
                raise raised  # noqa: TRY301 - the observer must see it
    except run.ending:
        raise
    except Exception as error:  # noqa: BLE001 - completion or the observer raised
        if error is not raised:
            place.level.columns[place.field] = _failed_column(run, place, error)


def _failed_column(run: Run, place: Place, error: Exception) -> list[Failure]:
    """Return the column of a field that failed with this error for every parent."""
    return [run.failure(place.field, error) for _ in place.level.objects]
