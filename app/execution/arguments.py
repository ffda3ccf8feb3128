"""Arguments of one field: coerced once for the plan, once for a run, or anew for each parent, as their values allow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from itertools import repeat
from typing import Any
from uuid import UUID

from graphql import FieldNode, GraphQLError, GraphQLField
from graphql.execution.values import VariableValues, get_argument_values
from graphql.language import ListValueNode, ObjectValueNode, ValueNode, VariableNode

_ATOMS = (str, int, float, type(None), Enum, date, datetime, time, Decimal, UUID)


class Arguments:
    """The arguments a field node gives to a field."""

    def __init__(self, definition: GraphQLField, node: FieldNode, hide_suggestions: bool) -> None:
        self._definition = definition
        self._node = node
        self._hide_suggestions = hide_suggestions
        self._constant: dict[str, Any] | None = {} if not definition.args else None
        if self._constant is None and not any(_varies(argument.value) for argument in node.arguments or ()):
            try:
                values = self.values(VariableValues({}, {}))
            except GraphQLError:
                return  # each run raises its own
            if _may_be_shared(values):
                self._constant = values

    def values(self, variables: VariableValues) -> dict[str, Any]:
        """The coerced arguments; raises GraphQLError where graphql-core does."""
        if self._constant is not None:
            return self._constant
        return get_argument_values(self._definition, self._node, variables, None, self._hide_suggestions)

    def for_each(self, variables: VariableValues) -> Iterator[dict[str, Any]]:
        """The same for parents without end, who share nothing that one of them could change."""
        first = self.values(variables)
        if _may_be_shared(first):
            return repeat(first)
        return iter(lambda: self.values(variables), None)


def _may_be_shared(values: dict[str, Any]) -> bool:
    return all(isinstance(value, _ATOMS) for value in values.values())


def _varies(node: ValueNode) -> bool:
    if isinstance(node, ListValueNode):
        return any(map(_varies, node.values))
    if isinstance(node, ObjectValueNode):
        return any(_varies(field.value) for field in node.fields)
    return isinstance(node, VariableNode)
