"""The database of the operation tests, without locations of other tests, and the scenario in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.vocabulary import LocationStatus
from app.settings import SelfApprovalPolicy
from tests.harness import TestDatabase, served
from tests.harness import own_database as copy_of_template
from tests.oracle import database_is_consistent

from .scenario import Rollout, Scenario, as_definer


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


@pytest.fixture
async def users_as_before(scenario: Scenario) -> AsyncIterator[None]:
    """After the test, no service token is valid, and users have the makers and the revision that they had before."""
    users = await scenario.connection.fetch('SELECT id, made_by, revision FROM turnup."user"')
    yield
    async with scenario.arranging():
        await scenario.connection.execute("UPDATE turnup.service_token SET revoked_at = now() WHERE revoked_at IS NULL")
        await scenario.connection.executemany(
            'UPDATE turnup."user" SET made_by = $2, revision = $3 WHERE id = $1 AND (made_by, revision) <> ($2, $3)',
            [tuple(each) for each in users],
        )


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
