"""The wrapping types of a field, taken apart once: what may be null, what is a list, what stands inside."""

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

from .markers import BY_CLASS

CompositeType = GraphQLObjectType | GraphQLAbstractType


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A type of values: its outermost layer, and what that wraps."""

    nullable: bool
    items: Wrapped | None
    """What a list holds, None if it is no list."""
    is_leaf: bool
    composite: CompositeType
    """The type of objects; meaningful for them alone."""
    is_type_of: Callable[..., Any] | None
    """What an object type says of its values, if it says it by their class alone."""
    is_certain: bool
    """Whether it is an object type that says nothing of its values."""
    known: set[type] = field(default_factory=set)
    """Classes of values, met before, that need no further question."""

    def know(self, classes: set[type]) -> None:
        """Ask nothing about values of these classes any more."""
        if classes <= self.known:
            return
        if len(self.known) >= _MOST_CLASSES:  # classes made at run time must not pile up
            self.known.clear()
        self.known.update(classes)


_MOST_CLASSES = 64


def wrapped(type_: GraphQLOutputType) -> Wrapped:
    """Take a type apart."""
    nullable = not is_non_null_type(type_)
    if is_non_null_type(type_):
        type_ = type_.of_type
    items = wrapped(type_.of_type) if is_list_type(type_) else None
    is_type_of = type_.is_type_of if isinstance(type_, GraphQLObjectType) else None
    return Wrapped(
        nullable=nullable,
        items=items,
        is_leaf=is_leaf_type(type_),
        composite=cast("CompositeType", type_),
        is_type_of=is_type_of if getattr(is_type_of, BY_CLASS, False) else None,
        is_certain=isinstance(type_, GraphQLObjectType) and is_type_of is None,
    )
