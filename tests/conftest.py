"""Fixtures: the run's cluster (owned by the controller process), this worker's database, and a client of the app.

With TURNUP_TEST_APP_URL and TURNUP_TEST_OWNER_URL the databases are created on that server instead of the embedded one;
the roles must exist there.
"""

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app import cli, main
from app.auth.development import DevelopmentIssuer
from app.db.migrate import migrate
from app.main import create_app
from app.operations import housekeeping
from app.operations.demo import load_demo
from app.operations.gauges import run_gauges
from app.postgres import embedded
from app.settings import Settings
from tests import hypothesis_profile  # noqa: F401 - loaded for its effect
from tests.harness import (
    APP_URL,
    EMPTY_TEMPLATE,
    OWNER_URL,
    SUPERUSER_URL,
    TEMPLATE,
    Client,
    Ended,
    TestDatabase,
    Turnup,
    home_of,
    own_database,
    run_as_owner,
    with_database,
)

pytest_plugins = ["tests.lanes"]

LONGEST_ID = 200  # characters of one parameter

# The cluster's data need not survive a crash, and nothing but a test's own statements should run in it.
THROWAWAY = {
    "autovacuum": "off",
    "file_copy_method": "clone",
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "4GB",
    "synchronous_commit": "off",
}

# Tests write more per minute than people do, and the machine may be slow; tests of limits set their own values.
os.environ.setdefault("TURNUP_LIMIT_DEADLINE_SECONDS", "60")
for budget in (
    "ANONYMOUS",
    "OBJECTS",
    "EDITS",
    "SUBMITS",
    "APPROVALS",
    "PAYLOADS",
    "BULK_CALLS",
    "BULK_ITEMS",
    "DRY_RUNS",
):
    os.environ.setdefault(f"TURNUP_LIMIT_{budget}", "1000000000")

# Commands in this process log no JSON, for which they would replace standard output.
os.environ.setdefault("TURNUP_LOG_FORMAT", "text")

# No housekeeping runs in the background, and nothing is measured: their tests start them explicitly.
housekeeping.EVERY_SECONDS = 86_400
main.CHECK_SECONDS = 86_400
run_gauges.__kwdefaults__ = {"first_seconds": 86_400.0, "every_seconds": 86_400.0}


class Cluster:
    """The run's PostgreSQL, started once by the controller process and deleted when the run ends."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="turnup-tests-"))
        self.postgres: embedded.EmbeddedPostgres | None = None
        if OWNER_URL not in os.environ:
            self.postgres = embedded.start(home_of(self.folder))
            os.environ[OWNER_URL] = self.postgres.cluster.dsn("turnup_owner", "turnup")
            os.environ[APP_URL] = self.postgres.cluster.dsn("turnup_app", "turnup")
            os.environ[SUPERUSER_URL] = self.postgres.cluster.dsn("postgres", "turnup")
            asyncio.run(_make_throwaway(os.environ[SUPERUSER_URL]))
        asyncio.run(_make_templates(os.environ[OWNER_URL]))

    def close(self) -> None:
        """Stop the cluster and delete its data."""
        if self.postgres is not None:
            self.postgres.stop()
            embedded.erase(home_of(self.folder))
            del os.environ[OWNER_URL], os.environ[APP_URL], os.environ[SUPERUSER_URL]
        shutil.rmtree(self.folder, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    runs_tests = not (config.option.collectonly or config.option.help or config.option.version)
    if runs_tests and not config.option.no_database and not hasattr(config, "workerinput"):
        config.stash[_CLUSTER] = Cluster()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long text by its parameter: the id of a test is in the environment of each process that it starts."""
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST_ID else None


def pytest_unconfigure(config: pytest.Config) -> None:
    if _CLUSTER in config.stash:
        config.stash[_CLUSTER].close()


def pytest_collection_finish() -> None:
    """Exclude all existing objects from later garbage collections."""
    gc.collect()
    gc.freeze()


_CLUSTER = pytest.StashKey[Cluster]()


async def _make_throwaway(superuser_url: str) -> None:
    connection = await asyncpg.connect(superuser_url)
    for name, value in THROWAWAY.items():
        await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def _make_templates(owner_url: str) -> None:
    await run_as_owner(f"DROP DATABASE IF EXISTS {EMPTY_TEMPLATE} WITH (FORCE)", f"CREATE DATABASE {EMPTY_TEMPLATE}")
    await migrate(with_database(owner_url, EMPTY_TEMPLATE))
    await run_as_owner(
        f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)", f"CREATE DATABASE {TEMPLATE} TEMPLATE {EMPTY_TEMPLATE}"
    )
    await load_demo(with_database(owner_url, TEMPLATE), with_database(os.environ[APP_URL], TEMPLATE))


@pytest.fixture(scope="session")
async def database() -> AsyncIterator[TestDatabase]:
    """This worker's database."""
    async with own_database() as made:
        yield made


@pytest.fixture(scope="module")
async def bare_database() -> AsyncIterator[TestDatabase]:
    """An empty database for one test module, without the schema."""
    async with own_database("template1") as made:
        yield made


@pytest.fixture(scope="module")
async def empty_database() -> AsyncIterator[TestDatabase]:
    """A migrated database without rows for one test module."""
    async with own_database(EMPTY_TEMPLATE) as made:
        yield made


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A TURNUP_HOME for this worker."""
    folder = Path(tempfile.mkdtemp(prefix="turnup-home-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def settings(database: TestDatabase, home: Path) -> Settings:
    """The settings of the app under test."""
    return Settings(database_url=SecretStr(database.app_url), home=home)


@pytest.fixture(scope="session")
async def client(settings: Settings, database: TestDatabase) -> AsyncIterator[Client]:
    """A client of the real app on this worker's database."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http,
    ):
        yield Client(http, DevelopmentIssuer.load_or_create(settings.home), database)


@pytest.fixture
async def own_client(home: Path) -> AsyncIterator[Client]:
    """A client of the real app on a database for this test alone, with the original demo data."""
    async with own_database() as own:
        app = create_app(Settings(database_url=SecretStr(own.app_url), home=home))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http,
        ):
            yield Client(http, DevelopmentIssuer.load_or_create(home), own)


@pytest.fixture
def turnup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Turnup:
    """Run a command with the URLs of both roles of a database, in a thread of this process."""

    async def command(place: TestDatabase, *arguments: str) -> Ended:
        monkeypatch.setenv("DATABASE_URL", place.app_url)
        monkeypatch.setenv("TURNUP_OWNER_DATABASE_URL", place.owner_url)
        monkeypatch.setenv("TURNUP_HOME", str(tmp_path))
        capsys.readouterr()
        message = await asyncio.to_thread(_ended, arguments)
        printed = capsys.readouterr()
        return Ended(0 if message is None else 1, printed.out, printed.err + (message or ""))

    return command


def _ended(arguments: tuple[str, ...]) -> str | None:
    """Run a command; return the message with which it exits, or None."""
    try:
        cli.main(list(arguments))
    except SystemExit as ended:
        return str(ended.code)
    return None


@pytest.fixture
async def as_definer(database: TestDatabase) -> AsyncIterator["asyncpg.Connection"]:
    """A connection that bypasses row-level security; its changes are rolled back."""
    connection = await asyncpg.connect(database.owner_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SET LOCAL ROLE turnup_definer")
    yield connection
    await transaction.rollback()
    await connection.close()
