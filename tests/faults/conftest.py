"""A database of these tests' own, and a house in it whose every row the audit trail knows."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from harness import TestDatabase
from operations.conftest import own_database, served

from .ground import BUDGETS, Ground

__all__ = ["own_database"]


@pytest.fixture(scope="session")
async def ground(own_database: TestDatabase, home: Path) -> AsyncIterator[Ground]:
    """The house, served in this process."""
    connection = await asyncpg.connect(own_database.owner_url)
    await connection.execute("SET ROLE turnup_definer")
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    async with served(own_database, home, **BUDGETS) as client:
        made = Ground(client, connection)
        await made.open()
        yield made
    await connection.close()
