"""The database of the fault tests, and the scenario in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness import TestDatabase, at_noon, served
from tests.operations.conftest import own_database, replayed
from tests.operations.scenario import as_definer

from .ground import BUDGETS, Ground

__all__ = ["own_database", "replayed"]


@pytest.fixture(scope="session")
async def ground(own_database: TestDatabase, home: Path) -> AsyncIterator[Ground]:
    """The scenario, served in this process."""
    connection = await as_definer(own_database.owner_url)
    patched = pytest.MonkeyPatch()
    at_noon(patched)
    async with served(own_database, home, **BUDGETS) as client:
        patched.undo()
        made = Ground(client, connection)
        await made.open()
        yield made
    await connection.close()
