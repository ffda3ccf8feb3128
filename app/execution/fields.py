"""How a field of the schema is resolved, determined from its definition once per plan."""

from graphql import GraphQLField, GraphQLSchema, default_field_resolver

from app.execution.markers import BATCH_RESOLVER
from app.execution.model import Attribute, Source
from app.execution.sources import batch, call_each, read
from app.execution.strawberry_fields import strawberry_attribute, strawberry_field, strawberry_source


def attribute_of(definition: GraphQLField, name: str) -> Attribute | None:
    """Return the attribute that a field reads, None if it has arguments or a resolver."""
    if definition.args or is_batched(definition):
        return None
    if definition.resolve is None or definition.resolve is default_field_resolver:
        return Attribute(name, default=True)
    field = strawberry_field(definition)
    return None if field is None else strawberry_attribute(definition, field)


def has_resolver(definition: GraphQLField, name: str) -> bool:
    """Return whether a field has a resolver of its own, instead of reading an attribute of its parent."""
    return attribute_of(definition, name) is None


def is_batched(definition: GraphQLField) -> bool:
    """Return whether a field has a batch resolver."""
    field = strawberry_field(definition)
    return BATCH_RESOLVER in (definition.extensions if field is None else field.metadata)


def source_of(schema: GraphQLSchema, definition: GraphQLField, attribute: Attribute | None) -> Source:
    """Return the source of a field's values."""
    field = strawberry_field(definition)
    if field is not None:
        return strawberry_source(schema, definition, field, attribute)
    if BATCH_RESOLVER in definition.extensions:
        return batch(definition.extensions[BATCH_RESOLVER])
    return read(attribute) if attribute is not None else call_each(definition.resolve or default_field_resolver)
