"""Reasons reach those whom they concern: leads, customers and partners each read the one that was written for them."""

from dataclasses import dataclass
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus

from .scenario import Rollout, Scenario, Sent, a_key, a_mac, takes_key_only_if_wanted

S = LocationStatus
INTERNAL, FOR_CUSTOMER, FOR_PARTNER = "They did not pay.", "We wait for your order.", "The order is on hold."
REASONS: dict[str, Any] = {"reason": INTERNAL, "reasonForCustomer": FOR_CUSTOMER, "reasonForPartner": FOR_PARTNER}


@dataclass(frozen=True)
class Case:
    """A change of status with reasons: its mutation and action, and the location that takes it."""

    mutation: str
    action: str
    status: LocationStatus
    live: bool = False
    bulk: str | None = None


# Every way in which a lead changes a status with reasons.
CASES = [
    *(Case("block", "BLOCK", status) for status in (S.NOT_STARTED, S.IN_PROGRESS, S.PENDING_APPROVAL, S.PROVISIONING)),
    *(Case("cancel", "CANCEL", status) for status in sorted(set(S) - {S.COMPLETED, S.CANCELLED})),
    *(Case("reopen", "REOPEN", status) for status in (S.CANCELLED, S.APPROVED, S.COMPLETED)),
    Case("completeProvisioning", "COMPLETE_PROVISIONING", S.PROVISIONING),
    Case("waiveReceipt", "WAIVE_RECEIPT", S.PROVISIONING),
    Case("bulkUpdateStatus", "BLOCK", S.IN_PROGRESS, bulk="BLOCKED"),
    Case("bulkUpdateStatus", "CANCEL", S.APPROVED, bulk="CANCELLED"),
    Case("bulkUpdateStatus", "REOPEN", S.COMPLETED, bulk="IN_PROGRESS"),
    Case("bulkUpdateStatus", "UNBLOCK", S.BLOCKED, bulk="IN_PROGRESS"),
    Case("bulkUpdateStatus", "SUBMIT_ONBOARDING", S.IN_PROGRESS, bulk="PENDING_APPROVAL"),
    Case("bulkUpdateStatus", "TRIGGER_PROVISIONING", S.APPROVED, bulk="PROVISIONING"),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.mutation}-{case.action}-{case.status}")
ONE_OF_EACH = list({(case.mutation, case.action): case for case in CASES}.values())
# Those that concern a payload: it is withdrawn, completed or in operation.
NOTICES = [
    Case("block", "BLOCK", S.PROVISIONING),
    Case("block", "BLOCK", S.PROVISIONING, live=True),
    *(Case("cancel", "CANCEL", status, live=True) for status in sorted(set(S) - {S.COMPLETED, S.CANCELLED})),
    Case("cancel", "CANCEL", S.PROVISIONING),
    Case("reopen", "REOPEN", S.COMPLETED),
    Case("reopen", "REOPEN", S.CANCELLED, live=True),
    Case("reopen", "REOPEN", S.APPROVED, live=True),
    Case("completeProvisioning", "COMPLETE_PROVISIONING", S.PROVISIONING),
    Case("waiveReceipt", "WAIVE_RECEIPT", S.PROVISIONING),
    Case("bulkUpdateStatus", "CANCEL", S.IN_PROGRESS, live=True, bulk="CANCELLED"),
    Case("bulkUpdateStatus", "REOPEN", S.COMPLETED, bulk="IN_PROGRESS"),
    Case("bulkUpdateStatus", "BLOCK", S.PROVISIONING, bulk="BLOCKED"),
]
each_notice = pytest.mark.parametrize(
    "case", NOTICES, ids=lambda case: f"{case.mutation}-{case.action}-{case.status}{'-live' * case.live}"
)


async def change(scenario: Scenario, case: Case, location: Rollout, reasons: dict[str, Any]) -> Sent:
    """Change the status; of a bulk call, the outcome is that of its item."""
    given: dict[str, Any] = {"locationId": location.id}
    if case.bulk:
        given = {"locationIds": [location.id], "status": case.bulk}
    if case.mutation == "waiveReceipt":
        given = {"payloadId": location.payload, "userId": scenario.partner}
    if not takes_key_only_if_wanted(case.mutation):
        given["idempotencyKey"] = a_key()
    select = "results { outcome problem { code path ... on InvalidInput { field } } }" if case.bulk else ""
    return await scenario.send(scenario.lead, case.mutation, select, **given, **reasons)


