"""The values that planning, completion and row building share: plans, selections, fields, levels and runs."""

from __future__ import annotations

import keyword
import sys
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple, Protocol
from weakref import ref

from graphql import (
    DocumentNode,
    Executor,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails
from graphql.pyutils import Path

from app.execution.arguments import Arguments
from app.execution.cache import ScanResistantCache
from app.execution.introspection import Introspector
from app.execution.leaves import Leaf, Native, ValueKinds, column_converter, converter, leaf_of
from app.execution.steps import Steps
from app.execution.variables import Variables
from app.execution.weights import SHAPE
from app.execution.wrapping import WrappedType

Observer = Callable[[tuple[str, ...], str, str, int], AbstractContextManager[Any] | None]
"""Called once per level for each field with a resolver. The arguments are the path without list indices, the name of
the parent type, the name of the field, and the number of parents. The field is resolved inside the context manager that
the observer returns; None leaves the field unobserved."""

OnFailure = Callable[[Any, str, Exception], None]
"""Called for each value that fails with the context value of the operation, the name of the field and the exception."""

MOST_SHAPES = 1_024
"""The maximum number of shapes of one plan. A plan has a shape per set of @skip/@include values."""
MOST_SHAPE_BYTES = 8 * 1024 * 1024
"""The maximum weight of these shapes."""

PlanKey = tuple[int, int, str | None, bool]
"""The ids of the schema and the document, the name of the operation, and whether errors hide suggestions."""
Conditions = tuple[bool | None, ...]
"""The values of the variables of @skip and @include."""


class Allowance(Protocol):
    """The number of objects that one operation may find. What its methods raise ends the operation."""

    @property
    def maximum(self) -> int:
        """The number of objects that resolvers may return in all."""

    def check(self, objects: int) -> None:
        """Raise if so many objects exceed the maximum."""

    @property
    def reserved(self) -> int:
        """The number of objects, attributes included, that the operation has reserved."""

    def reserve(self, objects: int) -> Awaitable[None] | None:
        """Reserve so many objects in all; called after a wave that found more. Raises at once or if awaited."""


# Plans: an operation before it runs


@dataclass(frozen=True, slots=True)
class Attribute:
    """A field whose value is an attribute of its parent."""

    name: str
    default: bool
    """Whether to read like graphql-core's default resolver: mappings by key, missing ones as null, methods called."""
    get: Callable[[Any, str], Any] = getattr

    @property
    def is_dotted(self) -> bool:
        """Whether the source code `object.name` reads it."""
        return self.get is getattr and not keyword.iskeyword(self.name)


@dataclass(frozen=True)
class SharedState:
    """State that all plans of one executor share."""

    native: Mapping[str, Native]
    plans: ScanResistantCache[PlanKey, Plan]
    kinds: ValueKinds = field(default_factory=ValueKinds)
    leaves: dict[GraphQLLeafType, Leaf] = field(default_factory=dict)

    def leaf(self, type_: GraphQLLeafType) -> Leaf:
        """Return how values of this type are coerced. Each type is analysed once."""
        leaf = self.leaves.get(type_)
        if leaf is None:
            leaf = self.leaves[type_] = leaf_of(type_, self.native)
        return leaf


def _shapes() -> ScanResistantCache[Conditions, PlanShape]:
    return ScanResistantCache(MOST_SHAPES, lambda shape: shape.bytes, MOST_SHAPE_BYTES)


@dataclass(eq=False, slots=True, weakref_slot=True, kw_only=True)
class Plan:
    """One operation of one document for one schema. It can run any number of times, concurrently too.

    `declined` is the reason why the breadth-first executor leaves the operation to graphql-core, or None. There are no
    strong reference cycles among a plan and its parts: the memory of an evicted plan is free when its last run ends.
    """

    key: PlanKey
    own_bytes: int
    """The weight of the plan and its document without the shapes."""
    schema: GraphQLSchema
    document: DocumentNode
    hide_suggestions: bool
    shared: SharedState
    operation: OperationDefinitionNode | None
    fragment_definitions: dict[str, FragmentDefinitionNode]
    fragments: dict[str, FragmentDetails]
    variables: Variables
    conditions: Sequence[str]
    """The variables of @skip and @include."""
    declined: str | None
    handling: dict[int, FieldHandling] = field(default_factory=dict)
    """How the fields of the schema are handled, by the id of the definition, because most are selected often."""
    shapes: ScanResistantCache[Conditions, PlanShape] = field(default_factory=_shapes)

    @property
    def bytes(self) -> int:
        """The weight of everything that the plan keeps in memory. It grows while runs plan further selections."""
        return self.own_bytes + self.shapes.weight

    def keep(self, shape: PlanShape) -> None:
        """Cache a shape."""
        self.shapes.put(shape.conditions, shape)
        self.shared.plans.reweigh(self.key)

    def grow(self, shape: PlanShape, weight: int) -> None:
        """Add to the weight of a shape, whether it is cached or not."""
        shape.bytes += weight
        self.shapes.reweigh(shape.conditions)
        self.shared.plans.reweigh(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldHandling:
    """How the values of a field of the schema are found and completed, wherever it is selected."""

    wrapped: WrappedType
    leaf: Leaf | None
    attribute: Attribute | None
    source: Source | None
    """None if the value is read when rows are built."""
    is_batched: bool


@dataclass(eq=False, slots=True)
class PlanShape:
    """An operation with its @skip and @include conditions decided."""

    conditions: Conditions
    operation: OperationDefinitionNode
    selections: list[Selection] = field(default_factory=list)
    """The root selections, to run one after another: one per root field of a mutation, else a single one."""
    bytes: int = SHAPE
    """The weight of what is planned so far. A selection is planned when a run first needs it."""


@dataclass(eq=False, slots=True)
class Selection:
    """The fields selected on one object type at one position of the document."""

    object_type: GraphQLObjectType
    fields: list[PlanField]
    columns: list[PlanField]
    """The fields that are resolved for the whole level; the others are read when rows are built."""
    reads_by_default: bool
    """Whether graphql-core's default resolver reads any of the other fields."""
    typed_builders: dict[type | None, TypedBuilder | None] = field(default_factory=dict)
    """Row builders by class of the objects, None for a class that declares no attribute types."""
    builders: dict[int, Callable[..., None]] = field(default_factory=dict)
    """Row builders for all other classes, by how their attributes are read."""


@dataclass(frozen=True, slots=True)
class TypedBuilder:
    """The row builder for objects of one class that declares its attribute types."""

    build: Callable[..., None]
    is_complete: bool
    """Whether the class declares every attribute that the selection reads."""


@dataclass(eq=False, slots=True, weakref_slot=True, kw_only=True)
class PlanField:
    """One response key of a selection: the source of its values and how they are completed."""

    kinds: ValueKinds
    parent_type: GraphQLObjectType
    key: str
    name: str
    details: list[FieldDetails]
    nodes: list[FieldNode]
    definition: GraphQLField
    type: GraphQLOutputType
    wrapped: WrappedType
    nullable: bool
    above: ref[PlanField] | None
    """The field above, which the shape of a run keeps alive."""
    path: tuple[str, ...]
    info_path: Path
    is_typename: bool
    leaf: Leaf | None
    arguments: Arguments
    attribute: Attribute | None
    source: Source | None
    """None if the value is read when rows are built."""
    is_resolved: bool
    """Whether a resolver supplies the values."""
    is_batched: bool
    selections: dict[str, Selection] = field(default_factory=dict)
    """The selections below this field by name of the object type, planned when a run first needs them."""
    leaf_columns: dict[bool, Callable[[Sequence[Any]], list[Any]]] = field(default_factory=dict)

    def convert(self, nullable: bool) -> Callable[[Any], Any]:
        """Return a function that coerces one value of the field's scalar or enum that failed the type's test."""
        assert self.leaf is not None  # noqa: S101 - called for leaf fields only
        return converter(self.leaf, nullable, self.kinds)

    def leaf_column(self, nullable: bool) -> Callable[[Sequence[Any]], list[Any]]:
        """Return a function that coerces a sequence of values of the field's scalar or enum."""
        column = self.leaf_columns.get(nullable)
        if column is None:
            assert self.leaf is not None  # noqa: S101 - called for leaf fields only
            column = self.leaf_columns[nullable] = column_converter(self.leaf, nullable, self.convert(nullable))
        return column


# Levels: the objects of a run and their positions in the response


class Level:
    """All objects of one type at one position of the document, with their columns and rows."""

    __slots__ = ("class_", "columns", "objects", "place", "rows", "selection")

    def __init__(
        self, selection: Selection, objects: Sequence[Any], place: Place | None, class_: type | None = None
    ) -> None:
        self.selection = selection
        self.objects = objects
        self.class_ = class_
        """The class of all objects, None if they may differ."""
        self.place = place
        """The position of the objects, None for the root."""
        self.columns: dict[PlanField, Any] = {}
        self.rows: list[Any] = []

    def path(self, index: int) -> Path | None:
        """Return the response path of one object, None for the root."""
        if self.place is None:
            return None
        parent, items = self.place.parent_of(index)
        path = self.place.level.field_path(parent, self.place.field)
        for item in items:
            path = path.add_key(item)
        return path

    def field_path(self, index: int, field: PlanField) -> Path:
        """Return the response path of a field of one object."""
        return Path(self.path(index), field.key, self.selection.object_type.name)


class Place(NamedTuple):
    """The position of values: a field of a level, and the steps from its results to the values, outermost first."""

    level: Level
    field: PlanField
    steps: tuple[Kept | ListItems, ...] = ()

    def below(self, step: Kept | ListItems) -> Place:
        """Return the position one step further down."""
        return Place(self.level, self.field, (*self.steps, step))

    def parent_of(self, index: int) -> tuple[int, list[int]]:
        """Return the index of a value's parent, and the list indices between the two."""
        items: list[int] = []
        for step in reversed(self.steps):
            index, item = step.up(index)
            if item is not None:
                items.append(item)
        return index, items[::-1]


class Kept:
    """A step that leaves out some values: nulls, errors, or objects of other types."""

    __slots__ = ("_positions",)

    def __init__(self, positions: Sequence[int]) -> None:
        self._positions = positions

    def up(self, index: int) -> tuple[int, None]:
        """Return the index of the value before the step."""
        return self._positions[index], None


class ListItems:
    """A step from lists to their items."""

    __slots__ = ("_ends", "_lengths")

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = lengths
        self._ends: list[int] | None = None

    def up(self, index: int) -> tuple[int, int]:
        """Return the index of the list, and the index of the item in it."""
        if self._ends is None:
            self._ends = list(accumulate(self._lengths))
        outer = bisect_right(self._ends, index)
        return outer, index - (self._ends[outer - 1] if outer else 0)


class Failure:
    """Takes the position of a value that failed until null propagation."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


# Runs

_OF_FIELD = GraphQLResolveInfo._fields.index("path") + 1
"""The number of leading elements of an info that describe the field; the others describe the run."""


class Run:
    """The state that all fields of one execution share."""

    def __init__(
        self,
        executor: Executor[Any],
        plan: Plan,
        shape: PlanShape,
        observer: Observer | None,
        *,
        sequential_batches: bool,
        allowance: Allowance | None,
        ending: tuple[type[Exception], ...],
        failing: OnFailure | None,
        context_value: Any,
    ) -> None:
        self.executor = executor
        self.plan = plan
        self.shape = shape
        self.variables = executor.variable_values
        self.kinds = plan.shared.kinds
        self.observer = observer
        self.sequential_batches = sequential_batches
        self.allowance = allowance
        self._most = sys.maxsize if allowance is None else allowance.maximum
        self.ending = ending
        self._failing = failing
        self._context_value = context_value
        self.failed: set[PlanField] = set()
        """The fields with failed values, and all fields above them."""
        self.objects = 0
        """The number of objects found so far, without the root."""
        self._resolved = 0
        """The number of those that resolvers returned for their field; the others are attributes of such objects."""
        self.late: list[tuple[dict[str, Any], PlanField, Any]] = []
        """Attributes that turned out to be awaitable: the row, the field, the awaitable."""
        self._introspector: Introspector | None = None
        self._info: Any = None
        """Any info of this run; the elements that describe the run are copied from it."""
        self.levels: list[Level] = []
        self.next_wave: list[Level] = []
        """The levels whose columns are resolved next."""
        self.wave: list[Level] = []
        """The levels whose columns are being resolved."""

    def introspector(self, plan: Plan) -> Introspector:
        """Return the object that answers all introspection fields of this run."""
        if self._introspector is None:
            self._introspector = Introspector(
                plan.schema, plan.fragment_definitions, self.variables, plan.hide_suggestions
            )
        return self._introspector

    def info(self, place: Place) -> Any:
        """Return the info of a field for its whole level. Its path has no list indices."""
        field = place.field
        if self._info is None:
            self._info = self.executor.build_resolve_info(
                field.definition, field.nodes, field.parent_type, field.info_path
            )
            return self._info
        of_field = (field.name, field.nodes, field.type, field.parent_type, field.info_path)
        return tuple.__new__(type(self._info), (*of_field, *self._info[_OF_FIELD:]))

    def count(self, field: PlanField, objects: int) -> None:
        """Count objects that were found for a field. Raises like `check`."""
        self.objects += objects
        if field.is_resolved:
            self._resolved += objects
            if self._resolved > self._most:
                self.check(field, 0)

    def check(self, field: PlanField, objects: int) -> None:
        """Raise what the allowance raises if it does not permit so many more objects from the resolver of a field.

        A root field needs no permission: the objects of a mutation are the result of its write, and those of a query
        are reserved after the wave.
        """
        if self.allowance is not None and field.is_resolved and field.above is not None:
            self.allowance.check(self._resolved + objects)

    def failure(self, field: PlanField, error: Exception) -> Failure:
        """Record that a value of a field failed. Returns the object that takes its position."""
        if self._failing is not None:
            self._failing(self._context_value, field.name, error)
        above: PlanField | None = field
        while above is not None and above not in self.failed:
            self.failed.add(above)
            above = None if above.above is None else above.above()
        return Failure(error)


Source = Callable[[Run, Place], Steps[Sequence[Any]]]
"""Returns one value per object of the level, an exception instance for each that failed. Raises if all of them fail."""
