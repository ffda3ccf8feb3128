"""Replaces failed values by nulls, which propagate upward past non-null types as the specification requires."""

from typing import Any

from graphql import GraphQLError, GraphQLOutputType, is_list_type, is_non_null_type, located_error

from app.execution.model import Failure, Level, PlanField, Selection


def propagate_nulls(
    root: Level, levels: list[Level], failed: set[PlanField]
) -> tuple[dict[str, Any] | None, list[GraphQLError]]:
    """Replace the failures of these fields by nulls and propagate them upward.

    Returns the data, None if a null reached the root, and one error per null.
    """
    selections = {
        id(row): level.selection
        for level in levels
        if level.place and level.place.field in failed
        for row in level.rows
    }
    propagation = _NullPropagation(selections, failed)
    data: dict[str, Any] = root.rows[0]
    error = propagation.object(root.selection, data, [])
    if error is not None:
        return None, [error]
    return data, propagation.errors


class _NullPropagation:
    def __init__(self, selections: dict[int, Selection], failed: set[PlanField]) -> None:
        self._selections = selections
        self._failed = failed
        self.errors: list[GraphQLError] = []

    def object(self, selection: Selection, row: dict[str, Any], path: list[str | int]) -> GraphQLError | None:
        """Propagate the nulls in one object. Returns an error if the object itself becomes null."""
        for field in selection.fields:
            if field in self._failed:
                value, error = self._value(field, field.type, row[field.key], [*path, field.key])
                if error is not None:
                    return error
                row[field.key] = value
        return None

    def _value(
        self, field: PlanField, type_: GraphQLOutputType, value: Any, path: list[str | int]
    ) -> tuple[Any, GraphQLError | None]:
        nullable = True
        if is_non_null_type(type_):
            nullable, type_ = False, type_.of_type
        before = len(self.errors)
        error = None
        try:
            if isinstance(value, Failure):
                error = located_error(value.error, field.nodes, path)
            elif value is None:
                pass
            elif is_list_type(type_):
                for index, item in enumerate(value):
                    value[index], error = self._value(field, type_.of_type, item, [*path, index])
                    if error is not None:
                        break
            elif not field.leaf:
                error = self.object(self._selections[id(value)], value, path)
        except Exception as raised:  # noqa: BLE001 - nested too deep, or an error whose message raises
            error = located_error(raised, field.nodes, path)
        if error is None:
            return value, None
        if not nullable:
            return None, error
        del self.errors[before:]
        self.errors.append(error)
        return None, None
