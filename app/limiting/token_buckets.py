"""Bounds how often something happens per key, such as a client address, in the memory of this process.

The rate is a token bucket: a minute's amount at once, then one more each time its share of the minute has passed. After
a flood a key is therefore refused for a fraction of a second, not for the rest of a minute.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from app.limiting.limiter import MINUTE

MOST_KEYS = 10_000


class TokenBuckets:
    """Counts events per key. When it holds too many keys, the one that was counted longest ago is removed."""

    def __init__(
        self, per_minute: int, *, most_keys: int = MOST_KEYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` returns seconds from an arbitrary start."""
        self._per_minute = per_minute
        self._most_keys = most_keys
        self._clock = clock
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What a key had used when it was counted last, and the time of that count."""

    def wait_seconds(self, key: str) -> float:
        """Return the seconds until the key may cause another event; 0 when it may do so now."""
        excess = self._used_now(key, self._clock()) + 1 - self._per_minute
        return max(0.0, round(excess, 3) * MINUTE / self._per_minute)  # rounded: a share of a minute is not exact

    def count(self, key: str) -> None:
        """Count an event of a key that may cause one."""
        now = self._clock()
        self._used[key] = self._used_now(key, now) + 1, now
        self._used.move_to_end(key)
        oldest = next(iter(self._used))
        if len(self._used) > self._most_keys or self._used_now(oldest, now) == 0:
            del self._used[oldest]

    def _used_now(self, key: str, now: float) -> float:
        used, at = self._used.get(key, (0.0, now))
        return max(0.0, used - (now - at) * self._per_minute / MINUTE)
