"""GraphiQL with a session: people sign in, work, and sign out; an ended session loses nothing that was typed."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Opened
from tests.harness import CUSTOMER, LEAD, LISTED_CUSTOMER

from .conftest import AXE, VIOLATIONS, Site, Visit, reads, say
from .people import NAMES
from .provider import Provider

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sign-in")]

DISCOVERY_SECONDS = 10.0
QUERY = "query Nearby { locations(first: 3) { nodes { name } } }"
MUTATION = 'mutation Add { createAccount(input: {name: "Dune Optics"}) { account { name } problems { code } } }'
WHO = "query Who { viewer { name } }"
SIGN_OUT_EVERYWHERE = "mutation ($user: ID!) { revokeSessions(input: {userId: $user}) { problems { code } } }"
SUSPEND = "mutation ($user: ID!) { suspendUser(input: {userId: $user}) { problems { code } } }"
REINSTATE = "mutation ($user: ID!) { reinstateUser(input: {userId: $user}) { problems { code } } }"


def bar(page: Page) -> Locator:
    return page.get_by_role("banner")


def opened(visit: Visit) -> Opened:
    """GraphiQL in a new browser, ready to type."""
    one = visit("/graphiql")
    one.page.locator(".graphiql-query-editor .monaco-editor").wait_for()
    return one


def signed_in(visit: Visit, who: str) -> Opened:
    """GraphiQL in which somebody signed in."""
    one = opened(visit)
    one.page.get_by_role("link", name="Sign in").click()
    say(one.page, who)
    expect(bar(one.page)).to_contain_text(f"Signed in as {NAMES[who]}")
    one.page.locator(".graphiql-query-editor .monaco-editor").wait_for()
    return one


def write(one: Opened, operation: str) -> None:
    """Type an operation over the one of the tab, which then has its name."""
    one.page.keyboard.press("Alt+q")
    one.page.keyboard.press("Control+a")
    one.page.keyboard.insert_text(operation)
    typed(one, operation)
    expect(one.page.get_by_role("tab", selected=True)).to_contain_text(operation.split()[1])


def typed(one: Opened, operation: str) -> None:
    """Wait until the editor shows this operation."""
    expect(one.page.locator(".graphiql-query-editor .view-lines")).to_contain_text(operation.replace(" ", "\u00a0"))


def as_lead(site: Site, provider: Provider, mutation: str, user: str) -> None:
    """Run a mutation on a user with a lead's access token."""
    (payload,) = site.ask(mutation, provider.app_tokens(LEAD)["access_token"], user=user).data.values()
    assert payload["problems"] == []


def test_a_lead_signs_in_and_works_with_the_session_alone(visit: Visit) -> None:
    one = signed_in(visit, LEAD)
    expect(bar(one.page)).to_contain_text("(Implementation lead)")
    write(one, QUERY)
    assert len(one.run("Nearby")["data"]["locations"]["nodes"]) == 3
    one.status("Done, nothing refused.")
    write(one, MUTATION)
    assert one.run("Add")["data"]["createAccount"]["account"] == {"name": "Dune Optics"}
    assert {authorization for authorization, _ in one.asked} == {None}
    (cookie,) = [each for each in one.page.context.cookies() if "session" in each["name"] and "turnup" in each["name"]]
    assert cookie["name"] == "__Host-turnup_session"
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")


def test_who_signs_out_is_signed_out_of_the_provider_as_well_and_another_person_can_sign_in(visit: Visit) -> None:
    one = signed_in(visit, LEAD)
    one.page.get_by_role("button", name="Sign out").click()
    expect(one.page).to_have_title("Sign out")  # the provider's page
    one.page.get_by_role("button", name="Sign out").click()
    reads(one.page, "You are signed out")
    one.page.get_by_role("link", name="Sign in").click()
    say(one.page, CUSTOMER)
    expect(bar(one.page)).to_contain_text("Signed in as Alice Johnson (Customer)")


