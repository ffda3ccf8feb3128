"""The starter of docs/examples in a browser: people sign in, page through a list, and lose nothing that they type."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize, expect

from tests.browser.conftest import WAIT_MS, Opened, browser, watch  # noqa: F401 - a fixture
from tests.cli.turnup import free_port
from tests.contract.served import ROOT, served
from tests.harness import LEAD
from tests.needs import needs, needs_packages
from tests.sign_in.conftest import AXE, VIOLATIONS, say
from tests.sign_in.people import NAMES, PEOPLE
from tests.sign_in.provider import AUDIENCE, TURNUP, Provider, running_provider

STARTER = ROOT / "docs/examples/starter"
START_SECONDS = 60.0
PHONE: ViewportSize = {"width": 375, "height": 812}

CREATE = """mutation ($name: String!) { createLocation(input: {accountId: "account-1", name: $name}) {
  location { id } problems { code message } } }"""
READ = "query ($id: ID!) { location(id: $id) { name siteCode timezone sections { section revision } } }"
UPDATE = """mutation ($input: UpdateLocationInput!) { updateLocation(input: $input) { problems { code message } } }"""
END_SESSIONS = 'mutation { revokeSessions(input: {userId: "user-lead"}) { problems { code } } }'

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("starter")]


@dataclass(frozen=True)
class Site:
    """The page that vite serves, with a server and an identity provider behind it."""

    origin: str
    server: str
    provider: Provider

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a request of a lead, with an access token."""
        token = self.provider.app_tokens(LEAD)["access_token"]
        response = httpx.post(
            f"{self.server}/graphql",
            json={"query": query, "variables": variables},
            headers={"authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,
        ).json()
        assert "errors" not in response, response["errors"]
        return response["data"]

    def add_location(self, name: str) -> str:
        """The id of a new location."""
        created = self.ask(CREATE, name=name)["createLocation"]
        assert created["problems"] == []
        return str(created["location"]["id"])

    def stored(self, location_id: str) -> dict[str, str | None]:
        """The fields that the page edits, as they are stored."""
        location: dict[str, str | None] = self.ask(READ, id=location_id)["location"]
        return {name: location[name] for name in ("name", "siteCode", "timezone")}

    def change(self, location_id: str, **changes: str) -> None:
        """Change a location as somebody else would."""
        sections = self.ask(READ, id=location_id)["location"]["sections"]
        (revision,) = [each["revision"] for each in sections if each["section"] == "LOCATION"]
        made = self.ask(UPDATE, input={"locationId": location_id, "expectedRevision": revision, **changes})
        assert made["updateLocation"]["problems"] == []


@pytest.fixture(scope="module")
def built() -> None:
    """The starter, checked by tsc and built as its README says."""
    needs_packages(STARTER)
    run = subprocess.run(
        [needs("npm"), "run", "build"], cwd=STARTER, capture_output=True, text=True, check=False, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr


@contextmanager
def page_server(port: int, **variables: str) -> Iterator[None]:
    """Serve the built page at a port."""
    vite = [needs("node"), "node_modules/vite/bin/vite.js", "preview", "--port", str(port), "--strictPort"]
    process = subprocess.Popen(vite, cwd=STARTER, env={**os.environ, **variables}, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            assert process.poll() is None, "vite ended"
            assert time.monotonic() < deadline, "vite does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def site(built: None) -> Iterator[Site]:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    client_id, client_secret = TURNUP
    with running_provider(PEOPLE) as provider:
        provider.set(origin=origin)
        settings = {
            "TURNUP_GRAPHIQL": "false",
            "TURNUP_PUBLIC_URL": origin,
            "TURNUP_ISSUER": provider.issuer,
            "TURNUP_JWKS_URL": f"{provider.issuer}/jwks",
            "TURNUP_AUDIENCE": AUDIENCE,
            "TURNUP_OIDC_CLIENT_ID": client_id,
            "TURNUP_OIDC_CLIENT_SECRET": client_secret,
        }
        with served(**settings) as server, page_server(port, TURNUP_URL=server.origin):
            yield Site(origin, server.origin, provider)


Visit = Callable[..., Page]


@pytest.fixture
def visit(site: Site, browser: Browser) -> Iterator[Visit]:  # noqa: F811 - the fixture
    """A function for the page in a new browser in which a lead signed in.

    At the end, the page must have reported no fault, and everything must have come from the site and the provider.
    """
    opened: list[tuple[BrowserContext, Opened]] = []

    def open_one(fragment: str = "", *, size: ViewportSize = PHONE) -> Page:
        context = browser.new_context(viewport=size, base_url=site.origin)
        one = Opened(context.new_page())
        one.page.set_default_timeout(WAIT_MS)
        watch(one, site.origin, site.provider.issuer, refusals=(401, 502))
        opened.append((context, one))
        one.page.goto("/")
        sign_in(one.page)
        if fragment:
            one.page.goto(f"/#{fragment}")
        return one.page

    try:
        yield open_one
        assert [one.faults for _, one in opened] == [[] for _ in opened]
    finally:
        for context, _ in opened:
            context.close()


def sign_in(page: Page) -> None:
    """Sign in as a lead, from a page that asks for it."""
    page.get_by_role("link", name="Sign in").click()
    say(page, LEAD)
    signed_in(page)


def signed_in(page: Page) -> None:
    """Wait for the page of the lead."""
    expect(page.get_by_role("banner")).to_contain_text(NAMES[LEAD])


def field(page: Page, label: str) -> Any:
    return page.get_by_label(label, exact=True)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save").click()


def test_the_list_pages_on_to_its_end(site: Site, visit: Visit) -> None:
    page = visit()
    names = page.get_by_role("listitem").get_by_role("link")
    expect(names).to_have_count(5)
    total = site.ask("{ locations { totalCount } }")["locations"]["totalCount"]
    assert total > 10
    while (more := page.get_by_role("button", name="Show more")).is_visible():
        shown = names.count()
        more.click()
        expect(names).not_to_have_count(shown)
    stored = site.ask("{ locations(first: 100) { nodes { name } } }")["locations"]["nodes"]
    assert names.all_inner_texts() == [each["name"] for each in stored]


def test_an_edit_is_saved_and_the_list_shows_it(site: Site, visit: Visit) -> None:
    location = site.add_location("Aardvark Clinic")
    page = visit()
    page.get_by_role("link", name="Aardvark Clinic").click()
    field(page, "Name").fill("Aardvark Hospital")
    field(page, "Time zone").fill("America/Denver")
    save(page)
    expect(page.get_by_role("status")).to_have_text("Saved.")
    expect(page.get_by_role("heading", level=2)).to_have_text("Aardvark Hospital")
    assert site.stored(location) == {"name": "Aardvark Hospital", "siteCode": None, "timezone": "America/Denver"}
    page.get_by_role("link", name="All locations").click()
    expect(page.get_by_role("link", name="Aardvark Hospital")).to_be_visible()


@pytest.mark.parametrize(("choice", "stored"), [("Keep yours: Mine", "Mine"), ("Take theirs: Theirs", "Theirs")])
def test_a_conflict_shows_both_values_and_the_user_decides(site: Site, visit: Visit, choice: str, stored: str) -> None:
    location = site.add_location("Conflict")
    page = visit(location)
    field(page, "Name").fill("Mine")
    field(page, "Site code").fill(location[-20:])
    site.change(location, name="Theirs", timezone="Europe/Oslo")
    save(page)

    expect(page.get_by_role("status")).to_contain_text("Somebody else changed this location.")
    expect(page.get_by_role("button", name="Keep yours: Mine")).to_be_visible()
    expect(page.get_by_role("button", name="Take theirs: Theirs")).to_be_visible()
    expect(page.get_by_role("group")).to_have_count(1)
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    expect(field(page, "Name")).to_have_value("Mine")
    expect(field(page, "Site code")).to_have_value(location[-20:])
    expect(field(page, "Time zone")).to_have_value("Europe/Oslo")
    assert site.stored(location)["name"] == "Theirs"

    page.get_by_role("button", name=choice).click()
    save(page)
    expect(page.get_by_role("status")).to_have_text("Saved.")
    assert site.stored(location) == {"name": stored, "siteCode": location[-20:], "timezone": "Europe/Oslo"}


def test_a_refusal_says_why_and_keeps_what_was_typed(site: Site, visit: Visit) -> None:
    code = site.add_location("Neighbour")[-20:]
    site.change(site.add_location("Holder of the code"), siteCode=code)
    location = site.add_location("Refused")
    page = visit(location)
    field(page, "Name").fill("Renamed")
    field(page, "Site code").fill(code)
    save(page)
    expect(page.get_by_role("status")).to_contain_text("already in use")
    expect(field(page, "Name")).to_have_value("Renamed")
    expect(field(page, "Site code")).to_have_value(code)
    assert site.stored(location) == {"name": "Refused", "siteCode": None, "timezone": None}


def test_an_error_shows_the_id_of_its_request(visit: Visit) -> None:
    page = visit()
    with page.expect_response(lambda response: '"Location"' in (response.request.post_data or "")) as answered:
        page.goto("/#location-nowhere")
    expect(page.get_by_role("alert")).to_contain_text(answered.value.headers["x-request-id"])
    page.get_by_role("link", name="All locations").click()
    expect(page.get_by_role("listitem")).to_have_count(5)


def test_what_was_typed_outlives_the_session(site: Site, visit: Visit) -> None:
    location = site.add_location("Long day")
    page = visit(location)
    field(page, "Name").fill("Longer day")
    assert site.ask(END_SESSIONS)["revokeSessions"]["problems"] == []
    with page.expect_response("**/graphql") as answered:
        save(page)
    expect(page.get_by_role("alert")).to_contain_text(answered.value.headers["x-request-id"])
    page.get_by_role("link", name="Sign in").click()  # the provider still knows the lead
    signed_in(page)
    page.goto(f"/#{location}")
    expect(field(page, "Name")).to_have_value("Longer day")
    save(page)
    expect(page.get_by_role("status")).to_have_text("Saved.")
    assert site.stored(location)["name"] == "Longer day"


def test_a_save_whose_response_is_lost_can_be_repeated(site: Site, visit: Visit) -> None:
    location = site.add_location("Tunnel")
    page = visit(location)
    field(page, "Name").fill("Bridge")

    def lose(route: Route) -> None:
        route.fetch()
        route.fulfill(status=502, body="<h1>Bad Gateway</h1>")

    page.route("**/graphql", lose, times=1)
    save(page)
    expect(page.get_by_role("alert")).to_have_text("The server could not be reached.")
    assert site.stored(location)["name"] == "Bridge"
    save(page)
    expect(page.get_by_role("status")).to_have_text("Saved.")


def test_every_view_fits_a_phone_and_is_accessible(site: Site, visit: Visit) -> None:
    location = site.add_location("Narrow " + "long-name" * 10)
    page = visit()
    _fits(page)
    page.goto(f"/#{location}")
    field(page, "Name").fill("Mine " + "without-a-space" * 5)
    site.change(location, name="Theirs " + "without-a-space" * 5)
    save(page)
    expect(page.get_by_role("group")).to_be_visible()
    _fits(page)
    page.goto("/#location-nowhere")
    expect(page.get_by_role("alert")).to_be_visible()
    _fits(page)


def _fits(page: Page) -> None:
    page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    assert page.evaluate(VIOLATIONS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_token_in_the_environment_of_vite_signs_the_page_in(site: Site, browser: Browser) -> None:  # noqa: F811 - the fixture
    port = free_port()
    token = site.provider.app_tokens(LEAD)["access_token"]
    context = browser.new_context()
    try:
        with page_server(port, TURNUP_URL=site.server, TURNUP_TOKEN=token):
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}/")
            signed_in(page)
    finally:
        context.close()
