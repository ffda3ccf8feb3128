"""Servers and PostgreSQL are killed under mixed load: no acknowledged write is lost, no call is done in part or twice.

Several callers send single and bulk mutations of every kind with keys, and queries, all at once. A killed server can
tidy nothing up, and a killed PostgreSQL recovers from its log.
"""

import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from enum import StrEnum, unique
from pathlib import Path

import asyncpg
import pytest

from app.db.migrate import migrate
from app.postgres import embedded
from tests.cli.turnup import postmaster_of
from tests.harness import EMPTY_TEMPLATE, TestDatabase, own_database
from tests.lanes import scaled
from tests.operations.scenario import as_definer
from tests.oracle import chains_are_valid, database_is_consistent

from .callers import CALLERS, Load, Met, Sessions, until_pool_is_idle
from .ground import Ground, ground_on
from .servers import Servers, stem_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="servers are forked, and end with who started them")

ROUND = 10
"""The kills on one database. The audit log is verified after each kill, and replayed once per round.

A replay rebuilds every row of the database in a scratch schema. It takes longer than all other checks together.
"""
PARTS = 4
RECOVERY_SECONDS = 120.0


@unique
class Death(StrEnum):
    """How PostgreSQL ends."""

    BACKEND = "backend killed"
    """PostgreSQL ends all other sessions, too, and recovers."""
    POSTMASTER = "postmaster killed"
    IMMEDIATE = "immediate shutdown"


async def storm(home: Path, met: Met, *, kills: int) -> None:
    """Kill as many servers, each round on a database of its own."""
    with stem_of(home) as servers:
        for done in range(0, kills, ROUND):
            async with own_database(EMPTY_TEMPLATE) as database, ground_on(database, home) as ground:
                await kill_round(ground, servers, Load(ground, met), kills=min(ROUND, kills - done))


async def kill_round(ground: Ground, servers: Servers, load: Load, *, kills: int) -> None:
    """Kill as many servers. After each kill all but the pool is checked; the pool, when a following server is idle."""
    sessions = Sessions(ground.client.database.app_url)
    async with servers.serving(ground):
        await load.learn()
    for number in range(kills + 1):
        async with servers.serving(ground):
            last = number == kills
            if last or random.random() < 0.7:  # else the next kill falls on calls that are sent again
                await settle(load, sessions)
            if last:
                break
            await load.arrange(2 * CALLERS)
            working = asyncio.create_task(load.run())
            await load.random_moment(working)
            await servers.kill()
            await working
        await sessions.until_none()
        await load.check()
        await chains_are_valid(ground.client.database)
        await ground.check_invariants()
    await database_is_consistent(ground.client.database)


async def settle(load: Load, sessions: Sessions) -> None:
    """Send all calls again until they are done, and check that the server is at rest."""
    cut = [call for call in load.waiting if call.may_be_done]
    await load.run()
    assert not load.waiting
    await load.check_replays(cut)
    await load.check()
    await until_pool_is_idle(load.ground.client.http)
    await sessions.until_idle()


async def test_calls_of_several_callers_whose_server_was_killed_are_done_once(tmp_path: Path) -> None:
    met = Met()
    await storm(tmp_path, met, kills=5)
    assert met.calls > 5


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
async def test_many_kills_under_mixed_load_leave_each_call_done_once(
    tmp_path: Path, record_property: Callable[[str, object], None], part: int
) -> None:
    kills = min(scaled(300), 1_000) // PARTS
    met = Met()
    await storm(tmp_path, met, kills=kills)
    assert sum(met.unanswered.values()) >= kills
    assert met.applied_unanswered > 0
    sys.stdout.write(f"\n{kills} kills: {met}\n")
    record_property("tried", f"{kills} kills under load ({part + 1} of {PARTS}): {met}")


class OwnCluster:
    """A PostgreSQL that may be killed; its supervisor, and the process of the test, start it again."""

    def __init__(self, home: Path, postgres: embedded.EmbeddedPostgres) -> None:
        self._home = home
        self.database = TestDatabase(
            postgres.cluster.dsn("turnup_app", "turnup"), postgres.cluster.dsn("turnup_owner", "turnup")
        )

    def kill(self, how: Death, backends: Sequence[int]) -> None:
        """End PostgreSQL without giving it time for anything; `backends` are those of the server."""
        if how is Death.BACKEND:
            os.kill(random.choice(backends), signal.SIGKILL)
        else:
            os.kill(postmaster_of(self._home), signal.SIGKILL if how is Death.POSTMASTER else signal.SIGQUIT)


@asynccontextmanager
async def own_cluster() -> AsyncIterator[OwnCluster]:
    """A cluster with the default settings, migrated and without rows."""
    home = Path(tempfile.mkdtemp(prefix="turnup-kills-"))
    postgres = await asyncio.to_thread(embedded.start, home)
    try:
        made = OwnCluster(home, postgres)
        await migrate(made.database.owner_url)
        yield made
    finally:
        await asyncio.to_thread(postgres.stop)
        embedded.erase(home)
        shutil.rmtree(home)


async def back(ground: Ground) -> None:
    """Wait until PostgreSQL accepts connections again, and connect."""
    ground.connection.terminate()
    async with asyncio.timeout(RECOVERY_SECONDS):
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                ground.connection = await as_definer(ground.client.database.owner_url)
                return
            await asyncio.sleep(0.02)


async def postgres_storm(home: Path, met: Met, *, kills: int) -> Counter[Death]:
    """Kill PostgreSQL as often, while one server serves the callers; returns the kills by their kind."""
    died: Counter[Death] = Counter()
    with stem_of(home, TURNUP_LIMIT_DEADLINE_SECONDS="15") as servers:
        async with (
            own_cluster() as cluster,
            ground_on(cluster.database, home) as ground,
            servers.serving(ground),
        ):
            load = Load(ground, met)
            await load.learn()
            for number in range(kills):
                how = list(Death)[number % len(Death)]
                await load.arrange(3 * CALLERS)
                await postgres_killed(load, cluster, how)
                died[how] += 1
    return died


async def postgres_killed(load: Load, cluster: OwnCluster, how: Death) -> None:
    """Kill PostgreSQL at a random moment. The callers are all answered, and repeat their calls until all are done."""
    ground, before = load.ground, load.met.unanswered.total()
    sessions = Sessions(cluster.database.app_url)
    working = asyncio.create_task(load.run())
    backends = [each["pid"] for each in await sessions.others()]
    await load.random_moment(working)
    cluster.kill(how, backends)
    await back(ground)
    await working
    await back(ground)  # PostgreSQL may have ended the first connection with the sessions from before the kill
    assert load.met.unanswered.total() == before, "the server answers every request"
    assert not load.waiting
    await until_pool_is_idle(ground.client.http)
    await sessions.until_idle()
    await load.check()
    await database_is_consistent(cluster.database)
    await ground.check_invariants()


@pytest.mark.slow
async def test_kills_of_postgresql_under_mixed_load_lose_nothing_and_leave_each_call_done_once(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    kills = scaled(5)
    met = Met()
    died = await postgres_storm(tmp_path, met, kills=kills)
    assert died.total() == kills
    assert met.outcomes.total() > kills
    sys.stdout.write(f"\n{kills} kills of PostgreSQL: {met}\n")
    kinds = ", ".join(f"{number} {how}" for how, number in died.items())
    record_property("tried", f"{kills} kills of PostgreSQL under load ({kinds}): {met}")
