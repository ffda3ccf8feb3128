"""The run's cluster (the controller owns it), this worker's database, and a client of the app on it.

With TURNUP_TEST_APP_URL and TURNUP_TEST_OWNER_URL the databases are made on that server instead of the embedded
one; the roles have to be there.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app.auth.development import DevelopmentIssuer
from app.db.migrate import migrate
from app.main import create_app
from app.operations import housekeeping
from app.operations.demo import load_demo
from app.postgres import embedded
from app.settings import Settings
from tests import hypothesis_profile  # noqa: F401 - is loaded
from tests.harness import Client, TestDatabase, drop_database, home_of, with_database

APP_URL, OWNER_URL = "TURNUP_TEST_APP_URL", "TURNUP_TEST_OWNER_URL"
SUPERUSER_URL = "TURNUP_TEST_SUPERUSER_URL"  # for tests that make roles; they skip where it is not given
TEMPLATE = "turnup_template"
pytest_plugins = ["tests.lanes"]

# Tests write more in a minute than people do, and a busy machine may be slow; those about limits set their own.
os.environ.setdefault("TURNUP_LIMIT_DEADLINE_SECONDS", "60")
for budget in ("OBJECTS", "EDITS", "SUBMITS", "APPROVALS", "PAYLOADS", "BULK_CALLS", "BULK_ITEMS"):
    os.environ.setdefault(f"TURNUP_LIMIT_{budget}", "1000000000")

# No round of housekeeping comes in between: the tests about it run one when they want it.
housekeeping.EVERY_SECONDS = 86_400


class Cluster:
    """The run's PostgreSQL: started once by whoever has no controller above it, gone when the run ends."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="turnup-tests-"))
        self.postgres: embedded.EmbeddedPostgres | None = None
        if OWNER_URL not in os.environ:
            self.postgres = embedded.start(home_of(self.folder))
            os.environ[OWNER_URL] = self.postgres.cluster.dsn("turnup_owner", "turnup")
            os.environ[APP_URL] = self.postgres.cluster.dsn("turnup_app", "turnup")
            os.environ[SUPERUSER_URL] = self.postgres.cluster.dsn("postgres", "turnup")
        asyncio.run(_make_template(os.environ[OWNER_URL]))

    def close(self) -> None:
        """Stop the cluster and delete its data."""
        if self.postgres is not None:
            self.postgres.stop()
            embedded.erase(home_of(self.folder))
            del os.environ[OWNER_URL], os.environ[APP_URL], os.environ[SUPERUSER_URL]
        shutil.rmtree(self.folder, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and not config.option.collectonly and not config.option.no_database:
        config.stash[_CLUSTER] = Cluster()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _CLUSTER in config.stash:
        config.stash[_CLUSTER].close()


_CLUSTER = pytest.StashKey[Cluster]()


async def _make_template(owner_url: str) -> None:
    await _run(owner_url, f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)", f"CREATE DATABASE {TEMPLATE}")
    template = with_database(owner_url, TEMPLATE)
    await migrate(template)
    await load_demo(template, with_database(os.environ[APP_URL], TEMPLATE))


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
async def database() -> AsyncIterator[TestDatabase]:
    """This worker's database."""
    async with _own_database() as made:
        yield made


@pytest.fixture(scope="module")
async def bare_database() -> AsyncIterator[TestDatabase]:
    """A database of one module of tests with nothing in it, not even the schema."""
    async with _own_database("template1") as made:
        yield made


@pytest.fixture(scope="module")
async def empty_database(bare_database: TestDatabase) -> TestDatabase:
    """A database of one module of tests, migrated and without rows."""
    await migrate(bare_database.owner_url)
    return bare_database


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A TURNUP_HOME of this worker."""
    folder = Path(tempfile.mkdtemp(prefix="turnup-home-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def settings(database: TestDatabase, home: Path) -> Settings:
    """The settings of the app under test."""
    return Settings(database_url=SecretStr(database.app_url), home=home)


@pytest.fixture(scope="session")
async def client(settings: Settings, database: TestDatabase) -> AsyncIterator[Client]:
    """A client of the real app, on this worker's database."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http,
    ):
        yield Client(http, DevelopmentIssuer.load_or_create(settings.home), database)


@pytest.fixture
async def own_client(home: Path) -> AsyncIterator[Client]:
    """A client of the real app on a database that this test has for itself, with the demo data as it was."""
    async with _own_database() as own:
        app = create_app(Settings(database_url=SecretStr(own.app_url), home=home))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http,
        ):
            yield Client(http, DevelopmentIssuer.load_or_create(home), own)


@asynccontextmanager
async def _own_database(template: str = TEMPLATE) -> AsyncIterator[TestDatabase]:
    name = f"turnup_test_{uuid4().hex[:12]}"
    owner_url = os.environ[OWNER_URL]
    await _run(
        owner_url,
        f"CREATE DATABASE {name} TEMPLATE {template}",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {name} TO turnup_app",
    )
    try:
        yield TestDatabase(with_database(os.environ[APP_URL], name), with_database(owner_url, name))
    finally:
        await drop_database(owner_url, name)


@pytest.fixture
async def as_definer(database: TestDatabase) -> AsyncIterator["asyncpg.Connection"]:
    """A connection that row-level security lets pass; what it does is rolled back."""
    connection = await asyncpg.connect(database.owner_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SET LOCAL ROLE turnup_definer")
    yield connection
    await transaction.rollback()
    await connection.close()
