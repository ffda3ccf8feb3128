"""Answers introspection fields (`__schema`, `__type`) from the schema, and counts beforehand what they return.

Both visit each element of the schema once per selection set that describes it, however often the response repeats it,
so the work does not grow with the response. Equal parts of a response are one object.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import add
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLDirective,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    StringValueNode,
    TypeMetaFieldDef,
    TypeNameMetaFieldDef,
    VariableNode,
    VariableValues,
    get_argument_values,
    get_directive_values,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
)

from app.execution.leaves import Leaf
from app.execution.schema_elements import (
    CHARACTERS_PER_VALUE,
    INCLUDE_DEPRECATED,
    SCHEMA_TYPE,
    TYPE_TYPE,
    Column,
    Element,
    SchemaElements,
    elements_of,
)

SCHEMA, TYPE, TYPENAME = "__schema", "__type", "__typename"
INTROSPECTION_FIELDS = frozenset({SCHEMA, TYPE})

SHORT_LEAVES = frozenset({"kind", "isOneOf", "isDeprecated", "isRepeatable"})
"""Leaves whose values are booleans or short names, and never count as several values."""

Values: TypeAlias = Mapping[str, object]
"""Coerced variables by name, including defaults."""


ANSWER = Leaf(GraphQLScalarType("Introspection"), None, None, frozenset({dict}), frozenset({dict}))
"""How the value of an introspection field is completed: it is complete already."""


class ResponseSize(NamedTuple):
    """The size of a response: objects, and field values. A long text or response name counts as several values."""

    objects: int
    values: int


class Introspector:
    """Answers the introspection fields of one run. What it returns is shared: do not change it."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: VariableValues,
        hide_suggestions: bool,
    ) -> None:
        self._elements = elements_of(schema)
        self._collector = _DecidedResponse(self._elements, fragments, variables, hide_suggestions)

    def answer(self, nodes: Sequence[FieldNode]) -> tuple[dict[str, Any] | None, int]:
        """Return the value of the introspection field that these nodes select, and the number of objects in it.

        Raises GraphQLError, as graphql-core does, for a null where an argument is required.
        """
        described = self._described(nodes[0])
        if described is None:
            return None, 0
        selection = self._collector.below(described.object_type, nodes)
        _add_rows(selection, [described])
        row, objects = selection.rows[described]
        return row, 1 + objects

    def _described(self, node: FieldNode) -> Element | None:
        if node.name.value == SCHEMA:
            return self._elements.schema()
        return self._elements.type(self._collector.arguments(TypeMetaFieldDef, node)["name"])


