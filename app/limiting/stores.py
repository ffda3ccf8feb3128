"""Stores of counts: in the memory of this process, or in Redis for several processes. Taking is atomic in both."""

import time
from asyncio import Semaphore, timeout
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.observing import Observer, unobserved

T = TypeVar("T")

PREFIX = "turnup"
# Many requests share a few connections: two hundred connections opened together would all exceed the timeout.
MOST_CONNECTIONS = 16
COMMAND_SECONDS = 1.0
"""The time for one call, with everything that it needs: a lookup of the name, a connection, a repetition on a new one.

A command takes less than a millisecond, so after a second Redis counts as unreachable.
"""
QUEUE_SECONDS = 1.0
"""The time for which a call may wait for one of the connections."""

UNREACHABLE: tuple[type[Exception], ...] = (RedisConnectionError, RedisTimeoutError)
"""What a store raises, beside Python's own exceptions, when Redis does not answer or cannot be reached."""

# Compares before it adds: adding first and subtracting on refusal could refuse a smaller concurrent call that fits.
# KEYS are the counts. ARGV is the number of seconds to keep them, then the cost and the limit of each. Returns the
# number of the first count that would exceed its limit, or 0 after adding to all.
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


# Each call by its name, with its command as OpenTelemetry's conventions name it.
_TAKE = "EVALSHA take", {"db.operation.name": "EVALSHA", "db.stored_procedure.name": "take"}
_ADD = "MULTI", {"db.operation.name": "MULTI", "db.operation.batch.size": 2}
_USED = "MGET", {"db.operation.name": "MGET"}


