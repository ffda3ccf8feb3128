"""Databases that a module of tests has for itself, beside the worker's own with its demo data."""

import os
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import harness
import pytest

from app.db.migrate import migrate


@pytest.fixture(scope="module")
async def bare_database(database: harness.TestDatabase) -> AsyncIterator[harness.TestDatabase]:
    """A database with nothing in it, not even the schema."""
    name = f"turnup_bare_{uuid4().hex[:12]}"
    owner_url = os.environ["TURNUP_TEST_OWNER_URL"]
    owner = await asyncpg.connect(owner_url)
    await owner.execute(f"CREATE DATABASE {name}")
    await owner.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    await owner.execute(f"GRANT CONNECT ON DATABASE {name} TO turnup_app")
    yield harness.TestDatabase(
        harness.with_database(os.environ["TURNUP_TEST_APP_URL"], name), harness.with_database(owner_url, name)
    )
    await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await owner.close()


@pytest.fixture(scope="module")
async def empty_database(bare_database: harness.TestDatabase) -> harness.TestDatabase:
    """A migrated database without rows."""
    await migrate(bare_database.owner_url)
    return bare_database
