"""Introspection is answered as graphql-core answers it, and counted beforehand."""

import json
from collections.abc import Mapping
from itertools import product
from random import Random
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLSchema,
    OperationDefinitionNode,
    execute,
    get_introspection_query,
    parse,
    validate,
)
from graphql.validation.validate import ValidationAbortedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.execution import BreadthFirst, Executed
from app.execution.introspection import Introspection
from graphql_schema.one_of import mark_one_of
from graphql_schema.returned import Returned
from graphql_schema.schema import schema

from .introspections import DEPRECATED, AnOperation, an_introspection

PRODUCT = schema._schema
SEEDS = st.integers(0, 2**32)
SCHEMAS = st.sampled_from([DEPRECATED, PRODUCT])
ENGINE = BreadthFirst()
UNLIMITED = 10**9
NO_NULL = "Expected variable '${}' provided to non-null type '{}' not to be None."
MANY: dict[str, Any] = {"suppress_health_check": list(HealthCheck), "database": None}


@pytest.fixture(autouse=True, scope="module")
def _is_one_of() -> None:
    """Answer `isOneOf` as the product does: each schema that Strawberry builds replaces the resolver in all schemas."""
    mark_one_of(PRODUCT)


def operation_of(document: DocumentNode) -> OperationDefinitionNode:
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return operation


def valid(of: GraphQLSchema, generated: AnOperation) -> DocumentNode | None:
    """The document, None if it nests lists deeper than validation allows, or has too many fields to compare."""
    document = parse(generated.text)
    errors = validate(of, document)
    for error in errors:
        assert isinstance(error, ValidationAbortedError) or error.message == "Maximum introspection depth exceeded"
    return None if errors else document


def reference(of: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any] | None = None) -> ExecutionResult:
    result = execute(of, document, variable_values=dict(variables or {}))
    assert isinstance(result, ExecutionResult)
    return result


def returned(document: DocumentNode, result: ExecutionResult) -> int:
    return Returned(document, operation_of(document)).count(result.data)


def values_in(data: Any) -> int:
    """The field values in data, objects and lists included."""
    if isinstance(data, dict):
        return len(data) + sum(map(values_in, data.values()))
    return sum(map(values_in, data)) if isinstance(data, list) else 0


@given(SEEDS, SCHEMAS)
@settings(max_examples=80, **MANY)
def test_generated_introspection_is_answered_as_graphql_core_answers_it(seed: int, of: GraphQLSchema) -> None:
    generated = an_introspection(Random(seed), list(of.type_map))
    document = valid(of, generated)
    if document is None:
        return
    expected = reference(of, document, generated.variables)
    result = ENGINE.execute(of, document, variable_values=dict(generated.variables))
    assert (result.errors, expected.errors) == (None, None)
    assert json.dumps(result.data) == json.dumps(expected.data)
    assert isinstance(result, Executed)
    assert result.objects == returned(document, result)


@given(SEEDS, SCHEMAS)
@settings(max_examples=80, **MANY)
def test_the_count_is_exactly_what_is_returned(seed: int, of: GraphQLSchema) -> None:
    generated = an_introspection(Random(seed), list(of.type_map), conditions=False)
    document = valid(of, generated)
    if document is None:
        return
    result = ENGINE.execute(of, document, variable_values=dict(generated.variables))
    counted = Introspection(of, document, operation_of(document)).count(generated.variables, UNLIMITED, 1)
    assert counted.objects == returned(document, result)
    assert counted.values >= values_in(result.data)


@given(SEEDS, SCHEMAS)
@settings(max_examples=80, **MANY)
def test_the_count_is_at_least_what_is_returned_if_selections_are_skipped(seed: int, of: GraphQLSchema) -> None:
    generated = an_introspection(Random(seed), list(of.type_map))
    document = valid(of, generated)
    if document is None:
        return
    result = ENGINE.execute(of, document, variable_values=dict(generated.variables))
    counted = Introspection(of, document, operation_of(document)).count(generated.variables, UNLIMITED, 1)
    assert counted.objects >= returned(document, result)
    assert counted.values >= values_in(result.data)


@given(SEEDS, st.integers(0, 100))
@settings(max_examples=50, **MANY)
def test_a_count_over_the_maximum_says_so(seed: int, most: int) -> None:
    generated = an_introspection(Random(seed), list(DEPRECATED.type_map))
    document = valid(DEPRECATED, generated)
    if document is None:
        return
    introspection = Introspection(DEPRECATED, document, operation_of(document))
    whole = introspection.count(generated.variables, UNLIMITED, 4)
    bounded = introspection.count(generated.variables, most, 4)
    price = whole.objects + whole.values // 4
    assert bounded == whole if price <= most else bounded.objects + bounded.values // 4 > most


