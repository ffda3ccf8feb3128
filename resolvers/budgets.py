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


class TakeResult(Protocol):
    """What came of taking."""

    @property
    def window(self) -> int:
        """The window it was about."""

    @property
    def refused(self) -> str | None:
        """The budget that lacks, or None."""

    @property
    def retry_after_ms(self) -> int:
        """For how long it lacks."""


class BudgetState(Protocol):
    """Where a budget stands."""

    @property
    def name(self) -> str:
        """Which budget."""

    @property
    def limit(self) -> int:
        """How much there is a minute."""

    @property
    def remaining(self) -> int:
        """What is left of it."""

    @property
    def resets_at(self) -> datetime:
        """When it is whole again."""


class BudgetCounter(Protocol):
    """What counts. Each of its methods raises ConnectionError while it cannot."""

    @property
    def limits(self) -> Mapping[str, int]:
        """How much there is of each budget."""

    async def take(self, user_id: str, costs: Mapping[str, int]) -> TakeResult:
        """Take from several budgets, all or nothing."""

    async def correct(self, user_id: str, window: int, name: str, amount: int) -> None:
        """Count more, or less, in a window that was taken from."""

    async def standings(self, user_id: str) -> Sequence[BudgetState]:
        """Where the user's budgets stand."""


@dataclass(slots=True)
class Budgets:
    """One viewer's budgets during one request. While they cannot be counted, reads are served and writes refused."""

    limiter: BudgetCounter
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
            await self.limiter.correct(self.user_id, window, Budget.OBJECTS, objects - reserved)
        except ConnectionError:
            return

    async def spend(self, budget: Budget, *, items: int = 0) -> None:
        """Count a mutation toward its budget, and the items of a bulk one. Raises RateLimited or WritesClosed."""
        try:
            await self._take({budget: 1, Budget.BULK_ITEMS: items})
        except ConnectionError as error:
            raise WritesClosed from error

    async def standings(self) -> Sequence[BudgetState]:
        """Where the budgets stand. Raises BudgetsUnavailable."""
        try:
            return await self.limiter.standings(self.user_id)
        except ConnectionError as error:
            raise BudgetsUnavailable from error

    async def _take(self, costs: Mapping[str, int]) -> TakeResult:
        taken = await self.limiter.take(self.user_id, costs)
        if taken.refused is not None:
            raise RateLimited(taken.refused, self.limiter.limits[taken.refused], taken.retry_after_ms)
        return taken
