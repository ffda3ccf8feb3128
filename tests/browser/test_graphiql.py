"""The GraphiQL page of the real server in a real browser: a lead needs no mouse, and nothing leaves the origin."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.contract.served import Served
from tests.harness import CUSTOMER, LEAD, LEAD_2

from .conftest import Open, eventually

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

INTROSPECTION = "IntrospectionQuery"
TABS = ["MyLocations", "WaitingForALead", "EditDevice", "AwaitingReceipt"]

SUBMIT = 'mutation { submitOnboarding(input: {locationId: "location-1"}) { problems { code message } } }'
REVIEW = '{ review(locationId: "location-1") { digest } }'
APPROVE = """
mutation Approve($digest: String!) {
  approve(input: {locationId: "location-1", expectedDigest: $digest}) { problems { code message } } }
"""
GENERATE = """
mutation { generatePayload(input: {locationId: "location-1", idempotencyKey: "generate"}) {
  problems { code message } } }
"""
TRIGGER = """
mutation { triggerProvisioning(input: {locationId: "location-1", idempotencyKey: "trigger"}) {
  problems { code message } } }
"""

OVERRIDE = """
mutation { openOverride(input: {locationId: "location-1", editableSections: [DEVICES],
  reason: "The front desk has moved", expiresInMinutes: 15}) { problems { code message } } }
"""
DEVICE = '{ node(id: "phone-1") { ... on Device { revision } } }'
RELABEL = """
mutation Relabel($revision: Int!) {
  editDevice(input: {deviceId: "phone-1", expectedRevision: $revision, label: "Front desk"}) {
    problems { code message } } }
