"""Helpers for declarations: types and the classes that they show, fields with descriptions, arguments of lists."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import strawberry

from app.execution import BATCH_RESOLVER
from app.query_cost.price import ASSUMED_SIZE, PRICE
from permissions.guards import can, guarded
from permissions.matrix import Action
from resolvers.list_bounds import Bound, bounded, bounds
from resolvers.paging import LARGEST_PAGE

T = TypeVar("T")

NEVER_NULL = "never_null"
"""Key in a field's `metadata`: its value is never null, although the class or the schema allows null."""

MOST_ITEMS = "most_items"
"""Key in the `metadata` of a list in an input or an argument: the maximum number of its items."""

CAN_BE_EMPTY = "can_be_empty"
"""Key in the `metadata` of a field of a patch: whether null empties it."""


def shows(shown: type, description: str) -> Callable[[type[T]], type[T]]:
    """Make a class the GraphQL type for values of class `shown`.

    The type's name in GraphQL is the name of the class without the suffix `Type`: `DeviceType` is `Device`.
    """

    def made(cls: type[T]) -> type[T]:
        made_type = strawberry.type(cls, name=cls.__name__.removesuffix("Type"), description=description)
        declare_shown(made_type, shown)
        return made_type

    return made


def declare_shown(cls: type, shown: type) -> None:
    """Declare the class of the values that a GraphQL type shows."""
    setattr(cls, _SHOWN, shown)


def shown_by(cls: type) -> type | None:
    """The class of the values that a GraphQL type shows, or None if it declares none."""
    return getattr(cls, _SHOWN, None)


_SHOWN = "__shown_class__"


def field(description: str, *, never_null: bool = False, most: int | None = None) -> Any:
    """A field of an input, of a payload, or of another value that is not a row.

    `never_null` declares that the value is never null, although its class or the schema allows null. `most` is the
    maximum number of items of an input's list.
    """
    declared = {NEVER_NULL: True if never_null else None, MOST_ITEMS: most}
    return strawberry.field(
        description=description, metadata={key: value for key, value in declared.items() if value is not None}
    )


def column(description: str, *, never_null: bool = False) -> Any:
    """A field that shows the column of the same name of the type's row; `never_null` as for `field`."""
    return field(description, never_null=never_null)


def complete(description: str, most: Bound, *, size: int | None = None) -> Any:
    """A field that shows a list which is never cut, and has at most `most` items; `size` as for `computed`."""
    metadata = bounds(most) if size is None else {**bounds(most), ASSUMED_SIZE: size}
    return strawberry.field(description=bounded(description, most), metadata=metadata)


First = Annotated[
    int, strawberry.argument(description=f"The maximum number of nodes to return, from 1 to {LARGEST_PAGE}.")
]
After = Annotated[
    str | None,
    strawberry.argument(
        description="The cursor of the last node that was received, from the same list. Null to start at the beginning."
    ),
]
Identifier = Annotated[
    strawberry.ID, strawberry.argument(description="The id of the object, exactly as the API returned it.")
]


def computed(
    resolver: Callable[..., Any],
    description: str,
    *,
    of_all: Callable[..., Any] | None = None,
    needs: Action | None = None,
    size: int | None = None,
    price: int | None = None,
    most: Bound | None = None,
) -> Any:
    """A field whose value a resolver computes from the type's row; `of_all` computes those of all rows of a level.

    A list has at most `most` items and is never cut. It is priced by its usual `size`, and the field itself by `price`,
    if it reads more than one object.
    """
    guards = guarded(can(needs)) if needs else []
    declared = {BATCH_RESOLVER: of_all, ASSUMED_SIZE: size, PRICE: price}
    metadata = {key: value for key, value in declared.items() if value is not None} | bounds(most)
    return strawberry.field(
        resolver=resolver, description=bounded(description, most), extensions=guards, metadata=metadata
    )


def derived(function: Callable[[Any], Any], description: str) -> Any:
    """A field whose value is a function of the type's row alone. The function must not raise."""

    def of_all(rows: list[Any], _info: Any) -> list[Any]:
        return [function(row) for row in rows]

    return strawberry.field(resolver=function, description=description, metadata={BATCH_RESOLVER: of_all})


def optional(description: str, *, most: int | None = None) -> Any:
    """A field of an input that may be left out; `most` as for `field`."""
    return strawberry.field(description=description, default=None, metadata={} if most is None else {MOST_ITEMS: most})


def argument(description: str, *, most: int | None = None) -> Any:
    """The annotation of an argument, with its description; `most` as for `field`."""
    return strawberry.argument(description=description, metadata={} if most is None else {MOST_ITEMS: most})


def patch(description: str, *, can_be_empty: bool = True) -> Any:
    """A field of a patch: its stored value is kept if it is left out, and null empties it, if it `can_be_empty`.

    The annotation is then `Maybe[T | None]`, and `Maybe[T]` if it cannot.
    """
    of_null = "null empties it" if can_be_empty else "it cannot be null"
    return strawberry.field(
        description=f"{description} Leave it out to keep it; {of_null}.", metadata={CAN_BE_EMPTY: can_be_empty}
    )
