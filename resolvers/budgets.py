"""What a viewer may use per minute, and what is answered when a budget is spent.

Each mutation declares its budget. A budget is asked after the role and before the form of the input, so that every
call counts, whether it is then refused, repeated under its key, or changes nothing. app/limiting does the counting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.vocabulary import Budget


class RateLimited(Exception):  # noqa: N818 - the code's own name
    """One of the viewer's budgets is spent until the minute ends."""

    def __init__(self, budget: str, limit: int, retry_after_ms: int) -> None:
        super().__init__(f"The budget {budget} of this minute, {limit}, does not suffice; wait for `retryAfterMs`.")
        self.budget = budget
        self.limit = limit
        self.retry_after_ms = retry_after_ms


class BudgetsUnavailable(Exception):  # noqa: N818 - named for what is the matter
    """The budgets cannot be read right now."""

    def __init__(self) -> None:
        super().__init__("The budgets cannot be read right now.")


class WritesClosed(Exception):  # noqa: N818 - named for what is the matter
    """Writes are refused while budgets cannot be counted."""

    def __init__(self) -> None:
        super().__init__("Writes are closed while budgets cannot be counted; nothing was written.")


class Reservation(Protocol):
    """The result of taking from budgets."""

    @property
    def window(self) -> int:
        """The window that was taken from."""

    @property
    def refused(self) -> str | None:
        """The budget that is exceeded, or None."""

    @property
    def retry_after_ms(self) -> int:
        """Milliseconds until it is renewed."""


class BudgetState(Protocol):
    """The state of one budget in the current window."""

    @property
    def name(self) -> str:
        """Which budget."""

    @property
    def limit(self) -> int:
        """The amount per minute."""

    @property
    def remaining(self) -> int:
        """The amount left."""

    @property
    def resets_at(self) -> datetime:
        """When the whole limit is available again."""


class BudgetCounter(Protocol):
    """Counts what users take. Each method raises ConnectionError while the counts are unavailable."""

    @property
    def limits(self) -> Mapping[str, int]:
        """The amount of each budget per minute."""

    async def take(self, user_id: str, costs: Mapping[str, int]) -> Reservation:
        """Take from several budgets, all or nothing."""

    async def correct(self, user_id: str, window: int, name: str, amount: int) -> None:
        """Add to a count in a window that was taken from, or subtract when negative."""

    async def states(self, user_id: str) -> Sequence[BudgetState]:
        """The state of each of the user's budgets."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The state of one of the viewer's budgets, by its name in the API."""

    name: Budget
    limit: int
    remaining: int
    resets_at: datetime


@dataclass(slots=True)
class Budgets:
    """One viewer's budgets during one request. While they cannot be counted, reads are served and writes refused."""

    counter: BudgetCounter
    user_id: str
    reserved: tuple[int, int] | None = None
    """The window and the amount of the objects reserved."""

    async def reserve(self, objects: int) -> None:
        """Reserve what an operation may return. Raises RateLimited."""
        try:
            taken = await self._take({Budget.OBJECTS: objects})
        except ConnectionError:
            return
        self.reserved = taken.window, objects

    async def settle(self, objects: int) -> None:
        """Count what was returned in place of what was reserved."""
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
            raise RateLimited(taken.refused, self.counter.limits[taken.refused], taken.retry_after_ms)
        return taken
