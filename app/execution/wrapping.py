"""The wrapping types of a field, analysed once per plan: nullability, lists, and the type inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from graphql import (
    GraphQLAbstractType,
    GraphQLObjectType,
    GraphQLOutputType,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

from app.execution.markers import BY_CLASS

CompositeType = GraphQLObjectType | GraphQLAbstractType


@dataclass(frozen=True, slots=True)
class WrappedType:
    """The outermost layer of a type, and the type that it wraps."""

    nullable: bool
    items: WrappedType | None
    """The type of the list's items, None if this is not a list."""
    is_leaf: bool
    composite: CompositeType
    """The object, interface or union type; defined only if this is neither a leaf nor a list."""
    is_type_of: Callable[..., Any] | None
    """The `is_type_of` function of an object type if it is marked with `by_class`."""
    needs_no_check: bool
    """Whether this is an object type without an `is_type_of` function."""
    accepted: set[type] = field(default_factory=set)
    """Classes of values that were checked before and need no further check."""

    def accept(self, classes: set[type]) -> None:
        """Skip the checks for values of these classes from now on."""
        if classes <= self.accepted:
            return
        if len(self.accepted) >= _MOST_CLASSES:  # bounds the set if classes are created at run time
            self.accepted.clear()
        self.accepted.update(classes)


_MOST_CLASSES = 64


def unwrap(type_: GraphQLOutputType) -> WrappedType:
    """Analyse a type and everything that it wraps."""
    nullable = not is_non_null_type(type_)
    if is_non_null_type(type_):
        type_ = type_.of_type
    items = unwrap(type_.of_type) if is_list_type(type_) else None
    is_type_of = type_.is_type_of if isinstance(type_, GraphQLObjectType) else None
    return WrappedType(
        nullable=nullable,
        items=items,
        is_leaf=is_leaf_type(type_),
        composite=cast("CompositeType", type_),
        is_type_of=is_type_of if getattr(is_type_of, BY_CLASS, False) else None,
        needs_no_check=isinstance(type_, GraphQLObjectType) and is_type_of is None,
    )
