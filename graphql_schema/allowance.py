"""The number of objects that one operation may return: its price, and more up to the maximum price.

The price assumes usual sizes for the lists that have no pages. An operation that finds more objects than its price
reserves the difference while it runs, so that it never returns more than it has reserved, nor than the maximum.
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
        """`has_written`: the operation is a mutation; its result is not withheld because a budget is exceeded."""
        self._budgets = budgets
        self._maximum = maximum
        self._has_written = has_written
        self.reserved = price

    def check(self, objects: int) -> None:
        """Raise DocumentTooComplex for more objects than the maximum."""
        if objects > self._maximum:
            raise DocumentTooComplex(limit="price", maximum=self._maximum)

    def reserve(self, objects: int) -> Awaitable[None] | None:
        """Reserve so many objects in all. Raises DocumentTooComplex, and RateLimited when awaited."""
        self.check(objects)
        if objects <= self.reserved:
            return None
        if self._has_written:
            self.reserved = objects
            return None
        return self._extend(objects)

    async def _extend(self, objects: int) -> None:
        await self._budgets.extend(objects - self.reserved)
        self.reserved = objects
