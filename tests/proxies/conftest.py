"""A server behind each proxy."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cli.turnup import environment
from tests.faults.behind_nginx import Instance, instances, settings_of_page
from tests.harness import TestDatabase, own_database

from .fronts import FRONTS, HOST, PREFIX, Front

BODY_SECONDS = 1
KEEP_ALIVE_SECONDS = 4
"""Above the idle time of nginx."""
ANONYMOUS = 150
"""Requests per minute and address without a valid token."""


@pytest.fixture(scope="package")
async def proxies_database() -> AsyncIterator[TestDatabase]:
    """A database with the demo data for this lane."""
    async with own_database() as made:
        yield made


@pytest.fixture(scope="package")
def server(proxies_database: TestDatabase, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A server with the settings of the page that concern proxies, and limits that tests reach in seconds."""
    variables = environment(
        DATABASE_URL=proxies_database.app_url,
        TURNUP_HOME=str(home),
        TURNUP_LOG_FORMAT="JSON",
        TURNUP_PUBLIC_URL=f"https://{HOST}{PREFIX}",
        TURNUP_OIDC_ISSUER="https://login.example",
        TURNUP_OIDC_CLIENT_ID="turnup",
        TURNUP_OIDC_CLIENT_SECRET="unused",
        TURNUP_LIMIT_BODY_SECONDS=str(BODY_SECONDS),
        TURNUP_KEEP_ALIVE_SECONDS=str(KEEP_ALIVE_SECONDS),
        **settings_of_page(),
    )
    variables["TURNUP_LIMIT_ANONYMOUS"] = str(ANONYMOUS)
    with instances(tmp_path_factory.mktemp("server"), variables) as (running,):
        yield running


@pytest.fixture(scope="package", params=FRONTS)
def front(
    request: pytest.FixtureRequest, server: Instance, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    """Each proxy in turn in front of the server."""
    with FRONTS[request.param](tmp_path_factory.mktemp(request.param), [server.port]) as running:
        yield running


@pytest.fixture(scope="package", params=FRONTS)
def shared_host(
    request: pytest.FixtureRequest, server: Instance, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    """Each proxy in turn, which serves the server under a path."""
    with FRONTS[request.param](tmp_path_factory.mktemp(request.param), [server.port], prefix=True) as running:
        yield running
