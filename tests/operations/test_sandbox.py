"""A test payload is a payload like any other for its partner, and nothing for everybody else: no address, no figure."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from app.db import demo
from app.domain.digest import document_digest
from app.domain.readiness import readiness
from app.domain.vocabulary import LocationStatus, Severity
from tests.builders_db import fresh
from tests.domain.published_schema import violations

from .scenario import Scenario, Sent, a_key
from .test_declarations import counted

S = LocationStatus
MADE = """payload { id state test live version document documentDigest recipients { user { id } required } }
          location { id name status test partners { user { id } } account { id } }"""
POLL = "{ provisioningPayloads(filter: {awaitingReceipt: true}) { nodes { id test documentDigest } } }"
SEEN = "query($id: ID!) { location(id: $id) { test name status readiness { severity code } viewerActions { action } } }"
MAC = "00005e005301"


@pytest.fixture
async def partner(scenario: Scenario) -> AsyncIterator[str]:
    """A partner of the account who has no payloads yet."""
    async with scenario.more_partners(1) as (made,):
        yield made


async def created(scenario: Scenario, partner: str, **given: Any) -> Sent:
    named = {"accountId": scenario.account, "userId": partner, **given}
    return await scenario.send(scenario.lead, "createTestPayload", MADE, **named)


async def answered(scenario: Scenario, partner: str, made: Sent, mutation: str) -> Sent:
    payload = made.payload["payload"]
    given: dict[str, Any] = {"payloadId": payload["id"], "idempotencyKey": a_key()}
    if mutation == "acknowledgePayload":
        given["documentDigest"] = document_digest(payload["document"])
    else:
        given["reasons"] = [{"path": "/devices/0", "code": "A_TEST", "message": "We try a rejection."}]
    return await scenario.send(partner, mutation, "payload { state live test }", **given)


async def test_a_test_payload_is_released_to_its_partner_alone_with_an_ordinary_document(
    scenario: Scenario, partner: str
) -> None:
    made = await created(scenario, partner)
    payload, location = made.payload["payload"], made.payload["location"]
    assert payload["recipients"] == [{"user": {"id": partner}, "required": True}]
    assert location["partners"] == [{"user": {"id": partner}}]
    assert (payload["state"], payload["test"], payload["live"]) == ("RELEASED", True, False)
    assert (location["status"], location["test"]) == ("PROVISIONING", True)
    assert location["name"].startswith("TEST - ")
    assert violations(payload["document"], payload["version"]) == []
    assert document_digest(payload["document"]) == payload["documentDigest"]
    (awaiting,) = (await scenario.client.ask(POLL, partner)).data["provisioningPayloads"]["nodes"]
    assert awaiting == {"id": payload["id"], "test": True, "documentDigest": payload["documentDigest"]}
    others = (await scenario.client.ask(POLL, scenario.partner)).data["provisioningPayloads"]["nodes"]
    assert payload["id"] not in {node["id"] for node in others}


async def test_a_document_of_a_test_has_the_members_of_any_other(scenario: Scenario, partner: str) -> None:
    """Nothing in it is a mark: it has the members of a document of the same content at an ordinary location."""
    tried = (await created(scenario, partner)).payload["payload"]["document"]
    content = _alike(scenario)
    ordinary = await scenario.a_location(S.APPROVED, name=content.location_id, content=content, payload=False)
    place = {"locationId": ordinary.id, "idempotencyKey": a_key()}
    sent = await scenario.send(scenario.lead, "generatePayload", "payload { document test }", **place)
    assert not sent.payload["payload"]["test"]
    assert _shape(tried) == _shape(sent.payload["payload"]["document"])
    await scenario.retire(ordinary)


def _alike(scenario: Scenario) -> Any:
    numbers = count()
    return demo.test_content(
        account_id=scenario.account, provider="Carrier One", new_id=lambda kind: fresh(f"{kind.lower()}{next(numbers)}")
    )


def _shape(value: Any) -> Any:
    """The names and kinds of a document, without its values."""
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in value.items()}
    return [_shape(each) for each in value] if isinstance(value, list) else type(value).__name__


def test_the_content_of_a_test_has_no_blockers() -> None:
    numbers = count()
    made = demo.test_content(account_id="account-1", provider="P", new_id=lambda kind: f"{kind}-{next(numbers)}")
    assert [issue.code for issue in readiness(made) if issue.severity is Severity.BLOCKER] == []
    assert {each.mac_address for each in made.devices} == {MAC}


@pytest.mark.parametrize(
    ("mutation", "state", "status"),
    [("acknowledgePayload", "ACKNOWLEDGED", S.COMPLETED), ("rejectPayload", "REJECTED", S.BLOCKED)],
)
async def test_a_partner_answers_a_test_payload_like_any_other(
    scenario: Scenario, partner: str, mutation: str, state: str, status: LocationStatus
) -> None:
    made = await created(scenario, partner)
    sent = await answered(scenario, partner, made, mutation)
    assert sent.payload["payload"] == {"state": state, "live": state == "ACKNOWLEDGED", "test": True}
    assert (await scenario.state_of(made.payload["location"]["id"])).status == status


async def test_a_change_order_and_a_decommissioning_can_be_practised(scenario: Scenario, partner: str) -> None:
    made = await created(scenario, partner)
    place = {"locationId": made.payload["location"]["id"]}
    await answered(scenario, partner, made, "acknowledgePayload")
    assert (await scenario.send(scenario.lead, "reopen", **place, reason="A rehearsal")).outcome == "DONE"
    revision = (await scenario.revisions(place["locationId"]))["PHONE_SYSTEM"]
    edit = {**place, "expectedRevision": revision, "callerIdName": "ACME AGAIN"}
    assert (await scenario.send(scenario.lead, "setPhoneSystem", **edit)).outcome == "DONE"
    assert (await scenario.send(scenario.lead, "submitOnboarding", **place)).outcome == "DONE"
    digest = await scenario.digest_of_rows(place["locationId"])
    assert (await scenario.send(scenario.lead_2, "approve", **place, expectedDigest=digest)).outcome == "DONE"
    assert (await scenario.send(scenario.lead, "generatePayload", **place, idempotencyKey=a_key())).outcome == "DONE"
    again = await scenario.send(scenario.lead, "triggerProvisioning", MADE, **place, idempotencyKey=a_key())
    assert again.payload["payload"]["test"]
    assert again.payload["payload"]["recipients"] == [{"user": {"id": partner}, "required": True}]
    assert (await answered(scenario, partner, again, "acknowledgePayload")).payload["payload"]["live"]
    ended = await scenario.send(
        partner, "confirmDecommission", "payload { live }", payloadId=again.payload["payload"]["id"]
    )
    assert ended.payload["payload"] == {"live": False}


async def test_a_test_location_holds_no_address_and_finds_none_taken(scenario: Scenario, partner: str) -> None:
    made = [await created(scenario, partner) for _ in range(2)]
    for each in made:
        await answered(scenario, partner, each, "acknowledgePayload")
        assert (await scenario.state_of(each.payload["location"]["id"])).claims == ()
        found = (await scenario.client.ask(SEEN, scenario.lead, id=each.payload["location"]["id"])).data["location"]
        assert {issue["code"] for issue in found["readiness"]}.isdisjoint({"MAC_IN_USE", "MAC_LIVE_TWICE"})
    ordinary = await scenario.a_location(S.IN_PROGRESS, macs=[MAC])
    assert (await scenario.send(scenario.customer, "submitOnboarding", locationId=ordinary.id)).outcome == "DONE"
    await scenario.retire(ordinary)


async def test_a_test_counts_as_no_submission_and_no_override(scenario: Scenario, partner: str) -> None:
    metrics = ("turnup_submissions_total", "turnup_overrides_opened_total", "turnup_approval_processing_seconds_count")
    before = [await counted(scenario, metric) for metric in metrics]
    made = await created(scenario, partner)
    assert [await counted(scenario, metric) for metric in metrics] == before
    (entry,) = await scenario.entries(made.payload["location"]["id"])
    assert (entry["action"], entry["actor_id"], entry["is_override"]) == ("createTestPayload", scenario.lead, False)


async def test_who_sees_the_account_sees_that_a_location_is_a_test(scenario: Scenario, partner: str) -> None:
    made = (await created(scenario, partner)).payload["location"]["id"]
    seen = (await scenario.client.ask(SEEN, scenario.customer, id=made)).data["location"]
    assert (seen["test"], seen["status"]) == (True, "PROVISIONING")
    listed = "query($test: Boolean) { locations(first: 100, filter: {test: $test}) { nodes { id test } } }"
    for test in (True, False):
        nodes = (await scenario.client.ask(listed, scenario.customer, test=test)).data["locations"]["nodes"]
        assert {node["test"] for node in nodes} <= {test}
        assert (made in {node["id"] for node in nodes}) is test


async def test_a_repeated_call_makes_one_test_location(scenario: Scenario, partner: str) -> None:
    key = a_key()
    first, again = [await created(scenario, partner, idempotencyKey=key) for _ in range(2)]
    assert (first.replayed, again.replayed) == (False, True)
    assert first.payload["payload"] == again.payload["payload"]


async def test_a_test_payload_needs_an_active_partner_of_the_account(scenario: Scenario, partner: str) -> None:
    async def rule(user: str) -> str:
        refused = await created(scenario, user)
        assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["userId"])
        return str(refused.problem["rule"])

    assert "IMPLEMENTATION_LEAD" in await rule(scenario.lead)
    assert "CUSTOMER" in await rule(scenario.customer)
    assert "access" in await rule(scenario.away_partner)
    assert "id of a user" in await rule("user-of-nobody")
    assert (await created(scenario, partner, accountId="account-of-nobody")).outcome == "NOT_FOUND"
    assert (await scenario.send(scenario.lead, "suspendUser", userId=partner)).outcome == "DONE"
    assert "SUSPENDED" in await rule(partner)
