"""The server does not start as a database role that row-level security would not hold."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from app.db.safety import UnsafeRole, check_app_role
from app.main import create_app
from app.settings import Settings
from tests import harness

# One worker runs the tests that change roles, which all databases of a server share.
pytestmark = pytest.mark.xdist_group("roles")

SUPERUSER_URL = os.environ.get("TURNUP_TEST_SUPERUSER_URL")
needs_superuser = pytest.mark.skipif(
    "TURNUP_TEST_OWNER_URL" in os.environ and SUPERUSER_URL is None,
    reason="makes roles: give TURNUP_TEST_SUPERUSER_URL beside TURNUP_TEST_OWNER_URL",
)

# How a role was made, and what is said about it.
UNSAFE = {
    "SUPERUSER": "is a superuser",
    "BYPASSRLS": "bypasses row-level security",
    "CREATEROLE": "may create roles",
    "IN ROLE turnup_definer": "is a member of turnup_definer",
    "IN ROLE turnup_owner": "owns the tables",
    "NOINHERIT IN ROLE postgres": "may become a superuser",
}


@pytest.fixture
async def superuser() -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(os.environ["TURNUP_TEST_SUPERUSER_URL"])
    yield connection
    await connection.close()


@pytest.fixture
async def role_url(
    request: pytest.FixtureRequest, superuser: asyncpg.Connection, database: harness.TestDatabase
) -> AsyncIterator[str]:
    """The URL of a role that was made with the attributes of the test's parameter."""
    name = f"turnup_test_{uuid4().hex[:8]}"
    url = make_url(database.app_url)
    await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'throwaway' {request.param}")
    await superuser.execute(f"GRANT CONNECT ON DATABASE {url.database} TO {name}")
    yield url.set(username=name, password="throwaway").render_as_string(hide_password=False)
    await superuser.execute(f"REVOKE CONNECT ON DATABASE {url.database} FROM {name}")
    await superuser.execute(f"DROP ROLE {name}")


async def said_about(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        with pytest.raises(UnsafeRole) as refused:
            await check_app_role(connection)
    finally:
        await connection.close()
    return str(refused.value)


@needs_superuser
@pytest.mark.parametrize(("role_url", "fault"), UNSAFE.items(), indirect=["role_url"], ids=list(UNSAFE))
async def test_a_role_that_policies_do_not_hold_is_refused_and_told_why(role_url: str, fault: str) -> None:
    said = await said_about(role_url)
    assert said.startswith(f"DATABASE_URL signs in as {make_url(role_url).username}, which ")
    assert fault in said


async def test_the_owner_of_the_tables_is_refused(database: harness.TestDatabase) -> None:
    assert "owns the tables" in await said_about(database.owner_url)


async def test_the_apps_own_role_is_accepted(database: harness.TestDatabase) -> None:
    connection = await asyncpg.connect(database.app_url)
    await check_app_role(connection)
    await connection.close()


@needs_superuser
@pytest.mark.parametrize("role_url", ["NOCREATEROLE"], indirect=True)
async def test_a_plain_role_of_another_name_is_accepted(role_url: str) -> None:
    connection = await asyncpg.connect(role_url)
    await check_app_role(connection)
    await connection.close()


async def test_the_server_itself_does_not_start_as_the_owner(database: harness.TestDatabase, tmp_path: Path) -> None:
    app = create_app(Settings(database_url=SecretStr(database.owner_url), home=tmp_path))
    with pytest.raises(UnsafeRole, match="DATABASE_URL"):
        async with app.router.lifespan_context(app):
            pass
