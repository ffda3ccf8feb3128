"""Completion of one field for a whole level: lists taken apart, leaves coerced, objects gathered into new levels."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import isawaitable
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLError, GraphQLObjectType
from graphql.pyutils import Undefined, is_iterable

from .failures import Failure, null_error
from .leaves import PLAIN, UNKNOWN, coerce
from .locations import Items, Level, Picked, Place
from .runtime_types import runtime_types
from .sources import SEQUENCES
from .steps import Steps, Together
from .wrapping import Wrapped

if TYPE_CHECKING:
    from .plan import PlanField
    from .run import Run

Column = "list[Any] | Lists | Objects"
"""One value for each object of a level: finished, or to be put together once the levels below have their rows."""


class Lists:
    """A column of lists whose items are a column of their own."""

    def __init__(self, gaps: list[Any] | None, lengths: list[int], items: Any) -> None:
        self._gaps = gaps
        self._lengths = lengths
        self._items = items

    def assemble(self) -> list[Any]:
        """The lists, filled."""
        items = iter(assemble(self._items))
        return _fill(self._gaps, [list(islice(items, length)) for length in self._lengths])


class Objects:
    """A column of objects, on a level of their own for each of their types."""

    def __init__(self, gaps: list[Any] | None, count: int) -> None:
        self._gaps = gaps
        self._count = count
        self.levels: list[tuple[Sequence[int], Level]] = []
        self.failures: dict[int, Failure] = {}

    def assemble(self) -> list[Any]:
        """The objects' rows."""
        if len(self.levels) == 1 and len(self.levels[0][0]) == self._count:
            return _fill(self._gaps, self.levels[0][1].rows)
        rows: list[Any] = [None] * self._count
        for indices, level in self.levels:
            for index, row in zip(indices, level.rows, strict=True):
                rows[index] = row
        for index, failure in self.failures.items():
            rows[index] = failure
        return _fill(self._gaps, rows)


def assemble(column: Any) -> list[Any]:
    """The values of a column whose levels below have their rows."""
    return column if isinstance(column, list) else column.assemble()


def complete(run: Run, place: Place, type_: Wrapped, values: Sequence[Any]) -> Steps[Any]:
    """Complete values of a type; new levels are noted on the run. Gives the column."""
    column = complete_at_once(run, place, type_, values)
    if column is not None:
        return column
    grade = run.grades.least(set(map(type, values)))
    if grade is UNKNOWN:
        values = yield from _arrived(run, values)
    if type_.is_leaf:
        return _leaves(run, place.field, type_.nullable, values)
    if type_.items is not None:
        return (yield from _lists(run, place, type_, type_.items, values))
    return (yield from _objects(run, place, type_, values, grade))


def complete_at_once(run: Run, place: Place, type_: Wrapped, values: Sequence[Any]) -> Any:
    """Do what `complete` does where nothing has to be awaited and nobody to be asked.

    Gives None, having noted no level, where that does not suffice.
    """
    classes = set(map(type, values))
    if type_.items is not None:
        return _lists_at_once(run, place, type_.items, values) if classes <= SEQUENCES else None
    if classes <= type_.known:
        grade = PLAIN
    else:
        grade = run.grades.least(classes)
        if grade is UNKNOWN:
            return None
    if type_.is_leaf:
        type_.know(classes)
        return _leaves(run, place.field, type_.nullable, values)
    gaps, positions, objects = _sift(run, place.field, type_.nullable, values, grade)
    if positions is not None:
        place = place.below(Picked(positions))
        classes = set(map(type, objects))
    column = Objects(gaps, len(objects))
    if objects:
        if not (classes <= type_.known or type_.is_certain):
            return None
        type_.know(classes)
        _descend(run, place, cast("GraphQLObjectType", type_.composite), column, objects, class_=_only(classes))
    return column


def _lists_at_once(run: Run, place: Place, type_: Wrapped, values: Sequence[Any]) -> Lists | None:
    lengths = list(map(len, values))
    items = complete_at_once(run, place.below(Items(lengths)), type_, list(chain.from_iterable(values)))
    return None if items is None else Lists(None, lengths, items)


def _only(classes: set[type]) -> type | None:
    return next(iter(classes)) if len(classes) == 1 else None


def leaf(run: Run, field: PlanField, nullable: bool, value: Any) -> Any:
    """Complete one value of a scalar or enum with care: its coerced form, null or a failure."""
    assert field.leaf is not None  # noqa: S101  only leaf fields come here
    if value is None or value is Undefined:
        return None if nullable else run.failure(field, null_error(field))
    if type(value) in field.leaf.native:
        return value
    try:
        if isinstance(value, Exception):
            return run.failure(field, value)
        return coerce(field.leaf.definition, value)
    except Exception as error:  # noqa: BLE001  this is how coercion refuses a value
        return run.failure(field, error)


def _leaves(run: Run, field: PlanField, nullable: bool, values: Sequence[Any]) -> list[Any]:
    try:
        return field.leaf_column(nullable)(values)
    except Exception:  # noqa: BLE001  found again, at its place, below
        return [leaf(run, field, nullable, value) for value in values]


