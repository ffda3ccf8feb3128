"""Change orders: a phone of a location that is handed off is replaced, and the change goes to the partners without a
reopening; and what the partners then learn of it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.domain.mac_address import show_mac
from app.domain.vocabulary import LOCKED_STATUSES, LocationStatus, Section
from app.settings import Executor
from tests.harness import Client, TestDatabase, first_row, served
from tests.lanes import scaled

from .hand_off import an_account_with
from .scenario import Rollout, Scenario, Sent, a_key, a_mac
from .test_declarations import counted

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
REASON = "The phone at reception broke."
REPLACED = """device { id macAddress serialNumber label brand model extension { id } revision }
  override { id openedBy { id } editableSections reason ticket openedAt endedAt }"""
UNANSWERED = frozenset({"GENERATED", "RELEASED"})
ROUNDS = [12, pytest.param(scaled(50), marks=pytest.mark.slow)]


async def replaced(scenario: Scenario, who: str, location: Rollout, mac: str, **more: Any) -> Sent:
    given = {"deviceId": location.device, "macAddress": mac, "reason": REASON, **more}
    return await scenario.send(who, "replaceDevice", REPLACED, **given)


async def approved(scenario: Scenario, who: str, location: Rollout) -> Sent:
    digest = (await scenario.state_of(location.id)).digest
    return await scenario.send(who, "approve", locationId=location.id, expectedDigest=digest)


async def generated(scenario: Scenario, location: Rollout) -> Sent:
    given = {"locationId": location.id, "idempotencyKey": a_key()}
    return await scenario.send(scenario.lead, "generatePayload", "payload { id state sequence }", **given)


async def triggered(scenario: Scenario, location: Rollout) -> Sent:
    given = {"locationId": location.id, "idempotencyKey": a_key()}
    return await scenario.send(
        scenario.lead, "triggerProvisioning", "payload { id state } location { status }", **given
    )


async def acknowledged(scenario: Scenario, who: str, payload: str) -> Sent:
    digest = await scenario.connection.fetchval(
        "SELECT document_digest FROM turnup.provisioning_payload WHERE id = $1", payload
    )
    given = {"payloadId": payload, "documentDigest": digest, "idempotencyKey": a_key()}
    return await scenario.send(who, "acknowledgePayload", "payload { state }", **given)


async def in_bulk(scenario: Scenario, mutation: str, location: Rollout, **more: Any) -> str:
    """The outcome of a bulk mutation of one location: the code of its problem, or that of its item."""
    given = {"locationIds": [location.id], "idempotencyKey": a_key(), **more}
    sent = await scenario.send(scenario.lead, mutation, "results { outcome problem { code } }", **given)
    (result,) = sent.payload["results"]
    return str(result["problem"]["code"] if result["problem"] else result["outcome"])


async def sessions(scenario: Scenario, location: Rollout) -> list[dict[str, Any]]:
    rows = await scenario.connection.fetch(
        "SELECT * FROM turnup.onboarding_session WHERE location_id = $1 ORDER BY id", location.id
    )
    return [dict(row) for row in rows]


async def a_change_order(scenario: Scenario, location: Rollout, mac: str) -> str:
    """Replace the phone of a completed location and hand the change off. Returns the id of the new payload."""
    assert (await replaced(scenario, scenario.lead, location, mac)).outcome == "DONE"
    assert (await approved(scenario, scenario.lead_2, location)).outcome == "DONE"
    made = await generated(scenario, location)
    assert (await triggered(scenario, location)).payload["location"] == {"status": "PROVISIONING"}
    return str(made.payload["payload"]["id"])


# The replacement


@pytest.mark.parametrize("status", sorted(LOCKED_STATUSES))
async def test_a_replacement_is_one_step_under_an_override_of_its_own(
    scenario: Scenario, status: LocationStatus
) -> None:
    location = await scenario.a_location(status)
    before, old = await scenario.state_of(location.id), location.content.devices[0]
    mac = a_mac()
    sent = await replaced(scenario, scenario.lead, location, show_mac(mac).replace(":", "-"), serialNumber=" SN-77 ")
    override = sent.payload["override"]
    assert sent.payload["device"] == {
        "id": location.device,
        "macAddress": show_mac(mac),
        "serialNumber": "SN-77",
        "label": old.label,
        "brand": old.brand,
        "model": old.model,
        "extension": {"id": location.extension},
        "revision": 2,
    }
    assert (override["openedBy"], override["editableSections"], override["reason"], override["ticket"]) == (
        {"id": scenario.lead},
        ["DEVICES"],
        REASON,
        None,
    )
    assert override["endedAt"] == override["openedAt"]
    (entry,) = await scenario.entries(location.id)
    assert (entry["action"], entry["outcome"], entry["reason"], entry["override_id"], entry["is_override"]) == (
        "replaceDevice",
        "APPLIED",
        REASON,
        override["id"],
        True,
    )
    after = await scenario.state_of(location.id)
    assert (after.status, after.revision, after.open_overrides) == (status, before.revision + 1, 0)
    assert after.digest != before.digest
    assert after.payloads == {
        payload: "SUPERSEDED" if state in UNANSWERED else state for payload, state in before.payloads.items()
    }
    assert after.approvals == before.approvals
    again = await scenario.send(
        scenario.lead, "editDevice", deviceId=location.device, expectedRevision=2, label="Too late"
    )
    assert again.outcome == "LOCKED"


@pytest.mark.parametrize("serial_number", [{}, {"serialNumber": None}, {"serialNumber": "  "}])
async def test_the_serial_number_of_the_old_phone_goes_with_it(
    scenario: Scenario, serial_number: Mapping[str, str | None]
) -> None:
    location = await scenario.a_location(S.COMPLETED)
    assert (await replaced(scenario, scenario.lead, location, a_mac(), serialNumber="SN-1")).outcome == "DONE"
    sent = await replaced(scenario, scenario.lead_2, location, a_mac(), **serial_number)
    assert sent.payload["device"]["serialNumber"] is None


@pytest.mark.parametrize("status", sorted(set(S) - LOCKED_STATUSES))
async def test_a_phone_of_an_unlocked_location_is_edited_and_not_replaced(
    scenario: Scenario, status: LocationStatus
) -> None:
    location = await scenario.a_location(status)
    before = await scenario.state_of(location.id)
    sent = await replaced(scenario, scenario.lead, location, a_mac())
    assert (sent.outcome, sent.problem["status"]) == ("NOT_LOCKED", status)
    assert await scenario.state_of(location.id) == before


@pytest.mark.parametrize("opener", ["lead", "lead_2"])
async def test_a_replacement_does_not_happen_beside_an_override_in_force(scenario: Scenario, opener: str) -> None:
    location = await scenario.a_location(S.COMPLETED, override_of=getattr(scenario, opener), sections=[Section.DEVICES])
    sent = await replaced(scenario, scenario.lead, location, a_mac())
    assert (sent.outcome, sent.problem["sections"]) == ("OVERRIDE_SCOPE", ["DEVICES"])
    (entry,) = await scenario.entries(location.id)
    assert (entry["action"], entry["outcome"], entry["code"]) == ("replaceDevice", "REFUSED", "OVERRIDE_SCOPE")


async def record_override(scenario: Scenario, location: Rollout) -> dict[str, Any]:
    return dict(await first_row(scenario.connection, "SELECT * FROM turnup.override WHERE id = $1", location.override))


async def test_an_expired_override_is_ended_at_its_expiry_by_the_replacement(scenario: Scenario) -> None:
    location = await scenario.a_location(S.COMPLETED, override_of=scenario.lead_2)
    await scenario.expire(location.override or "")
    assert (await replaced(scenario, scenario.lead, location, a_mac())).outcome == "DONE"
    earlier = await record_override(scenario, location)
    assert earlier["ended_at"] == earlier["expires_at"]
    assert (await scenario.state_of(location.id)).open_overrides == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"macAddress": "80:5E:C0:AB:CD"}, "macAddress"),
        ({"macAddress": "not an address"}, "macAddress"),
        ({"macAddress": ""}, "macAddress"),
        ({"macAddress": " \u200b "}, "macAddress"),
        ({"serialNumber": "x" * 1001}, "serialNumber"),
        ({"reason": "Too short"}, "reason"),
        ({"reason": "x" * 1001}, "reason"),
    ],
)
async def test_a_replacement_that_cannot_be_read_names_its_field_and_changes_nothing(
    scenario: Scenario, changes: dict[str, str], field: str
) -> None:
    location = await scenario.a_location(S.COMPLETED)
    before = await scenario.state_of(location.id)
    sent = await replaced(scenario, scenario.lead, location, **{"mac": a_mac(), **changes})
    assert (sent.outcome, sent.problem["field"], sent.problem["path"]) == ("INVALID_INPUT", field, [field])
    assert await scenario.state_of(location.id) == before


async def test_a_replacement_by_the_same_phone_is_refused_and_a_new_serial_number_alone_is_not(
    scenario: Scenario,
) -> None:
    location = await scenario.a_location(S.COMPLETED)
    same = {"serialNumber": location.content.devices[0].serial_number}
    sent = await replaced(scenario, scenario.lead, location, show_mac(location.mac), **same)
    assert (sent.outcome, sent.problem["field"]) == ("INVALID_INPUT", "macAddress")
    corrected = await replaced(scenario, scenario.lead, location, show_mac(location.mac), serialNumber="SN-78")
    assert (corrected.outcome, corrected.payload["device"]["serialNumber"]) == ("DONE", "SN-78")


async def test_only_leads_replace_phones_and_only_existing_ones(scenario: Scenario) -> None:
    location = await scenario.a_location(S.COMPLETED)
    for who in (scenario.customer, scenario.partner):
        assert (await replaced(scenario, who, location, a_mac())).outcome == "FORBIDDEN"
    missing = {"deviceId": "device-of-nobody", "macAddress": a_mac(), "reason": REASON}
    assert (await scenario.send(scenario.lead, "replaceDevice", **missing)).outcome == "NOT_FOUND"


@pytest.mark.parametrize("holder", [S.PENDING_APPROVAL, S.COMPLETED])
async def test_a_phone_of_another_location_replaces_none(scenario: Scenario, holder: LocationStatus) -> None:
    other = await scenario.a_location(holder, account=scenario.away)
    location = await scenario.a_location(S.COMPLETED)
    before = await scenario.state_of(location.id)
    sent = await replaced(scenario, scenario.lead, location, other.mac)
    assert (sent.outcome, sent.problem["macAddresses"]) == ("MAC_IN_USE", [show_mac(other.mac)])
    after = await scenario.state_of(location.id)
    assert (after.digest, after.claims, after.open_overrides) == (before.digest, before.claims, 0)


async def test_a_repeated_call_with_the_same_key_replaces_once(scenario: Scenario) -> None:
    location, mac, key = await scenario.a_location(S.COMPLETED), a_mac(), a_key()
    first = await replaced(scenario, scenario.lead, location, mac, idempotencyKey=key)
    again = await replaced(scenario, scenario.lead, location, mac, idempotencyKey=key)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.payload["override"] == first.payload["override"]
    assert len(await scenario.entries(location.id)) == 1


async def test_operators_count_a_replacement_as_an_override_opened(scenario: Scenario) -> None:
    location = await scenario.a_location(S.APPROVED)
    before = await counted(scenario, "turnup_overrides_opened_total")
    assert (await replaced(scenario, scenario.lead, location, a_mac())).outcome == "DONE"
    assert await counted(scenario, "turnup_overrides_opened_total") == before + 1


# From COMPLETED to COMPLETED without a reopening


async def test_a_change_order_takes_four_calls_and_three_people_and_leaves_the_session_alone(
    scenario: Scenario,
) -> None:
    location, mac = await scenario.a_location(S.COMPLETED), a_mac()
    before = await sessions(scenario, location)
    assert (await replaced(scenario, scenario.lead, location, mac)).outcome == "DONE"
    assert (await scenario.state_of(location.id)).claims == tuple(sorted((location.mac, mac)))
    assert (await approved(scenario, scenario.lead, location)).outcome == "SELF_APPROVAL"
    assert (await approved(scenario, scenario.lead_2, location)).outcome == "DONE"
    payload = (await generated(scenario, location)).payload["payload"]
    assert (payload["state"], payload["sequence"]) == ("GENERATED", 3)
    assert (await triggered(scenario, location)).payload == {
        "payload": {"id": payload["id"], "state": "RELEASED"},
        "location": {"status": "PROVISIONING"},
        "replayed": False,
        "problems": [],
    }
    between = await scenario.state_of(location.id)
    assert (between.live, between.claims) == (location.payload, tuple(sorted((location.mac, mac))))
    assert (await acknowledged(scenario, scenario.partner, payload["id"])).payload["payload"] == {
        "state": "ACKNOWLEDGED"
    }
    after = await scenario.state_of(location.id)
    assert (after.status, after.live, after.claims) == (S.COMPLETED, payload["id"], (mac,))
    assert await sessions(scenario, location) == before
    assert [each["action"] for each in await scenario.entries(location.id) if each["outcome"] == "APPLIED"] == [
        "replaceDevice",
        "approve",
        "generatePayload",
        "triggerProvisioning",
        "acknowledgePayload",
    ]


async def test_a_change_order_goes_out_in_bulk_as_well(scenario: Scenario) -> None:
    location = await scenario.a_location(S.COMPLETED)
    assert await in_bulk(scenario, "bulkGeneratePayloads", location) == "ILLEGAL_TRANSITION"
    assert await in_bulk(scenario, "bulkUpdateStatus", location, status="PROVISIONING") == "ILLEGAL_TRANSITION"
    assert (await replaced(scenario, scenario.lead, location, a_mac())).outcome == "DONE"
    assert await in_bulk(scenario, "bulkGeneratePayloads", location) == "APPROVAL_OUTDATED"
    assert await in_bulk(scenario, "bulkUpdateStatus", location, status="PROVISIONING") == "APPROVAL_OUTDATED"
    digest = (await scenario.state_of(location.id)).digest
    items = [{"locationId": location.id, "expectedDigest": digest}]
    given = {"items": items, "idempotencyKey": a_key()}
    sent = await scenario.send(scenario.lead_2, "bulkApprove", "results { outcome }", **given)
    assert sent.payload["results"] == [{"outcome": "APPLIED"}]
    assert await in_bulk(scenario, "bulkUpdateStatus", location, status="PROVISIONING") == "ILLEGAL_TRANSITION"
    assert await in_bulk(scenario, "bulkGeneratePayloads", location) == "APPLIED"
    assert await in_bulk(scenario, "bulkGeneratePayloads", location) == "UNCHANGED"
    assert await in_bulk(scenario, "bulkUpdateStatus", location, status="PROVISIONING") == "APPLIED"
    assert (await scenario.state_of(location.id)).status == S.PROVISIONING


async def test_a_completed_location_is_handed_off_again_only_when_its_content_moved_and_was_approved(
    scenario: Scenario,
) -> None:
    location, mac = await scenario.a_location(S.COMPLETED), a_mac()
    for send in (generated, triggered):
        assert (await send(scenario, location)).outcome == "ILLEGAL_TRANSITION"
    assert (await replaced(scenario, scenario.lead, location, mac)).outcome == "DONE"
    for send in (generated, triggered):
        assert (await send(scenario, location)).outcome == "APPROVAL_OUTDATED"
    assert (await approved(scenario, scenario.lead_2, location)).outcome == "DONE"
    assert (await triggered(scenario, location)).outcome == "ILLEGAL_TRANSITION"
    assert (await generated(scenario, location)).outcome == "DONE"
    back = await replaced(
        scenario, scenario.lead, location, location.mac, serialNumber=location.content.devices[0].serial_number
    )
    assert back.outcome == "DONE"
    assert (await scenario.state_of(location.id)).digest == location.digest
    for send in (generated, triggered):
        assert (await send(scenario, location)).outcome == "ILLEGAL_TRANSITION"


@pytest.mark.parametrize("way", ["rejectPayload", "block", "cancel"])
async def test_a_change_order_that_fails_leaves_the_phones_in_operation_held(scenario: Scenario, way: str) -> None:
    location, mac = await scenario.a_location(S.COMPLETED), a_mac()
    payload = await a_change_order(scenario, location, mac)
    if way == "rejectPayload":
        reasons = [{"path": "/devices/0/macAddress", "code": "UNKNOWN", "message": "Not in our stock."}]
        given: dict[str, Any] = {"payloadId": payload, "reasons": reasons, "idempotencyKey": a_key()}
        assert (await scenario.send(scenario.partner, way, **given)).outcome == "DONE"
    else:
        given = {"locationId": location.id, "reason": "The new phone is broken too."}
        assert (await scenario.send(scenario.lead, way, **given)).outcome == "DONE"
    after = await scenario.state_of(location.id)
    became = {"rejectPayload": "REJECTED"}.get(way, "WITHDRAWN")
    assert (after.payloads[location.payload or ""], after.payloads[payload]) == ("ACKNOWLEDGED", became)
    assert (after.live, after.claims) == (location.payload, (location.mac,))
    assert set(after.approvals.values()) == {"VOIDED"}
    if way == "cancel":
        assert (await scenario.send(scenario.lead, "reopen", locationId=location.id, reason=REASON)).outcome == "DONE"
    else:
        assert (await scenario.send(scenario.lead, "unblock", locationId=location.id)).outcome == "DONE"
    reopened = await scenario.state_of(location.id)
    assert (reopened.status, reopened.open_sessions, reopened.live) == (S.IN_PROGRESS, 1, location.payload)


async def test_a_change_order_that_a_lead_completes_by_hand_keeps_both_addresses_until_the_partner_answers(
    scenario: Scenario,
) -> None:
    location, mac = await scenario.a_location(S.COMPLETED), a_mac()
    payload = await a_change_order(scenario, location, mac)
    given = {"locationId": location.id, "reason": "The partner called.", "idempotencyKey": a_key()}
    assert (await scenario.send(scenario.lead, "completeProvisioning", **given)).outcome == "DONE"
    assert set((await scenario.state_of(location.id)).claims) == {location.mac, mac}
    assert (await acknowledged(scenario, scenario.partner, payload)).outcome == "DONE"
    assert (await scenario.state_of(location.id)).claims == (mac,)


# What partners learn of it


CHANGES = """query($filter: ProvisioningPayloadFilter) { provisioningPayloads(first: 100, filter: $filter) {
  nodes { id document changesSinceAcknowledged { path before after } } } }"""


async def changes(client: Client, who: str, location: Rollout) -> dict[str, Any]:
    """The changes of each payload of a location, by its id."""
    answer = await client.ask(CHANGES, who, filter={"locationId": location.id})
    nodes = answer.data["provisioningPayloads"]["nodes"]
    assert not any("changesSinceAcknowledged" in each["document"] for each in nodes)
    return {each["id"]: each["changesSinceAcknowledged"] for each in nodes}


def moved_to(location: Rollout, mac: str) -> list[dict[str, Any]]:
    device, serial = f"/devices/{location.device}", location.content.devices[0].serial_number
    swapped = [{"path": f"{device}/macAddress", "before": show_mac(location.mac), "after": show_mac(mac)}]
    return swapped + ([{"path": f"{device}/serialNumber", "before": serial, "after": None}] if serial else [])


@pytest.mark.parametrize("executor", Executor)
async def test_a_partner_sees_what_changed_since_the_payload_that_it_acknowledged(
    scenario: Scenario, own_database: TestDatabase, home: Path, executor: Executor
) -> None:
    location, mac = await scenario.a_location(S.COMPLETED), a_mac()
    payload = await a_change_order(scenario, location, mac)
    async with served(own_database, home, executor=executor) as client:
        for who in (scenario.partner, scenario.lead):
            found = await changes(client, who, location)
            assert found == {location.payload: None, payload: moved_to(location, mac)}


async def test_a_rejected_payload_is_not_what_a_later_one_is_compared_with(scenario: Scenario) -> None:
    location, mac = await scenario.a_location(S.PROVISIONING), a_mac()
    await scenario.an_earlier_payload(location, "REJECTED")
    assert set((await changes(scenario.client, scenario.partner, location)).values()) == {None}
    assert (await replaced(scenario, scenario.lead, location, mac)).outcome == "DONE"
    assert (await approved(scenario, scenario.lead_2, location)).outcome == "DONE"
    payload = (await generated(scenario, location)).payload["payload"]["id"]
    assert (await changes(scenario.client, scenario.lead, location))[payload] is None
    assert payload not in await changes(scenario.client, scenario.partner, location)


async def test_each_partner_is_shown_the_changes_since_its_own_receipt(scenario: Scenario) -> None:
    """The second partner did not get the first payload, so its first one is compared with nothing."""
    account = await an_account_with(scenario, partners=2)
    location, earliest = await account.running(partners=1)
    first, second = account.partners
    assert (await account.set_partners(location, {first: True, second: True})).outcome == "DONE"
    mac, next_mac = a_mac(), a_mac()
    middle = await a_change_order(scenario, location, mac)
    assert await changes(scenario.client, second, location) == {middle: None}
    for who in account.partners:
        assert (await acknowledged(scenario, who, middle)).outcome == "DONE"
    latest = await a_change_order(scenario, location, next_mac)
    path = f"/devices/{location.device}/macAddress"
    swap = [{"path": path, "before": show_mac(mac), "after": show_mac(next_mac)}]
    assert await changes(scenario.client, second, location) == {middle: None, latest: swap}
    assert await changes(scenario.client, first, location) == {
        earliest.id: None,
        middle: moved_to(location, mac),
        latest: swap,
    }


async def test_a_payload_that_one_of_two_partners_acknowledged_before_a_replacement_stays_in_operation_there(
    scenario: Scenario,
) -> None:
    """The other partner cannot acknowledge it any more. It gets the next payload, with the new phone."""
    account = await an_account_with(scenario, partners=2)
    first, second = account.partners
    location, mac = await account.a_location(), a_mac()
    old = await account.released(location)
    assert (await account.acknowledge(first, old)).payload["payload"] == {"state": "RELEASED"}
    assert (await replaced(scenario, scenario.lead, location, mac)).outcome == "DONE"
    assert (await account.acknowledge(second, old)).outcome == "PAYLOAD_SUPERSEDED"
    assert await account.claims(location) == {location.mac, mac}
    assert (await account.approve(location)).outcome == "DONE"
    new = await account.released(location)
    assert (await changes(scenario.client, first, location))[new.id] == moved_to(location, mac)
    assert (await changes(scenario.client, second, location))[new.id] is None
    for who in account.partners:
        assert (await account.acknowledge(who, new)).outcome == "DONE"
    assert (await scenario.state_of(location.id)).status == S.COMPLETED
    assert await account.claims(location) == {mac}


async def test_what_a_partner_decommissioned_is_not_what_a_later_payload_changes(scenario: Scenario) -> None:
    """Otherwise a partner that applies the changes alone would leave the other phones out of operation."""
    account = await an_account_with(scenario, partners=2)
    first, second = account.partners
    location, old = await account.running(partners=2)
    assert (await account.decommission(first, old)).outcome == "DONE"
    mac = a_mac()
    new = await a_change_order(scenario, location, mac)
    found = {who: (await changes(scenario.client, who, location))[new] for who in (first, second, scenario.lead)}
    assert found == {first: None, second: moved_to(location, mac), scenario.lead: moved_to(location, mac)}
    assert (await account.decommission(second, old)).outcome == "DONE"
    for who in (first, second, scenario.lead):
        assert (await changes(scenario.client, who, location))[new] is None


async def test_an_erased_document_is_compared_with_nothing(scenario: Scenario) -> None:
    location, mac = await scenario.a_location(S.COMPLETED), a_mac()
    payload = await a_change_order(scenario, location, mac)
    assert (await acknowledged(scenario, scenario.partner, payload)).outcome == "DONE"
    async with scenario.arranging():
        await scenario.connection.execute(
            """UPDATE turnup.provisioning_payload SET document = '{"erased": true}' WHERE id = $1""", location.payload
        )
    assert await changes(scenario.client, scenario.partner, location) == {location.payload: None, payload: None}


# At the same time


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_receipt_raced_against_a_replacement_is_of_the_approved_content_or_none(
    scenario: Scenario, rounds: int
) -> None:
    for _ in range(rounds):
        location, mac = await scenario.a_location(S.PROVISIONING), a_mac()
        receipt, swap = await asyncio.gather(
            acknowledged(scenario, scenario.partner, location.payload or ""),
            replaced(scenario, scenario.lead, location, mac),
        )
        after = await scenario.state_of(location.id)
        assert swap.outcome == "DONE"
        if receipt.outcome == "DONE":
            assert (after.status, after.live) == (S.COMPLETED, location.payload)
            assert set(after.claims) == {location.mac, mac}
        else:
            assert (receipt.outcome, after.status, after.claims) == ("PAYLOAD_SUPERSEDED", S.PROVISIONING, (mac,))


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_change_order_raced_against_another_replacement_releases_only_approved_content(
    scenario: Scenario, rounds: int
) -> None:
    for _ in range(rounds):
        location = await scenario.a_location(S.COMPLETED)
        assert (await replaced(scenario, scenario.lead, location, a_mac())).outcome == "DONE"
        assert (await approved(scenario, scenario.lead_2, location)).outcome == "DONE"
        payload = (await generated(scenario, location)).payload["payload"]["id"]
        release, swap = await asyncio.gather(
            triggered(scenario, location), replaced(scenario, scenario.lead_2, location, a_mac())
        )
        after = await scenario.state_of(location.id)
        assert (release.outcome, swap.outcome) in {("DONE", "DONE"), ("APPROVAL_OUTDATED", "DONE")}
        assert after.payloads[payload] == "SUPERSEDED"
        assert after.status == (S.PROVISIONING if release.outcome == "DONE" else S.COMPLETED)


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_of_two_locations_that_get_the_same_new_phone_concurrently_one_does(
    scenario: Scenario, rounds: int
) -> None:
    for _ in range(rounds):
        mac = a_mac()
        here = await scenario.a_location(S.COMPLETED)
        there = await scenario.a_location(S.COMPLETED, account=scenario.away)
        sent = await asyncio.gather(
            replaced(scenario, scenario.lead, here, mac), replaced(scenario, scenario.lead_2, there, mac)
        )
        assert sorted(each.outcome for each in sent) == ["DONE", "MAC_IN_USE"]
