"""Shorthand of the declarations: a described column, and the arguments that every list takes."""

from collections.abc import Callable
from typing import Annotated, Any

import strawberry

from app.execution import BATCH_RESOLVER
from app.query_cost.price import ASSUMED_SIZE
from permissions.guards import can, guarded
from permissions.matrix import Action
from resolvers.paging import LARGEST_PAGE


def column(description: str) -> Any:
    """A field that shows a column of the type's row."""
    return strawberry.field(description=description)


First = Annotated[int, strawberry.argument(description=f"How many at most, from 1 to {LARGEST_PAGE}.")]
After = Annotated[
    str | None,
    strawberry.argument(description="The cursor of the last row already seen, from the same list; null to start."),
]
Identifier = Annotated[strawberry.ID, strawberry.argument(description="The object's id, exactly as it was given.")]


def computed(
    resolver: Callable[..., Any], description: str, *, needs: Action | None = None, size: int | None = None
) -> Any:
    """A field whose value a resolver makes from the type's row; a list is priced by the `size` that it usually has."""
    guards = guarded(can(needs)) if needs else []
    priced = {} if size is None else {ASSUMED_SIZE: size}
    return strawberry.field(resolver=resolver, description=description, extensions=guards, metadata=priced)


def derived(function: Callable[[Any], Any], description: str) -> Any:
    """A field whose value is a function of the type's row alone, one that does not raise."""

    def of_all(rows: list[Any], _info: Any) -> list[Any]:
        return [function(row) for row in rows]

    return strawberry.field(resolver=function, description=description, metadata={BATCH_RESOLVER: of_all})


def optional(description: str) -> Any:
    """A field of an input that may be left out."""
    return strawberry.field(description=description, default=None)


def argument(description: str) -> Any:
    """What an argument's annotation says beside its type."""
    return strawberry.argument(description=description)
