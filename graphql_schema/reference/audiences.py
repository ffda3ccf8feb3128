"""Which roles can see a field, derived from the guards of the schema and the permission matrix."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
)
from strawberry.permission import PermissionExtension
from strawberry.schema.schema_converter import GraphQLCoreConverter

from app.domain.vocabulary import Role
from permissions.guards import JUDGES_EACH_ID, Can, CanViewTypeOfId
from permissions.matrix import AUDIENCE, Action
from permissions.policy import roles_with

EVERYBODY = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Audiences:
    """The roles that can reach each type, and those that can see each field, by `Type` and `Type.field`."""

    of_type: Mapping[str, frozenset[Role]]
    of_field: Mapping[str, frozenset[Role]]


def audiences(schema: GraphQLSchema) -> Audiences:
    """Follow every path from the roots with the roles that pass its guards. Inputs and enums have no audience."""
    of_type: defaultdict[str, frozenset[Role]] = defaultdict(frozenset)
    of_field: defaultdict[str, frozenset[Role]] = defaultdict(frozenset)
    roots = [root for root in (schema.query_type, schema.mutation_type) if root is not None]
    pending: list[tuple[GraphQLNamedType, frozenset[Role]]] = [(root, EVERYBODY) for root in roots]
    while pending:
        type_, arriving = pending.pop()
        if arriving <= of_type[type_.name]:
            continue
        of_type[type_.name] |= arriving
        if not isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            continue
        for name, field in type_.fields.items():
            passing = frozenset(arriving.intersection(*map(roles_with, actions_of(field))))
            of_field[f"{type_.name}.{name}"] |= passing
            pending += _reached(schema, field, passing)
    return Audiences(of_type, of_field)


def actions_of(field: GraphQLField) -> tuple[Action, ...]:
    """Return the actions that a field requires of the viewer."""
    return tuple(guard.action for guard in _guards(field) if isinstance(guard, Can))


def judges_by_type(field: GraphQLField) -> bool:
    """Return whether a field asks the policy about the type of each object that it returns."""
    metadata = getattr(field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF), "metadata", {})
    return JUDGES_EACH_ID in metadata or any(isinstance(guard, CanViewTypeOfId) for guard in _guards(field))


def _guards(field: GraphQLField) -> Iterable[Any]:
    declared = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    extensions = [each for each in getattr(declared, "extensions", ()) if isinstance(each, PermissionExtension)]
    return [guard for each in extensions for guard in each.permissions]


def _reached(
    schema: GraphQLSchema, field: GraphQLField, passing: frozenset[Role]
) -> Iterable[tuple[GraphQLNamedType, frozenset[Role]]]:
    target = get_named_type(field.type)
    if not is_composite_type(target):
        return
    yield target, passing
    if is_abstract_type(target):
        judged = judges_by_type(field)
        for each in schema.get_possible_types(target):
            yield each, passing & roles_with(AUDIENCE[each.name]) if judged and each.name in AUDIENCE else passing
