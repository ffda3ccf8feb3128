"""Argument coercion for one field: once per plan, once per run, or once per parent, depending on the values."""

from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from itertools import repeat
from typing import Any
from uuid import UUID

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    ListValueNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
    VariableValues,
    get_argument_values,
)

_IMMUTABLE = (str, int, float, type(None), Enum, date, datetime, time, Decimal, UUID)


class Arguments:
    """The arguments that a field node passes to a field."""

    def __init__(self, definition: GraphQLField, node: FieldNode, hide_suggestions: bool) -> None:
        self._definition = definition
        self._node = node
        self._hide_suggestions = hide_suggestions
        self._constant: dict[str, Any] | None = {} if not definition.args else None
        if self._constant is None and not any(_has_variable(argument.value) for argument in node.arguments or ()):
            try:
                values = self.values(VariableValues({}, {}))
            except GraphQLError:
                return  # every run raises the error for itself
            if _can_be_shared(values):
                self._constant = values

    def values(self, variables: VariableValues) -> dict[str, Any]:
        """Return the coerced arguments. Raises GraphQLError where graphql-core does."""
        if self._constant is not None:
            return self._constant
        return get_argument_values(self._definition, self._node, variables, None, self._hide_suggestions)

    def per_parent(self, variables: VariableValues) -> Iterator[dict[str, Any]]:
        """Iterate endlessly over the arguments, one dict per parent; parents share only immutable values."""
        first = self.values(variables)
        if _can_be_shared(first):
            return repeat(first)
        return iter(lambda: self.values(variables), None)


def _can_be_shared(values: dict[str, Any]) -> bool:
    return all(isinstance(value, _IMMUTABLE) for value in values.values())


def _has_variable(node: ValueNode) -> bool:
    if isinstance(node, ListValueNode):
        return any(map(_has_variable, node.values))
    if isinstance(node, ObjectValueNode):
        return any(_has_variable(field.value) for field in node.fields)
    return isinstance(node, VariableNode)
