"""The page for clients says which objects have an id. tests/clients runs its code, and that of each library's page."""

import re
from fnmatch import fnmatchcase

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    is_specified_scalar_type,
    parse,
    validate,
)

from graphql_schema.schema import schema

from .pages import client_pages, page, table

PAGE = page("docs/clients.md")
TYPES = schema._schema.type_map
OBJECTS = {
    name: each for name, each in TYPES.items() if isinstance(each, GraphQLObjectType) and not name.startswith("__")
}
NODE = TYPES["Node"]
PROBLEM = TYPES["Problem"]
NAME = re.compile(r"\*?\b[A-Z]\w+")


def implementing(interface: object) -> set[str]:
    assert isinstance(interface, GraphQLInterfaceType)
    return {each.name for each in schema._schema.get_possible_types(interface)}


def test_exactly_the_types_of_node_have_an_id() -> None:
    assert {name for name, each in OBJECTS.items() if "id" in each.fields} == implementing(NODE)


def test_the_page_lists_every_type_without_an_id() -> None:
    without_id = OBJECTS.keys() - implementing(NODE) - {"Query", "Mutation"}
    said = {name for _, names in table(PAGE, "Caches") for name in NAME.findall(names)}
    assert {"Problem", "ProvisioningPayload"} < said
    patterns = said - {"Problem", "ProvisioningPayload"}
    assert {name for name in patterns if not any(fnmatchcase(each, name) for each in without_id)} == set()
    covered = {each for each in without_id if any(fnmatchcase(each, name) for name in patterns)}
    assert covered | implementing(PROBLEM) == without_id


def test_the_page_lists_every_scalar() -> None:
    said = [name for name, *_ in table(PAGE, "Scalars")]
    assert said == sorted(
        name
        for name, each in TYPES.items()
        if isinstance(each, GraphQLScalarType) and not is_specified_scalar_type(each)
    )


def test_the_documents_on_the_pages_for_clients_are_valid() -> None:
    documents = re.findall(r"^```graphql\n(.*?)^```", client_pages(), re.MULTILINE | re.DOTALL)
    assert documents
    for document in documents:
        of_clients = document.replace(" @deleteRecord", "")
        assert validate(schema._schema, parse(of_clients)) == []
