"""The primary becomes a standby while the server runs, and is promoted again."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from app.db.migrate import migrate
from app.operations.demo import load_demo
from app.postgres import embedded
from tests.harness import LEAD, Answer, Client, TestDatabase, served

pytestmark = pytest.mark.slow

STEP = """mutation { setCurrentStep(input: {locationId: "location-3", step: PEOPLE}) { problems { code } } }"""
NAMES = "{ locations { totalCount } }"


class Primary:
    """A cluster of this test, which can be restarted as a standby and promoted."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._running = embedded.start(home)
        cluster = self._running.cluster
        self.database = TestDatabase(cluster.dsn("turnup_app", "turnup"), cluster.dsn("turnup_owner", "turnup"))
        self._superuser = cluster.dsn("postgres", "postgres")
        self._signal = cluster.data / "standby.signal"

    def demote(self) -> None:
        """Restart as a standby."""
        self._running.stop()
        self._signal.touch()
        owner = self._signal.parent.stat()
        os.chown(self._signal, owner.st_uid, owner.st_gid)
        self._running = embedded.start(self._home)

    async def promote(self) -> None:
        """Become the primary again."""
        connection = await asyncpg.connect(self._superuser)
        assert await connection.fetchval("SELECT pg_promote()")
        await connection.close()

    def erase(self) -> None:
        self._running.stop()
        embedded.erase(self._home)


@pytest.fixture
async def primary() -> AsyncIterator[Primary]:
    with tempfile.TemporaryDirectory(prefix="turnup-primary-") as folder:
        made = await asyncio.to_thread(Primary, Path(folder) / "home")
        await migrate(made.database.owner_url)
        await load_demo(made.database.owner_url, made.database.app_url)
        yield made
        await asyncio.to_thread(made.erase)


def told(answer: Answer) -> list[tuple[str, str | None]]:
    """Code and outcome of each error of the answer."""
    errors = [error["extensions"] for error in answer.body.get("errors", ())]
    return [(each["code"], each.get("outcome")) for each in errors]


async def ready(client: Client) -> dict[str, object]:
    body = (await client.http.get("/readyz")).json()
    return {name: body[name] for name in ("status", "database", "migrations", "writes")}


async def until_answered(client: Client) -> None:
    """Return when a query is answered: connections from before the restart fail once."""
    async with asyncio.timeout(60):
        while told(await client.ask(NAMES)):  # noqa: ASYNC110 - PostgreSQL is waited for
            await asyncio.sleep(0.05)


async def test_a_demoted_primary_serves_reads_and_refuses_writes_until_it_is_promoted(primary: Primary) -> None:
    async with served(primary.database, primary._home) as client:
        assert told(await client.ask(STEP, LEAD)) == []
        await asyncio.to_thread(primary.demote)
        await until_answered(client)
        assert told(await client.ask(STEP, LEAD)) == [("UNAVAILABLE", "NONE")]
        assert await ready(client) == {"status": "not ready", "database": True, "migrations": True, "writes": False}
        assert told(await client.ask(NAMES)) == []
        await primary.promote()
        async with asyncio.timeout(60):
            while (await ready(client))["status"] != "ready":  # noqa: ASYNC110 - PostgreSQL is waited for
                await asyncio.sleep(0.05)
        assert told(await client.ask(STEP, LEAD)) == []
