"""@oneOf inputs: exactly one field is given, and it is not null.

graphql-core has the rules of the specification for documents, variables and literals, which both executors use. They
apply to types that are marked. Strawberry does not mark them: it has a rule for documents of its own.
"""

from typing import Any

from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    ValidationRule,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter


def mark_one_of(schema: GraphQLSchema) -> None:
    """Mark the @oneOf inputs of a schema that Strawberry built, so that graphql-core checks their values.

    `__Type.isOneOf` is answered by this mark, and null for what is no input. Strawberry's resolver raises for lists.
    """
    described: Any = schema.type_map["__Type"]
    described.fields["isOneOf"].resolve = lambda type_, _info: getattr(type_, "is_one_of", None)
    for named in schema.type_map.values():
        if isinstance(named, GraphQLInputObjectType):
            named.is_one_of = named.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].is_one_of


class OneOfVariables(ValidationRule):
    """Validation of documents: the variable that is a field of a @oneOf input cannot be null.

    graphql-core's rule passes over inputs in a position where null is not allowed.
    """

    def leave_operation_definition(self, node: OperationDefinitionNode, *_args: Any) -> None:
        """Report the variables of an operation that could be null."""
        definitions = {each.variable.name.value: each for each in node.variable_definitions or ()}
        for usage in self.context.get_recursive_variable_usages(node):
            parent, definition = usage.parent_type, definitions.get(usage.node.name.value)
            if definition is None or isinstance(definition.type, NonNullTypeNode):
                continue
            if isinstance(parent, GraphQLNonNull) and getattr(parent.of_type, "is_one_of", False):
                message = (
                    f"Variable '${usage.node.name.value}' must be non-nullable to be used for OneOf Input Object"
                    f" '{parent.of_type}'."
                )
                self.report_error(GraphQLError(message, [definition, usage.node]))
