"""PgBouncer in both modes in front of a database of its own, and the scenario served through it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.db.connecting import Pooler
from tests.faults.ground import BUDGETS, Ground
from tests.harness import TestDatabase, at_noon, own_database, served
from tests.needs import needs
from tests.operations.scenario import as_definer

from .pgbouncer import PgBouncer, pgbouncer

MODES = {Pooler.TRANSACTION: ("transaction", 3), Pooler.SESSION: ("session", 20)}
"""The mode and the server connections of the pooler. The server under test has a pool of 10."""


@pytest.fixture(scope="session")
async def pooled_database() -> AsyncIterator[TestDatabase]:
    """A copy of the template for this package."""
    async with own_database() as made:
        yield made


@asynccontextmanager
async def ground_of(
    pooler: PgBouncer | None, direct: TestDatabase, home: Path, *, deadline_seconds: float = 60.0
) -> AsyncIterator[Ground]:
    """The scenario, served in this process through a pooler and arranged without it.

    With the setting for transaction mode, unless the pooler is in session mode.
    """
    connection = await as_definer(direct.owner_url)
    pooled = TestDatabase(pooler.url(direct.app_url) if pooler else direct.app_url, direct.owner_url)
    transaction_pooling = pooler is None or pooler.mode == "transaction"
    settings = BUDGETS | {"transaction_pooling": transaction_pooling, "limit_deadline_seconds": deadline_seconds}
    try:
        with pytest.MonkeyPatch.context() as patched:
            at_noon(patched)
            async with served(pooled, home, **settings) as client:
                made = Ground(client, connection)
                await made.open()
                yield made
    finally:
        await connection.close()


@pytest.fixture(params=list(MODES), ids=lambda mode: mode.name.lower())
def pooler(request: pytest.FixtureRequest, pooled_database: TestDatabase) -> Iterator[PgBouncer]:
    """A running PgBouncer in one of the modes that are supported."""
    mode, size = MODES[request.param]
    servers = (pooled_database.app_url, pooled_database.owner_url)
    with pgbouncer(needs("pgbouncer"), mode, *servers, size=size) as made:
        yield made


@pytest.fixture
async def ground(pooler: PgBouncer, pooled_database: TestDatabase, home: Path) -> AsyncIterator[Ground]:
    """The scenario, served through the pooler."""
    async with ground_of(pooler, pooled_database, home) as made:
        yield made
