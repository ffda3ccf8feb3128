"""Errors stand in the result where they happened; a second pass, if there are any, puts nulls in by the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, GraphQLOutputType, is_list_type, is_non_null_type, located_error

if TYPE_CHECKING:
    from .locations import Level
    from .plan import PlanField, Selection


class Failure:
    """What stands in the place of a value that could not be had."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def null_error(field: PlanField) -> TypeError:
    """The error of null where the schema has none."""
    return TypeError(f"Cannot return null for non-nullable field {field.parent_type}.{field.name}.")


def place_nulls(
    root: Level, levels: list[Level], failed: set[PlanField]
) -> tuple[dict[str, Any] | None, list[GraphQLError]]:
    """Replace the failures below these fields by nulls, moved up by the non-null rules.

    Gives the data, None if the failure of a non-null field reached the root, and one error for each null so placed.
    """
    selections = {
        id(row): level.selection
        for level in levels
        if level.place and level.place.field in failed
        for row in level.rows
    }
    placing = _Placing(selections, failed)
    data: dict[str, Any] = root.rows[0]
    error = placing.object(root.selection, data, [])
    if error is not None:
        return None, [error]
    return data, placing.errors


class _Placing:
    def __init__(self, selections: dict[int, Selection], failed: set[PlanField]) -> None:
        self._selections = selections
        self._failed = failed
        self.errors: list[GraphQLError] = []

    def object(self, selection: Selection, row: dict[str, Any], path: list[str | int]) -> GraphQLError | None:
        """Place the nulls of one object; gives the error that takes the object itself away."""
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
        except Exception as raised:  # noqa: BLE001  nested too deep, or an error that cannot tell its message
            error = located_error(raised, field.nodes, path)
        if error is None:
            return value, None
        if not nullable:
            return None, error
        del self.errors[before:]
        self.errors.append(error)
        return None, None
