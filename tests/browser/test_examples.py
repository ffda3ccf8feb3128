"""The page's examples are operations that the schema knows."""

import json
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, build_schema, parse, validate
from graphql.utilities import type_from_ast

from .stub import SCHEMA

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "web/src/examples").glob("*.graphql"))
PRINTED = ROOT / "schema.graphql"


@pytest.fixture(params=["stub", "product"])
def schema(request: pytest.FixtureRequest) -> GraphQLSchema:
    if request.param == "stub":
        return SCHEMA
    printed = build_schema(PRINTED.read_text()) if PRINTED.exists() else None
    if printed is None or printed.mutation_type is None:
        pytest.skip("schema.graphql has no mutations yet")
    return printed


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_is_valid_and_names_every_operation(example: Path, schema: GraphQLSchema) -> None:
    document = parse(example.read_text())
    assert [str(error) for error in validate(schema, document)] == []
    assert all(isinstance(one, OperationDefinitionNode) and one.name for one in document.definitions)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_examples_variables_are_those_it_declares(example: Path, schema: GraphQLSchema) -> None:
    values = example.with_suffix(".json")
    given: dict[str, Any] = json.loads(values.read_text()) if values.exists() else {}
    operations = [one for one in parse(example.read_text()).definitions if isinstance(one, OperationDefinitionNode)]
    variables = [variable for one in operations for variable in one.variable_definitions or ()]
    declared = {variable.variable.name.value: variable for variable in variables}
    assert given.keys() == declared.keys()
    assert all(type_from_ast(schema, variable.type) for variable in declared.values())
