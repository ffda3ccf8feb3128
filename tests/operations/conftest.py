"""The database of the operation tests, without locations of other tests, and the scenario in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from app.auth.development import DevelopmentIssuer
from app.domain.vocabulary import LocationStatus
from app.main import create_app
from app.settings import SelfApprovalPolicy, Settings
from tests.harness import Client, TestDatabase
from tests.harness import own_database as copy_of_template
from tests.oracle import database_is_consistent

from .scenario import Rollout, Scenario, as_definer


@asynccontextmanager
async def served(database: TestDatabase, home: Path, **changes: object) -> AsyncIterator[Client]:
    """A client of the real app on a database, with settings that differ."""
    settings = Settings(database_url=SecretStr(database.app_url), home=home).model_copy(update=changes)
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        yield Client(http, DevelopmentIssuer.load_or_create(home), database)


@pytest.fixture(scope="session")
async def own_database() -> AsyncIterator[TestDatabase]:
    """A copy of the template for this package."""
    async with copy_of_template() as made:
        yield made


@pytest.fixture(scope="session")
async def scenario(own_database: TestDatabase, home: Path) -> AsyncIterator[Scenario]:
    """The scenario, without locations."""
    connection = await as_definer(own_database.owner_url)
    async with served(own_database, home) as client:
        made = Scenario(client, connection)
        await made.open()
        yield made
    await connection.close()


@pytest.fixture(scope="session")
async def lenient_scenario(scenario: Scenario, own_database: TestDatabase, home: Path) -> AsyncIterator[Scenario]:
    """The same scenario, on a server where leads can approve their own work."""
    async with served(own_database, home, self_approval=SelfApprovalPolicy.ALLOW) as client:
        lenient = Scenario(client, scenario.connection)
        lenient.__dict__.update({**scenario.__dict__, "client": client})
        yield lenient


@pytest.fixture(autouse=True)
async def invariants(scenario: Scenario) -> AsyncIterator[None]:
    """After every test: no phone is in operation at two locations."""
    yield
    await scenario.check_invariants()


@pytest.fixture(scope="session")
async def replayed(own_database: TestDatabase) -> AsyncIterator[None]:
    """After all tests that race: the audit log explains all rows, and no phone is in operation at two locations.

    One check for all of them, because it reads everything that any test wrote.
    """
    yield
    await database_is_consistent(own_database)


@pytest.fixture(scope="package")
async def rest(scenario: Scenario) -> dict[LocationStatus, Rollout]:
    """A location in every status, which refused calls must not change."""
    return {status: await scenario.a_location(status) for status in LocationStatus}
