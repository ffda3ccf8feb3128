"""The GraphiQL page in a real browser: it keeps to its origin and policy, and a lead needs no mouse."""

import json
from collections.abc import Callable

import pytest

from .conftest import WAIT_MS, Opened

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

INTROSPECTION = "IntrospectionQuery"
LEAD, CUSTOMER = "Bearer lead-token", "Bearer customer-token"
Open = Callable[..., Opened]


def test_every_part_of_the_page_comes_from_its_own_origin(open_page: Open) -> None:
    one = open_page()
    one.wait_for_request(LEAD, INTROSPECTION)
    one.page.get_by_label("Show Documentation Explorer").click()
    one.page.get_by_text("Root Types").wait_for(timeout=WAIT_MS)
    one.page.get_by_label("Show History").click()
    one.page.keyboard.press("Alt+q")
    one.page.keyboard.press("Shift+Control+P")
    one.page.keyboard.press("F1")  # the editor's own palette brings its icons
    one.page.get_by_placeholder("Type '>' to get help").or_(one.page.locator(".quick-input-widget")).first.wait_for()
    one.wait_until(lambda: len(one.page.workers) == 3)  # the editor's, GraphQL's, JSON's
    workers = [worker.url for worker in one.page.workers]
    assert all(url.startswith(f"{one.origin}/graphiql/assets/") for url in workers)


def test_the_examples_open_as_tabs_on_a_first_visit(open_page: Open) -> None:
    one = open_page(tabs=[{"example": "lead-approval", "variables": {"locationId": "location-77"}}])
    assert one.page.get_by_role("tab").all_inner_texts() == [
        "MyLocations",
        "WaitingForALead",
        "EditDevice",
        "AwaitingReceipt",
    ]
    one.page.keyboard.press("Alt+n")
    one.page.locator(".graphiql-editor-tool").get_by_text("location-77").wait_for(timeout=WAIT_MS)


def test_a_lead_works_by_keyboard_alone(open_page: Open) -> None:
    one = open_page()
    one.wait_for_request(LEAD, INTROSPECTION)
    one.page.keyboard.press("Control+Enter")
    one.wait_for_request(LEAD, "MyLocations")
    one.wait_for_status("Done, nothing refused.")

    one.page.keyboard.press("Alt+n")
    one.page.keyboard.press("Alt+q")
    one.page.keyboard.press("Control+End")
    one.page.keyboard.press("ArrowUp")  # the cursor stands in the last operation: Approve
    one.page.keyboard.press("Control+Enter")
    one.wait_for_request(LEAD, "Approve")
    one.wait_for_status("LOCKED: The location is locked (APPROVED). (at input.locationId)")

    one.page.keyboard.press("Alt+p")
    one.wait_for_status("Done, nothing refused.")


def test_choosing_a_role_signs_the_page_in_and_fetches_the_schema_again(open_page: Open) -> None:
    one = open_page()
    one.wait_for_request(LEAD, INTROSPECTION)
    one.page.keyboard.press("Alt+r")
    assert one.page.evaluate("document.activeElement.id") == "role"
    one.page.keyboard.press("c")  # the select finds "Customer: Alice Johnson"
    one.wait_for_request(CUSTOMER, INTROSPECTION)
    one.page.keyboard.press("Alt+q")
    one.page.keyboard.press("Control+Enter")
    one.wait_for_request(CUSTOMER, "MyLocations")


def test_an_error_is_read_out_with_its_code(open_page: Open) -> None:
    one = open_page()
    one.wait_for_request(LEAD, INTROSPECTION)
    one.page.keyboard.press("Alt+p")  # the last tab: the partner's
    one.page.keyboard.press("Control+Enter")
    one.wait_for_status("FORBIDDEN: Only partners see payloads here. (at provisioningPayloads)")
    assert one.page.get_by_role("status").get_attribute("class") == "outcome refused"


def test_in_production_a_pasted_token_serves_every_tab_and_is_stored_nowhere(open_page: Open) -> None:
    one = open_page(mode="production", people=[])
    one.wait_for_request(None, INTROSPECTION)
    assert one.page.locator("#role").count() == 0
    one.page.keyboard.press("Alt+h")
    one.page.wait_for_function("document.activeElement.closest('.graphiql-editor-tool')")
    one.page.keyboard.insert_text(json.dumps({"Authorization": LEAD}))
    one.wait_for_request(LEAD, INTROSPECTION)
    one.page.keyboard.press("Control+Enter")
    one.wait_for_request(LEAD, "MyLocations")
    one.wait_for_status("Done, nothing refused.")
    one.page.keyboard.press("Alt+n")
    one.page.keyboard.press("Control+Enter")
    one.wait_for_request(LEAD, "WaitingForALead")
    everything = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    one.wait_until(lambda: "WaitingForALead" in one.page.evaluate("localStorage['graphiql:queries'] ?? ''"))
    one.page.wait_for_timeout(800)  # the tabs are stored half a second after a change
    stored = one.page.evaluate(everything)
    assert "MyLocations" in stored
    assert "lead-token" not in stored


def test_an_expired_development_token_is_replaced_without_a_reload(open_page: Open) -> None:
    one = open_page()
    one.wait_for_request(LEAD, INTROSPECTION)
    people = one.stub.config["people"]
    one.stub.config["people"] = [{**person, "token": "lead2-token"} for person in people[:1]]
    one.stub.expired.add("lead-token")
    one.page.keyboard.press("Control+Enter")
    one.wait_for_request("Bearer lead2-token", "MyLocations")
    one.wait_for_status("Done, nothing refused.")
