"""Says what is wrong with the values of variables that cannot be coerced, in the words of JSON.

graphql-core's own messages show the values as Python writes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLType,
    Undefined,
    VariableDefinitionNode,
    coerce_input_value,
    is_leaf_type,
    is_required_input_field,
    type_from_ast,
)

from graphql_schema.input_bounds import Steps, ValueOutOfBounds

_RULES: Mapping[str, str] = {
    GraphQLInt.name: f"must be a whole number from {GRAPHQL_MIN_INT} to {GRAPHQL_MAX_INT}",
    GraphQLFloat.name: "must be a number",
    GraphQLBoolean.name: "must be true or false",
    GraphQLID.name: "must be a string or a whole number",
}
_RULE_OF_TEXTS = "must be a string"


def wrong_values(
    schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode], given: Mapping[str, Any]
) -> Iterator[ValueOutOfBounds]:
    """What is wrong with the values of an operation's variables, whose objects have known fields only."""
    for definition in definitions:
        name, type_ = definition.variable.name.value, type_from_ast(schema, definition.type)
        missing = given.get(name, Undefined) is Undefined
        if type_ is not None and not (missing and definition.default_value):
            yield from _wrong(given.get(name, Undefined), type_, (name,))


def _wrong(value: Any, type_: GraphQLType, path: Steps) -> Iterator[ValueOutOfBounds]:
    if isinstance(type_, GraphQLNonNull):
        if value is None or value is Undefined:
            yield ValueOutOfBounds(path, "must not be null" if value is None else "must be given")
            return
        type_ = type_.of_type
    if value is None or value is Undefined:
        return
    if isinstance(type_, GraphQLList):
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            yield from _wrong(item, type_.of_type, (*path, str(index)))
    elif isinstance(type_, GraphQLInputObjectType):
        if type_.is_one_of and (len(value) != 1 or None in value.values()):
            yield ValueOutOfBounds(path, "must have exactly one field, and its value must not be null")
        for name, field in type_.fields.items():
            if name in value or is_required_input_field(field):
                yield from _wrong(value.get(name, Undefined), field.type, (*path, name))
    elif is_leaf_type(type_) and coerce_input_value(value, type_) is Undefined:
        yield ValueOutOfBounds(path, _rule_of(type_))


def _rule_of(type_: GraphQLLeafType) -> str:
    if isinstance(type_, GraphQLEnumType):
        return f"must be the name of a value of {type_}"
    return _RULES.get(type_.name, _RULE_OF_TEXTS)
