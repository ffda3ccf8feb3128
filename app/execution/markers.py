"""Markers with which a schema describes itself to the breadth-first executor. Other executors ignore them."""

from collections.abc import Callable
from typing import Any, TypeVar

BATCH_RESOLVER = "breadth_first.batch_resolver"
"""Key of a field's batch resolver: in `metadata` of a Strawberry field, in `extensions` of a GraphQLField.

A batch resolver is `async def (parents: list, info, **args) -> list` or a plain function of that signature. It returns
one result per parent, in order. An exception instance in the list is the error of that parent; an exception that it
raises is the error of every parent. The field keeps its ordinary resolver for executors that visit one object at a
time.
"""

VIEWER_ONLY = "viewer_only"
"""Attribute of a permission class whose result depends on the context and the arguments, never on the source.

A permission with `viewer_only = True` is called once per field and level, with None as the source.
"""

BY_CLASS = "by_class"
"""Attribute of an `is_type_of` or `resolve_type` function whose result depends only on `type(value)`."""

TYPED = "typed_attributes"
"""Attribute of a class that maps attribute names to the set of classes of their values (`NoneType` for nullable ones).

The executor does not check the values of declared attributes one by one. It checks the values of all others.
"""

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


def by_class(function: AnyFunction) -> AnyFunction:
    """Mark an `is_type_of` or `resolve_type` function to be called once per class of value instead of per value."""
    setattr(function, BY_CLASS, True)
    return function
