"""Completion of one field for a whole level: lists are flattened, leaves coerced, objects grouped into new levels."""

from collections.abc import Sequence
from inspect import isawaitable
from itertools import chain
from typing import Any, cast

from graphql import GraphQLError, GraphQLObjectType, Undefined
from graphql.pyutils import is_iterable

from app.execution.columns import PENDING, ListColumn, ObjectColumn
from app.execution.leaf_values import complete_leaves, null_error
from app.execution.leaves import MAYBE_AWAITABLE, ORDINARY
from app.execution.model import Kept, Level, ListItems, Place, PlanField, Run
from app.execution.planning import selection_below
from app.execution.rows import build_rows, is_fully_typed
from app.execution.runtime_types import runtime_types
from app.execution.sources import SEQUENCES
from app.execution.steps import Concurrent, Steps
from app.execution.wrapping import WrappedType


def add_level(run: Run, level: Level) -> None:
    """Add a level to the run. If nothing is below it and its class is fully typed, its rows are built immediately."""
    run.levels.append(level)
    if level.place is not None:
        run.count(level.place.field, len(level.objects))
    if level.selection.columns:
        run.next_wave.append(level)
    elif is_fully_typed(run, level):
        build_rows(run, level)


def complete(run: Run, place: Place, type_: WrappedType, values: Sequence[Any]) -> Steps[Any]:
    """Complete values of a type and return their column. New levels are added to the run."""
    column = complete_immediately(run, place, type_, values)
    if column is not None:
        return column
    kind = run.kinds.slowest(set(map(type, values)))
    if kind is MAYBE_AWAITABLE:
        values = yield from _await_values(run, values)
    if type_.is_leaf:
        return complete_leaves(run, place.field, type_.nullable, values)
    if type_.items is not None:
        return (yield from _lists(run, place, type_, type_.items, values))
    return (yield from _objects(run, place, type_, values, kind))


def complete_immediately(run: Run, place: Place, type_: WrappedType, values: Sequence[Any]) -> Any:
    """Complete values that need neither an await nor a type check.

    Returns None, without having added a level, if some of them do.
    """
    classes = set(map(type, values))
    if type_.items is not None:
        return _lists_immediately(run, place, type_.items, values) if classes <= SEQUENCES else None
    if classes <= type_.accepted:
        kind = ORDINARY
    else:
        kind = run.kinds.slowest(classes)
        if kind is MAYBE_AWAITABLE:
            return None
    if type_.is_leaf:
        type_.accept(classes)
        return complete_leaves(run, place.field, type_.nullable, values)
    template, positions, objects = _separate(run, place.field, type_.nullable, values, kind)
    if positions is not None:
        place = place.below(Kept(positions))
        classes = set(map(type, objects))
    column = ObjectColumn(template, len(objects))
    if objects:
        if not (classes <= type_.accepted or type_.needs_no_check):
            return None
        type_.accept(classes)
        _add_object_level(
            run, place, cast("GraphQLObjectType", type_.composite), column, objects, class_=_only(classes)
        )
    return column


def _lists_immediately(run: Run, place: Place, type_: WrappedType, values: Sequence[Any]) -> ListColumn | None:
    lengths = list(map(len, values))
    if not type_.is_leaf:
        run.check(place.field, sum(lengths))
    items = complete_immediately(run, place.below(ListItems(lengths)), type_, list(chain.from_iterable(values)))
    return None if items is None else ListColumn(None, lengths, items)


def _only(classes: set[type]) -> type | None:
    return next(iter(classes)) if len(classes) == 1 else None


def _objects(run: Run, place: Place, type_: WrappedType, values: Sequence[Any], kind: int) -> Steps[ObjectColumn]:
    template, positions, objects = _separate(run, place.field, type_.nullable, values, kind)
    if positions is not None:
        place = place.below(Kept(positions))
    column = ObjectColumn(template, len(objects))
    if not objects:
        return column
    types = yield from runtime_types(run, place, type_.composite, objects)
    if type_.is_type_of is not None and all(found is type_.composite for found in types):
        type_.accept(set(map(type, objects)))
    groups: dict[GraphQLObjectType, list[int]] = {}
    for index, found in enumerate(types):
        if isinstance(found, GraphQLObjectType):
            groups.setdefault(found, []).append(index)
        else:
            column.failures[index] = run.failure(place.field, found)
    for found, indices in groups.items():
        if len(indices) == len(objects):
            _add_object_level(run, place, found, column, objects)
        else:
            some = [objects[index] for index in indices]
            _add_object_level(run, place.below(Kept(indices)), found, column, some, indices)
    return column