@pytest.mark.parametrize("options", list(product([False, True], repeat=6)))
def test_the_standard_query_is_answered_as_graphql_core_answers_it(options: tuple[bool, ...]) -> None:
    document = parse(get_introspection_query(*options))
    assert json.dumps(ENGINE.execute(DEPRECATED, document).data) == json.dumps(reference(DEPRECATED, document).data)


def test_introspection_and_data_are_answered_together() -> None:
    document = parse('{ id __schema { queryType { name } } either { __typename } type: __type(name: "One") { kind } }')
    result = ENGINE.execute(DEPRECATED, document, {"id": 7, "either": {"__typename": "Other"}})
    assert result.errors is None
    assert list(result.data.items()) == [
        ("id", "7"),
        ("__schema", {"queryType": {"name": "Query"}}),
        ("either", {"__typename": "Other"}),
        ("type", {"kind": "INPUT_OBJECT"}),
    ]
    assert result.objects == 1 + 1 + 1 + 1


def test_a_null_for_include_deprecated_is_one_error_however_often_the_field_is_answered() -> None:
    document = parse("query ($all: Boolean = true) { __schema { types { fields(includeDeprecated: $all) { name } } } }")
    assert validate(DEPRECATED, document) == []
    result = ENGINE.execute(DEPRECATED, document, variable_values={"all": None})
    assert [(error.message, error.path) for error in result.errors] == [
        (f"Argument 'includeDeprecated' has invalid value: {NO_NULL.format('all', 'Boolean!')}", ["__schema"])
    ]


@pytest.mark.parametrize(
    "text",
    [
        'query ($v: String = "Query") { __type(name: $v) { name } }',
        "query ($v: Boolean = true) { __schema { queryType @skip(if: $v) { name } } }",
        "query ($v: Boolean = true) { __schema { queryType @include(if: $v) { name } } }",
        "query ($v: Boolean = true) { __schema { queryType @skip(if: true) @include(if: $v) { name } description } }",
    ],
)
def test_a_null_where_a_value_is_required_is_the_error_of_graphql_core(text: str) -> None:
    document = parse(text)
    assert validate(DEPRECATED, document) == []
    expected = reference(DEPRECATED, document, {"v": None})
    result = ENGINE.execute(DEPRECATED, document, variable_values={"v": None})
    assert (result.data, list(map(str, result.errors or ()))) == (expected.data, list(map(str, expected.errors or ())))


@pytest.mark.parametrize("of", [DEPRECATED, PRODUCT], ids=["another schema", "the product"])
def test_is_one_of_is_null_for_what_is_no_input(of: GraphQLSchema) -> None:
    document = parse("{ __schema { types { kind isOneOf fields { type { kind isOneOf } } } } }")
    result = ENGINE.execute(of, document)
    assert result.errors is None
    types = result.data["__schema"]["types"]
    found = {(each["kind"], each["isOneOf"]) for each in types}
    found |= {(each["type"]["kind"], each["type"]["isOneOf"]) for type_ in types for each in type_["fields"] or ()}
    assert {kind for kind, is_one_of in found if is_one_of is not None} == {"INPUT_OBJECT"}
    assert {("INPUT_OBJECT", True), ("INPUT_OBJECT", False), ("LIST", None), ("NON_NULL", None)} <= found


# The names of lists


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ("{ __schema { types { name } all: types { name } } }", "__Schema.types"),
        ("{ __schema { types { name } ...F } } fragment F on __Schema { all: types { name } }", "__Schema.types"),
        ("{ __schema { types { name } ... { all: types { name } } } }", "__Schema.types"),
        ("{ __schema { types { name } } __schema { all: types { name } } }", "__Schema.types"),
        ("{ __schema { a: directives { name } b: directives { name } } }", "__Schema.directives"),
        (
            '{ __type(name: "Query") { fields { name } all: fields(includeDeprecated: true) { name } } }',
            "__Type.fields",
        ),
        ("{ __schema { types { ofType { a: enumValues { name } b: enumValues { name } } } } }", "__Type.enumValues"),
        ("{ __schema { types { fields { a: args { name } b: args { name } } } } }", "__Field.args"),
        ("{ __schema { directives { a: args { name } b: args { name } } } }", "__Directive.args"),
        ("{ __schema { directives { a: locations b: locations } } }", "__Directive.locations"),
        (
            "{ __schema { types { fields { args { type { a: fields { name } b: fields { name } } } } } } }",
            "__Type.fields",
        ),
        ("{ __schema { types { name } types { kind } } }", None),
        ("{ __schema { types { name } } again: __schema { all: types { name } } }", None),
        ('{ a: __type(name: "Query") { fields { name } } b: __type(name: "Query") { fields { name } } }', None),
        ("{ __schema { types { fields { a: type { name } b: type { kind } } } } }", None),
    ],
)
def test_a_list_that_one_selection_set_selects_under_two_names_is_found(text: str, repeated: str | None) -> None:
    document = parse(text)
    assert validate(DEPRECATED, document) == []
    assert Introspection(DEPRECATED, document, operation_of(document)).repeated_list == repeated
