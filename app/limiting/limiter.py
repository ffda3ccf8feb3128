"""Budgets a user and minute, each a name and an amount, counted in a store that is exact under parallel calls.

The window is fixed: a minute of the clock, the same for everybody. So a count is one number whatever its size, what is
given back goes to the minute it was taken from, and the end of a refusal is known when it is made: whoever waits that
long succeeds, unless others spend the same user's next minute first. The price is that two budgets may be spent within
a minute, one on each side of the clock's edge. Processes on several hosts need clocks that agree.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import TypeVar

from app.limiting.stores import Portion, Store

log = logging.getLogger("turnup.limiting")

T = TypeVar("T")

MINUTE = 60
PAUSE_SECONDS = 1.0
"""For how long a store that failed is not asked again: callers are told at once instead of waiting in turn."""


class LimiterUnavailable(ConnectionError):  # noqa: N818 - named for what is the matter
    """The store of the budgets cannot be reached."""


@dataclass(frozen=True, slots=True)
class TakeResult:
    """The result of taking: the window, and, when refused, the budget that is exceeded and until when."""

    window: int
    refused: str | None = None
    retry_after_ms: int = 0


@dataclass(frozen=True, slots=True)
class CountState:
    """The state of one budget of a user in the current window."""

    name: str
    limit: int
    remaining: int
    resets_at: datetime


class Limiter:
    """The budgets of every user."""

    def __init__(
        self,
        limits: Mapping[str, int],
        store: Store,
        *,
        failed: Callable[[], None],
        window_seconds: int = MINUTE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`limits` are amounts by name; `failed` is told each time that the store could not be asked."""
        self.limits = limits
        self._store = store
        self._failed = failed
        self._window_seconds = window_seconds
        self._clock = clock
        self._closed_until = 0.0

    async def take(self, user_id: str, costs: Mapping[str, int]) -> TakeResult:
        """Take from several budgets, all or nothing. What exceeds a whole budget costs all of it.

        Raises LimiterUnavailable.
        """
        now = self._clock()
        window = self._window(now)
        wanted = {name: min(cost, max(1, self.limits[name])) for name, cost in costs.items() if cost > 0}
        if not wanted:
            return TakeResult(window)
        portions = [Portion(self._key(user_id, name, window), cost, self.limits[name]) for name, cost in wanted.items()]
        lacking = await self._asked(lambda: self._store.take(portions, self._kept_seconds))
        if lacking is None:
            return TakeResult(window)
        return TakeResult(window, list(wanted)[lacking], ceil((self._end(window) - now) * 1000))

    async def correct(self, user_id: str, window: int, name: str, amount: int) -> None:
        """Count `amount` more, or less when negative, in the window that was taken from. Raises LimiterUnavailable."""
        if amount != 0:
            key = self._key(user_id, name, window)
            await self._asked(lambda: self._store.add(key, amount, self._kept_seconds))

    async def states(self, user_id: str) -> list[CountState]:
        """The state of each of the user's budgets, in the order of the limits. Raises LimiterUnavailable."""
        window = self._window(self._clock())
        keys = [self._key(user_id, name, window) for name in self.limits]
        used = await self._asked(lambda: self._store.used(keys))
        resets_at = datetime.fromtimestamp(self._end(window), UTC)
        return [
            CountState(name, limit, min(limit, max(0, limit - spent)), resets_at)
            for (name, limit), spent in zip(self.limits.items(), used, strict=True)
        ]

    async def close(self) -> None:
        """Let go of the store."""
        await self._store.close()

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        if time.monotonic() < self._closed_until:
            self._failed()
            raise LimiterUnavailable
        try:
            return await ask()
        except self._store.failures as error:
            self._closed_until = time.monotonic() + PAUSE_SECONDS
            self._failed()
            log.exception("the store of the budgets cannot be reached: writes are refused, reads are not limited")
            raise LimiterUnavailable from error

    def _window(self, now: float) -> int:
        return int(now // self._window_seconds)

    def _end(self, window: int) -> int:
        return (window + 1) * self._window_seconds

    @property
    def _kept_seconds(self) -> int:
        """How long counts are kept: beyond the window, for corrections by requests that it began."""
        return 2 * self._window_seconds

    def _key(self, user_id: str, name: str, window: int) -> str:
        return f"{self._window_seconds}/{window}/{user_id}/{name}"
