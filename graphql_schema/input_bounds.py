"""Bounds on the values of variables, checked by their types before they are coerced.

Coercion, normalisation and the checks of the domain take time for every value and character. A value that no field
accepts is refused here for its number of items, its length or its first unknown field, at little cost. A list in a
document has the same bound; the other values there are limited by the limits of documents.

A list longer than its declared maximum is the domain's to refuse (LIMIT_REACHED, as a problem of the mutation), unless
it is more than `SLACK` times as long.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from graphql import (
    ArgumentNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLType,
    ListValueNode,
    ObjectFieldNode,
    ValidationRule,
    VariableDefinitionNode,
    get_named_type,
    type_from_ast,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from app.domain.text import MOST_CODE_POINTS, RULES
from graphql_schema.fields import MOST_ITEMS

SLACK = 2

# The longest text that a field accepts, as its longest spelling. Cursors are shorter.
LONGEST_TEXT = MOST_CODE_POINTS * max(rule.longest for rule in RULES.values())
LONGEST_OTHER = 100
"""The maximum length of a text that represents another value, such as a time or a member of an enum."""

MOST_MEMBERS = 1_000
"""The maximum number of items of a list of enum values, which may contain a value more than once."""

_LONGEST_NAME = 50

_TEXTS = frozenset({"String", "ID"})

Steps = tuple[str, ...]

_Input: TypeAlias = GraphQLInputField | GraphQLArgument


class UnboundedList(Exception):  # noqa: N818 - named after the problem
    """Lists among the inputs of the schema declare no maximum. The message names them."""


def check_lists(schema: GraphQLSchema) -> None:
    """Raise UnboundedList if a list of the schema's inputs has no declared maximum; called when the schema is built."""
    unbounded = [
        place for place, each in _inputs(schema) if _items_of(each.type) is not None and _most_items(each) is None
    ]
    if unbounded:
        raise UnboundedList(f"These lists declare no maximum number of items: {', '.join(sorted(unbounded))}")


class ValueOutOfBounds(Exception):  # noqa: N818 - clients receive it as a refusal of their value
    """A variable has a value that no field accepts. `field` is the name of the input value."""

    def __init__(self, path: Steps, rule: str) -> None:
        super().__init__(f"Invalid value for {'.'.join(path)}: {rule}.")
        self.variable = path[0]
        self.field = next(step for step in reversed(path) if not step.isdigit())


class InputBounds:
    """The bounds on the inputs of a schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._largest: dict[str, int] = {}
        """The largest maximum of the lists of each type, for variables that are lists themselves."""
        for _, each in _inputs(schema):
            most = _most_items(each)
            if most is not None:
                name = get_named_type(each.type).name
                self._largest[name] = max(most, self._largest.get(name, 0))

    def of(self, definitions: Sequence[VariableDefinitionNode]) -> "BoundedVariables":
        """The bounds on the variables of an operation of a valid document."""
        bounded = []
        for definition in definitions:
            type_ = type_from_ast(self._schema, definition.type)
            bounded.append((definition.variable.name.value, type_, self._largest.get(str(get_named_type(type_)))))
        return BoundedVariables(bounded)


class BoundedVariables:
    """The bounds on the variables of one operation."""

    def __init__(self, variables: Sequence[tuple[str, GraphQLType | None, int | None]]) -> None:
        """Each variable has a name, a type, and a maximum number of items in case it is a list."""
        self._variables = variables

    def check(self, given: Mapping[str, Any]) -> None:
        """Raise ValueOutOfBounds for the first value beyond its bounds. Values of other variables are ignored."""
        for name, type_, most in self._variables:
            if name in given and type_ is not None:
                self._check(given[name], type_, most, (name,))

    def _check(self, value: Any, type_: GraphQLType, most: int | None, path: Steps) -> None:
        if value is None:
            return
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        if isinstance(type_, GraphQLList):
            items = value if isinstance(value, list) else [value]
            if most is not None and len(items) > SLACK * most:
                raise ValueOutOfBounds(path, f"must have at most {most} items")
            for index, item in enumerate(items):
                self._check(item, type_.of_type, most, (*path, str(index)))
        elif isinstance(type_, GraphQLInputObjectType):
            self._check_object(value, type_, path)
        elif isinstance(value, list | dict):
            raise ValueOutOfBounds(path, f"must be a single value of type {type_}")
        elif isinstance(value, str):
            longest = LONGEST_TEXT if str(type_) in _TEXTS else LONGEST_OTHER
            if len(value) > longest:
                raise ValueOutOfBounds(path, f"must have at most {longest} characters")

    def _check_object(self, value: Any, type_: GraphQLInputObjectType, path: Steps) -> None:
        if not isinstance(value, dict):
            raise ValueOutOfBounds(path, f"must be an object of type {type_}")
        fields = type_.fields
        for name, inner in value.items():
            field = fields.get(name)
            if field is None:
                raise ValueOutOfBounds((*path, name[:_LONGEST_NAME]), f"is not a field of {type_}")
            self._check(inner, field.type, _most_items(field), (*path, name))


class BoundedLists(ValidationRule):
    """Validation of documents: no list of values is longer than the same list may be in a variable."""

    def enter_argument(self, node: ArgumentNode, *_args: Any) -> None:
        """Report the list of an argument if it is too long."""
        self._check(node, self.context.get_argument(), f"Argument '{node.name.value}'")

    def enter_object_field(self, node: ObjectFieldNode, *_args: Any) -> None:
        """Report the list of an input field if it is too long."""
        parent = get_named_type(self.context.get_parent_input_type())
        if isinstance(parent, GraphQLInputObjectType):
            self._check(node, parent.fields.get(node.name.value), f"Field '{parent}.{node.name.value}'")

    def _check(self, node: ArgumentNode | ObjectFieldNode, taken: _Input | None, called: str) -> None:
        most = None if taken is None else _most_items(taken)
        if most is not None and isinstance(node.value, ListValueNode) and len(node.value.values) > SLACK * most:
            self.report_error(GraphQLError(f"{called} must have at most {most} items.", node))


def _inputs(schema: GraphQLSchema) -> Iterator[tuple[str, _Input]]:
    """Every field of an input and every argument, with its place."""
    for named in schema.type_map.values():
        for name, field in () if named.name.startswith("__") else getattr(named, "fields", {}).items():
            if isinstance(field, GraphQLInputField):
                yield f"{named.name}.{name}", field
            else:
                yield from ((f"{named.name}.{name}({each})", argument) for each, argument in field.args.items())


def _items_of(type_: Any) -> Any:
    """The type of the items of a list, None if the type is no list."""
    inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    return inner.of_type if isinstance(inner, GraphQLList) else None


def _most_items(field: _Input) -> int | None:
    """The maximum of a list: declared, or that of all lists of enum values."""
    if _items_of(field.type) is None:
        return None
    declared = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    most = getattr(declared, "metadata", {}).get(MOST_ITEMS)
    if most is not None:
        return int(most)
    return MOST_MEMBERS if isinstance(get_named_type(field.type), GraphQLEnumType) else None
