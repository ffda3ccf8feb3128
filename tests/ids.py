"""Everything that shows an id: selections of the schema that reach it, and walks along what was shown."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from graphql import GraphQLObjectType, get_named_type, is_object_type, is_required_argument

from graphql_schema.schema import schema

from .harness import Client

GRAPHQL = schema._schema
OBJECT_TYPES: dict[str, Any] = {
    name: type_ for name, type_ in GRAPHQL.type_map.items() if is_object_type(type_) and not name.startswith("__")
}
WITH_ID = sorted(name for name, type_ in OBJECT_TYPES.items() if "id" in type_.fields)

Types = dict[str, set[str]]
"""The names of the types that showed an id, by id."""


def reaching(type_: GraphQLObjectType, above: tuple[str, ...] = ()) -> str:
    """The selection of the next objects with an id below a type; empty if there are none.

    Fields that need an argument are left out.
    """
    parts = []
    for name, field in type_.fields.items():
        below = get_named_type(field.type)
        if not is_object_type(below) or below.name in above or any(map(is_required_argument, field.args.values())):
            continue
        inner = "__typename id" if "id" in below.fields else reaching(below, (*above, type_.name))
        if inner:
            page = "(first: 100)" if "first" in field.args else ""
            parts.append(f"{name}{page} {{ {inner} }}")
    return " ".join(parts)


def shown(answer: Any) -> Iterator[tuple[str, str]]:
    """The id and the type of every object in an answer to such a selection."""
    if isinstance(answer, list):
        for each in answer:
            yield from shown(each)
    elif isinstance(answer, dict):
        if "id" in answer:
            yield answer["id"], answer["__typename"]
        for each in answer.values():
            yield from shown(each)


async def walked(client: Client, who: str, start: Collection[tuple[str, str]], *, rounds: int | None = None) -> Types:
    """Everything with an id that the objects show, and the objects below those and so on, each fetched by `node`.

    `rounds` limits how often the objects that were found are followed.
    """
    types: Types = defaultdict(set)
    pending = list(start)
    while pending and rounds != 0:
        rounds = None if rounds is None else rounds - 1
        found: list[tuple[str, str]] = []
        for identifier, type_ in pending:
            if type_ not in types[identifier]:
                types[identifier].add(type_)
                found += await _fetched(client, who, identifier, type_)
        pending = found
    for identifier, type_ in pending:
        types[identifier].add(type_)
    return types


async def _fetched(client: Client, who: str, identifier: str, type_: str) -> list[tuple[str, str]]:
    below = reaching(OBJECT_TYPES[type_])
    query = f"query($id: ID!) {{ node(id: $id) {{ __typename id ... on {type_} {{ __typename {below} }} }} }}"
    node = (await visible(client, who, query, id=identifier))["node"]
    assert node is not None, f"{who} is shown {type_} {identifier}, which is not found"
    assert (node["__typename"], node["id"]) == (type_, identifier)
    return list(shown(node))


async def visible(client: Client, who: str, query: str, **variables: Any) -> dict[str, Any]:
    """The data of an answer, without what the role of the user does not see."""
    answer = await client.ask(query, who, **variables)
    assert set(answer.codes) <= {"FORBIDDEN", "NOT_FOUND"}, answer.body
    data: dict[str, Any] = answer.body["data"]
    return data
