"""The budgets of a viewer per minute, and the errors when a budget is exceeded.

Each mutation declares its budget. The budget is checked after the role and before the format of the input, so that
every call counts, including calls that are refused, are repeated with their key, or change nothing. A dry run does the
work of the call and counts toward a budget of its own. app/limiting does the counting.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.events import BUDGET_EXCEEDED
from app.domain.vocabulary import Budget, Role
from app.operations.event_log import emit


class RateLimited(Exception):  # noqa: N818 - named after the error code
    """One of the viewer's budgets is exceeded until the minute ends."""

    def __init__(self, budget: str, limit: int, retry_after_ms: int) -> None:
        counted = budget.lower().replace("_", " ")
        super().__init__(
            f"Rate limit exceeded: {limit:,} {counted} per minute. Retry after `retryAfterMs` milliseconds."
        )
        self.budget = budget
        self.limit = limit
        self.retry_after_ms = retry_after_ms


class BudgetsUnavailable(Exception):  # noqa: N818 - named after the problem
    """Rate limits are unavailable. Retry shortly."""

    def __init__(self) -> None:
        super().__init__("Rate limits are unavailable. Retry shortly.")


class WritesClosed(Exception):  # noqa: N818 - named after the problem
    """Writes are refused while budgets cannot be counted."""

    def __init__(self) -> None:
        super().__init__("Writes are unavailable because rate limits cannot be counted. Nothing was written.")


class Reservation(Protocol):
    """The result of taking from budgets."""

    @property
    def window(self) -> int:
        """The window in which the amount was taken."""

    @property
    def refused(self) -> str | None:
        """The budget that is exceeded, or None."""

    @property
    def retry_after_ms(self) -> int:
        """Milliseconds until the budget is renewed."""


class BudgetState(Protocol):
    """The state of one budget in the current window."""

    @property
    def name(self) -> str:
        """The name of the budget."""

    @property
    def limit(self) -> int:
        """The amount per minute."""

    @property
    def remaining(self) -> int:
        """The amount left."""

    @property
    def resets_at(self) -> datetime:
        """The time when the whole limit is available again."""


class BudgetCounter(Protocol):
    """Counts the use of budgets per user. Each method raises ConnectionError while the counts are unavailable."""

    @property
    def limits(self) -> Mapping[str, int]:
        """The limit of each budget per minute."""

    async def take(self, user_id: str, costs: Mapping[str, int]) -> Reservation:
        """Take amounts from several budgets: all of them, or none if one is exceeded."""

    async def correct(self, user_id: str, window: int, name: str, amount: int) -> None:
        """Add to a count in an earlier window; a negative amount subtracts."""

    async def states(self, user_id: str) -> Sequence[BudgetState]:
        """The state of each of the user's budgets."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The state of one of the viewer's budgets."""

    budget: Budget
    limit: int
    remaining: int
    resets_at: datetime


@dataclass(slots=True)
class Budgets:
    """The budgets of one viewer during one request.

    While they cannot be counted, reads and dry runs are served, and writes are refused.
    """

    counter: BudgetCounter
    user_id: str
    role: Role
    reserved: tuple[int, int] | None = None
    """The window and the number of the objects reserved."""

    async def reserve(self, objects: int) -> None:
        """Reserve the number of objects that an operation may return. Raises RateLimited."""
        try:
            taken = await self._take({Budget.OBJECTS: objects})
        except ConnectionError:
            return
        self.reserved = taken.window, objects

    async def extend(self, objects: int) -> None:
        """Reserve more objects for an operation that runs. Raises RateLimited."""
        if self.reserved is None:
            return
        try:
            await self._take({Budget.OBJECTS: objects})
        except ConnectionError:
            return
        window, reserved = self.reserved
        self.reserved = window, reserved + objects

    async def charge(self, objects: int) -> None:
        """Charge for work that returns no objects, before it is done. Raises RateLimited."""
        with suppress(ConnectionError):
            await self._take({Budget.OBJECTS: objects})

    async def settle(self, objects: int) -> None:
        """Replace the reserved number of objects by the number returned."""
        if self.reserved is None:
            return
        (window, reserved), self.reserved = self.reserved, None
        try:
            await self.counter.correct(self.user_id, window, Budget.OBJECTS, objects - reserved)
        except ConnectionError:
            return

    async def spend(self, budget: Budget, *, items: int = 0) -> None:
        """Count a mutation toward its budget, and the items of a bulk one. Raises RateLimited or WritesClosed."""
        try:
            await self._take({budget: 1, Budget.BULK_ITEMS: items})
        except ConnectionError as error:
            raise WritesClosed from error

    async def spend_dry_run(self, *, items: int) -> None:
        """Count a dry run: once per item, and at least once. Raises RateLimited."""
        with suppress(ConnectionError):
            await self._take({Budget.DRY_RUNS: max(1, items)})

    async def rate_limits(self) -> list[RateLimit]:
        """The state of each of the viewer's budgets. Raises BudgetsUnavailable."""
        try:
            states = await self.counter.states(self.user_id)
        except ConnectionError as error:
            raise BudgetsUnavailable from error
        return [RateLimit(Budget(each.name), each.limit, each.remaining, each.resets_at) for each in states]

    async def _take(self, costs: Mapping[str, int]) -> Reservation:
        taken = await self.counter.take(self.user_id, costs)
        if taken.refused is not None:
            emit(BUDGET_EXCEEDED, user_id=self.user_id, role=self.role, budget=taken.refused)
            raise RateLimited(taken.refused, self.counter.limits[taken.refused], taken.retry_after_ms)
        return taken
