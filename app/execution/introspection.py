"""Answers introspection fields (`__schema`, `__type`) from the schema, and counts beforehand what they return.

Both visit each element of the schema once per selection set that describes it, however often the response repeats it,
so the work does not grow with the response. Equal parts of a response are one object.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    TypeNameMetaFieldDef,
    ValueNode,
    VariableNode,
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
    Element,
    FieldKey,
    elements_of,
)

SCHEMA, TYPE, TYPENAME = "__schema", "__type", "__typename"
INTROSPECTION_FIELDS = frozenset({SCHEMA, TYPE})

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
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], variables: Values
    ) -> None:
        self._schema = schema
        self._values = variables
        self._collector = _Collector(fragments, variables, decides=True)

    def answer(self, nodes: Sequence[FieldNode]) -> tuple[dict[str, Any] | None, int]:
        """Return the value of the introspection field that these nodes select, and the number of objects in it.

        Raises GraphQLError for a null where a boolean is required.
        """
        described = _described(self._schema, nodes[0], self._values)
        if described is None:
            return None, 0
        selection = self._collector.below(described.object_type, nodes)
        _add_rows(selection, [described])
        row, objects = selection.rows[described]
        return row, 1 + objects


class Introspection:
    """The introspection fields at the root of one operation of a validated document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        collector = _Collector(self._fragments, {}, decides=False)
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
        collector = _Collector(self._fragments, variables, decides=False)
        counting = _Counting(most, values_per_object)
        objects = total = 0
        for nodes in self._roots:
            total += 1
            described = _described(self._schema, nodes[0], variables)
            if described is None:
                continue
            selection = collector.below(described.object_type, nodes)
            if not counting.add(selection, [described]):
                return ResponseSize(most + 1, 0)
            below = selection.counts[described]
            objects += 1 + below.objects
            total += below.values
        return ResponseSize(objects, total)


@dataclass(slots=True, eq=False)
class _Selection:
    """A merged selection set on an introspection type, and what is known of the elements that it describes."""

    type_name: str
    fields: "list[_Selected]"
    rows: dict[Element, tuple[dict[str, Any], int]] = field(default_factory=dict)
    """By element: its object in the response, and the number of objects below that."""
    counts: dict[Element, ResponseSize] = field(default_factory=dict)
    """By element: what is below it."""


@dataclass(slots=True)
class _Selected:
    """One response key of a selection."""

    key: str
    field: FieldKey
    is_list: bool
    below: _Selection | None
    """None for a leaf."""


