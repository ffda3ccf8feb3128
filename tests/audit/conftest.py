"""A pool of the app's role on this worker's database, and an empty database of the owner's."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest
from harness import TestDatabase as Databases
from harness import drop_database, with_database

from app.db.database import Database
from app.db.migrate import migrate


@pytest.fixture(scope="session")
async def pool(database: Databases) -> AsyncIterator[Database]:
    """The app's connections."""
    opened = await Database.open(database.app_url, size=12)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def empty() -> AsyncIterator[Databases]:
    """A migrated database without any data, of this module alone."""
    async with _made("template0") as found:
        await migrate(found.owner_url)
        yield found


@pytest.fixture
async def bare() -> AsyncIterator[Databases]:
    """A database where nothing was migrated yet, of this test alone."""
    async with _made("template0") as found:
        yield found


@pytest.fixture
async def copy() -> AsyncIterator[Databases]:
    """A database with the demo data, of this test alone."""
    async with _made("turnup_template") as found:
        yield found


@asynccontextmanager
async def _made(template: str) -> AsyncIterator[Databases]:
    name = f"turnup_audit_{uuid4().hex[:12]}"
    owner_url = os.environ["TURNUP_TEST_OWNER_URL"]
    server = await asyncpg.connect(owner_url)
    await server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield Databases(with_database(os.environ["TURNUP_TEST_APP_URL"], name), with_database(owner_url, name))
    await server.close()
    await drop_database(owner_url, name)
