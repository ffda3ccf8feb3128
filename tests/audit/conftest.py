"""A database of these tests with a pool of the app's role, and empty databases."""

from collections.abc import AsyncIterator

import pytest

from app.db.database import Database
from tests.harness import EMPTY_TEMPLATE, own_database
from tests.harness import TestDatabase as Databases


@pytest.fixture(scope="session")
async def database() -> AsyncIterator[Databases]:
    """A database of these tests: what they change is read by no other test."""
    async with own_database() as found:
        yield found


@pytest.fixture(scope="session")
async def pool(database: Databases) -> AsyncIterator[Database]:
    """The app's connections."""
    opened = await Database.open(database.app_url, size=12)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def empty() -> AsyncIterator[Databases]:
    """A migrated database without any data, of this module alone."""
    async with own_database(EMPTY_TEMPLATE) as found:
        yield found


@pytest.fixture
async def bare() -> AsyncIterator[Databases]:
    """A database where nothing was migrated yet, of this test alone."""
    async with own_database("template0") as found:
        yield found


@pytest.fixture
async def copy() -> AsyncIterator[Databases]:
    """A database with the demo data, of this test alone."""
    async with own_database() as found:
        yield found