def _add_object_level(  # noqa: PLR0917 - internal, on the hot path
    run: Run,
    place: Place,
    type_: GraphQLObjectType,
    column: ObjectColumn,
    objects: Sequence[Any],
    indices: Sequence[int] | None = None,
    class_: type | None = None,
) -> None:
    """Add a level of objects of one type. `indices` are their positions in the column, by default all positions."""
    if indices is None:
        indices = range(len(objects))
    try:
        selection = selection_below(run, place.field, type_)
    except (GraphQLError, RecursionError) as error:
        column.failures.update((index, run.failure(place.field, error)) for index in indices)
        return
    level = Level(selection, objects, place, class_)
    column.levels.append((indices, level))
    add_level(run, level)


def _lists(run: Run, place: Place, type_: WrappedType, inner: WrappedType, values: Sequence[Any]) -> Steps[ListColumn]:
    if not SEQUENCES.issuperset(map(type, values)):
        values = yield from _as_lists(run, place.field, values)
    template, positions, lists = _separate(
        run, place.field, type_.nullable, values, run.kinds.slowest(set(map(type, values)))
    )
    if positions is not None:
        place = place.below(Kept(positions))
    lengths = list(map(len, lists))
    if not inner.is_leaf:
        run.check(place.field, sum(lengths))
    items = list(chain.from_iterable(lists))
    column = yield from complete(run, place.below(ListItems(lengths)), inner, items)
    return ListColumn(template, lengths, column)


def _as_lists(run: Run, field: PlanField, values: Sequence[Any]) -> Steps[Sequence[Any]]:
    """Convert other iterables to lists, asynchronous ones concurrently."""
    read = [_as_list(run, field, value) for value in values]
    waiting = [index for index, value in enumerate(read) if isawaitable(value)]
    if waiting:
        outcomes = yield Concurrent([read[index] for index in waiting])
        for index, outcome in zip(waiting, outcomes, strict=True):
            read[index] = outcome
    return read


def _as_list(run: Run, field: PlanField, value: Any) -> Any:
    if value is None or value is Undefined or type(value) in SEQUENCES:
        return value
    items: list[Any] = []
    try:
        if isinstance(value, Exception):
            return value
        if run.executor.is_async_iterable(value):
            return _read_async_iterable(run, value)
        if not is_iterable(value):
            return GraphQLError(
                f"Expected Iterable, but did not find one for field '{field.parent_type}.{field.name}'."
            )
        items.extend(iter(value))  # never calls the `__len__` of the value
    except Exception as error:  # noqa: BLE001 - the list fails, but awaitables among its first items must finish
        run.executor.track_async_work(items)
        return error
    return items


async def _read_async_iterable(run: Run, iterable: Any) -> list[Any]:
    items: list[Any] = []
    try:
        async for item in iterable:
            items.append(item)
    except BaseException:
        run.executor.track_async_work(items)
        if hasattr(iterable, "aclose"):
            await iterable.aclose()
        raise
    return items


def _await_values(run: Run, values: Sequence[Any]) -> Steps[Sequence[Any]]:
    """Await the awaitable values. If the check for an awaitable raises, the exception replaces the value."""
    values = list(values)
    waiting: list[int] = []
    for index, value in enumerate(values):
        try:
            if run.executor.is_awaitable(value):
                waiting.append(index)
        except Exception as error:  # noqa: BLE001 - the exception takes the position of the value
            values[index] = error
    if waiting:
        outcomes = yield Concurrent([values[index] for index in waiting])
        for index, outcome in zip(waiting, outcomes, strict=True):
            values[index] = outcome
    return values


def _separate(
    run: Run, field: PlanField, nullable: bool, values: Sequence[Any], kind: int
) -> tuple[list[Any] | None, list[int] | None, Sequence[Any]]:
    """Separate nulls and errors from the values to complete.

    Returns the template of the column (see `PENDING`), the positions of the remaining values, and these values. The
    first two are None if all values remain.
    """
    if kind is ORDINARY:
        return None, None, values
    template: list[Any] = list(values)
    positions: list[int] = []
    for index, value in enumerate(values):
        if isinstance(value, Exception):
            template[index] = run.failure(field, value)
        elif value is None or value is Undefined:
            template[index] = None if nullable else run.failure(field, null_error(field))
        else:
            template[index] = PENDING
            positions.append(index)
    return template, positions, [values[index] for index in positions]
