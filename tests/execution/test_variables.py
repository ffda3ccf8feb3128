"""Variables are coerced as graphql-core coerces them, whatever is given for whichever type."""

from typing import Any

import pytest
from graphql import GraphQLError, OperationDefinitionNode, build_schema, get_variable_values, parse

from app.execution.variables import Variables

SCHEMA = build_schema("""
  enum Color { RED GREEN }
  input Point { x: Int! y: Int = 2 }
  type Query { a: Int }
""")
TYPES = ["Int", "Float", "String", "Boolean", "ID", "Color", "[Int]", "[[Int!]!]", "Point", "Unknown", "Query"]
DEFAULTS = {"Int": "3", "Float": "3", "String": '"s"', "Boolean": "true", "ID": "4", "Color": "RED", "[Int]": "[5, 6]"}
ATOMS = [None, 1, 2**31, 1.5, 1.0, "RED", "x", "", True]
GIVEN = [*ATOMS, [1], [[1]], ["x"], {"x": 1}, {"x": None}, {}, {"z": 1}, object()]
ABSENT = object()


def definitions() -> list[str]:
    plain = [f"$v: {each}{bang}" for each in TYPES for bang in ("", "!")]
    return [*plain, *(f"$v: {each}{bang} = {value}" for each, value in DEFAULTS.items() for bang in ("", "!"))]


@pytest.mark.parametrize("definition", definitions())
def test_values_and_errors_are_those_of_graphql_core(definition: str) -> None:
    operation = parse(f"query ({definition}, $w: Int) {{ a }}").definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    ours = Variables(SCHEMA, operation.variable_definitions or (), False)
    for value in (ABSENT, *GIVEN):
        for other in ({}, {"w": 7}, {"w": "no"}):
            given = other if value is ABSENT else {"v": value, **other}
            reference = get_variable_values(SCHEMA, operation.variable_definitions or (), given, max_errors=50)
            assert told(ours.values(given, 50)) == told(reference), given


def test_types_nested_beyond_all_reason_are_left_to_graphql_core() -> None:
    operation = parse(f"query ($v: {'[' * 190}Int{']' * 190}) {{ a }}").definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    given = {"v": 1}
    reference = get_variable_values(SCHEMA, operation.variable_definitions or (), given, max_errors=50)
    ours = Variables(SCHEMA, operation.variable_definitions or (), False).values(given, 50)
    assert told(ours) == told(reference)


def told(values: Any) -> Any:
    """Coerced values with their kinds and sources, or what the errors say and of which node."""
    if isinstance(values, list):
        assert all(isinstance(each, GraphQLError) for each in values)
        return [(each.message, each.nodes) for each in values]
    kinds = {name: type(value) for name, value in values.coerced.items()}
    sources = {
        name: (str(source.signature.type), source.signature.default and source.signature.default.literal, source.value)
        for name, source in values.sources.items()
    }
    return values.coerced, kinds, sources