class Introspection:
    """The introspection fields at the root of one operation of a validated document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self._elements = elements_of(schema)
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        collector = _LargestResponse(self._elements, self._fragments, {})
        roots = collector.grouped([operation.selection_set])
        self._roots = [nodes for nodes in roots.values() if nodes[0].name.value in INTROSPECTION_FIELDS]
        self.exists = bool(self._roots)
        self.is_all = self.exists and all(
            nodes[0].name.value in {*INTROSPECTION_FIELDS, TYPENAME} for nodes in roots.values()
        )
        """Whether the operation selects nothing else, except `__typename`."""
        selections = [collector.below(_type_of(nodes[0]), nodes) for nodes in self._roots]
        self.repeated_list = next(filter(None, map(_repeated_list, selections)), None)
        """The first list field that a selection set selects under several names, as `Type.field`, or None."""

    def count(self, variables: Values, most: int, values_per_object: int) -> ResponseSize:
        """Count what the operation returns for these variables, as if no @skip or @include applied.

        Counting stops when the response exceeds `most` objects, where `values_per_object` field values count as one.
        The result then also exceeds them.
        """
        collector = _LargestResponse(self._elements, self._fragments, variables)
        counting = _Counting(most, values_per_object)
        objects = total = 0
        for nodes in self._roots:
            total += 1
            described = self._described(nodes[0], variables)
            if described is None:
                continue
            selection = collector.below(described.object_type, nodes)
            if not counting.add(selection, (described,)):
                return ResponseSize(most + 1, 0)
            more_objects, more_values = selection.objects[described], selection.values[described]
            objects += 1 + more_objects
            total += more_values
        return ResponseSize(objects, total)

    def _described(self, node: FieldNode, variables: Values) -> Element | None:
        if node.name.value == SCHEMA:
            return self._elements.schema()
        return self._elements.type(_value(node, "name", variables, None))


@dataclass(slots=True, eq=False)
class _Selection:
    """A merged selection set on an introspection type, and what is known of the elements that it describes."""

    type_name: str
    fields: "list[_Selected]"
    rows: dict[Element, tuple[dict[str, Any], int]] = field(default_factory=dict)
    """By element: its object in the response, and the number of objects below that."""
    objects: dict[Element, int] = field(default_factory=dict)
    """By element: the objects below it, see `ResponseSize`."""
    values: dict[Element, int] = field(default_factory=dict)
    """By element: the field values below it, see `ResponseSize`."""


@dataclass(slots=True)
class _Selected:
    """One response key of a selection."""

    key: str
    name: str
    column: Column | None
    """The values of the field, None for `__typename`."""
    is_list: bool
    below: _Selection | None
    """None for a leaf."""


@dataclass
class _Collector(ABC):
    """Merges selections as CollectFields of the specification does."""

    elements: SchemaElements
    fragments: Mapping[str, FragmentDefinitionNode]
    merged: dict[tuple[int, ...], _Selection] = field(default_factory=dict, init=False)
    """By the ids of the selection sets that were merged."""
    equal: dict[tuple[object, ...], _Selection] = field(default_factory=dict, init=False)
    """By content, so that equal selections are one object."""

    def grouped(self, selection_sets: Iterable[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """Return the selected fields by response key, in the order of the response."""
        groups: dict[str, list[FieldNode]] = {}
        self._group(selection_sets, groups, set())
        return groups

    def _group(
        self, selection_sets: Iterable[SelectionSetNode], groups: dict[str, list[FieldNode]], seen: set[str]
    ) -> None:
        for node in chain.from_iterable(each.selections for each in selection_sets):
            if node.directives and not self.includes(node):
                continue
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                groups.setdefault(key, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                self._group([node.selection_set], groups, seen)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                seen.add(node.name.value)
                self._group([self.fragments[node.name.value].selection_set], groups, seen)

    @abstractmethod
    def includes(self, node: SelectionNode) -> bool:
        """Return whether a selection with directives is part of the response."""

    @abstractmethod
    def includes_deprecated(self, definition: GraphQLField, node: FieldNode) -> bool:
        """Return the value of the argument `includeDeprecated`."""

    def below(self, type_: GraphQLObjectType, nodes: Sequence[FieldNode]) -> _Selection:
        """Return the merged selection below a field of this type."""
        selection_sets = [node.selection_set for node in nodes if node.selection_set is not None]
        key = tuple(map(id, selection_sets))
        selection = self.merged.get(key)
        if selection is None:
            groups = self.grouped(selection_sets)
            fields = list(filter(None, (self._selected(type_, key, inner) for key, inner in groups.items())))
            content = (type_.name, *((each.key, id(each.column), id(each.below)) for each in fields))
            selection = self.merged[key] = self.equal.setdefault(content, _Selection(type_.name, fields))
        return selection

    def _selected(self, type_: GraphQLObjectType, key: str, nodes: Sequence[FieldNode]) -> _Selected | None:
        node = nodes[0]
        name = node.name.value
        definition = TypeNameMetaFieldDef if name == TYPENAME else type_.fields.get(name)
        if definition is None:
            return None  # graphql-core skips unknown fields of a document that was not validated
        named: Any = get_named_type(definition.type)
        include_deprecated = bool(node.arguments) and self.includes_deprecated(definition, node)
        return _Selected(
            key,
            name,
            None if name == TYPENAME else self.elements.column(type_, name, include_deprecated),
            is_list_type(get_nullable_type(definition.type)),
            None if is_leaf_type(named) else self.below(named, nodes),
        )


@dataclass
class _LargestResponse(_Collector):
    """No @skip and no @include applies, and a null for `includeDeprecated` counts as true."""

    variables: Values

    def includes(self, _node: SelectionNode) -> bool:
        return True

    def includes_deprecated(self, _definition: GraphQLField, node: FieldNode) -> bool:
        return _value(node, INCLUDE_DEPRECATED, self.variables, False) is not False


@dataclass
class _DecidedResponse(_Collector):
    """@skip and @include are decided for one run, and nulls refused. Methods raise the GraphQLError of graphql-core."""

    variables: VariableValues
    hide_suggestions: bool

    def arguments(self, definition: GraphQLField, node: FieldNode) -> dict[str, Any]:
        """Return the coerced arguments of a field."""
        return get_argument_values(definition, node, self.variables, None, self.hide_suggestions)

    def includes(self, node: SelectionNode) -> bool:
        skip = self._directive(GraphQLSkipDirective, node)
        if skip and skip["if"]:
            return False
        include = self._directive(GraphQLIncludeDirective, node)
        return include is None or bool(include["if"])

    def _directive(self, definition: GraphQLDirective, node: SelectionNode) -> dict[str, Any] | None:
        return get_directive_values(definition, node, self.variables, None, self.hide_suggestions)

    def includes_deprecated(self, definition: GraphQLField, node: FieldNode) -> bool:
        return bool(self.arguments(definition, node)[INCLUDE_DEPRECATED])


def _repeated_list(selection: _Selection) -> str | None:
    """Return the name of the first list field that a selection set selects under several response keys, or None."""
    lists = [each.name for each in selection.fields if each.is_list]
    for index, name in enumerate(lists):
        if name in lists[:index]:
            return f"{selection.type_name}.{name}"
    return next(filter(None, (_repeated_list(each.below) for each in selection.fields if each.below)), None)


@dataclass(slots=True)
class _Counting:
    """The state of one count: what was visited so far, which is at most the response."""

    most: int
    values_per_object: int
    objects: int = 0
    values: int = 0

    def add(self, selection: _Selection, elements: tuple[Element, ...]) -> bool:
        """Count what is below these elements. Returns False if the response is too large."""
        known = selection.objects
        new = tuple(element for element in elements if element not in known) if known else elements
        of_each = sum(1 + len(each.key) // CHARACTERS_PER_VALUE for each in selection.fields)
        objects, values = [0] * len(new), [of_each] * len(new)
        self.objects += len(new)
        for each in selection.fields:
            column = each.column
            if column is None:
                continue
            if each.below is None:
                if each.name not in SHORT_LEAVES:
                    values = list(map(add, values, column.part(new).further))
                continue
            part = column.part(new)
            if not self.add(each.below, part.below):
                return False
            objects_below, values_below = each.below.objects, each.below.values
            for place, item in part.single:
                objects[place] += 1 + objects_below[item]
                values[place] += values_below[item]
            for place, items in part.several:
                objects[place] += len(items) + sum(map(objects_below.__getitem__, items))
                values[place] += sum(map(values_below.__getitem__, items))
        selection.objects.update(zip(new, objects, strict=True))
        selection.values.update(zip(new, values, strict=True))
        self.values += len(new) * of_each
        return self.objects + self.values // self.values_per_object <= self.most


def _add_rows(selection: _Selection, elements: Iterable[Element]) -> None:
    """Build the response objects of these elements."""
    new: dict[Element, dict[str, Any]] = {element: {} for element in elements if element not in selection.rows}
    sizes = dict.fromkeys(new, 0)
    for each in selection.fields:
        key, column = each.key, each.column
        if column is None:
            for row in new.values():
                row[key] = selection.type_name
            continue
        found = [column[element].value for element in new]
        if each.below is None:
            for row, value in zip(new.values(), found, strict=True):
                row[key] = value
            continue
        _add_rows(each.below, _distinct(found))
        below = each.below.rows
        for (element, row), items in zip(new.items(), found, strict=True):
            if items is None:
                row[key] = None
            elif each.is_list:
                row[key] = [below[item][0] for item in items]
                sizes[element] += len(items) + sum([below[item][1] for item in items])
            else:
                row[key], size = below[items[0]]
                sizes[element] += 1 + size
    selection.rows.update((element, (row, sizes[element])) for element, row in new.items())


def _distinct(found: Iterable[tuple[Element, ...] | None]) -> Iterable[Element]:
    return dict.fromkeys(chain.from_iterable(filter(None, found)))


def _type_of(node: FieldNode) -> Any:
    return SCHEMA_TYPE if node.name.value == SCHEMA else TYPE_TYPE


def _value(node: FieldNode, argument: str, variables: Values, default: object) -> object:
    """Return the value of an argument of a valid field, which is no null unless a variable has it."""
    given = next((each.value for each in node.arguments or () if each.name.value == argument), None)
    if isinstance(given, VariableNode):
        return variables.get(given.name.value, default)
    return given.value if isinstance(given, BooleanValueNode | StringValueNode) else default
