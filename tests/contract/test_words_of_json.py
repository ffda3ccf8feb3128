"""Messages about values of the wrong type are in the words of GraphQL and JSON, and never in those of Python."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    is_input_object_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

from app.query_cost.limits import DocumentLimits
from app.query_cost.price import PriceRules
from graphql_schema.documents import Documents
from graphql_schema.errors import RequestRefused
from graphql_schema.schema import schema
from tests.harness import Client

GRAPHQL = schema._schema
ROOTS = [("query", GRAPHQL.query_type), ("mutation", GRAPHQL.mutation_type)]
FIELDS = {name: (kind, field) for kind, root in ROOTS if root for name, field in root.fields.items() if field.args}
DOCUMENTS = Documents(GRAPHQL, limits=DocumentLimits(), prices=PriceRules())

Place = tuple[str | int, ...]
TEXT = "It's no value"
WRONG: list[Any] = [
    None, True, False, 0, 2**31, -(2**31) - 1, 1.5, 1e300, TEXT, "2026-W01-1", "", [], [[]], [None], [True], {},
    {"unheardOf": True}, {"unheardOf": [None, {"a": TEXT}]},
]  # fmt: skip
PYTHON = re.compile(r"\b(None|True|False|Undefined|datetime|dict|tuple|NoneType|\w+Error)\b|<\w+|\\[xu]\d")


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_a_wrong_value_of_a_variable_is_refused_in_the_words_of_json(name: str) -> None:
    kind, field = FIELDS[name]
    operation = DOCUMENTS.prepare(_with_variables(kind, name, field)).operation(None)
    for place, given in _wrong(field, WRONG):
        try:
            operation.variables(given)
        except RequestRefused as refused:
            for error in refused.errors:
                message = error["message"]
                assert not PYTHON.search(message), (place, message)
                assert "'" not in message, (place, message)
                assert message.startswith(f"Invalid value for {place[0]}")
                assert error["extensions"]["code"] == "BAD_USER_INPUT"
                assert error["extensions"]["field"] in message
                assert error["locations"]


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_a_wrong_literal_is_refused_in_the_words_of_graphql(name: str) -> None:
    kind, field = FIELDS[name]
    for place, given in _wrong(field, [None, True, 2**31, 1.5, TEXT, [[]], {}, {"unheardOf": [TEXT]}]):
        literals = ", ".join(f"{each}: {_literal(value)}" for each, value in given.items())
        try:
            DOCUMENTS.prepare(f"{kind} {{ {name}({literals}) {_selection(field)} }}")
        except RequestRefused as refused:
            for error in refused.errors:
                assert not PYTHON.search(error["message"]), (place, error)
                assert f"'{TEXT}" not in error["message"], (place, error)


@pytest.mark.parametrize("digits", [20, 4_301, 14_000])
def test_a_number_of_many_digits_is_refused_in_the_words_of_graphql(digits: int) -> None:
    number = "1" * digits
    with pytest.raises(RequestRefused) as refused:
        DOCUMENTS.prepare(f"query($first: Int = {number}) {{ accounts(first: $first) {{ totalCount }} }}")
    (error,) = refused.value.errors
    assert error["message"] in (
        f"Expected value of type 'Int', found: {number}.",
        f"Int cannot represent non 32-bit signed integer value: {number}",
    )
    assert error["locations"] == [{"line": 1, "column": 21}]


@pytest.mark.parametrize("value", ["5", "true", "[]", '["2026-11-30T09:30:00Z"]', "{}", "YESTERDAY"])
def test_a_literal_that_is_no_string_is_refused_at_its_place_where_a_time_is_expected(value: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        DOCUMENTS.prepare(f"{{ locations(filter: {{updatedSince: {value}}}) {{ totalCount }} }}")
    (error,) = refused.value.errors
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert error["message"].startswith("DateTime must be a time")
    assert error["locations"] == [{"line": 1, "column": 36}]


def test_the_root_fields_take_every_input_type_of_the_schema() -> None:
    reached = {each.name for _, field in FIELDS.values() for each in _input_types(field)}
    assert reached == {name for name, each in GRAPHQL.type_map.items() if is_input_object_type(each)}


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ("query($first: Int = 5) { accounts(first: $first) { totalCount } }", {"first": None}),
        (
            "query($all: Boolean = true) { __schema { types { fields(includeDeprecated: $all) { name } } } }",
            {"all": None},
        ),
        ("query($first: Int = null) { accounts(first: $first) { totalCount } }", {}),
        ("query($first: Int = \"1\") { accounts(first: $first) { totalCount } }", {}),
        ("query($first: Int! = null) { accounts(first: $first) { totalCount } }", {}),
        ("query($if: Boolean!) { accounts @include(if: $if) { totalCount } }", {"if": None}),
        ("query($if: Boolean!) { accounts @include(if: $if) { totalCount } }", {}),
    ],
)  # fmt: skip
async def test_null_is_called_null(client: Client, document: str, variables: dict[str, Any]) -> None:
    answer = await client.ask(document, **variables)
    assert answer.codes
    assert set(answer.codes) <= {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}
    for error in answer.body["errors"]:
        assert not PYTHON.search(error["message"]), error["message"]


def _with_variables(kind: str, name: str, field: GraphQLField) -> str:
    declared = ", ".join(
        f"${each}: {argument.type if is_required_argument(argument) else _nullable(argument.type)}"
        for each, argument in field.args.items()
    )
    passed = ", ".join(f"{each}: ${each}" for each in field.args)
    return f"{kind}({declared}) {{ {name}({passed}) {_selection(field)} }}"


def _selection(field: GraphQLField) -> str:
    return "" if is_leaf_type(get_named_type(field.type)) else "{ __typename }"


def _wrong(field: GraphQLField, values: Sequence[Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every place among the arguments, and the arguments with a wrong value there, or without a value."""
    good = {name: _good(each.type) for name, each in field.args.items() if is_required_argument(each)}
    for name, each in field.args.items():
        for place in _places(each.type, (name,)):
            for value in values:
                yield place, _put(good, field.args, place, value)
            yield place, _put(good, field.args, place, _LEFT_OUT)


