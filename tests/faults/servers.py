"""Servers that are started quickly, to be killed: forks of one process that has everything loaded (stem.py)."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx

from app.auth.development import DevelopmentIssuer
from tests.cli.turnup import environment, free_port
from tests.harness import BROWSER_SIGN_IN_VARIABLES, Client

from .ground import Ground

READY_SECONDS = 60.0
ANSWER_SECONDS = 60.0
STARTS = 5


class Servers:
    """Starts servers one after another, and kills them."""

    def __init__(self, stem: "subprocess.Popen[str]", home: Path) -> None:
        self._stem = stem
        self._issuer = DevelopmentIssuer.load_or_create(home)
        self.pid = 0
        """The process of the last server."""

    @asynccontextmanager
    async def serving(self, ground: Ground, database_url: str | None = None) -> AsyncIterator[None]:
        """The ground's people talk to a server of their own until the block ends, which kills it if nobody did.

        `database_url` is that of the ground's database by another way, such as a proxy.
        """
        before = ground.client
        for _ in range(STARTS):
            port = self._start(database_url or before.database.app_url)
            # Without TLS: reading the machine's certificates takes longer than a call does.
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_SECONDS, trust_env=False, verify=False
            ) as http:
                ground.client = Client(http, self._issuer, before.database)
                try:
                    if await self._ready(http):
                        yield
                        return
                finally:
                    ground.client = before
                    await self.kill()
        raise AssertionError(f"{STARTS} servers ended before they were ready")

    def _start(self, database_url: str) -> int:
        """Start a server, and return its port. It ends at once if another process has taken the port meanwhile."""
        assert self._stem.stdin is not None
        assert self._stem.stdout is not None
        port = free_port()
        self._stem.stdin.write(f"{port} {database_url}\n")
        self._stem.stdin.flush()
        self.pid = int(self._stem.stdout.readline())
        return port

    async def _ready(self, http: httpx.AsyncClient) -> bool:
        """Wait until the server is ready; returns False if it has ended."""
        deadline = time.monotonic() + READY_SECONDS
        while self._runs():
            with suppress(httpx.TransportError):
                if (await http.get("/readyz")).status_code == 200:
                    return self._runs()
            assert time.monotonic() < deadline, "the server does not become ready"
            await asyncio.sleep(0.02)
        return False

    def _runs(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    async def kill(self) -> None:
        """Kill the server, and wait until it is gone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        while self._runs():  # noqa: ASYNC110 - it is no child of this process
            await asyncio.sleep(0.002)


@contextmanager
def stem_of(home: Path, **variables: str) -> Iterator[Servers]:
    """What starts servers, with these variables in their environment."""
    with (home / "servers.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("stem.py"))],
            env=environment(TURNUP_HOME=str(home), **BROWSER_SIGN_IN_VARIABLES, **variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        with process:
            yield Servers(process, home)
