"""One run of a plan: wave after wave of levels downward, then their rows upward."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from inspect import iscoroutine
from typing import Any

from graphql import ExecutionResult, Executor, GraphQLError, GraphQLResolveInfo, located_error

from .columns import complete, complete_at_once, leaf
from .failures import Failure, place_nulls
from .leaves import Grades
from .locations import Level, Place
from .plan import PlanField, Selection, Shape
from .rows import build, is_promised
from .sources import Batch, counted
from .steps import InContext, InTurn, Steps, Together, begin

Observer = Callable[[tuple[str, ...], str, str, int], AbstractContextManager[Any] | None]
"""Called for each field with a resolver and each level, with the path without list places, the parent type's name, the
field's name and the number of parents; the field is resolved inside what it returns, if it returns something."""

_UNOBSERVED: AbstractContextManager[None] = nullcontext()
_OF_FIELD = GraphQLResolveInfo._fields.index("path") + 1
"""How many parts of an info are about the field; the others are about the run."""


class Executed(ExecutionResult):  # noqa: PLW1641  compared by what it holds, as its base is
    """A result that knows how many objects its data holds, without the root; one that stands twice counts twice."""

    __slots__ = ("objects",)

    def __init__(self, data: dict[str, Any] | None, errors: list[GraphQLError] | None, objects: int | None) -> None:
        super().__init__(data, errors)
        self.objects = objects
        """None if errors took some away."""

    def __eq__(self, other: object) -> bool:
        return ExecutionResult(self.data, self.errors) == other


class Run:
    """What all fields of one run share."""

    def __init__(self, executor: Executor[Any], grades: Grades, observer: Observer | None, in_turn: bool) -> None:
        self.executor = executor
        self.variables = executor.variable_values
        self.grades = grades
        self.observer = observer
        self.in_turn = in_turn
        self.failed: set[PlanField] = set()
        self.objects = 0
        self.late: list[tuple[dict[str, Any], PlanField, Any]] = []
        self._info: Any = None
        """An info of this run: what infos say of the run is the same in all of them."""
        self.levels: list[Level] = []
        self.next_wave: list[Level] = []

    def descend(self, level: Level) -> None:
        """Note a level. With nothing below, and all promised, it gets its rows while its objects are at hand."""
        self.levels.append(level)
        if level.selection.columns:
            self.next_wave.append(level)
        elif is_promised(level):
            build(self, level)

    def info(self, place: Place) -> Any:
        """The info of a field for its whole level: the path has no list places."""
        field = place.field
        if self._info is None:
            self._info = self.executor.build_resolve_info(
                field.definition, field.nodes, field.parent_type, field.info_path
            )
            return self._info
        of_field = (field.name, field.nodes, field.type, field.parent_type, field.info_path)
        return tuple.__new__(type(self._info), (*of_field, *self._info[_OF_FIELD:]))

    def failure(self, field: PlanField, error: Exception) -> Failure:
        """Note that values of a field failed; gives what stands in the place of one."""
        above: PlanField | None = field
        while above is not None and above not in self.failed:
            self.failed.add(above)
            above = above.above
        return Failure(error)


def operate(run: Run, shape: Shape) -> Steps[ExecutionResult]:
    """Run an operation: a query's fields together, a mutation's one after the other until one takes the data away."""
    data: dict[str, Any] = {}
    errors: list[GraphQLError] = []
    try:
        for selection in shape.selections:
            part, failures = yield from _select(run, selection)
            errors += failures
            if part is None:
                return ExecutionResult(None, errors)
            data.update(part)
        return Executed(data, errors or None, None if errors else run.objects)
    except Exception as error:  # noqa: BLE001  no field's error, yet a result is owed
        return ExecutionResult(None, [*errors, located_error(error, [shape.operation])])
    finally:
        del run.executor.async_helpers  # they refer to the executor: context and rows would wait for the collector


