"""A walk over a built schema: which fields are reached without any guard, and which roles can arrive at each type."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_composite_type,
)
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.schema.schema_converter import GraphQLCoreConverter

from app.domain.vocabulary import Role
from permissions.guards import JUDGES_EACH_ID, Can, CanViewTypeOfId
from permissions.matrix import AUDIENCE, MATRIX, Action

EVERYBODY = frozenset(Role)
ALL_ACTIONS = frozenset(Action)


@dataclass
class Walk:
    """What was found: fields by `Type.name`, roles by type and by field."""

    open_fields: set[str] = field(default_factory=set)
    guarded_fields: set[str] = field(default_factory=set)
    roles_at_type: defaultdict[str, set[Role]] = field(default_factory=lambda: defaultdict(set))
    roles_at_field: defaultdict[str, set[Role]] = field(default_factory=lambda: defaultdict(set))

    def trespasses(self) -> set[tuple[str, Role]]:
        """The types that a role can arrive at although the matrix does not let it stand before them."""
        return {
            (name, role)
            for name, roles in self.roles_at_type.items()
            if name in AUDIENCE
            for role in roles - MATRIX[AUDIENCE[name]]
        }


def walked(
    schema: GraphQLSchema,
    *,
    without: Collection[str] = (),
    actions: Collection[str] = ALL_ACTIONS,
    closed: Collection[str] = (),
) -> Walk:
    """Walk every path from the roots; the guards of the fields in `without` are taken for missing.

    Nobody may take other actions than `actions`, and nobody follows the fields in `closed`.
    """
    walk = Walk()
    roots = [root for root in (schema.query_type, schema.mutation_type) if root is not None]
    _walk_open(schema, roots, walk, without)
    pending: list[tuple[GraphQLNamedType, frozenset[Role]]] = [(root, EVERYBODY) for root in roots]
    while pending:
        type_, roles = pending.pop()
        if roles <= walk.roles_at_type[type_.name]:
            continue
        walk.roles_at_type[type_.name] |= roles
        for name, each in _fields(type_).items():
            place = f"{type_.name}.{name}"
            guards = [] if place in without else guards_of(each)
            if guards:
                walk.guarded_fields.add(place)
            passing = frozenset(role for role in roles if all(_passes(guard, role, None, actions) for guard in guards))
            walk.roles_at_field[place] |= passing
            target = get_named_type(each.type)
            if is_composite_type(target) and place not in closed:
                pending += [
                    (
                        found,
                        frozenset(role for role in passing if all(_passes(g, role, found, actions) for g in guards)),
                    )
                    for found in _possible(schema, target)
                ]
    return walk


def _walk_open(schema: GraphQLSchema, roots: Iterable[GraphQLNamedType], walk: Walk, without: Collection[str]) -> None:
    pending, seen = list(roots), set()
    while pending:
        type_ = pending.pop()
        if type_.name in seen:
            continue
        seen.add(type_.name)
        for name, each in _fields(type_).items():
            place = f"{type_.name}.{name}"
            if place in without or not guards_of(each):
                walk.open_fields.add(place)
                target = get_named_type(each.type)
                if is_composite_type(target):
                    pending += _possible(schema, target)


def guards_of(each: GraphQLField) -> list[BasePermission]:
    """The permission classes that stand before a field, or before each object of its list."""
    definition: Any = each.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    extensions = getattr(definition, "extensions", [])
    guards = [guard for one in extensions if isinstance(one, PermissionExtension) for guard in one.permissions]
    return [*guards, CanViewTypeOfId()] if JUDGES_EACH_ID in getattr(definition, "metadata", {}) else guards


def _passes(guard: BasePermission, role: Role, target: GraphQLNamedType | None, actions: Collection[str]) -> bool:
    if isinstance(guard, Can):
        return guard.action in actions and role in MATRIX[guard.action]
    assert isinstance(guard, CanViewTypeOfId), f"the walk does not know {guard}"
    needed = None if target is None else AUDIENCE.get(target.name)
    return needed is None or (needed in actions and role in MATRIX[needed])


def _fields(type_: GraphQLNamedType) -> dict[str, GraphQLField]:
    return dict(type_.fields) if isinstance(type_, GraphQLObjectType) else {}


def _possible(schema: GraphQLSchema, target: Any) -> list[GraphQLNamedType]:
    if isinstance(target, GraphQLInterfaceType | GraphQLUnionType):
        return list(schema.get_possible_types(target))
    return [target]
