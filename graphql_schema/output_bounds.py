"""The check that no list in a response can grow without a bound that its readers know."""

from collections.abc import Iterator

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_enum_type,
    is_list_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from app.query_cost.price import IDS_ARGUMENT, PAGE_FIELDS, is_connection
from resolvers.list_bounds import COMPLETE, HISTORY


class BoundlessList(Exception):  # noqa: N818 - named after the problem
    """Lists of the schema's objects declare no bound. The message names them."""


def check_bounds(schema: GraphQLSchema) -> None:
    """Raise BoundlessList unless every list is a page, or declares its bound; called when the schema is built.

    These need no declaration: enum values, of which there are only so many; the objects with given ids; and problems
    with their facts, which are bounded by what the mutation was about.
    """
    boundless = [
        f"{named.name}.{name}"
        for named in schema.type_map.values()
        if isinstance(named, GraphQLObjectType) and not named.name.startswith("__") and not _is_problem(named)
        for name in _boundless(named)
    ]
    if boundless:
        raise BoundlessList(f"These lists declare no bound: {', '.join(sorted(boundless))}")


def _boundless(parent: GraphQLObjectType) -> Iterator[str]:
    for name, field in parent.fields.items():
        inner = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
        named = get_named_type(field.type)
        if not is_list_type(inner) or is_enum_type(named) or _is_problem(named) or IDS_ARGUMENT in field.args:
            continue
        is_page = is_connection(parent) and name in PAGE_FIELDS
        is_told = _declares(field, HISTORY) and f"hasMore{name[0].upper()}{name[1:]}" in parent.fields
        if not (is_page or is_told or _declares(field, COMPLETE)):
            yield name


def _declares(field: GraphQLField, key: str) -> bool:
    return key in getattr(field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF), "metadata", {})


def _is_problem(named: object) -> bool:
    if isinstance(named, GraphQLObjectType):
        return any(each.name == "Problem" for each in named.interfaces)
    return isinstance(named, GraphQLInterfaceType) and named.name == "Problem"
