"""Names of the schema by which operators tell requests apart: they label metrics."""

import strawberry
from graphql import GraphQLSchema
from strawberry.permission import PermissionExtension
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from permissions.guards import JUDGES_EACH_ID

META_FIELDS = ("__typename", "__schema", "__type")
"""The root fields of introspection, which the schema does not list."""


def root_fields(schema: GraphQLSchema) -> tuple[str, ...]:
    """The fields that an operation can select at its root."""
    roots = (schema.query_type, schema.mutation_type)
    return (*META_FIELDS, *[name for root in roots if root is not None for name in root.fields])


def guarded_fields(schema: strawberry.Schema) -> frozenset[str]:
    """The fields of any type that a role may lack, or some of whose objects."""
    definitions = [each.definition for each in schema.schema_converter.type_map.values()]
    return frozenset(
        schema.config.name_converter.from_field(field)
        for definition in definitions
        if isinstance(definition, StrawberryObjectDefinition) and not definition.is_input
        for field in definition.fields
        if _can_be_refused(field)
    )


def _can_be_refused(field: StrawberryField) -> bool:
    guards = [each for each in field.extensions if isinstance(each, PermissionExtension)]
    return bool(guards) or JUDGES_EACH_ID in field.metadata