def test_an_ended_session_is_told_and_nothing_that_was_typed_is_lost(
    visit: Visit, site: Site, provider: Provider, tmp_path: Path
) -> None:
    one = signed_in(visit, CUSTOMER)
    write(one, QUERY)
    as_lead(site, provider, SIGN_OUT_EVERYWHERE, "user-acme")
    one.run("Nearby")
    one.status("UNAUTHENTICATED")
    expect(bar(one.page).get_by_role("alert")).to_contain_text("The session of Alice Johnson has ended.")
    one.page.screenshot(path=tmp_path / "ended.png")
    typed(one, QUERY)
    one.page.get_by_role("link", name="Sign in again").click()  # the provider still knows who it is
    expect(bar(one.page)).to_contain_text("Signed in as Alice Johnson")
    typed(one, QUERY)
    one.page.keyboard.press("Alt+q")
    assert one.run("Nearby")["data"]["locations"]["nodes"]


def test_a_session_that_ends_in_another_tab_has_ended_in_this_one(visit: Visit) -> None:
    one = signed_in(visit, CUSTOMER)
    other = one.page.context.new_page()
    other.goto("/auth/logout")
    other.get_by_role("button", name="Sign out").click()
    expect(other).to_have_title("Sign out")
    one.page.bring_to_front()
    one.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # headless tabs are always visible
    expect(bar(one.page).get_by_role("alert")).to_contain_text("The session of Alice Johnson has ended.")


def test_a_suspended_user_is_out_at_once_and_told_why_at_the_next_sign_in(
    visit: Visit, site: Site, provider: Provider
) -> None:
    one = signed_in(visit, LISTED_CUSTOMER)
    write(one, WHO)
    as_lead(site, provider, SUSPEND, "user-acme-north")
    try:
        one.run("Who")
        one.status("UNAUTHENTICATED")
        one.page.get_by_role("link", name="Sign in again").click()
        reads(one.page, "Your access is suspended")
    finally:
        as_lead(site, provider, REINSTATE, "user-acme-north")


def test_a_pasted_token_goes_without_the_session(visit: Visit, provider: Provider) -> None:
    one = signed_in(visit, LEAD)
    bearer = f"Bearer {provider.app_tokens(CUSTOMER)['access_token']}"
    one.page.keyboard.press("Alt+h")
    expect(one.page.locator(".graphiql-editor-tool :focus")).to_have_count(1)
    one.page.keyboard.insert_text(f'{{"Authorization": "{bearer}"}}')
    expect(bar(one.page)).to_contain_text("Your token goes with every request from this page")
    write(one, WHO)
    assert one.run("Who") == {"data": {"viewer": {"name": "Alice Johnson"}}, "extensions": one.run("Who")["extensions"]}
    assert one.asked[-1] == (bearer, "Who")


def test_while_the_provider_is_down_people_stay_signed_in_and_others_get_a_clear_page(
    visit: Visit, provider: Provider
) -> None:
    one = signed_in(visit, LEAD)
    provider.set(outage="hangs")
    time.sleep(DISCOVERY_SECONDS)
    write(one, WHO)
    assert one.run("Who")["data"] == {"viewer": {"name": "Lena Ortiz"}}
    other = visit("/auth/login").page
    reads(other, "Nobody can sign in at the moment")
    expect(other.get_by_role("main")).to_contain_text("People who are signed in are not affected.")


def test_the_bar_is_read_out_and_follows_the_rules_of_accessibility(visit: Visit, tmp_path: Path) -> None:
    page = opened(visit).page
    page.screenshot(path=tmp_path / "signed-out.png")
    expect(bar(page)).to_match_aria_snapshot(
        """
        - banner:
          - heading "Turnup" [level=1]
          - paragraph:
            - link "Sign in"
            - text: "or paste your token into the Headers pane:"
        """
    )
    page.evaluate(AXE.read_text())
    assert page.evaluate(VIOLATIONS, ".bar") == []
    page.get_by_role("link", name="Sign in").click()
    say(page, LEAD)
    expect(bar(page)).to_match_aria_snapshot(
        """
        - banner:
          - heading "Turnup" [level=1]
          - text: Signed in as
          - strong: Lena Ortiz
          - text: (Implementation lead)
          - button "Sign out"
        """
    )
    page.evaluate(AXE.read_text())
    assert page.evaluate(VIOLATIONS, ".bar") == []
    page.screenshot(path=tmp_path / "signed-in.png")
