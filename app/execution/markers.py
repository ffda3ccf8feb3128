"""What a schema may tell the breadth-first executor: four markers, each without meaning to any other executor."""

from collections.abc import Callable
from typing import Any, TypeVar

BATCH_RESOLVER = "breadth_first.batch_resolver"
"""Key under which a field carries its batch resolver: `metadata` of a Strawberry field, `extensions` of a GraphQLField.

A batch resolver is `async def (parents: list, info, **args) -> list` (a plain function will do) and answers for all
parents at once, in their order. An exception instance as an item is that parent's error; raising fails them all.
The field keeps its ordinary resolver beside it, for executors that visit one object at a time.
"""

VIEWER_ONLY = "viewer_only"
"""Attribute of a permission class whose answer depends on the context and the arguments, never on the source.

A class with `viewer_only = True` is asked once for each field and level, with None as the source.
"""

BY_CLASS = "by_class"
"""Attribute of an `is_type_of` or `resolve_type` function whose answer depends on `type(value)` alone."""

TYPED = "typed_attributes"
"""Attribute of a class: by name of an attribute, the classes that its values have, `NoneType` where it may be None.

What a class promises is not tested value by value. An attribute that is not among them is.
"""

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


def by_class(function: AnyFunction) -> AnyFunction:
    """Mark an `is_type_of` or `resolve_type` function: asked once for each class of value, not for each value."""
    setattr(function, BY_CLASS, True)
    return function
