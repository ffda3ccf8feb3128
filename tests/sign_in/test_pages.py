"""The pages of browser sign-in, with a certified provider and a real browser: with and without JavaScript."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.harness import LEAD

from .conftest import AXE, VIOLATIONS, Visit, reads, say
from .people import STRANGER
from .provider import Provider

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sign-in")]

LOGIN = "/auth/login?next=/auth/signed-in"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_person_signs_in_and_out_also_without_javascript(visit: Visit, scripts: bool) -> None:
    page = visit(LOGIN, scripts=scripts).page
    say(page, LEAD)
    reads(page, "You are signed in")
    page.get_by_role("link", name="Sign out").click()
    reads(page, "Sign out of Turnup?")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign out")  # the provider's page
    page.get_by_role("button", name="Sign out").click()
    reads(page, "You are signed out")
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_label("Name")).to_be_visible()


def test_who_is_signed_in_at_the_provider_is_not_asked_again(visit: Visit) -> None:
    page = visit(LOGIN).page
    say(page, LEAD)
    reads(page, "You are signed in")
    page.context.clear_cookies(name="__Host-turnup_session")
    page.goto(LOGIN)
    reads(page, "You are signed in")


def test_who_is_no_user_is_told_so_and_can_take_another_account(visit: Visit) -> None:
    page = visit(LOGIN).page
    say(page, STRANGER)
    reads(page, "You have no access")
    page.get_by_role("link", name="Sign in with another account").click()
    say(page, LEAD)
    reads(page, "You are signed in")


def test_who_comes_back_with_a_used_code_is_asked_to_sign_in_again(visit: Visit) -> None:
    page = visit(LOGIN).page
    with page.expect_request("**/auth/callback?*") as sent:
        say(page, LEAD)
    reads(page, "You are signed in")
    page.goto(sent.value.url)
    reads(page, "Please sign in again")


def unreachable(page: Page) -> None:
    reads(page, "Nobody can sign in at the moment")
    expect(page.get_by_role("main")).to_contain_text("People who are signed in are not affected.")


@pytest.mark.parametrize("outage", ["fails", "hangs"])
def test_while_the_provider_is_down_who_comes_back_from_it_gets_a_clear_page(
    visit: Visit, provider: Provider, outage: str
) -> None:
    page = visit(LOGIN).page
    provider.set(outage=outage, outage_of="/token")
    say(page, LEAD)
    unreachable(page)


# With a screen reader and with keys


PAGES = {
    "/auth/signed-in": ("You are signed in", "link", "Sign out"),
    "/auth/logout": ("Sign out of Turnup?", "button", "Sign out"),
    "/auth/signed-out": ("You are signed out", "link", "Sign in"),
    "/auth/login?next=//elsewhere.example": ("This link does not work", "link", "Sign in"),
    "/auth/callback?state=forged": ("Please sign in again", "link", "Sign in"),
}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_read_out_with_its_heading_and_its_way_on(visit: Visit, tmp_path: Path, path: str) -> None:
    heading, role, name = PAGES[path]
    page = visit(path).page
    reads(page, heading)
    page.screenshot(path=tmp_path / "page.png")
    expect(page.get_by_role("main")).to_match_aria_snapshot(
        f"""
        - main:
          - heading "{heading}" [level=1]
          - {role} "{name}"
        """
    )
    assert page.locator("html").get_attribute("lang") == "en"
    page.keyboard.press("Tab")  # the way on is the first and only thing that has the focus
    expect(page.get_by_role(role, name=name)).to_be_focused()  # type: ignore[arg-type] # - one of two roles


@pytest.mark.parametrize("path", PAGES)
def test_a_page_follows_the_rules_of_accessibility_in_light_and_dark(visit: Visit, path: str) -> None:
    page = visit(path).page
    page.evaluate(AXE.read_text())
    page.emulate_media(color_scheme="light")
    assert page.evaluate(VIOLATIONS) == []
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(VIOLATIONS) == []
