"""The number of objects that one operation may return: its price, and more up to the maximum price.

The price assumes usual sizes for the lists that have no pages. An operation that finds more objects than its price
reserves the difference while it runs, so that it never returns more than it has reserved. A query never returns more
than the maximum; a mutation never reads more after its write. The problems of a mutation are part of its result, and
are returned even if they are more.
"""

from collections.abc import Awaitable

from app.db.loaders import TooManyRows
from app.query_cost.limits import DocumentTooComplex
from resolvers.budgets import Budgets

ENDING = (DocumentTooComplex, TooManyRows)
"""The exceptions of fields that end an operation."""


class ObjectAllowance:
    """The objects that one operation has reserved, and the maximum that it can reserve."""

    def __init__(self, budgets: Budgets, *, price: int, maximum: int, has_written: bool) -> None:
        """`has_written`: the operation is a mutation, whose own result is not withheld."""
        self._budgets = budgets
        self.maximum = maximum
        self._has_written = has_written
        self.reserved = price

    def check(self, objects: int) -> None:
        """Raise DocumentTooComplex if resolvers return more objects than the maximum."""
        if objects > self.maximum:
            raise DocumentTooComplex(limit="price", maximum=self.maximum)

    def reserve(self, objects: int) -> Awaitable[None] | None:
        """Reserve so many objects in all. For a query, raises DocumentTooComplex, and RateLimited when awaited."""
        if self._has_written:
            self.reserved = max(objects, self.reserved)
            return None
        self.check(objects)
        return self._extend(objects) if objects > self.reserved else None

    async def _extend(self, objects: int) -> None:
        await self._budgets.extend(objects - self.reserved)
        self.reserved = objects
