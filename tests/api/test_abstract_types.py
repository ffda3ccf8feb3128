"""Interfaces resolve to the one type whose row or refusal it is, in the executor that graphql-core gives."""

from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLSchema,
    execute_sync,
    parse,
)

from app.db import rows
from app.domain import refusals
from graphql_schema.problems import PROBLEMS
from graphql_schema.schema import schema
from resolvers.mutations import RefusalValue

BUILT = schema._schema
NODES: GraphQLInterfaceType = BUILT.type_map["Node"]  # type: ignore[assignment]
PROBLEM: GraphQLInterfaceType = BUILT.type_map["Problem"]  # type: ignore[assignment]
REFUSALS = {kind.__name__: kind for kind in refusals.Refusal.__subclasses__()}


def names_of(interface: GraphQLInterfaceType) -> list[str]:
    return sorted(each.name for each in BUILT.get_possible_types(interface))


def a_row(name: str) -> Any:
    """A row of the class that has a type's name; its values say nothing."""
    kind = getattr(rows, f"{name}Row")
    return kind(*(None for _ in kind.__struct_fields__))


def a_refusal(name: str) -> RefusalValue:
    """A refusal of a class, as mutations return it; its facts say nothing."""
    kind = REFUSALS[name]
    return RefusalValue(kind.__new__(kind))


def resolved(interface: GraphQLInterfaceType, values: list[Any]) -> tuple[Any, list[str]]:
    """What graphql-core takes values for: their types' names, and its complaints."""
    root = GraphQLObjectType("Root", {"all": GraphQLField(GraphQLList(interface), resolve=lambda *_: values)})
    small = GraphQLSchema(query=root, types=BUILT.get_possible_types(interface))
    result = execute_sync(small, parse("{ all { __typename } }"))
    found = result.data["all"] if result.data else []
    return [each and each["__typename"] for each in found], [error.message for error in result.errors or ()]


@pytest.mark.parametrize("name", names_of(NODES))
def test_a_row_is_the_node_type_of_its_name(name: str) -> None:
    assert resolved(NODES, [a_row(name)]) == ([name], [])


@pytest.mark.parametrize("name", names_of(PROBLEM))
def test_a_refusal_is_the_problem_type_of_its_name(name: str) -> None:
    assert resolved(PROBLEM, [a_refusal(name)]) == ([name], [])


@pytest.mark.parametrize("interface", [NODES, PROBLEM], ids=str)
def test_no_type_takes_what_is_anothers(interface: GraphQLInterfaceType) -> None:
    make = a_row if interface is NODES else a_refusal
    types = BUILT.get_possible_types(interface)
    taken = {
        (each.name, name)
        for each in types
        for name in names_of(interface)
        if each.is_type_of and each.is_type_of(make(name), None)  # type: ignore[arg-type]
    }
    assert taken == {(name, name) for name in names_of(interface)}


@pytest.mark.parametrize("interface", [NODES, PROBLEM], ids=str)
@pytest.mark.parametrize(
    "value", [object(), {"id": "location-1"}, "location-1", 5], ids=["object", "mapping", "text", "number"]
)
def test_what_is_neither_row_nor_refusal_is_no_type_at_all(interface: GraphQLInterfaceType, value: Any) -> None:
    found, complaints = resolved(interface, [value])
    assert (found, len(complaints)) == ([None], 1)


def test_every_refusal_of_the_domain_has_its_problem_type() -> None:
    assert names_of(PROBLEM) == sorted(REFUSALS)


def test_the_problems_are_listed_once() -> None:
    assert len({each.__name__ for each in PROBLEMS}) == len(PROBLEMS)
