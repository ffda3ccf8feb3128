"""Budgets per user per minute. A budget is a name and an amount; the counts in the store are exact under concurrency.

The window is fixed: a minute of the clock, the same for all users. A count is therefore a single number, amounts are
given back to the window from which they were taken, and a refusal can state when to retry. The retry succeeds unless
other requests of the user exhaust the next window first. The disadvantage: within any 60 seconds, a user can use up to
two budgets, one in each of two windows. The clocks of several hosts must agree.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import TypeVar

from app.limiting.stores import Portion, Store

log = logging.getLogger("turnup.limiting")

T = TypeVar("T")

MINUTE = 60
PAUSE_SECONDS = 1.0
"""The time after a failure during which the store is not called: all calls fail immediately.

Then one call per pause is passed on, until one succeeds, so that only one request per second waits for a silent store.
"""
REPEAT_SECONDS = 60.0
"""Seconds between two lines of the log while the store cannot be reached."""


class LimiterUnavailable(ConnectionError):  # noqa: N818 - a state of the store
    """The store of the budgets cannot be reached."""


@dataclass(frozen=True, slots=True)
class TakeResult:
    """The result of taking: the window and, if refused, the exceeded budget and the time until a retry."""

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
    """The budgets of all users."""

    def __init__(
        self,
        limits: Mapping[str, int],
        store: Store,
        *,
        failed: Callable[[], None],
        window_seconds: int = MINUTE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`limits` are amounts by name. `failed` is called each time the store cannot be reached."""
        self.limits = limits
        self._store = store
        self._failed = failed
        self._window_seconds = window_seconds
        self._clock = clock
        self._is_lost = False
        self._closed_until = 0.0
        self._failures = 0
        """Calls that failed since the last line of the log about it."""
        self._logged_at = 0.0

    async def take(self, user_id: str, costs: Mapping[str, int]) -> TakeResult:
        """Take from several budgets, all or nothing. A cost above the limit of a budget takes the whole budget.

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
        """Add `amount`, which can be negative, to the count of an earlier window. Raises LimiterUnavailable."""
        if amount != 0:
            key = self._key(user_id, name, window)
            await self._asked(lambda: self._store.add(key, amount, self._kept_seconds))

    async def states(self, user_id: str) -> list[CountState]:
        """Return the state of each budget of the user, in the order of the limits. Raises LimiterUnavailable."""
        window = self._window(self._clock())
        keys = [self._key(user_id, name, window) for name in self.limits]
        used = await self._asked(lambda: self._store.used(keys))
        resets_at = datetime.fromtimestamp(self._end(window), UTC)
        return [
            CountState(name, limit, min(limit, max(0, limit - spent)), resets_at)
            for (name, limit), spent in zip(self.limits.items(), used, strict=True)
        ]

    @property
    def is_up(self) -> bool:
        """Whether the last call reached the store. Calls are made by requests, and by `look_again` after a failure."""
        return not self._is_lost

    async def look_again(self) -> None:
        """Ask the store if the last call did not reach it, so that `is_up` does not wait for a request."""
        if self._is_lost and time.monotonic() >= self._closed_until:
            key = self._key("", "", self._window(self._clock()))
            with suppress(LimiterUnavailable):
                await self._asked(lambda: self._store.used([key]))

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        now = time.monotonic()
        if now < self._closed_until:
            self._count_failure(None)
            raise LimiterUnavailable
        if self._is_lost:  # this call finds out whether the store is back
            self._closed_until = now + PAUSE_SECONDS
        try:
            answer = await ask()
        except self._store.failures as error:
            self._count_failure(error)
            self._is_lost, self._closed_until = True, time.monotonic() + PAUSE_SECONDS
            raise LimiterUnavailable from error
        if self._is_lost:
            log.warning("Redis can be reached again", extra={"count": self._failures})
            self._failures = 0
        self._is_lost, self._closed_until = False, 0.0
        return answer

    def _count_failure(self, error: Exception | None) -> None:
        """Count a failed call. The first one has a line in the log, and then those of each minute together."""
        now = time.monotonic()
        self._failed()
        self._failures += 1
        facts = {"count": self._failures}
        if not self._is_lost:
            log.error("Redis cannot be reached: writes are refused, reads are not limited", extra=facts, exc_info=error)
        elif now - self._logged_at >= REPEAT_SECONDS:
            log.error("Redis still cannot be reached: writes are refused, reads are not limited", extra=facts)
        else:
            return
        self._failures, self._logged_at = 0, now

    def _window(self, now: float) -> int:
        return int(now // self._window_seconds)

    def _end(self, window: int) -> int:
        return (window + 1) * self._window_seconds

    @property
    def _kept_seconds(self) -> int:
        """The time for which counts are kept: longer than the window, for corrections by requests that began in it."""
        return 2 * self._window_seconds

    def _key(self, user_id: str, name: str, window: int) -> str:
        return f"{self._window_seconds}/{window}/{user_id}/{name}"
