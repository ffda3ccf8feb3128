"""A server in production mode behind which everything that it depends on can fail."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg
import httpx

from tests.auth.auth_builders import ISSUER
from tests.cli.turnup import free_port, postgres_of
from tests.limiting.redis_server import RedisServer

from .processes import Started, Stem
from .proxy import LOCALHOST, FaultProxy
from .traffic import AUDIENCE, METRICS_TOKEN, SCRAPER

DEADLINE_SECONDS = 3.0
STOP_DELAY_SECONDS = 0.5
POOL_SIZE = 6
READY_SECONDS = 60.0
START_SECONDS = 60.0


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL that a test may stop."""

    home: Path
    app_url: str
    owner_url: str
    superuser_url: str
    socket: str

    @property
    def pids(self) -> set[int]:
        """All its processes."""
        return postgres_of(self.home)

    async def sessions(self) -> dict[str, int]:
        """The number of sessions of servers, by state."""
        connection = await asyncpg.connect(self.superuser_url)
        try:
            rows = await connection.fetch(
                """SELECT coalesce(state, 'unknown') AS state, count(*) AS number FROM pg_stat_activity
                   WHERE usename = 'turnup_app' GROUP BY 1"""
            )
        finally:
            await connection.close()
        return {row["state"]: row["number"] for row in rows}


class Served:
    """A server that runs."""

    def __init__(self, process: Started, port: int) -> None:
        self.process = process
        self.url = f"http://{LOCALHOST}:{port}"

    async def status(self, path: str) -> int:
        """The status of a path; 0 without an answer."""
        async with httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False, verify=False) as http:
            with suppress(httpx.TransportError):
                return (await http.get(path)).status_code
        return 0

    async def until(self, path: str, status: int, within: float) -> float:
        """Wait until a path has a status. Returns the seconds."""
        began = time.monotonic()
        while (found := await self.status(path)) != status:
            assert not self.process.has_ended, self.process.printed
            waited = time.monotonic() - began
            assert waited < within, f"{path} still {found} after {waited:.1f} s:\n{self.process.printed[-4000:]}"
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def gauge(self, name: str) -> float:
        """A metric without labels."""
        async with httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False, verify=False) as http:
            text = (await http.get("/metrics", headers=SCRAPER)).text
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


class Surroundings:
    """What servers depend on, each behind a proxy of its own."""

    def __init__(
        self, cluster: Cluster, stem: Stem, redis: RedisServer, issuer: int, collector: int, sentry: int
    ) -> None:
        self.cluster = cluster
        self.stem = stem
        self.redis_server = redis
        self.database = FaultProxy(cluster.socket)
        self.redis = FaultProxy(redis.path)
        self.issuer = FaultProxy((LOCALHOST, issuer))
        self.collector = FaultProxy((LOCALHOST, collector))
        self.sentry = FaultProxy((LOCALHOST, sentry))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start the proxies."""
        for proxy in (self.database, self.redis, self.issuer, self.collector, self.sentry):
            self._stack.enter_context(proxy)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the proxies."""
        self._stack.close()

    def variables(self, port: int) -> dict[str, str]:
        """The environment of a server in production mode."""
        return {
            "TURNUP_ENV": "production",
            "PORT": str(port),
            "DATABASE_URL": self.database.url(self.cluster.app_url),
            "TURNUP_REDIS_URL": self.redis.url(self.redis_server.url),
            "TURNUP_JWKS_URL": f"http://{LOCALHOST}:{self.issuer.port}/keys",
            "TURNUP_ISSUER": ISSUER,
            "TURNUP_AUDIENCE": AUDIENCE,
            "TURNUP_GRAPHIQL": "true",
            "TURNUP_METRICS_TOKEN": METRICS_TOKEN,
            "TURNUP_POOL_SIZE": str(POOL_SIZE),
            "TURNUP_LIMIT_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
            "TURNUP_STOP_DELAY_SECONDS": str(STOP_DELAY_SECONDS),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LOCALHOST}:{self.collector.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "SENTRY_DSN": f"http://key@{LOCALHOST}:{self.sentry.port}/1",
        }

    @asynccontextmanager
    async def serving(self, *, ready: bool = True, **changes: str) -> AsyncIterator[Served]:
        """A server, once it is ready or at least alive; ended by force when the block did not end it."""
        port = free_port()
        process = self.stem.start("serve", **(self.variables(port) | changes))
        served = Served(process, port)
        try:
            await served.until("/readyz" if ready else "/healthz", 200, START_SECONDS)
            yield served
        finally:
            process.kill()