_LEFT_OUT = object()


def _places(type_: Any, above: Place) -> Iterator[Place]:
    yield above
    inner = _nullable(type_)
    if isinstance(inner, GraphQLList):
        yield from _places(inner.of_type, (*above, 0))
    elif isinstance(inner, GraphQLInputObjectType):
        for name, field in inner.fields.items():
            yield from _places(field.type, (*above, name))


def _put(good: Mapping[str, Any], fields: Mapping[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """Good values with another value at a place, or without it."""
    (name, *rest), result = place, dict(good)
    if not rest and value is _LEFT_OUT:
        result.pop(str(name), None)
    else:
        result[str(name)] = _inside(fields[str(name)].type, tuple(rest), value)
    return result


def _inside(type_: Any, rest: Place, value: Any) -> Any:
    inner = _nullable(type_)
    if not rest:
        return value
    if isinstance(inner, GraphQLList):
        if len(rest) == 1 and value is _LEFT_OUT:
            return []
        return [_inside(inner.of_type, rest[1:], value)]
    good = {} if inner.is_one_of else _good(inner)
    return _put(good, inner.fields, rest, value)


def _good(type_: Any) -> Any:
    inner = _nullable(type_)
    if isinstance(inner, GraphQLList):
        return []
    if isinstance(inner, GraphQLEnumType):
        return next(iter(inner.values))
    if isinstance(inner, GraphQLInputObjectType):
        name, first = next(iter(inner.fields.items()))
        if inner.is_one_of:
            return {name: _good(first.type)}
        return {name: _good(each.type) for name, each in inner.fields.items() if is_required_input_field(each)}
    return {"Int": 1, "Boolean": True, "Float": 1.5}.get(inner.name, "text")


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_literal(each)}' for name, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value)


def _input_types(field: GraphQLField) -> set[GraphQLInputObjectType]:
    found: set[GraphQLInputObjectType] = set()
    waiting = [get_named_type(each.type) for each in field.args.values()]
    while waiting:
        each = waiting.pop()
        if isinstance(each, GraphQLInputObjectType) and each not in found:
            found.add(each)
            waiting += [get_named_type(inner.type) for inner in each.fields.values()]
    return found