def _objects(run: Run, place: Place, type_: Wrapped, values: Sequence[Any], grade: int) -> Steps[Objects]:
    gaps, positions, objects = _sift(run, place.field, type_.nullable, values, grade)
    if positions is not None:
        place = place.below(Picked(positions))
    column = Objects(gaps, len(objects))
    if not objects:
        return column
    types = yield from runtime_types(run, place, type_.composite, objects)
    if type_.is_type_of is not None and all(found is type_.composite for found in types):
        type_.know(set(map(type, objects)))
    groups: dict[GraphQLObjectType, list[int]] = {}
    for index, found in enumerate(types):
        if isinstance(found, GraphQLObjectType):
            groups.setdefault(found, []).append(index)
        else:
            column.failures[index] = run.failure(place.field, found)
    for found, indices in groups.items():
        if len(indices) == len(objects):
            _descend(run, place, found, column, objects)
        else:
            some = [objects[index] for index in indices]
            _descend(run, place.below(Picked(indices)), found, column, some, indices)
    return column


def _descend(  # noqa: PLR0917  one call names all
    run: Run,
    place: Place,
    type_: GraphQLObjectType,
    column: Objects,
    objects: Sequence[Any],
    indices: Sequence[int] | None = None,
    class_: type | None = None,
) -> None:
    """Note a level of objects of one type, which stand at these indices of the column (at all of them by default)."""
    if indices is None:
        indices = range(len(objects))
    try:
        selection = place.field.selection(type_, run.variables)
    except (GraphQLError, RecursionError) as error:
        column.failures.update((index, run.failure(place.field, error)) for index in indices)
        return
    level = Level(selection, objects, place, class_)
    column.levels.append((indices, level))
    run.descend(level)


def _lists(run: Run, place: Place, type_: Wrapped, inner: Wrapped, values: Sequence[Any]) -> Steps[Lists]:
    if not SEQUENCES.issuperset(map(type, values)):
        values = yield from _listed(run, place.field, values)
    gaps, positions, lists = _sift(run, place.field, type_.nullable, values, run.grades.least(set(map(type, values))))
    if positions is not None:
        place = place.below(Picked(positions))
    lengths = list(map(len, lists))
    items = list(chain.from_iterable(lists))
    column = yield from complete(run, place.below(Items(lengths)), inner, items)
    return Lists(gaps, lengths, column)


def _listed(run: Run, field: PlanField, values: Sequence[Any]) -> Steps[Sequence[Any]]:
    """Read what is no list yet, asynchronous iterables all at once."""
    read = [_list(run, field, value) for value in values]
    waiting = [index for index, value in enumerate(read) if isawaitable(value)]
    if waiting:
        outcomes = yield Together([read[index] for index in waiting])
        for index, outcome in zip(waiting, outcomes, strict=True):
            read[index] = outcome
    return read


def _list(run: Run, field: PlanField, value: Any) -> Any:
    if value is None or value is Undefined or type(value) in SEQUENCES:
        return value
    items: list[Any] = []
    try:
        if isinstance(value, Exception):
            return value
        if run.executor.is_async_iterable(value):
            return _drained(run, value)
        if not is_iterable(value):
            return GraphQLError(
                f"Expected Iterable, but did not find one for field '{field.parent_type}.{field.name}'."
            )
        items.extend(iter(value))  # asks the iterator alone, not what else the value says of its length
    except Exception as error:  # noqa: BLE001  the list fails, what it gave before must still be awaited
        run.executor.track_async_work(items)
        return error
    return items


async def _drained(run: Run, iterable: Any) -> list[Any]:
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


def _arrived(run: Run, values: Sequence[Any]) -> Steps[Sequence[Any]]:
    """Await what must be awaited; a value that cannot even be asked whether it must is what it raises."""
    values = list(values)
    waiting: list[int] = []
    for index, value in enumerate(values):
        try:
            if run.executor.is_awaitable(value):
                waiting.append(index)
        except Exception as error:  # noqa: BLE001  stands where the value would
            values[index] = error
    if waiting:
        outcomes = yield Together([values[index] for index in waiting])
        for index, outcome in zip(waiting, outcomes, strict=True):
            values[index] = outcome
    return values


def _sift(
    run: Run, field: PlanField, nullable: bool, values: Sequence[Any], grade: int
) -> tuple[list[Any] | None, list[int] | None, Sequence[Any]]:
    """Keep what can be completed. Gives what stands in the gaps, the positions of what is kept, and that itself."""
    if grade is PLAIN:
        return None, None, values
    gaps: list[Any] = list(values)
    positions: list[int] = []
    for index, value in enumerate(values):
        if isinstance(value, Exception):
            gaps[index] = run.failure(field, value)
        elif value is None or value is Undefined:
            gaps[index] = None if nullable else run.failure(field, null_error(field))
        else:
            gaps[index] = _FILLED
            positions.append(index)
    return gaps, positions, [values[index] for index in positions]


_FILLED = object()


def _fill(gaps: list[Any] | None, values: list[Any]) -> list[Any]:
    if gaps is None:
        return values
    left = iter(values)
    return [next(left) if gap is _FILLED else gap for gap in gaps]
