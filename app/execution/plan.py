"""What is known of an operation before it runs: its fields by object type, collected once and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from graphql import (
    DefinitionNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_fields, collect_subfields
from graphql.execution.values import VariableValues
from graphql.language import VariableNode
from graphql.pyutils import Path
from graphql.type.directives import GraphQLDisableErrorPropagationDirective
from graphql.type.introspection import TypeNameMetaFieldDef

from .arguments import Arguments
from .cache import FloodProofCache
from .fields import attribute_of, is_batched, source_of
from .leaves import Grades, Leaf, column_converter, converter, leaf_of
from .sources import Attribute, Source
from .variables import Variables
from .wrapping import wrapped

if TYPE_CHECKING:
    from collections.abc import Collection

    from .rows import Reader

_MOST_SHAPES = 1024
"""How many shapes all plans of one executor may keep, a shape for each set of values @skip and @include were given."""
_MOST_FIELDS = 100_000
"""How many fields these shapes may have, at some 2 kB each."""

_UNPLANNED = {"defer", "stream", GraphQLDisableErrorPropagationDirective.name}


@dataclass(frozen=True)
class Habits:
    """What all plans of one executor have in common."""

    native: Mapping[str, Collection[type]]
    grades: Grades = field(default_factory=Grades)
    leaves: dict[GraphQLLeafType, Leaf] = field(default_factory=dict)
    shapes: FloodProofCache[tuple[Plan, tuple[bool | None, ...]], Shape] = field(
        default_factory=lambda: FloodProofCache(_MOST_SHAPES, lambda shape: shape.fields, _MOST_FIELDS)
    )

    def leaf(self, type_: GraphQLLeafType) -> Leaf:
        """How values of this type are written, read from the type once."""
        leaf = self.leaves.get(type_)
        if leaf is None:
            leaf = self.leaves[type_] = leaf_of(type_, self.native)
        return leaf


class Plan:
    """One operation of one document against one schema, ready to run any number of times.

    `declined` says why the breadth-first executor leaves the operation to graphql-core, and is None if it does not.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation_name: str | None,
        hide_suggestions: bool,
        habits: Habits,
    ) -> None:
        self.schema = schema
        self.document = document
        self.operation_name = operation_name
        self.hide_suggestions = hide_suggestions
        self.habits = habits
        self.fragment_definitions = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.fragments = {name: FragmentDetails(node) for name, node in self.fragment_definitions.items()}
        self.operation = _operation(document, operation_name)
        definitions = self.operation.variable_definitions if self.operation else ()
        self.variables = Variables(schema, definitions or (), hide_suggestions)
        facts = _Facts(document)
        self.declined = _why_declined(schema, self.operation, self.fragment_definitions, facts)
        self._conditions = sorted(facts.conditions)
        self._only_shape: Shape | None = None
        """That of an operation without conditions."""

    def shape(self, variables: VariableValues) -> Shape:
        """The operation as these variables make it.

        Raises GraphQLError if the value of a condition is no boolean, RecursionError if selections nest too deep.
        """
        if not self._conditions:
            if self._only_shape is None:
                self._only_shape = Shape(self, variables)
            return self._only_shape
        values = [variables.coerced.get(name) for name in self._conditions]
        key = (self, tuple(None if value is None else bool(value) for value in values))
        shape = self.habits.shapes.get(key)
        if shape is None:
            shape = Shape(self, variables)
            self.habits.shapes.put(key, shape)
        return shape


class Shape:
    """An operation with its conditions decided: the selections of the root, run one after the other."""

    def __init__(self, plan: Plan, variables: VariableValues) -> None:
        self.plan = plan
        self.fields = 0
        """How many fields were planned up to now: selections are, when they are first met."""
        operation = plan.operation
        assert operation is not None  # noqa: S101  a plan without one is declined
        self.operation = operation
        root = plan.schema.get_root_type(operation.operation)
        assert root is not None  # noqa: S101  likewise
        grouped = collect_fields(
            plan.schema, plan.fragments, variables, root, operation, plan.hide_suggestions
        ).grouped_field_set
        if operation.operation is OperationType.MUTATION:
            self.selections = [Selection(self, root, {key: details}, None) for key, details in grouped.items()]
        else:
            self.selections = [Selection(self, root, grouped, None)]


class Selection:
    """The fields selected on one object type at one place."""

    def __init__(
        self,
        shape: Shape,
        type_: GraphQLObjectType,
        grouped: Mapping[str, list[FieldDetails]],
        above: PlanField | None,
    ) -> None:
        self.shape = shape
        self.type = type_
        self.fields: list[PlanField] = []
        for key, details in grouped.items():
            definition = shape.plan.schema.get_field(type_, details[0].node.name.value)
            if definition is not None:
                self.fields.append(PlanField(shape, type_, key, details, definition=definition, above=above))
        shape.fields += len(self.fields)
        self.columns = [field for field in self.fields if field.source is not None]
        self.reads_by_default = any(
            field.source is None and field.attribute is not None and field.attribute.default for field in self.fields
        )
        self.readers: dict[type | None, Reader | None] = {}
        """How objects are read, by classes that promise something."""
        self.builders: dict[int, Callable[..., None]] = {}
        """How others are, by whether they are mappings."""


