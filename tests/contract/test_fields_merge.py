"""A client selects any fields on any types of an interface in one place, without aliases."""

import pytest
from graphql import GraphQLInterfaceType, GraphQLSchema, OverlappingFieldsCanBeMergedRule, build_schema, parse, validate

from graphql_schema.schema import schema

from .fragments import CONFLICTING, CONFLICTING_FIELDS, in_pairs

BUILT = schema._schema
INTERFACES = sorted(name for name, each in BUILT.type_map.items() if isinstance(each, GraphQLInterfaceType))


def conflicts(of: GraphQLSchema, interface: str) -> list[str]:
    """What graphql-core says about the fields of the types of an interface that cannot be selected together."""
    return [
        error.message
        for selection in in_pairs(of, interface).values()
        for error in validate(
            of, parse(f"fragment Whole on {interface} {{ {selection} }}"), [OverlappingFieldsCanBeMergedRule]
        )
    ]


@pytest.mark.parametrize("interface", INTERFACES)
def test_no_two_types_of_an_interface_have_fields_of_one_name_that_conflict(interface: str) -> None:
    assert conflicts(BUILT, interface) == []


def test_every_conflict_is_found() -> None:
    found = " ".join(conflicts(build_schema(CONFLICTING), "Node"))
    assert {name for name in ("id", "kind", "label", "parts", "same") if f"'{name}'" in found} == CONFLICTING_FIELDS