async def status_reason(scenario: Scenario, who: str, location: Rollout, more: str = "") -> Any:
    query = f"query($id: ID!) {{ location(id: $id) {{ statusReason {{ action reason at by {{ id }} {more} }} }} }}"
    return (await scenario.client.ask(query, who, id=location.id)).data["location"]["statusReason"]


async def notices(scenario: Scenario, who: str, location: Rollout) -> dict[str, Any]:
    """The status change of each payload that the viewer sees."""
    query = """query($id: ID!) { provisioningPayloads(filter: {locationId: $id}) {
        nodes { id state live statusChange { action reason at } } } }"""
    nodes = (await scenario.client.ask(query, who, id=location.id)).data["provisioningPayloads"]["nodes"]
    return {each["id"]: each["statusChange"] for each in nodes}


@each_case
async def test_leads_read_the_internal_reason_and_customers_the_one_for_them(scenario: Scenario, case: Case) -> None:
    location = await scenario.a_location(case.status)
    assert (await change(scenario, case, location, REASONS)).outcome == "DONE"
    both = "reasonForCustomer reasonForPartner"
    seen = await status_reason(scenario, scenario.lead_2, location, both)
    shown = await status_reason(scenario, scenario.customer, location)
    assert seen.pop("at") == shown.pop("at")
    by = {"by": {"id": scenario.lead}}
    assert seen == {"action": case.action, **REASONS, **by}
    assert shown == {"action": case.action, "reason": FOR_CUSTOMER, **by}
    entry = (await scenario.entries(location.id))[-1]
    assert (entry["reason"], entry["action"]) == (INTERNAL, case.mutation)


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: f"{case.mutation}-{case.action}")
@pytest.mark.parametrize("left_out", [{}, {"reasonForCustomer": None, "reasonForPartner": None}, "blank"])
async def test_without_a_reason_for_them_customers_and_partners_see_none(
    scenario: Scenario, case: Case, left_out: Any
) -> None:
    location = await scenario.a_location(case.status)
    others = {"reasonForCustomer": " \n ", "reasonForPartner": "\u200b"} if left_out == "blank" else left_out
    assert (await change(scenario, case, location, {"reason": INTERNAL, **others})).outcome == "DONE"
    seen = await status_reason(scenario, scenario.lead, location, "reasonForCustomer reasonForPartner")
    assert (seen["reason"], seen["reasonForCustomer"], seen["reasonForPartner"]) == (INTERNAL, None, None)
    assert (await status_reason(scenario, scenario.customer, location))["reason"] is None
    told = await notices(scenario, scenario.partner, location)
    assert {each["reason"] for each in told.values() if each is not None} <= {None}


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: f"{case.mutation}-{case.action}")
@pytest.mark.parametrize("name", ["reason", "reasonForCustomer", "reasonForPartner"])
async def test_a_bad_reason_is_refused_by_its_name(scenario: Scenario, case: Case, name: str) -> None:
    location = await scenario.a_location(case.status)
    before = await scenario.state_of(location.id)
    for text in ("no\0where", "x" * 1001):
        sent = await change(scenario, case, location, {**REASONS, name: text})
        problem = sent.problem or sent.payload["results"][0]["problem"]
        assert (problem["code"], problem["field"], problem["path"]) == ("INVALID_INPUT", name, [name])
    assert await scenario.state_of(location.id) == before


@each_notice
async def test_the_recipients_of_a_payload_learn_of_a_change_that_concerns_it(scenario: Scenario, case: Case) -> None:
    location = await scenario.a_location(case.status, live=case.live)
    before = await notices(scenario, scenario.partner, location)
    assert before
    assert set(before.values()) == {None}
    assert (await change(scenario, case, location, REASONS)).outcome == "DONE"
    after = await notices(scenario, scenario.partner, location)
    assert before.keys() == after.keys()
    for notice in after.values():
        assert (notice["action"], notice["reason"]) == (case.action, FOR_PARTNER)
    seen = await notices(scenario, scenario.lead, location)
    assert after.items() <= seen.items()
    assert await notices(scenario, scenario.away_partner, location) == {}


