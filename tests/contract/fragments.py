"""Selections of every field of the types of an interface, by which rules find fields of one name that differ."""

from collections.abc import Iterator, Mapping
from itertools import combinations

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

DEPTH = 2
"""The levels of fields that are selected."""
LITERALS = {"Int!": "1"}
"""A value of each type of required argument."""
CONFLICTING = """
interface Node { id: ID! }
type One implements Node { id: ID! kind: Int label: String! parts: [String!]! same: Int }
type Other implements Node { id: ID! kind: String label: String parts: String! same: Int }
type Query { node(id: ID!): Node }
"""
CONFLICTING_FIELDS = {"kind", "label", "parts"}
"""A schema, and the fields of it that conflict: by type, by nullability, and as a list with a single value."""


def in_pairs(schema: GraphQLSchema, interface: str) -> Mapping[str, str]:
    """Selections on a field of the interface, by name: all fields of each two of its types, and of all its types."""
    abstract = schema.type_map[interface]
    assert isinstance(abstract, GraphQLInterfaceType)
    types = schema.get_possible_types(abstract)
    chosen = {f"{one.name}{other.name}": (one, other) for one, other in combinations(types, 2)} | {"All": types}
    return {name: " ".join(map(_fragment, each)) for name, each in chosen.items()}


def _fragment(on: GraphQLObjectType) -> str:
    return f"... on {on.name} {{ {' '.join(_fields(on, DEPTH))} }}"


def _fields(of: GraphQLNamedType, depth: int) -> Iterator[str]:
    if not isinstance(of, GraphQLObjectType) or not depth:
        yield "__typename"
        return
    for name, field in of.fields.items():
        shown = get_named_type(field.type)
        inside = "" if is_leaf_type(shown) else f" {{ {' '.join(_fields(shown, depth - 1))} }}"
        yield f"{name}{_arguments(field)}{inside}"


def _arguments(field: GraphQLField) -> str:
    required = [
        f"{name}: {LITERALS[str(each.type)]}" for name, each in field.args.items() if is_required_argument(each)
    ]
    return f"({', '.join(required)})" if required else ""
