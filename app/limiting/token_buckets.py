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
        self._share_seconds = MINUTE / per_minute
        self._most_keys = most_keys
        self._clock = clock
        self._refilled_at: OrderedDict[str, float] = OrderedDict()
        """The time at which a key has its whole amount again."""

    def wait_seconds(self, key: str) -> float:
        """Return the seconds until the key may cause another event; 0 when it may do so now."""
        now = self._clock()
        wait = self._refilled_at.get(key, now) + self._share_seconds - MINUTE - now
        return max(0.0, round(wait, 6))  # the sum of many shares is not exactly a minute

    def count(self, key: str) -> None:
        """Count an event of a key that may cause one."""
        now = self._clock()
        self._refilled_at[key] = max(now, self._refilled_at.get(key, now)) + self._share_seconds
        self._refilled_at.move_to_end(key)
        oldest = next(iter(self._refilled_at.values()))
        if len(self._refilled_at) > self._most_keys or oldest <= now:
            self._refilled_at.popitem(last=False)