class PlanField:
    """One response name of a selection: where its values come from and how they are completed."""

    def __init__(
        self,
        shape: Shape,
        parent_type: GraphQLObjectType,
        key: str,
        details: list[FieldDetails],
        *,
        definition: GraphQLField,
        above: PlanField | None,
    ) -> None:
        plan = shape.plan
        self.shape = shape
        self.parent_type = parent_type
        self.key = key
        self.details = details
        self.nodes: list[FieldNode] = [detail.node for detail in details]
        self.name = self.nodes[0].name.value
        self.definition = definition
        self.type: GraphQLOutputType = definition.type
        self.wrapped = wrapped(definition.type)
        self.above = above
        self.path: tuple[str, ...] = (*above.path, key) if above else (key,)
        self.info_path: Path = Path(above.info_path if above else None, key, parent_type.name)
        self.is_typename = definition is TypeNameMetaFieldDef

        named = get_named_type(definition.type)
        self.leaf: Leaf | None = plan.habits.leaf(named) if is_leaf_type(named) else None
        self.nullable = self.wrapped.nullable
        self.arguments = Arguments(definition, self.nodes[0], plan.hide_suggestions)
        self.attribute: Attribute | None = attribute_of(definition, self.name)
        is_row_value = self.is_typename or (self.attribute is not None and self.wrapped.is_leaf)
        self.source: Source | None = None if is_row_value else source_of(plan.schema, definition, self.attribute)
        self.is_resolved = self.source is not None and self.attribute is None
        self.is_batched = is_batched(definition)
        self._selections: dict[str, Selection] = {}
        self._leaf_columns: dict[bool, Callable[[Sequence[Any]], list[Any]]] = {}

    def convert(self, nullable: bool) -> Callable[[Any], Any]:
        """A function coercing one value of the field's scalar or enum that is not as the type's test expects."""
        assert self.leaf is not None  # noqa: S101  only leaf fields are asked
        return converter(self.leaf, nullable, self.shape.plan.habits.grades)

    def leaf_column(self, nullable: bool) -> Callable[[Sequence[Any]], list[Any]]:
        """A function coercing values of the field's scalar or enum."""
        column = self._leaf_columns.get(nullable)
        if column is None:
            assert self.leaf is not None  # noqa: S101  only leaf fields are asked
            column = self._leaf_columns[nullable] = column_converter(self.leaf, nullable, self.convert(nullable))
        return column

    def selection(self, type_: GraphQLObjectType, variables: VariableValues) -> Selection:
        """What is selected below this field on one object type; raises GraphQLError for a condition without a value."""
        selection = self._selections.get(type_.name)
        if selection is None:
            plan = self.shape.plan
            assert plan.operation is not None  # noqa: S101  a plan without one is declined
            grouped = collect_subfields(
                plan.schema, plan.fragments, variables, plan.operation, type_, self.details, plan.hide_suggestions
            ).grouped_field_set
            selection = self._selections[type_.name] = Selection(self.shape, type_, grouped, self)
        return selection


class _Facts:
    """What a document contains, wherever it contains it."""

    def __init__(self, document: DocumentNode) -> None:
        self.conditions: set[str] = set()
        self.directives: set[str] = set()
        self.fields: set[str] = set()
        self.spreads: dict[str, set[str]] = {}
        for definition in document.definitions:
            self._walk(definition)

    def _walk(self, definition: DefinitionNode) -> None:
        spreads = self.spreads.setdefault(getattr(getattr(definition, "name", None), "value", ""), set())
        nodes: list[Any] = [definition]
        while nodes:
            node = nodes.pop()
            if isinstance(node, FieldNode):
                self.fields.add(node.name.value)
            elif isinstance(node, FragmentSpreadNode):
                spreads.add(node.name.value)
            for directive in getattr(node, "directives", None) or ():
                self._note(directive)
            if selected := getattr(node, "selection_set", None):
                nodes.extend(selected.selections)

    def _note(self, directive: DirectiveNode) -> None:
        self.directives.add(directive.name.value)
        if directive.name.value in {"skip", "include"}:
            self.conditions.update(
                argument.value.name.value
                for argument in directive.arguments or ()
                if isinstance(argument.value, VariableNode)
            )


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None:
        return operations[0] if len(operations) == 1 else None
    named = [node for node in operations if node.name and node.name.value == name]
    return named[-1] if named else None


def _why_declined(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
    facts: _Facts,
) -> str | None:
    reasons = {
        "no operation": operation is None,
        "subscription": operation is not None and operation.operation is OperationType.SUBSCRIPTION,
        "no root type": operation is not None and schema.get_root_type(operation.operation) is None,
        "incremental delivery": bool(schema.get_directive("defer") or schema.get_directive("stream")),
        "directive": bool(facts.directives & _UNPLANNED),
        "introspection": bool(facts.fields & {"__schema", "__type"}),
        "fragment cycle": _has_cycle(facts.spreads),
        "fragment variables": any(node.variable_definitions for node in fragments.values()),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _has_cycle(spreads: Mapping[str, set[str]]) -> bool:
    """Validation refuses these; unvalidated, they would be followed as long as the data goes on."""
    try:
        TopologicalSorter(spreads).prepare()
    except CycleError:
        return True
    return False