@dataclass(slots=True)
class _Collector:
    """Merges selections as CollectFields of the specification does."""

    fragments: Mapping[str, FragmentDefinitionNode]
    values: Values
    decides: bool
    """Whether @skip and @include are decided, and nulls refused. Otherwise both count as the larger response."""
    merged: dict[tuple[int, ...], _Selection] = field(default_factory=dict)
    """By the ids of the selection sets that were merged."""
    equal: dict[tuple[object, ...], _Selection] = field(default_factory=dict)
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
            if self.decides and node.directives and not self._includes(node.directives):
                continue
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                groups.setdefault(key, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                self._group([node.selection_set], groups, seen)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                seen.add(node.name.value)
                self._group([self.fragments[node.name.value].selection_set], groups, seen)

    def _includes(self, directives: Iterable[DirectiveNode]) -> bool:
        return not any(
            _boolean(each, "if", self.values, default=None) is _EXCLUDES[each.name.value]
            for each in directives
            if each.name.value in _EXCLUDES
        )

    def below(self, type_: GraphQLObjectType, nodes: Sequence[FieldNode]) -> _Selection:
        """Return the merged selection below a field of this type."""
        selection_sets = [node.selection_set for node in nodes if node.selection_set is not None]
        key = tuple(map(id, selection_sets))
        selection = self.merged.get(key)
        if selection is None:
            groups = self.grouped(selection_sets)
            fields = list(filter(None, (self._selected(type_, key, inner) for key, inner in groups.items())))
            content = (type_.name, *((each.key, each.field, id(each.below)) for each in fields))
            selection = self.merged[key] = self.equal.setdefault(content, _Selection(type_.name, fields))
        return selection

    def _selected(self, type_: GraphQLObjectType, key: str, nodes: Sequence[FieldNode]) -> _Selected | None:
        name = nodes[0].name.value
        definition = TypeNameMetaFieldDef if name == TYPENAME else type_.fields.get(name)
        if definition is None:
            return None  # graphql-core skips unknown fields of a document that was not validated
        named: Any = get_named_type(definition.type)
        return _Selected(
            key,
            FieldKey(name, self._include_deprecated(nodes[0])),
            is_list_type(get_nullable_type(definition.type)),
            None if is_leaf_type(named) else self.below(named, nodes),
        )

    def _include_deprecated(self, node: FieldNode) -> bool:
        if not node.arguments:
            return False
        if self.decides:
            return _boolean(node, INCLUDE_DEPRECATED, self.values, default=False)
        return _value(_argument(node, INCLUDE_DEPRECATED), self.values, False) is not False


_EXCLUDES = {"skip": True, "include": False}
"""The value of `if` with which a directive excludes a selection."""


def _repeated_list(selection: _Selection) -> str | None:
    """Return the name of the first list field that a selection set selects under several response keys, or None."""
    lists = [each.field.name for each in selection.fields if each.is_list]
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

    def add(self, selection: _Selection, elements: Iterable[Element]) -> bool:
        """Count what is below these elements. Returns False if the response is too large."""
        new = [element for element in elements if element not in selection.counts]
        of_each = sum(1 + len(each.key) // CHARACTERS_PER_VALUE for each in selection.fields)
        objects, values = [0] * len(new), [of_each] * len(new)
        self.objects += len(new)
        for each in selection.fields:
            requested = each.field
            if requested.name == TYPENAME:
                continue
            found = [element.values[requested] for element in new]
            values = [value + more for value, (_, more) in zip(values, found, strict=True)]
            if each.below is None:
                continue
            below = each.below.counts
            if not self.add(each.below, _distinct([items for items, _ in found])):
                return False
            for index, (items, _) in enumerate(found):
                for item in items or ():
                    more_objects, more_values = below[item]
                    objects[index] += 1 + more_objects
                    values[index] += more_values
        selection.counts.update(zip(new, map(ResponseSize, objects, values), strict=True))
        self.values += len(new) * of_each
        return self.objects + self.values // self.values_per_object <= self.most


def _add_rows(selection: _Selection, elements: Iterable[Element]) -> None:
    """Build the response objects of these elements."""
    new: dict[Element, dict[str, Any]] = {element: {} for element in elements if element not in selection.rows}
    sizes = dict.fromkeys(new, 0)
    for each in selection.fields:
        key, requested = each.key, each.field
        if requested.name == TYPENAME:
            for row in new.values():
                row[key] = selection.type_name
            continue
        if each.below is None:
            for element, row in new.items():
                row[key] = element.values[requested][0]
            continue
        found = [element.values[requested][0] for element in new]
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


def _described(schema: GraphQLSchema, node: FieldNode, values: Values) -> Element | None:
    elements = elements_of(schema)
    if node.name.value == SCHEMA:
        return elements.schema()
    return elements.type(_value(_argument(node, "name"), values, None))


def _type_of(node: FieldNode) -> Any:
    return SCHEMA_TYPE if node.name.value == SCHEMA else TYPE_TYPE


def _argument(node: FieldNode | DirectiveNode, name: str) -> ValueNode | None:
    return next((each.value for each in node.arguments or () if each.name.value == name), None)


def _boolean(node: FieldNode | DirectiveNode, name: str, values: Values, default: bool | None) -> bool:
    """Return the value of an argument of type `Boolean!`. Raises GraphQLError for null."""
    given = _argument(node, name)
    value = _value(given, values, default)
    if not isinstance(value, bool):
        raise GraphQLError(f"Argument '{name}' of non-null type 'Boolean!' must not be null.", given or node)
    return value


def _value(node: ValueNode | None, values: Values, default: object) -> object:
    if isinstance(node, VariableNode):
        return values.get(node.name.value, default)
    return default if node is None else _literal(node)


def _literal(node: ValueNode | None) -> object:
    return node.value if isinstance(node, BooleanValueNode | StringValueNode) else None