@pytest.mark.parametrize("state", ["SUPERSEDED", "REJECTED"])
async def test_who_waits_for_the_next_payload_learns_that_there_will_be_none(scenario: Scenario, state: str) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    if state == "SUPERSEDED":
        phone = {"deviceId": location.device, "macAddress": a_mac(), "reason": INTERNAL}
        assert (await scenario.send(scenario.lead, "replaceDevice", **phone)).outcome == "DONE"
    else:
        reasons = [{"path": "/devices/0", "code": "NO_STOCK", "message": "Not before spring."}]
        answer: dict[str, Any] = {"payloadId": location.payload, "reasons": reasons, "idempotencyKey": a_key()}
        assert (await scenario.send(scenario.partner, "rejectPayload", **answer)).outcome == "DONE"
    assert (await scenario.state_of(location.id)).payloads == {location.payload: state}
    for mutation, reason in (("cancel", "Closed."), ("reopen", "Open again.")):
        given = {"locationId": location.id, "reason": INTERNAL, "reasonForPartner": reason}
        assert (await scenario.send(scenario.lead, mutation, **given)).outcome == "DONE"
        [told] = (await notices(scenario, scenario.partner, location)).values()
        assert (told["action"], told["reason"]) == (mutation.upper(), reason)


async def test_a_change_of_payloads_is_seen_in_their_time_of_change(scenario: Scenario) -> None:
    location = await scenario.a_location(S.COMPLETED)
    query = "query($id: ID!) { provisioningPayload(id: $id) { updatedAt statusChange { at } } }"
    assert (await scenario.send(scenario.lead, "reopen", locationId=location.id, **REASONS)).outcome == "DONE"
    after = (await scenario.client.ask(query, scenario.partner, id=location.payload)).data["provisioningPayload"]
    assert after["updatedAt"] == after["statusChange"]["at"]


async def test_the_last_change_is_the_one_that_partners_read(scenario: Scenario) -> None:
    location = await scenario.a_location(S.COMPLETED)
    for mutation, reason in (("reopen", "One more phone."), ("cancel", "Closed."), ("reopen", "Open again.")):
        given = {"locationId": location.id, "reason": INTERNAL, "reasonForPartner": reason}
        assert (await scenario.send(scenario.lead, mutation, **given)).outcome == "DONE"
        [told] = (await notices(scenario, scenario.partner, location)).values()
        assert (told["action"], told["reason"]) == (mutation.upper(), reason)


async def test_a_rejection_is_a_status_change_by_somebody_whom_customers_do_not_see(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING, live=True)
    assert (await rejected(scenario, location, "/devices/0")).outcome == "DONE"
    seen, shown = [await status_reason(scenario, who, location) for who in (scenario.lead, scenario.customer)]
    assert (seen["action"], seen["reason"], seen["by"]) == ("REJECT_PAYLOAD", None, {"id": scenario.partner})
    assert (shown["action"], shown["reason"], shown["by"]) == ("REJECT_PAYLOAD", None, None)
    told = await notices(scenario, scenario.partner, location)
    notice, earlier = told.pop(str(location.payload)), [*told.values()]
    assert (notice["action"], notice["reason"], earlier) == ("REJECT_PAYLOAD", None, [None])


@pytest.mark.parametrize(
    ("mutation", "verb", "status"),
    [("requestChanges", "REQUEST_CHANGES", S.PENDING_APPROVAL), ("approve", "APPROVE", S.PENDING_APPROVAL)],
)
async def test_a_comment_is_for_the_customer(
    scenario: Scenario, mutation: str, verb: str, status: LocationStatus
) -> None:
    location = await scenario.a_location(status)
    digest = {"expectedDigest": location.digest} if mutation == "approve" else {}
    sent = await scenario.send(scenario.lead, mutation, locationId=location.id, comment="Well done.", **digest)
    assert sent.outcome == "DONE"
    shown = await status_reason(scenario, scenario.customer, location)
    assert (shown["action"], shown["reason"], shown["by"]) == (verb, "Well done.", {"id": scenario.lead})


