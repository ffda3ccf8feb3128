"""Where counts are kept: in this process, or in a Redis that several share. Both take all portions or none, at once."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

PREFIX = "turnup"
# A command takes less than a millisecond. What takes a second is gone; and a crowd queues for a few connections, for
# two hundred that open at once would all be late.
COMMAND_SECONDS = 1.0
QUEUE_SECONDS = 3.0
MOST_CONNECTIONS = 16

# Compares before it adds: a count that is added first and taken back when refused would for a moment refuse a smaller
# call that fits. KEYS are counts; ARGV is the seconds to keep them, then cost and limit of each. Returns the number of
# the first count that would exceed its limit, else 0 after adding to all.
TAKE = """
for i, key in ipairs(KEYS) do
    if tonumber(redis.call('get', key) or '0') + tonumber(ARGV[2 * i]) > tonumber(ARGV[2 * i + 1]) then
        return i
    end
end
for i, key in ipairs(KEYS) do
    redis.call('incrby', key, ARGV[2 * i])
    redis.call('expire', key, ARGV[1])
end
return 0
"""


@dataclass(frozen=True, slots=True)
class Portion:
    """So much of one count, if it stays within the limit."""

    key: str
    cost: int
    limit: int


class Store(Protocol):
    """Counts by key."""

    failures: tuple[type[Exception], ...]
    """What is raised when the store cannot be reached."""

    async def take(self, portions: Sequence[Portion], seconds: int) -> int | None:
        """Take all portions or none; the place of the first that lacks, or None when they were taken."""

    async def add(self, key: str, amount: int, seconds: int) -> None:
        """Count more, or less, whatever the limit."""

    async def used(self, keys: Sequence[str]) -> list[int]:
        """The counts as they stand."""

    async def close(self) -> None:
        """Let go of connections."""


class MemoryStore:
    """Counts of this process alone, each gone once its seconds are over.

    Nothing is awaited between comparing and adding, so no other request comes between them.
    """

    failures: tuple[type[Exception], ...] = ()

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._ends: list[tuple[float, str]] = []
        """A heap of when each count ends."""

    async def take(self, portions: Sequence[Portion], seconds: int) -> int | None:
        """Compare and take."""
        self._forget()
        for place, each in enumerate(portions):
            if self._counts.get(each.key, 0) + each.cost > each.limit:
                return place
        for each in portions:
            self._add(each.key, each.cost, seconds)
        return None

    async def add(self, key: str, amount: int, seconds: int) -> None:
        """Count more, or less."""
        self._forget()
        self._add(key, amount, seconds)

    async def used(self, keys: Sequence[str]) -> list[int]:
        """The counts as they stand."""
        self._forget()
        return [self._counts.get(key, 0) for key in keys]

    async def close(self) -> None:
        """Nothing is held."""

    def _add(self, key: str, amount: int, seconds: int) -> None:
        if key in self._counts:
            self._counts[key] += amount
        else:
            self._counts[key] = amount
            heappush(self._ends, (self._clock() + seconds, key))

    def _forget(self) -> None:
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            del self._counts[heappop(self._ends)[1]]


class RedisStore:
    """Counts in Redis; the server compares and takes in one step."""

    failures: tuple[type[Exception], ...] = (RedisError, OSError)

    def __init__(self, url: str) -> None:
        """For `redis://`, `rediss://` or `unix://`. Connects when first asked."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MOST_CONNECTIONS,
            timeout=QUEUE_SECONDS,
            socket_timeout=COMMAND_SECONDS,
            socket_connect_timeout=COMMAND_SECONDS,
            # A pooled connection that Redis has closed meanwhile is no failure; waiting twice for an answer would be.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
        self._client = Redis.from_pool(pool)
        self._take = self._client.register_script(TAKE)

    async def take(self, portions: Sequence[Portion], seconds: int) -> int | None:
        """Have the server compare and take."""
        keys = [_prefixed(each.key) for each in portions]
        lacking = await self._take(
            keys, [seconds, *(number for each in portions for number in (each.cost, each.limit))]
        )
        return int(lacking) - 1 if lacking else None

    async def add(self, key: str, amount: int, seconds: int) -> None:
        """Count more, or less."""
        async with self._client.pipeline(transaction=True) as commands:
            commands.incrby(_prefixed(key), amount)
            commands.expire(_prefixed(key), seconds)
            await commands.execute()

    async def used(self, keys: Sequence[str]) -> list[int]:
        """The counts as they stand."""
        return [int(count or 0) for count in await self._client.mget([_prefixed(key) for key in keys])]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _prefixed(key: str) -> str:
    return f"{PREFIX}:{key}"


def store_at(redis_url: str | None) -> Store:
    """The store behind this URL; the process's memory for none."""
    return MemoryStore() if redis_url is None else RedisStore(redis_url)