def _select(run: Run, selection: Selection) -> Steps[tuple[dict[str, Any] | None, list[GraphQLError]]]:
    root = Level(selection, [run.executor.root_value], None)
    run.levels, run.next_wave = [], []
    run.descend(root)
    while run.next_wave:
        wave, run.next_wave = run.next_wave, []
        waiting = _start(run, wave)
        if waiting:
            outcomes = yield Together(waiting)
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
    for level in reversed(run.levels):
        if not level.rows:
            build(run, level)
    if run.late:
        late, run.late = run.late, []
        outcomes = yield Together([value for _, _, value in late])
        for (row, field, _), outcome in zip(late, outcomes, strict=True):
            row[field.key] = leaf(run, field, field.nullable, outcome)
    if run.failed:
        return place_nulls(root, run.levels, run.failed)
    run.objects += sum([len(level.objects) for level in run.levels]) - 1
    return root.rows[0], []


def _start(run: Run, wave: list[Level]) -> list[Any]:
    """Begin all fields of a wave that have columns; gives what remains to be awaited."""
    waiting: list[Any] = []
    batches: list[Any] = []
    for level in wave:
        for field in level.selection.columns:
            rest = _begin(run, Place(level, field))
            if rest is not None:
                (batches if run.in_turn and field.is_batched else waiting).append(rest)
    if batches:
        waiting.append(InTurn(batches) if len(batches) > 1 else batches[0])
    return waiting


def _begin(run: Run, place: Place) -> Any:
    """Begin a field, under observation if the observer wants to; gives what remains to be awaited of it, or None."""
    field = place.field
    observed = None
    if run.observer is not None and field.is_resolved:
        try:
            observed = run.observer(field.path, field.parent_type.name, field.name, len(place.level.objects))
        except Exception as error:  # noqa: BLE001  the error of every parent
            place.level.columns[field] = _spoiled(run, place, error)
            return None
    if observed is not None:
        context = copy_context()  # a span opened here must be the current one of this field alone
        rest = context.run(begin, _resolve(run, place, observed))
        return None if rest is None else InContext(rest, context)
    if run.in_turn and isinstance(field.source, Batch) and field.source.is_async:
        return _resolve_batch(run, place, field.source)
    return begin(_resolve(run, place))


async def _resolve_batch(run: Run, place: Place, batch: Batch) -> None:
    """What `_resolve` does, for the fields that most of a request's waiting is for, with as few steps as can be."""
    count = len(place.level.objects)
    try:
        values = counted(await batch.call(run, place), count)
    except Exception as error:  # noqa: BLE001  the error of every parent
        values = [error] * count
    try:
        column = complete_at_once(run, place, place.field.wrapped, values)
        if column is None:
            column = begin(complete(run, place, place.field.wrapped, values))
            if iscoroutine(column):
                column = await column
    except Exception as error:  # noqa: BLE001  likewise
        column = _spoiled(run, place, error)
    place.level.columns[place.field] = column


def _resolve(run: Run, place: Place, observed: AbstractContextManager[Any] = _UNOBSERVED) -> Steps[None]:
    """Get the values of one field for a level and complete them."""
    source = place.field.source
    assert source is not None  # noqa: S101  a column has a source
    raised: Exception | None = None
    try:
        with observed:
            try:
                values = yield from source(run, place)
            except Exception as error:  # noqa: BLE001  the error of every parent
                raised, values = error, [error] * len(place.level.objects)
            # Under observation too: here the awaitables of ordinary resolvers are awaited.
            place.level.columns[place.field] = yield from complete(run, place, place.field.wrapped, values)
            if raised is not None:
                raise raised  # noqa: TRY301  for the observer to see
    except Exception as error:  # noqa: BLE001  values that cannot be completed, an observer that fails
        if error is not raised:
            place.level.columns[place.field] = _spoiled(run, place, error)


def _spoiled(run: Run, place: Place, error: Exception) -> list[Any]:
    """The column of a field that this error took from every parent."""
    return [run.failure(place.field, error) for _ in place.level.objects]
