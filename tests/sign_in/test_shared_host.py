"""The server under a path of a host that it shares: people sign in, work in GraphiQL and sign out below the path."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.harness import LEAD
from tests.proxies.fronts import PREFIX

from .conftest import Running, Site, Visit, reads, say
from .people import NAMES
from .provider import Provider

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sign-in")]


@pytest.fixture(scope="module")
def site(running_site: Running, site: Site, provider: Provider) -> Iterator[Site]:
    with running_site(shares_host=True) as running:
        provider.set(origin=running.origin + PREFIX)
        yield running
    provider.set(origin=site.origin)


def test_a_lead_signs_in_works_in_graphiql_and_signs_out(visit: Visit, site: Site) -> None:
    one = visit(f"{PREFIX}/graphiql")
    page = one.page
    page.get_by_role("link", name="Sign in").click()
    say(page, LEAD)
    expect(page.get_by_role("banner")).to_contain_text(f"Signed in as {NAMES[LEAD]}")
    assert page.url == f"{site.origin}{PREFIX}/graphiql"
    page.locator(".graphiql-query-editor .monaco-editor").wait_for()
    page.keyboard.press("Alt+q")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("query Who { viewer { name } }")
    expect(page.get_by_role("tab", selected=True)).to_contain_text("Who")
    assert one.run("Who")["data"] == {"viewer": {"name": NAMES[LEAD]}}
    (cookie,) = [each for each in page.context.cookies() if each["name"] == "__Host-turnup_session"]
    assert cookie["path"] == "/"
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign out")  # the provider's page
    page.get_by_role("button", name="Sign out").click()
    reads(page, "You are signed out")
    assert page.url == f"{site.origin}{PREFIX}/auth/signed-out"