"""


def done(data: dict[str, Any]) -> None:
    """Fail unless the one mutation was done."""
    (payload,) = data.values()
    assert payload["problems"] == []


def submitted(server: Served) -> None:
    done(server.ask(SUBMIT, CUSTOMER))


def approved(server: Served) -> None:
    submitted(server)
    done(server.ask(APPROVE, LEAD, digest=server.ask(REVIEW, LEAD)["review"]["digest"]))


def released(server: Served) -> None:
    approved(server)
    done(server.ask(GENERATE, LEAD))
    done(server.ask(TRIGGER, LEAD))


# The three roles, each in its tab


def test_a_customer_reads_their_locations_with_all_that_is_in_them(server: Served, open_page: Open) -> None:
    one = open_page(server)
    one.choose("Customer")
    one.page.keyboard.press("Alt+q")
    nodes = one.run("MyLocations")["data"]["locations"]["nodes"]
    assert {node["account"]["name"] for node in nodes} == {"Acme Medical Group"}
    one.answer('"name": "Acme Medical - Harbor Street"')
    one.status("Done, nothing refused.")


def test_a_lead_reviews_what_a_customer_submitted_and_approves_exactly_that(demo: Served, open_page: Open) -> None:
    submitted(demo)
    one = open_page(demo)
    one.page.keyboard.press("Alt+n")
    one.go_to("lead-approval", "WaitingForALead")
    waiting = one.run("WaitingForALead")["data"]["locations"]["nodes"]
    assert "location-1" in [node["id"] for node in waiting]
    one.answer('"id": "location-1"')

    one.set_variables(locationId="location-1", expectedDigest="0" * 64)
    one.go_to("lead-approval", "Approve")
    one.run("Approve")
    one.status("STALE_REVIEW: The content")

    one.go_to("lead-approval", "Review")
    review = one.run("Review")["data"]["review"]
    assert review["request"]["requestedBy"] == {"name": "Alice Johnson"}
    one.answer(review["digest"][:40])  # the pane folds long lines
    one.status("Done, nothing refused.")

    one.set_variables(locationId="location-1", expectedDigest=review["digest"])
    one.go_to("lead-approval", "Approve")
    one.run("Approve")
    one.answer('"status": "APPROVED"')
    one.status("Done, nothing refused.")


def test_a_lead_corrects_a_locked_location_under_an_override(demo: Served, open_page: Open) -> None:
    approved(demo)
    one = open_page(demo)
    one.page.keyboard.press("Alt+n")
    one.page.keyboard.press("Alt+n")
    values = {
        "locationId": "location-1",
        "deviceId": "phone-1",
        "expectedRevision": 1,
        "label": "Front desk",
        "reason": "The label was printed wrong",
        "ticket": "CHG-1001",
    }
    one.set_variables(**values, overrideId="")
    one.go_to("lead-override", "EditDevice")
    one.run("EditDevice")
    one.status("LOCKED: The location is locked because its status is APPROVED")
    expect(one.page.get_by_role("status")).to_have_class("outcome refused")

    one.go_to("lead-override", "OpenOverride")
    override = one.run("OpenOverride")["data"]["openOverride"]["override"]["id"]
    one.status("Done, nothing refused.")
    one.go_to("lead-override", "EditDevice")
    assert one.run("EditDevice")["data"]["editDevice"]["device"]["label"] == "Front desk"
    one.answer('"label": "Front desk"')

    one.set_variables(**values, overrideId=override)
    one.go_to("lead-override", "CloseOverride")
    closed = one.run("CloseOverride")["data"]["closeOverride"]
    assert closed["override"]["endedAt"] is not None
    one.status("Done, nothing refused.")


def test_a_partner_fetches_a_payload_and_acknowledges_it(demo: Served, open_page: Open) -> None:
    released(demo)
    one = open_page(demo)
    one.choose("Partner")
    one.page.keyboard.press("Alt+p")  # the last tab
    one.go_to("partner-handoff", "AwaitingReceipt")
    payloads = one.run("AwaitingReceipt")["data"]["provisioningPayloads"]["nodes"]
    payload = next(each for each in payloads if each["document"]["locationId"] == "location-1")
    one.answer('"state": "RELEASED"')

    one.set_variables(payloadId=payload["id"], documentDigest=payload["documentDigest"], idempotencyKey="receipt-1")
    one.go_to("partner-handoff", "Acknowledge")
    one.run("Acknowledge")
    one.answer('"state": "ACKNOWLEDGED"')
    one.status("Done, nothing refused.")


# The page itself


def test_every_part_of_the_page_comes_from_its_own_origin(server: Served, open_page: Open) -> None:
    one = open_page(server)
    one.page.get_by_label("Show Documentation Explorer").click()
    one.page.get_by_text("Root Types").wait_for()
    one.page.get_by_label("Show History").click()
    one.page.keyboard.press("Alt+q")
    one.page.keyboard.press("Shift+Control+P")
    one.page.keyboard.press("F1")  # the editor's own palette brings its icons
    one.page.get_by_placeholder("Type '>' to get help").or_(one.page.locator(".quick-input-widget")).first.wait_for()
    eventually(lambda: len(one.page.workers) == 3, one.page)  # the editor's, GraphQL's, JSON's
    assert all(worker.url.startswith(f"{server.origin}/graphiql/assets/") for worker in one.page.workers)


def test_the_examples_open_as_tabs_with_ids_of_the_demo_data(server: Served, open_page: Open) -> None:
    one = open_page(server)
    assert one.page.get_by_role("tab").all_inner_texts() == TABS
    one.page.keyboard.press("Alt+n")
    variables = one.page.locator(".graphiql-editor-tool")
    expect(variables).to_contain_text("location-3")
    one.page.keyboard.press("Alt+n")
    expect(variables).to_contain_text("phone-4-1")


def test_a_lead_works_by_keyboard_alone(server: Served, open_page: Open) -> None:
    one = open_page(server)
    one.go_to("customer-locations", "MyLocations")
    one.run("MyLocations")
    one.status("Done, nothing refused.")
    one.page.keyboard.press("Alt+n")
    expect(one.page.get_by_role("tab", selected=True)).to_contain_text("WaitingForALead")
    one.go_to("lead-approval", "WaitingForALead")
    one.run("WaitingForALead")
    one.page.keyboard.press("Alt+p")
    one.answer('"name": "Acme Medical - Harbor Street"')  # the first tab kept its answer
    one.choose("Customer")
    one.page.keyboard.press("Alt+q")
    one.run("MyLocations")
    askers = [authorization for authorization, operation in one.asked if operation == "MyLocations"]
    assert len(set(askers)) == 2


def test_choosing_a_role_signs_the_page_in_and_fetches_the_schema_again(server: Served, open_page: Open) -> None:
    one = open_page(server)
    people = one.page.locator("#role option").all_inner_texts()
    assert people == [
        "Implementation lead: Lena Ortiz",
        "Implementation lead: Marcus Webb",
        "Implementation lead: Priya Nair",
        "Customer: Alice Johnson",
        "Partner: Carrier One",
        "Auditor: Theo Brandt",
    ]
    one.choose("Customer")
    tokens = [authorization for authorization, operation in one.asked if operation == INTROSPECTION]
    assert len(set(tokens)) == 2


def test_an_error_is_read_out_with_its_code(server: Served, open_page: Open) -> None:
    one = open_page(server)
    one.choose("Customer")
    one.page.keyboard.press("Alt+p")  # the last tab: the partner's
    one.go_to("partner-handoff", "AwaitingReceipt")
    one.run("AwaitingReceipt")
    one.status("FORBIDDEN:")
    one.status("(at provisioningPayloads)")
    expect(one.page.get_by_role("status")).to_have_class("outcome refused")


def test_in_production_a_pasted_token_serves_every_tab_and_is_stored_nowhere(server: Served, open_page: Open) -> None:
    one = open_page(server, config=lambda route: route.fulfill(json={"mode": "production"}))
    expect(one.page.locator("#role")).to_have_count(0)
    bearer = f"Bearer {server.token(LEAD)}"
    one.page.keyboard.press("Alt+h")
    expect(one.page.locator(".graphiql-editor-tool :focus")).to_have_count(1)
    one.page.keyboard.insert_text(json.dumps({"Authorization": bearer}))
    eventually(lambda: (bearer, INTROSPECTION) in one.asked, one.page)
    one.run("MyLocations")
    one.status("Done, nothing refused.")
    one.page.keyboard.press("Alt+n")
    one.go_to("lead-approval", "WaitingForALead")
    one.run("WaitingForALead")
    assert one.asked[-1] == (bearer, "WaitingForALead")
    eventually(lambda: "WaitingForALead" in one.page.evaluate("localStorage['graphiql:queries'] ?? ''"), one.page)
    one.page.wait_for_timeout(800)  # the tabs are stored half a second after a change
    stored = one.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "MyLocations" in stored
    assert bearer.removeprefix("Bearer ") not in stored


def test_where_the_server_gives_no_tokens_the_page_says_so_and_a_pasted_one_serves(
    server: Served, open_page: Open
) -> None:
    proxied = {"x-forwarded-for": "203.0.113.7"}
    one = open_page(server, config=lambda route: route.continue_(headers={**route.request.headers, **proxied}))
    expect(one.page.locator("#role")).to_have_count(0)
    expect(one.page.locator(".hint")).to_contain_text("only for the GraphiQL page on the server's own machine")
    bearer = f"Bearer {server.token(LEAD)}"
    one.page.keyboard.press("Alt+h")
    expect(one.page.locator(".graphiql-editor-tool :focus")).to_have_count(1)
    one.page.keyboard.insert_text(json.dumps({"Authorization": bearer}))
    eventually(lambda: (bearer, INTROSPECTION) in one.asked, one.page)
    one.run("MyLocations")
    one.status("Done, nothing refused.")


def test_an_expired_development_token_is_replaced_without_a_reload(server: Served, open_page: Open) -> None:
    expired = server.token(LEAD, lifetime_seconds=60, age_seconds=3600)
    asked: list[Route] = []

    def first_with_an_expired_token(route: Route) -> None:
        config = route.fetch().json()
        if not asked:
            config["people"][0]["token"] = expired
        asked.append(route)
        route.fulfill(json=config)

    one = open_page(server, config=first_with_an_expired_token)
    one.page.keyboard.press("Alt+q")
    eventually(lambda: len([each for each in one.asked if each[1] == INTROSPECTION]) == 2, one.page)
    one.run("MyLocations")
    one.status("Done, nothing refused.")
    tokens = [authorization for authorization, _ in one.asked]
    assert tokens[0] == f"Bearer {expired}"
    assert f"Bearer {expired}" not in tokens[1:]
    assert len(asked) == 2


def test_a_narrow_screen_shows_the_whole_page_without_scrolling_sideways(demo: Served, open_page: Open) -> None:
    one = open_page(demo, size={"width": 320, "height": 640})
    keys = one.page.get_by_role("button", name="Keys", exact=True)
    for shown in (one.page.locator("#role"), keys, *one.page.get_by_role("region").all()):
        box = shown.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320
    assert one.page.evaluate("document.documentElement.scrollWidth") == 320


# The picture in the documentation


def test_the_page_makes_a_picture_of_itself(demo: Served, open_page: Open, tmp_path: Path) -> None:
    approved(demo)
    done(demo.ask(OVERRIDE, LEAD_2))
    done(demo.ask(RELABEL, LEAD_2, revision=demo.ask(DEVICE, LEAD_2)["node"]["revision"]))
    one = open_page(demo, size={"width": 1280, "height": 800})
    one.page.keyboard.press("Alt+n")
    one.set_variables(locationId="location-1", expectedDigest="")
    one.go_to("lead-approval", "Review")
    for _ in range(2):
        one.page.keyboard.press("ArrowDown")
    one.run("Review")
    one.answer('"after": "Front desk"')
    one.status("Done, nothing refused.")
    one.page.wait_for_timeout(2_500)  # until the scroll bars have faded
    picture = one.page.screenshot(caret="hide", animations="disabled")
    assert 20_000 < len(picture) < 300_000
    Path(os.environ.get("TURNUP_PICTURE") or tmp_path / "graphiql.png").write_bytes(picture)
