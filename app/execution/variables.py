"""Variable coercion for one operation, with the types looked up once."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLSchema,
    NamedTypeNode,
    NonNullTypeNode,
    Undefined,
    VariableDefinitionNode,
    VariableValues,
    coerce_input_value,
    get_nullable_type,
    get_variable_values,
    is_leaf_type,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValueSource

NO_VARIABLES = VariableValues({}, {})

_SCALARS = {str, int, float, bool, type(None)}


class GivenVariables(dict[str, Any]):
    """The variables of a request as they were sent, with their coerced values for one operation.

    graphql-core's `execute` takes them as a dict and coerces them again; the breadth-first executor does not.
    """

    def __init__(self, given: Mapping[str, Any], coerced: VariableValues) -> None:
        super().__init__(given)
        self.coerced = coerced


class Variables:
    """The variables that an operation defines."""

    def __init__(
        self, schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode], hide_suggestions: bool
    ) -> None:
        self._schema = schema
        self._definitions = definitions
        self._hide_suggestions = hide_suggestions
        self._signatures = _leaf_signatures(schema, definitions)

    def values(self, given: Mapping[str, Any], max_errors: int) -> VariableValues | list[GraphQLError]:
        """Return what graphql-core's `get_variable_values` returns: the coerced values, or a list of errors."""
        if not self._definitions:
            return NO_VARIABLES
        return self._scalar_values(given) or get_variable_values(
            self._schema,
            self._definitions,
            dict(given),
            max_errors=max_errors,
            hide_suggestions=self._hide_suggestions,
        )

    def _scalar_values(self, given: Mapping[str, Any]) -> VariableValues | None:
        """Return the values, None unless each is absent and optional or a scalar that its type accepts."""
        if self._signatures is None:
            return None
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for signature in self._signatures:
            name, type_ = signature.name, signature.type
            value = given.get(name, Undefined)
            if value is Undefined:
                if signature.default is not None or is_non_null_type(type_):
                    return None
                sources[name] = VariableValueSource(signature)
                continue
            if type(value) not in _SCALARS:
                return None
            accepted = coerce_input_value(value, type_)
            if accepted is Undefined:
                return None
            sources[name] = VariableValueSource(signature, value)
            coerced[name] = accepted
        return VariableValues(sources, coerced)


def _leaf_signatures(
    schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode]
) -> list[GraphQLVariableSignature] | None:
    """Return the signatures of the variables, None unless all of them are scalars and enums."""
    signatures: list[GraphQLVariableSignature] = []
    for definition in definitions:
        inner = definition.type.type if isinstance(definition.type, NonNullTypeNode) else definition.type
        if not isinstance(inner, NamedTypeNode):
            return None
        signature = get_variable_signature(schema, definition)
        if isinstance(signature, GraphQLError) or not is_leaf_type(get_nullable_type(signature.type)):
            return None
        signatures.append(signature)
    return signatures
