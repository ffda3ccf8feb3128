"""The API reference in a real browser: found by keyboard, read without scripts, and on a small screen."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.contract.served import Served

from .conftest import TELL_VIOLATIONS, WAIT_MS, Opened, watch

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


def opened(browser: Browser, server: Served, **options: object) -> tuple[Page, Opened]:
    context = browser.new_context(base_url=server.origin, **options)  # type: ignore[arg-type] # - options of Playwright
    context.add_init_script(TELL_VIOLATIONS)
    one = Opened(context.new_page())
    one.page.set_default_timeout(WAIT_MS)
    watch(one, server.origin)
    one.page.goto("/reference")
    return one.page, one


def test_a_field_is_found_and_opened_by_keyboard_without_a_request(browser: Browser, server: Served) -> None:
    page, one = opened(browser, server)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.press("/")
    page.keyboard.type("open override")
    expect(page.get_by_role("status")).to_contain_text("found")
    expect(page.locator("#found a").first).to_contain_text("openOverride")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server.origin}/reference#Mutation.openOverride")
    expect(page.locator("[id='Mutation.openOverride']")).to_be_in_viewport()
    expect(page.locator("#found a")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("nosuchword")
    expect(page.get_by_role("status")).to_have_text("0 found")
    page.keyboard.press("Escape")
    expect(page.get_by_role("status")).to_be_empty()
    assert (asked, one.faults, page.evaluate("violations")) == ([], [], [])
    page.context.close()


def test_words_of_a_description_find_what_they_describe(browser: Browser, server: Served) -> None:
    page, _ = opened(browser, server)
    page.keyboard.press("/")
    page.keyboard.type("upper-case hex colons")
    expect(page.locator("#found a").first).to_contain_text("Device.macAddress")
    page.context.close()


def test_without_scripts_the_page_reads_and_offers_no_search(browser: Browser, server: Served) -> None:
    page, _ = opened(browser, server, java_script_enabled=False)
    expect(page.get_by_label("Find")).to_be_hidden()
    expect(page.get_by_role("heading", name="Mutations", exact=True)).to_be_visible()
    page.locator("summary", has_text="Queries").get_by_role("link").click()
    expect(page).to_have_url(f"{server.origin}/reference#Query")
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_small_screen_nothing_is_wider_than_the_screen(browser: Browser, server: Served, scheme: str) -> None:
    page, one = opened(browser, server, viewport={"width": 375, "height": 812}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is (scheme == "light")
    assert one.faults == []
    page.context.close()
