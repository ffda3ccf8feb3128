"""Apollo Client in a browser, on a page of another origin: it may send the header fields that the server allows."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from playwright.sync_api import Request, sync_playwright

from tests.browser.conftest import FLAGS
from tests.contract.served import Served
from tests.harness import LEAD
from tests.needs import needs

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

ASK = 'async ([url, token]) => (await import("/otherOrigin.js")).ask(url, token)'


@pytest.fixture(scope="module")
def asked(other_origin: str, servers: Mapping[str, Served]) -> Iterator[Mapping[str, tuple[Any, list[Request]]]]:
    """What the page reports of each server, and the requests that the browser sent to it."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=needs("chromium"), args=FLAGS, chromium_sandbox=False)
        requests: list[Request] = []
        page = browser.new_page()
        page.on("request", lambda each: requests.append(each))  # noqa: PLW0108 - Playwright writes to the function
        page.goto(other_origin)
        answers: dict[str, tuple[Any, list[Request]]] = {}
        for mode in ("off", "prefer"):
            url = f"{servers[mode].origin}/graphql"
            found = page.evaluate(ASK, [url, servers[mode].token(LEAD)])
            answers[mode] = found, [each for each in requests if each.url == url]
        yield answers
        browser.close()


def test_apollo_client_names_itself_from_another_origin_if_the_server_allows_the_fields(
    asked: Mapping[str, tuple[Any, list[Request]]],
) -> None:
    found, (request,) = asked["prefer"]
    assert (found["name"], found["error"]) == ("Lena Ortiz", None)
    assert request.headers["apollographql-client-name"] == "storefront"
    assert request.headers["apollographql-client-version"] == "1.4.0"
    body: Any = request.post_data_json
    assert body["extensions"]["clientLibrary"]["name"] == "@apollo/client"


def test_a_page_of_another_origin_reads_the_id_of_its_request(
    asked: Mapping[str, tuple[Any, list[Request]]],
) -> None:
    found, _ = asked["prefer"]
    (request_id,) = found["requestIds"]
    assert request_id


def test_the_browser_refuses_fields_that_the_server_does_not_allow(
    asked: Mapping[str, tuple[Any, list[Request]]],
) -> None:
    found, _ = asked["off"]
    assert (found["name"], found["error"], found["requestIds"]) == (None, "Failed to fetch", [])