@dataclass(frozen=True, slots=True)
class Portion:
    """An amount to take from one count, up to its limit."""

    key: str
    cost: int
    limit: int


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a URL leads; `host` is None for a Unix socket. `verified`: by TLS, with the certificate of the host."""

    host: str | None
    verified: bool


def address_of(url: str) -> RedisAddress:
    """Return where a `redis://`, `rediss://` or `unix://` URL leads, with its query, which may override the host.

    Raises ValueError, without the URL, when it is malformed.
    """
    try:
        pool = BlockingConnectionPool.from_url(url)
        kind, options = pool.connection_class, pool.connection_kwargs
        kind(**options)  # opens nothing; fails for an option that no connection has
    except (RedisError, TypeError, ValueError):
        raise ValueError("it is not a URL such as rediss://:password@host:6379/0") from None
    if kind is UnixDomainSocketConnection:
        return RedisAddress(None, verified=False)
    checked = options.get("ssl_cert_reqs", "required") == "required" and options.get("ssl_check_hostname", True)
    return RedisAddress(options.get("host", "localhost"), verified=kind is SSLConnection and bool(checked))


class Store(Protocol):
    """Counts by key."""

    failures: tuple[type[Exception], ...]
    """The exceptions that mean that the store cannot be reached."""

    async def take(self, portions: Sequence[Portion], seconds: int) -> int | None:
        """Take all portions or none. Returns the index of the first that exceeds its limit, or None."""

    async def add(self, key: str, amount: int, seconds: int) -> None:
        """Add an amount, which can be negative, regardless of the limit."""

    async def used(self, keys: Sequence[str]) -> list[int]:
        """Return the current counts."""

    async def close(self) -> None:
        """Close the connections."""


class MemoryStore:
    """Counts in the memory of this process. Each expires after its number of seconds.

    Comparing and adding happen without an await in between, so no other request can interfere.
    """

    failures: tuple[type[Exception], ...] = ()

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._ends: list[tuple[float, str]] = []
        """A heap of the expiry times of the counts."""

    async def take(self, portions: Sequence[Portion], seconds: int) -> int | None:
        """Take all portions or none, as `Store.take`."""
        self._forget()
        for place, each in enumerate(portions):
            if self._counts.get(each.key, 0) + each.cost > each.limit:
                return place
        for each in portions:
            self._add(each.key, each.cost, seconds)
        return None

    async def add(self, key: str, amount: int, seconds: int) -> None:
        """Add an amount, as `Store.add`."""
        self._forget()
        self._add(key, amount, seconds)

    async def used(self, keys: Sequence[str]) -> list[int]:
        """Return the current counts."""
        self._forget()
        return [self._counts.get(key, 0) for key in keys]

    async def close(self) -> None:
        """Do nothing: there are no connections."""

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
    """Counts in Redis. A script compares and takes in one step.

    A call that waits for a connection fails as soon as an earlier call has failed: it does not wait as long again.
    """

    failures: tuple[type[Exception], ...] = (RedisError, OSError)  # TimeoutError is an OSError

    def __init__(self, url: str, observe: Observer = unobserved) -> None:
        """`url` is a `redis://`, `rediss://` or `unix://` URL. The store connects on first use."""
        self._observe = observe
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MOST_CONNECTIONS,
            timeout=COMMAND_SECONDS,
            # `_asked` limits a call. A timeout of the socket would be an asyncio.wait_for, which before Python 3.12 can
            # lose the cancellation of a request whose time is up.
            socket_timeout=None,
            socket_connect_timeout=COMMAND_SECONDS,
            # A pooled connection that Redis closed is retried once; a timeout is not, so that no call waits twice.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
        self._client = Redis.from_pool(pool)
        self._take = self._client.register_script(TAKE)
        self._free = Semaphore(MOST_CONNECTIONS)
        self._failed = 0

    async def take(self, portions: Sequence[Portion], seconds: int) -> int | None:
        """Take all portions or none, as `Store.take`."""
        keys = [_prefixed(each.key) for each in portions]
        numbers = [seconds, *(number for each in portions for number in (each.cost, each.limit))]
        with self._observe("redis", *_TAKE):
            lacking = await self._asked(lambda: self._take(keys, numbers))
        return int(lacking) - 1 if lacking else None

    async def add(self, key: str, amount: int, seconds: int) -> None:
        """Add an amount, as `Store.add`."""

        async def added() -> None:
            async with self._client.pipeline(transaction=True) as commands:
                commands.incrby(_prefixed(key), amount)
                commands.expire(_prefixed(key), seconds)
                await commands.execute()

        with self._observe("redis", *_ADD):
            await self._asked(added)

    async def used(self, keys: Sequence[str]) -> list[int]:
        """Return the current counts."""
        with self._observe("redis", *_USED):
            counts = await self._asked(lambda: self._client.mget([_prefixed(key) for key in keys]))
        return [int(count or 0) for count in counts]

    async def close(self) -> None:
        """Close the connections within COMMAND_SECONDS, also those whose end Redis does not confirm."""
        with suppress(*self.failures):
            async with timeout(COMMAND_SECONDS):
                await self._client.aclose()

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return the answer of Redis. A call that is cancelled, by a timeout as well, closes its connection."""
        failed = self._failed
        async with timeout(QUEUE_SECONDS):
            await self._free.acquire()
        try:
            if failed != self._failed:
                raise RedisConnectionError("an earlier call failed while this one waited")
            async with timeout(COMMAND_SECONDS):
                # uvloop raises RuntimeError when a command is written to a connection that was reset a moment ago. The
                # command was not sent, and redis-py has closed the connection.
                with suppress(RuntimeError):
                    return await ask()
                return await ask()
        except (RedisError, OSError, RuntimeError) as error:
            self._failed += 1
            raise RedisConnectionError("Redis cannot be reached") from error
        finally:
            self._free.release()


def _prefixed(key: str) -> str:
    return f"{PREFIX}:{key}"


def store_at(redis_url: str | None, observe: Observer = unobserved) -> Store:
    """Return the store with this URL; without a URL, a store in memory."""
    return MemoryStore() if redis_url is None else RedisStore(redis_url, observe)
