"""A server in production mode behind nginx with TLS, and the provider at which its users sign in."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.auth.keys import trusting
from tests.browser.conftest import (  # noqa: F401 - two fixtures
    SIZE,
    TELL_VIOLATIONS,
    WAIT_MS,
    Opened,
    browser,
    dist,
    watch,
)
from tests.cli.turnup import environment, free_port
from tests.faults.behind_nginx import instances, nginx
from tests.harness import Answer, TestDatabase, own_database
from tests.proxies.fronts import PREFIX, nginx_under_a_path
from tests.tls.authority import Authority

from .people import PEOPLE
from .provider import AUDIENCE, TURNUP, Provider, running_provider

KEY_TTL_SECONDS = 10.0
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
VIOLATIONS = "part => axe.run(part ?? document).then(({violations}) => violations.map(({id, help}) => [id, help]))"
"""The rules of accessibility that a part of a page breaks, once AXE ran in it."""


@dataclass(frozen=True)
class Site:
    """The server as its users reach it."""

    origin: str
    ca_file: Path
    http: httpx.Client
    process: int

    def browser(self) -> httpx.Client:
        """A browser without cookies and without JavaScript."""
        return httpx.Client(base_url=self.origin, verify=trusting(self.ca_file), timeout=30, trust_env=False)

    def ask(self, query: str, token: str, **variables: Any) -> Answer:
        """The answer to a query with a token."""
        asked = {"query": query, "variables": variables}
        response = self.http.post("/graphql", json=asked, headers={"authorization": f"Bearer {token}"})
        return Answer(response.status_code, response.json(), response.headers, response.content)


@pytest.fixture(scope="package")
def provider() -> Iterator[Provider]:
    with running_provider(PEOPLE) as running:
        yield running


@pytest.fixture(scope="package")
async def people_database() -> AsyncIterator[TestDatabase]:
    """A database with the demo data for this lane."""
    async with own_database() as made:
        yield made


Running = Callable[..., AbstractContextManager[Site]]


@pytest.fixture(scope="package")
def running_site(
    people_database: TestDatabase, provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Running:
    """A function that runs a server in production mode, with the settings of this lane and those that it is given.

    With `shares_host`, it is under the path of docs/deployment.md.
    """
    client_id, client_secret = TURNUP
    usual = {
        "TURNUP_ENV": "production",
        "DATABASE_URL": people_database.app_url,
        "TURNUP_JWKS_URL": f"{provider.issuer}/jwks",
        "TURNUP_ISSUER": provider.issuer,
        "TURNUP_AUDIENCE": AUDIENCE,
        "TURNUP_TRUSTED_PROXIES": "127.0.0.1",
        "TURNUP_GRAPHIQL": "true",
        "TURNUP_STOP_DELAY_SECONDS": "0",
        "TURNUP_KEY_TTL": str(KEY_TTL_SECONDS),
        "TURNUP_OIDC_CLIENT_ID": client_id,
        "TURNUP_OIDC_CLIENT_SECRET": client_secret,
    }

    @contextmanager
    def running(*, shares_host: bool = False, **settings: str) -> Iterator[Site]:
        folder = tmp_path_factory.mktemp("site")
        authority = Authority(folder, "private")
        port = free_port()
        origin = f"https://127.0.0.1:{port}"
        own = {"TURNUP_HOME": str(folder / "home"), "TURNUP_PUBLIC_URL": origin + (PREFIX if shares_host else "")}
        page = nginx_under_a_path() if shares_host else ""
        certificate = authority.certificate("127.0.0.1")
        with (
            instances(folder, environment(**usual, **own, **settings)) as (server,),
            nginx(folder, [server.port], page, port=port, certificate=certificate),
            httpx.Client(base_url=origin, verify=trusting(authority.ca_file), timeout=30, trust_env=False) as http,
        ):
            assert server.process is not None
            yield Site(origin, authority.ca_file, http, server.process.pid)

    return running


@pytest.fixture(scope="package")
def site(running_site: Running, provider: Provider) -> Iterator[Site]:
    with running_site() as running:
        provider.set(origin=running.origin)
        yield running


Visit = Callable[..., Opened]


@pytest.fixture
def visit(site: Site, provider: Provider, dist: Path, browser: Browser) -> Iterator[Visit]:  # noqa: F811 - the page is built
    """A function for a new browser on a page of the site.

    At the end, everything must have come from the site and the provider, within the policies of the pages.
    """
    contexts: list[BrowserContext] = []
    opened: list[Opened] = []

    def open_one(path: str, *, scripts: bool = True) -> Opened:
        context = browser.new_context(
            base_url=site.origin, viewport=SIZE, ignore_https_errors=True, java_script_enabled=scripts
        )
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.add_init_script(TELL_VIOLATIONS)
        one = Opened(context.new_page())
        one.page.set_default_timeout(WAIT_MS)
        watch(one, site.origin, provider.issuer, refusals=(400, 401, 403, 503))
        opened.append(one)
        one.page.goto(path)
        return one

    try:
        yield open_one
        for one in opened:
            assert one.faults == []
    finally:
        for context in contexts:
            context.close()


def say(page: Page, name: str) -> None:
    """Sign in at the provider's page."""
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Continue").click()


def reads(page: Page, heading: str) -> None:
    """Fail unless this is the page of the site with this heading, which is also its title."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page).to_have_title(f"{heading} - Turnup")


@pytest.fixture(autouse=True)
def usual(provider: Provider) -> Iterator[None]:
    """The provider has its usual settings again after each test, except for its keys: a retired one does not return."""
    yield
    provider.set(seconds=300, type="at+jwt", clock=0, outage=None, outage_of="/")