async def test_a_status_that_never_changed_has_no_reason(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    for who in (scenario.lead, scenario.customer):
        assert await status_reason(scenario, who, location) is None


async def test_an_edit_leaves_the_reason_of_the_status_as_it_is(scenario: Scenario) -> None:
    location = await scenario.a_location(S.BLOCKED)
    assert (await scenario.send(scenario.lead, "unblock", locationId=location.id)).outcome == "DONE"
    before = await status_reason(scenario, scenario.customer, location)
    assert (before["action"], before["reason"]) == ("UNBLOCK", None)
    given: dict[str, Any] = {"deviceId": location.device, "expectedRevision": 1, "label": "Front desk"}
    assert (await scenario.send(scenario.customer, "editDevice", **given)).outcome == "DONE"
    assert await status_reason(scenario, scenario.customer, location) == before


async def test_a_waiver_that_does_not_complete_the_location_shows_nothing(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    waiver = {"payloadId": location.payload, "userId": scenario.partner, **REASONS}
    async with scenario.arranging():
        await scenario.connection.execute(
            """INSERT INTO turnup.payload_recipient
                   (id, account_id, location_id, payload_id, user_id, purpose, required)
               VALUES ($1, $2, $3, $4, $5, 'PBX', true)""",
            f"recipient-{location.id}"[:64],
            scenario.account,
            location.id,
            location.payload,
            scenario.away_partner,
        )
    assert (await scenario.send(scenario.lead, "waiveReceipt", **waiver)).outcome == "DONE"
    assert (await scenario.state_of(location.id)).status == "PROVISIONING"
    assert await status_reason(scenario, scenario.lead, location) is None
    assert set((await notices(scenario, scenario.partner, location)).values()) == {None}


# What partners read of a withdrawn payload


@pytest.mark.parametrize("answer", ["acknowledgePayload", "rejectPayload"])
@pytest.mark.parametrize("for_partner", [FOR_PARTNER, None])
async def test_the_refusal_of_an_answer_has_the_reason_for_partners(
    scenario: Scenario, answer: str, for_partner: str | None
) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    given: dict[str, Any] = {**REASONS, "reasonForPartner": for_partner}
    assert (await scenario.send(scenario.lead, "block", locationId=location.id, **given)).outcome == "DONE"
    if answer == "rejectPayload":
        sent = await rejected(scenario, location, "/devices/0")
    else:
        more = {"documentDigest": location.payload_digest, "idempotencyKey": a_key()}
        sent = await scenario.send(scenario.partner, answer, payloadId=location.payload, **more)
    expected = for_partner or "the location left provisioning"
    assert (sent.outcome, sent.problem["reason"]) == ("PAYLOAD_WITHDRAWN", expected)
    assert INTERNAL not in str(sent)


async def test_the_internal_reason_of_a_withdrawal_is_for_leads(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    assert (await scenario.send(scenario.lead, "cancel", locationId=location.id, **REASONS)).outcome == "DONE"
    query = "query($id: ID!) { provisioningPayload(id: $id) { state withdrawnReason } }"
    seen = await scenario.client.ask(query, scenario.lead, id=location.payload)
    assert seen.data["provisioningPayload"] == {"state": "WITHDRAWN", "withdrawnReason": INTERNAL}
    refused = await scenario.client.ask(query, scenario.partner, id=location.payload)
    assert refused.codes == ["FORBIDDEN"]
    assert refused.body["data"]["provisioningPayload"] == {"state": "WITHDRAWN", "withdrawnReason": None}


async def test_a_reason_that_was_given_before_there_were_others_stays_internal(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    async with scenario.arranging():
        await scenario.connection.execute(
            "UPDATE turnup.provisioning_payload SET state = 'WITHDRAWN', withdrawn_reason = $2 WHERE id = $1",
            location.payload,
            INTERNAL,
        )
    more = {"documentDigest": location.payload_digest, "idempotencyKey": a_key()}
    sent = await scenario.send(scenario.partner, "acknowledgePayload", payloadId=location.payload, **more)
    assert (sent.outcome, sent.problem["reason"]) == ("PAYLOAD_WITHDRAWN", "the location left provisioning")
    assert await notices(scenario, scenario.partner, location) == {location.payload: None}


# Where a partner's reasons lead


async def rejected(scenario: Scenario, location: Rollout, *paths: str) -> Sent:
    reasons = [{"path": path, "code": "WRONG", "message": "Not like this."} for path in paths]
    given = {"payloadId": location.payload, "reasons": reasons, "idempotencyKey": a_key()}
    return await scenario.send(scenario.partner, "rejectPayload", "receipt { reasons { path } }", **given)


@pytest.mark.parametrize(
    "path",
    [
        "/devices/1",
        "/devices/-",
        "/devices/00",
        "/devices/0/colour",
        "/devices/0/model/0",
        "/locationName/0",
        "/location/address/zip~2code",
        "/metadata~",
        "/devices/",
        "/",
        "devices/0",
        "/users/0/extensions/x",
        "/content",
    ],
)
async def test_a_path_that_leads_nowhere_in_the_document_is_refused(scenario: Scenario, path: str) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    before = await scenario.state_of(location.id)
    sent = await rejected(scenario, location, "/devices/0/macAddress", path)
    assert (sent.outcome, sent.problem["field"], sent.problem["path"]) == (
        "INVALID_INPUT",
        "path",
        ["reasons", "1", "path"],
    )
    assert await scenario.state_of(location.id) == before


async def test_a_path_with_an_id_of_the_content_is_refused(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    sent = await rejected(scenario, location, f"/devices/{location.device}/macAddress")
    assert (sent.outcome, sent.problem["path"]) == ("INVALID_INPUT", ["reasons", "0", "path"])


async def test_a_repeated_rejection_returns_the_first_receipt_whatever_its_paths(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    first, again = [await rejected(scenario, location, path) for path in ("/devices/0", "/nowhere")]
    assert (again.outcome, again.payload["receipt"]) == ("DONE", first.payload["receipt"])


async def test_customers_read_a_rejection_at_their_own_data(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    paths = {
        "": ("", None, None, None),
        "/devices/0/macAddress": (f"/devices/{location.device}/macAddress", "DEVICES", location.device, "macAddress"),
        "/contacts/primary/phone": (f"/contacts/{location.contact}/phone", "CONTACTS", location.contact, "phone"),
        "/users/0/lastName": (f"/people/{location.person}/lastName", "PEOPLE", location.person, "lastName"),
        "/extensions/0/userId": (
            f"/extensions/{location.extension}/personId",
            "EXTENSIONS",
            location.extension,
            "personId",
        ),
        "/location/address/zipcode": ("/location/address/zipcode", "LOCATION", None, "zipcode"),
        "/phoneSystem/callerIdName": ("/phoneSystem/callerIdName", "PHONE_SYSTEM", None, "callerIdName"),
        "/workingHours/0/opens": ("/workingHours/1/0/opens", "WORKING_HOURS", None, "opens"),
        "/callFlow/kind": ("/callFlow/kind", "CALL_FLOW", None, "kind"),
        "/metadata/sequence": ("/metadata/sequence", None, None, None),
    }
    sent = await rejected(scenario, location, *paths)
    assert sent.outcome == "DONE", sent.problem
    assert [each["path"] for each in sent.payload["receipt"]["reasons"]] == [*paths], "the partner's own words"
    query = "query($id: ID!) { location(id: $id) { readiness { code path section objectId field } } }"
    for who in (scenario.customer, scenario.lead):
        issues = (await scenario.client.ask(query, who, id=location.id)).data["location"]["readiness"]
        found = [each for each in issues if each.pop("code") == "REJECTED_BY_PARTNER"]
        assert [tuple(each.values()) for each in found] == [*paths.values()]


async def test_a_receipt_whose_paths_lead_nowhere_stays_readable(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    await rejected(scenario, location, "/devices/0")
    old = [{"path": "/devices/7/mac", "code": "OLD", "message": "Unchecked."}]
    async with scenario.arranging():
        await scenario.connection.execute(
            "UPDATE turnup.receipt SET reasons = $2 WHERE payload_id = $1", location.payload, old
        )
    query = "query($id: ID!) { location(id: $id) { readiness { code path objectId field } } }"
    issues = (await scenario.client.ask(query, scenario.customer, id=location.id)).data["location"]["readiness"]
    assert {"code": "REJECTED_BY_PARTNER", "path": "/devices", "objectId": None, "field": None} in issues
    query = "query($id: ID!) { provisioningPayload(id: $id) { receipts { reasons { path code message } } } }"
    for who in (scenario.partner, scenario.lead):
        receipts = (await scenario.client.ask(query, who, id=location.payload)).data["provisioningPayload"]["receipts"]
        assert receipts == [{"reasons": old}]
