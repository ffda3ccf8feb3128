"""What the servers of this lane depend on, and the process that starts them."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.db.migrate import migrate
from app.operations.demo import load_demo
from app.postgres import embedded
from tests.auth.auth_builders import KeyServer, serving
from tests.limiting.redis_server import RedisServer, a_redis

from .processes import Stem, a_stem
from .servers import Cluster, Surroundings
from .sinks import Sink
from .traffic import SIGNER


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[Cluster]:
    """A PostgreSQL of this lane's own, with the demo data: its processes are stopped."""
    folder = Path(tempfile.mkdtemp(prefix="turnup-outages-"))
    home = folder / "home"
    with embedded.start(home) as postgres:
        owner, app = postgres.cluster.dsn("turnup_owner", "turnup"), postgres.cluster.dsn("turnup_app", "turnup")
        await migrate(owner)
        await load_demo(owner, app)
        socket = f"{postgres.cluster.socket_dir}/.s.PGSQL.{postgres.cluster.port}"
        yield Cluster(home, app, owner, postgres.cluster.dsn("postgres", "turnup"), socket)
    embedded.erase(home)


@pytest.fixture(scope="session")
def stem(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stem]:
    """What starts servers and commands."""
    with a_stem(tmp_path_factory.mktemp("outages")) as made:
        yield made


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A Redis of this lane's own."""
    with a_redis() as server:
        yield server


@pytest.fixture
async def issuer() -> AsyncIterator[KeyServer]:
    """The issuer of tokens and its key set."""
    async with serving(SIGNER.jwk) as server:
        yield server


@pytest.fixture
async def surroundings(
    cluster: Cluster, stem: Stem, redis: RedisServer, issuer: KeyServer
) -> AsyncIterator[Surroundings]:
    """Everything that a server depends on, each behind a proxy."""
    async with Sink() as collector, Sink() as sentry:
        with Surroundings(cluster, stem, redis, issuer.port, collector.port, sentry.port) as made:
            yield made
