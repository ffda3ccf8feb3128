"""The page's examples are operations that the schema knows, and the server's values for them fit."""

import json
from pathlib import Path
from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate
from graphql.utilities import type_from_ast

from app.main import GRAPHIQL_TABS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "web/src/examples").glob("*.graphql"))
SCHEMA = build_schema((ROOT / "schema.graphql").read_text())


def variables_of(example: Path) -> dict[str, Any]:
    """The variables that an example's operations declare, with their types."""
    operations = [one for one in parse(example.read_text()).definitions if isinstance(one, OperationDefinitionNode)]
    declared = [variable for one in operations for variable in one.variable_definitions or ()]
    return {each.variable.name.value: type_from_ast(SCHEMA, each.type) for each in declared}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_is_valid_and_names_every_operation(example: Path) -> None:
    document = parse(example.read_text())
    assert [str(error) for error in validate(SCHEMA, document)] == []
    assert all(isinstance(one, OperationDefinitionNode) and one.name for one in document.definitions)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_examples_variables_are_those_it_declares(example: Path) -> None:
    values = example.with_suffix(".json")
    given: dict[str, Any] = json.loads(values.read_text()) if values.exists() else {}
    declared = variables_of(example)
    assert given.keys() == declared.keys()
    assert all(declared.values())


@pytest.mark.parametrize("tab", GRAPHIQL_TABS, ids=lambda tab: str(tab["example"]))
def test_the_servers_values_are_for_variables_of_an_example(tab: dict[str, Any]) -> None:
    example = next(each for each in EXAMPLES if each.stem == tab["example"])
    assert tab["variables"].keys() <= variables_of(example).keys()
