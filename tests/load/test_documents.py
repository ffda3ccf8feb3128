"""The requests of the load test are operations of the published schema."""

from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from bench.load import documents
from bench.load.documents import Operation

SCHEMA = build_schema((Path(__file__).parents[2] / "schema.graphql").read_text(encoding="utf-8"))
OPERATIONS = {name: each for name, each in vars(documents).items() if isinstance(each, Operation)}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_valid_and_has_the_field_that_is_read(name: str) -> None:
    document = parse(OPERATIONS[name].text)
    assert validate(SCHEMA, document) == []
    (operation,) = (each for each in document.definitions if each.kind == "operation_definition")
    fields = [each.name.value for each in operation.selection_set.selections]  # type: ignore[attr-defined] # - the definition is an operation
    assert OPERATIONS[name].root in fields


def test_partners_send_the_operations_of_the_example() -> None:
    assert documents.AWAITING.text == documents.POLLER.OPERATIONS["provisioningPayloads"]
