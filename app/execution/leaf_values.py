"""Completion of scalars and enums: coerced values, nulls and failures."""

from collections.abc import Sequence
from typing import Any

from graphql import Undefined

from app.execution.leaves import coerce
from app.execution.model import PlanField, Run


def complete_leaf(run: Run, field: PlanField, nullable: bool, value: Any) -> Any:
    """Complete one value of a scalar or enum: its coerced form, null or a failure."""
    assert field.leaf is not None  # noqa: S101 - called for leaf fields only
    if value is None or value is Undefined:
        return None if nullable else run.failure(field, null_error(field))
    leaf = field.leaf
    if type(value) in leaf.native and (leaf.native_if is None or getattr(value, leaf.native_if)):
        return value
    try:
        if isinstance(value, Exception):
            return run.failure(field, value)
        return coerce(leaf.definition, value)
    except Exception as error:  # noqa: BLE001 - coercion rejects a value by raising
        return run.failure(field, error)


def complete_leaves(run: Run, field: PlanField, nullable: bool, values: Sequence[Any]) -> list[Any]:
    """Complete a sequence of values of a scalar or enum."""
    try:
        return field.leaf_column(nullable)(values)
    except Exception:  # noqa: BLE001 - the slow path below raises it again, for its own value
        return [complete_leaf(run, field, nullable, value) for value in values]


def null_error(field: PlanField) -> TypeError:
    """Return the error for a null in a non-null position."""
    return TypeError(f"Cannot return null for non-nullable field {field.parent_type}.{field.name}.")
