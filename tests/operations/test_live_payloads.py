"""A MAC address that a partner runs is held: from the receipt, whatever becomes of the location, until the partner
acknowledges a later payload without it, or the decommissioning is confirmed."""

from typing import Any

import pytest

from app.domain.mac_address import show_mac
from app.domain.vocabulary import LocationStatus

from .hand_off import REASON, Account, Payload, an_account_with
from .scenario import Rollout, Scenario, a_key, a_mac

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus


@pytest.fixture(scope="package")
async def here(scenario: Scenario) -> Account:
    """An account with two partners."""
    return await an_account_with(scenario, 2)


@pytest.fixture(scope="package")
async def there(scenario: Scenario) -> Account:
    """Another account."""
    return await an_account_with(scenario, 1)


async def is_held(there: Account, mac: str) -> bool:
    """Whether another account is refused an address, by readiness and by the claim itself."""
    rival = await there.rival(mac)
    sent = await there.submit(rival)
    if sent.outcome == "DONE":
        assert (await there.back("cancel", rival)).outcome == "DONE"
        return False
    codes = [each["code"] for each in sent.problem["issues"] if each["severity"] == "BLOCKER"]
    assert (sent.outcome, codes) == ("NOT_READY", ["MAC_IN_USE"])
    # A submitted location does not get it by an edit either, which readiness does not stop.
    pending = await there.a_location(S.PENDING_APPROVAL)
    refused = await there.edit(pending, mac)
    assert (refused.outcome, refused.problem["macAddresses"]) == ("MAC_IN_USE", [show_mac(mac)])
    return True


# The three ways in which an address used to get free while the phone was in operation


async def test_an_edit_under_an_override_frees_no_address_that_a_partner_runs(here: Account, there: Account) -> None:
    location, _ = await here.running()
    new = a_mac()
    await here.override(location)
    assert (await here.edit(location, new)).outcome == "DONE"
    assert await here.claims(location) == {location.mac, new}
    assert await is_held(there, location.mac)


async def test_a_reopening_with_an_edit_frees_no_address_that_a_partner_runs(here: Account, there: Account) -> None:
    location, _ = await here.running()
    new = a_mac()
    await here.back("reopen", location)
    assert (await here.edit(location, new)).outcome == "DONE"
    assert await here.claims(location) == {location.mac}
    assert await is_held(there, location.mac)
    assert not await is_held(there, new)


async def test_reopening_and_cancelling_frees_no_address_that_a_partner_runs(here: Account, there: Account) -> None:
    location, _ = await here.running()
    for verb in ("reopen", "cancel"):
        assert (await here.back(verb, location)).outcome == "DONE"
    assert await here.claims(location) == {location.mac}
    assert await is_held(there, location.mac)
    removed = await here.lead("removeDevice", deviceId=location.device, expectedRevision=1)
    assert removed.outcome == "DONE"
    assert await is_held(there, location.mac)


# The ends


async def test_a_later_payload_without_the_address_frees_it_at_its_receipt_and_not_before(
    here: Account, there: Account
) -> None:
    location, _ = await here.running()
    new = a_mac()
    later = await here.change_order(location, new)
    assert await is_held(there, location.mac)
    assert await here.claims(location) == {location.mac, new}
    assert (await here.acknowledge(here.partners[0], later)).outcome == "DONE"
    assert await here.claims(location) == {new}
    assert not await is_held(there, location.mac)


async def test_every_recipient_has_to_be_done_with_an_address(here: Account, there: Account) -> None:
    first, second = here.partners
    location, _ = await here.running(2)
    later = await here.change_order(location, a_mac())
    assert (await here.acknowledge(first, later)).outcome == "DONE"
    assert await is_held(there, location.mac)
    assert (await here.acknowledge(second, later)).outcome == "DONE"
    assert not await is_held(there, location.mac)


async def test_a_decommissioning_frees_the_address_once_the_content_does_not_hold_it(
    here: Account, there: Account
) -> None:
    location, payload = await here.running()
    sent = await here.decommission(here.partners[0], payload)
    assert (sent.outcome, sent.payload["payload"]) == ("DONE", {"live": False})
    assert (await here.scenario.state_of(location.id)).status == S.COMPLETED
    assert await is_held(there, location.mac)
    await here.back("reopen", location)
    assert not await is_held(there, location.mac)


async def test_a_decommissioned_location_that_is_approved_again_runs_again(here: Account, there: Account) -> None:
    partner = here.partners[0]
    location, payload = await here.running()
    await here.decommission(partner, payload)
    await here.back("reopen", location)
    assert (await here.submit(location)).outcome == "DONE"
    assert (await here.approve(location)).outcome == "DONE"
    again = await here.released(location)
    assert again.id != payload.id
    assert (await here.acknowledge(partner, again)).outcome == "DONE"
    await here.back("reopen", location)
    assert await is_held(there, location.mac)


async def test_a_decommissioned_phone_may_run_elsewhere_and_not_come_back(here: Account, there: Account) -> None:
    location, payload = await here.running()
    await here.decommission(here.partners[0], payload)
    await here.back("reopen", location)
    rival = await there.rival(location.mac)
    assert (await there.submit(rival)).outcome == "DONE"
    refused = await here.submit(location)
    assert (refused.outcome, refused.problem["issues"][0]["code"]) == ("NOT_READY", "MAC_IN_USE")


# What a lead states


@pytest.mark.parametrize("recipients", [0, 2])
async def test_what_a_lead_completed_by_hand_is_held_until_it_is_decommissioned(
    scenario: Scenario, there: Account, recipients: int
) -> None:
    here = await an_account_with(scenario, recipients)
    location = await here.a_location()
    payload = await here.released(location)
    assert (await here.complete(location)).outcome == "DONE"
    for verb in ("reopen", "cancel"):
        await here.back(verb, location)
    assert await is_held(there, location.mac)
    for who in here.partners[:1]:
        assert (await here.decommission(who, payload)).outcome == "DONE"
        assert await is_held(there, location.mac)
    assert (await here.decommission(scenario.lead, payload)).outcome == "DONE"
    assert await here.claims(location) == set()
    assert not await is_held(there, location.mac)


async def test_a_later_completion_by_hand_replaces_an_earlier_one_where_nobody_answers(
    scenario: Scenario, there: Account
) -> None:
    here = await an_account_with(scenario, 0)
    location = await here.a_location()
    await here.released(location)
    await here.complete(location)
    await here.change_order(location, a_mac())
    assert await is_held(there, location.mac)
    assert (await here.complete(location)).outcome == "DONE"
    assert not await is_held(there, location.mac)


async def test_a_completion_by_hand_does_not_run_what_a_recipient_decommissioned(here: Account, there: Account) -> None:
    first, second = here.partners
    location = await here.a_location()
    payload = await here.released(location)
    await here.acknowledge(first, payload)
    assert (await here.decommission(first, payload)).outcome == "DONE"
    assert (await here.complete(location)).outcome == "DONE"
    assert await live_recipients(here, payload.id) == {second}
    assert (await here.decommission(second, payload)).outcome == "DONE"
    await here.back("reopen", location)
    assert not await is_held(there, location.mac)


async def test_a_completion_by_hand_shows_no_payload_in_operation_that_nobody_runs(here: Account) -> None:
    first, _ = here.partners
    location = await here.a_location()
    await here.set_partners(location, {first: False})
    payload = await here.released(location)
    assert (await here.waive(first, payload)).outcome == "DONE"
    assert (await here.decommission(first, payload)).outcome == "DONE"
    assert (await here.complete(location)).outcome == "DONE"
    state = await here.scenario.state_of(location.id)
    assert (state.status, state.live) == (S.COMPLETED, None)


async def superseded(account: Account) -> tuple[Rollout, Payload]:
    """A location in PROVISIONING whose phone was exchanged, so that the partners can no longer answer the payload."""
    location = await account.a_location()
    payload = await account.released(location)
    await account.override(location)
    assert (await account.edit(location, a_mac())).outcome == "DONE"
    assert (await account.scenario.state_of(location.id)).payloads == {payload.id: "SUPERSEDED"}
    return location, payload


async def test_a_completion_by_hand_holds_what_was_released_even_if_an_edit_superseded_it(
    here: Account, there: Account
) -> None:
    location, payload = await superseded(here)
    assert not await is_held(there, location.mac)
    assert (await here.complete(location)).outcome == "DONE"
    assert await live_recipients(here, payload.id) == set(here.partners)
    for verb in ("reopen", "cancel"):
        await here.back(verb, location)
    assert await is_held(there, location.mac)
    assert (await here.decommission(here.scenario.lead, payload)).outcome == "DONE"
    assert not await is_held(there, location.mac)


async def test_a_completion_by_hand_does_not_run_a_phone_that_another_location_got(
    here: Account, there: Account
) -> None:
    location, _ = await superseded(here)
    rival = await there.rival(location.mac)
    assert (await there.submit(rival)).outcome == "DONE"
    assert await told(here, location, "COMPLETE_PROVISIONING") == "MAC_IN_USE"
    refused = await here.complete(location)
    sentence = await told(here, location, "COMPLETE_PROVISIONING", "message")
    assert sentence == refused.problem["message"]
    assert rival.id in str(sentence)
    assert (refused.outcome, refused.problem["macAddresses"]) == ("MAC_IN_USE", [show_mac(location.mac)])
    assert (await here.scenario.state_of(location.id)).status == S.PROVISIONING
    # The next payload names the phone that is there now.
    assert (await here.approve(location)).outcome == "DONE"
    await here.released(location)
    assert (await here.complete(location)).outcome == "DONE"


async def told(account: Account, location: Rollout, action: str, field: str = "reason") -> str | None:
    """Why the lead cannot take an action, according to `viewerActions`; None if it can."""
    query = f'{{ location(id: "{location.id}") {{ viewerActions {{ action {field} }} }} }}'
    said = (await account.scenario.client.ask(query, account.scenario.lead)).data["location"]["viewerActions"]
    reasons: dict[str, str | None] = {each["action"]: each[field] for each in said}
    return reasons[action]


async def live_recipients(account: Account, payload: str) -> set[str]:
    rows = await account.scenario.connection.fetch(
        "SELECT user_id FROM turnup.payload_recipient WHERE payload_id = $1 AND live", payload
    )
    return {row["user_id"] for row in rows}


@pytest.mark.parametrize("late", ["acknowledge", "reject", "waive"])
async def test_a_recipient_that_decommissioned_a_payload_does_not_answer_it_any_more(here: Account, late: str) -> None:
    """Otherwise phones would run whose addresses another location may hold."""
    first, second = here.partners
    location = await here.a_location()
    payload = await here.released(location)
    if late == "waive":
        assert (await here.complete(location)).outcome == "DONE"
    else:
        assert (await here.waive(first, payload)).outcome == "DONE"
    assert (await here.decommission(first, payload)).outcome == "DONE"
    refused = await getattr(here, late)(first, payload)
    assert (refused.outcome, refused.problem["state"]) == ("PAYLOAD_NOT_LIVE", "RELEASED")
    assert first not in await live_recipients(here, payload.id)
    query = "{ provisioningPayloads(filter: {awaitingReceipt: true}) { nodes { id } } }"
    awaited = (await here.scenario.client.ask(query, first)).data["provisioningPayloads"]["nodes"]
    assert {"id": payload.id} not in awaited
    assert (await here.acknowledge(second, payload)).outcome == "DONE"
    state = await here.scenario.state_of(location.id)
    assert (state.status, state.payloads) == (S.COMPLETED, {payload.id: "ACKNOWLEDGED"})


async def test_a_waived_recipient_is_taken_to_run_until_it_says_otherwise(here: Account, there: Account) -> None:
    first, second = here.partners
    location = await here.a_location()
    payload = await here.released(location)
    assert (await here.waive(first, payload)).outcome == "DONE"
    assert await live_recipients(here, payload.id) == {first}
    assert (await here.reject(first, payload)).outcome == "DONE"
    assert await live_recipients(here, payload.id) == set()
    assert (await here.scenario.state_of(location.id)).status == S.BLOCKED
    assert not await is_held(there, location.mac)
    assert (await here.acknowledge(second, payload)).outcome == "PAYLOAD_REJECTED"


# Several recipients


async def test_another_partners_rejection_frees_nothing_of_who_acknowledged(here: Account, there: Account) -> None:
    first, second = here.partners
    location = await here.a_location()
    payload = await here.released(location)
    await here.acknowledge(first, payload)
    assert (await here.reject(second, payload)).outcome == "DONE"
    state = await here.scenario.state_of(location.id)
    assert (state.status, state.payloads) == (S.BLOCKED, {payload.id: "REJECTED"})
    await here.back("cancel", location)
    assert await is_held(there, location.mac)
    assert (await here.decommission(first, payload)).outcome == "DONE"
    assert not await is_held(there, location.mac)


async def test_a_partner_that_gets_no_later_payload_holds_what_it_runs(here: Account, there: Account) -> None:
    first, second = here.partners
    location, payload = await here.running(1)
    await here.set_partners(location, {second: True})
    new = a_mac()
    later = await here.change_order(location, new)
    assert (await here.acknowledge(second, later)).outcome == "DONE"
    assert await here.claims(location) == {location.mac, new}
    assert await is_held(there, location.mac)
    assert (await here.decommission(first, payload)).outcome == "DONE"
    assert await here.claims(location) == {new}


async def optional(here: Account) -> tuple[Rollout, Any]:
    """A location that the first partner runs; the second may still acknowledge its payload."""
    first, second = here.partners
    location = await here.a_location()
    await here.set_partners(location, {first: True, second: False})
    payload = await here.released(location)
    assert (await here.acknowledge(first, payload)).outcome == "DONE"
    return location, payload


async def test_a_late_receipt_holds_what_was_free_since_and_is_refused_what_another_holds(
    here: Account, there: Account
) -> None:
    first, second = here.partners
    taken = False
    for taken in (False, True):
        location, payload = await optional(here)
        await here.decommission(first, payload)
        await here.override(location)
        assert (await here.edit(location, a_mac())).outcome == "DONE"
        rival = await there.rival(location.mac)
        if taken:
            assert (await there.submit(rival)).outcome == "DONE"
        assert await told(here, location, "WAIVE_RECEIPT") == ("MAC_IN_USE" if taken else None)
        if taken:
            assert (await here.waive(second, payload)).outcome == "MAC_IN_USE"
        late = await here.acknowledge(second, payload)
        if taken:
            assert (late.outcome, late.problem["macAddresses"]) == ("MAC_IN_USE", [show_mac(location.mac)])
        else:
            assert late.outcome == "DONE"
            assert location.mac in await here.claims(location)
            assert (await there.submit(rival)).outcome == "NOT_READY"
    assert taken


async def test_a_late_receipt_after_a_change_order_is_refused(here: Account) -> None:
    _, second = here.partners
    location, payload = await optional(here)
    later = await here.change_order(location, a_mac())
    late = await here.acknowledge(second, payload)
    assert (late.outcome, late.problem["by"]) == ("PAYLOAD_SUPERSEDED", later.id)


# A phone moves between two sites that were handed off


@pytest.mark.parametrize("way", ["change order", "decommissioning"])
async def test_a_phone_moves_between_two_sites_that_were_handed_off(here: Account, way: str) -> None:
    partner = here.partners[0]
    spare = a_mac()
    source, payload = await here.running(macs=[spare, a_mac()])
    target, _ = await here.running()
    device = f"{source.device}-2"
    phone = source.content.devices[1].mac_address or ""
    await here.override(source)
    await here.override(target)

    async def moved() -> Any:
        revision = (await here.scenario.record(source.id)).row_revisions[device]
        given: dict[str, Any] = {"deviceId": device, "toLocationId": target.id, "expectedRevision": revision}
        return await here.lead("moveDevice", **given)

    refused = await moved()
    assert (refused.outcome, refused.problem["macAddresses"]) == ("MAC_IN_USE", [show_mac(phone)])
    if way == "decommissioning":
        assert (await here.decommission(partner, payload)).outcome == "DONE"
        assert (await moved()).outcome == "DONE"
    else:
        # The phone leaves the source with a payload that is acknowledged, and is entered at the target.
        gone = await here.lead("removeDevice", deviceId=device, expectedRevision=1)
        assert (gone.outcome, (await here.approve(source)).outcome) == ("DONE", "DONE")
        assert (await here.acknowledge(partner, await here.released(source))).outcome == "DONE"
        entered = {"locationId": target.id, "brand": "YEALINK", "model": "T54W", "macAddress": phone}
        assert (await here.lead("addDevice", **entered)).outcome == "DONE"
    assert phone in await here.claims(target)
    assert phone not in await here.claims(source)


# Who confirms


@pytest.mark.parametrize(
    ("stated", "path"),
    [(None, ["onBehalfOf"]), ({"allRecipients": False}, ["onBehalfOf", "allRecipients"])],
    ids=["nobody", "not all"],
)
async def test_a_lead_states_on_whose_behalf_it_confirms(
    here: Account, stated: dict[str, Any] | None, path: list[str]
) -> None:
    location, payload = await here.running(2)
    before = await here.scenario.state_of(location.id)
    refused = await here.decommission(here.scenario.lead, payload, onBehalfOf=stated)
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", path)
    assert await here.scenario.state_of(location.id) == before


async def test_a_lead_confirms_on_behalf_of_one_recipient_or_of_all_with_a_reason(here: Account) -> None:
    first, second = here.partners
    lead = here.scenario.lead
    location, payload = await here.running(2)
    for missing in ({"reason": None}, {"reason": " \n"}, {"reason": "\u200b"}):
        refused = await here.decommission(lead, payload, **missing)
        assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["reason"])
    assert (await here.decommission(lead, payload, onBehalfOf={"userId": first})).payload["payload"] == {"live": True}
    assert await live_recipients(here, payload.id) == {second}
    assert (await here.decommission(lead, payload)).payload["payload"] == {"live": False}
    entries = [each for each in await here.scenario.entries(location.id) if each["action"] == "confirmDecommission"]
    marks = [(each["outcome"], each["reason"], each["is_override"]) for each in entries]
    assert marks == [("APPLIED", REASON, True)] * 2
    rows = await here.scenario.connection.fetch(
        "SELECT decommissioned_by, decommission_reason FROM turnup.payload_recipient WHERE payload_id = $1", payload.id
    )
    assert [tuple(row) for row in rows] == [(lead, REASON)] * 2


async def test_a_partners_own_confirmation_needs_no_reason_and_is_no_override(here: Account) -> None:
    location, payload = await here.running()
    assert (await here.decommission(here.partners[0], payload)).outcome == "DONE"
    *_, entry = await here.scenario.entries(location.id)
    assert (entry["action"], entry["reason"], entry["is_override"]) == ("confirmDecommission", None, False)


async def test_a_partner_sees_whether_it_runs_a_payload_itself_and_a_lead_whether_anybody_does(here: Account) -> None:
    """What another partner runs says nothing about the own phones."""
    first, second = here.partners
    location = await here.a_location()
    payload = await here.released(location)

    async def seen() -> list[bool]:
        query = f'{{ provisioningPayloads(filter: {{locationId: "{location.id}"}}) {{ nodes {{ live }} }} }}'
        node = f'{{ node(id: "{payload.id}") {{ ... on ProvisioningPayload {{ live }} }} }}'
        shown = []
        for who in (first, second, here.scenario.lead):
            (listed,) = (await here.scenario.client.ask(query, who)).data["provisioningPayloads"]["nodes"]
            assert (await here.scenario.client.ask(node, who)).data["node"] == listed
            shown.append(listed["live"])
        return shown

    assert await seen() == [False, False, False]
    assert (await here.acknowledge(first, payload)).outcome == "DONE"
    assert await seen() == [True, False, True]
    assert (await here.acknowledge(second, payload)).outcome == "DONE"
    assert await seen() == [True, True, True]
    assert (await here.decommission(first, payload)).payload["payload"] == {"live": False}
    assert await seen() == [False, True, True]
    assert (await here.decommission(second, payload)).payload["payload"] == {"live": False}
    assert await seen() == [False, False, False]


async def test_confirming_again_changes_nothing(here: Account) -> None:
    first, second = here.partners
    location, payload = await optional(here)
    given = {"idempotencyKey": a_key()}
    assert (await here.decommission(first, payload, **given)).replayed is False
    before = await here.scenario.state_of(location.id)
    assert (await here.decommission(first, payload, **given)).replayed is True
    for who in (first, here.scenario.lead):
        sent = await here.decommission(who, payload)
        assert (sent.outcome, sent.replayed) == ("DONE", False)
    assert await here.scenario.state_of(location.id) == before
    # The second partner did not answer, so it has nothing to decommission.
    refused = await here.decommission(second, payload)
    assert (refused.outcome, refused.problem["state"]) == ("PAYLOAD_NOT_LIVE", "ACKNOWLEDGED")


@pytest.mark.parametrize("state", ["GENERATED", "RELEASED", "ACKNOWLEDGED"])
async def test_a_payload_that_is_not_live_has_nothing_to_decommission(here: Account, state: str) -> None:
    partner = here.partners[0]
    location, payload = await here.running()
    if state == "GENERATED":
        location = await here.a_location()
        sent = await here.lead("generatePayload", "payload { id }", locationId=location.id, idempotencyKey=a_key())
        refused = await here.decommission(here.scenario.lead, Payload(sent.payload["payload"]["id"], ""))
        assert (refused.outcome, refused.problem["state"]) == ("PAYLOAD_NOT_LIVE", state)
        return
    later = await here.change_order(location, a_mac())
    if state == "ACKNOWLEDGED":
        assert (await here.acknowledge(partner, later)).outcome == "DONE"
    asked = payload if state == "ACKNOWLEDGED" else later
    for who in (partner, here.scenario.lead):
        refused = await here.decommission(who, asked)
        assert (refused.outcome, refused.problem["state"]) == ("PAYLOAD_NOT_LIVE", state)


async def test_a_partner_confirms_for_nobody_else(here: Account, there: Account) -> None:
    first, second = here.partners
    location, payload = await here.running(1)
    before = await here.scenario.state_of(location.id)
    for other in (second, first):
        refused = await here.decommission(first, payload, onBehalfOf={"userId": other})
        assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["onBehalfOf"])
    missing = await here.decommission(first, type(payload)("payload-of-nobody", ""))
    for stranger in (second, there.partners[0]):
        for named in ({}, {"onBehalfOf": {"userId": first}}):
            hidden = await here.decommission(stranger, payload, **named)
            assert (hidden.outcome, hidden.problem) == ("NOT_FOUND", missing.problem)
    nobody = await here.decommission(here.scenario.lead, payload, onBehalfOf={"userId": second})
    assert (nobody.outcome, nobody.problem["path"]) == ("NOT_FOUND", ["onBehalfOf", "userId"])
    assert await here.scenario.state_of(location.id) == before
    assert (await here.decommission(first, payload)).outcome == "DONE"


async def test_a_live_payload_can_be_decommissioned_however_many_followed(here: Account, there: Account) -> None:
    location, payload = await here.running()
    async with here.scenario.arranging():
        await here.scenario.connection.execute(
            """INSERT INTO turnup.provisioning_payload (id, account_id, location_id, sequence, version, state, document,
                   document_digest, content_digest, digest_version, location_revision, generated_by, superseded_by)
               SELECT p.id || '-' || n, p.account_id, p.location_id, p.sequence + n, p.version, 'SUPERSEDED',
                   p.document, p.document_digest, p.content_digest, p.digest_version, 1, p.generated_by, p.id
               FROM turnup.provisioning_payload p, generate_series(1, 120) n WHERE p.id = $1""",
            payload.id,
        )
    await here.back("reopen", location)
    assert await is_held(there, location.mac)
    assert (await here.decommission(here.partners[0], payload)).outcome == "DONE"
    assert not await is_held(there, location.mac)


# Exceptions


async def test_a_test_location_holds_nothing(here: Account, there: Account) -> None:
    location = await here.a_location()
    async with here.scenario.arranging():
        await here.scenario.connection.execute("UPDATE turnup.location SET test = true WHERE id = $1", location.id)
        await here.scenario.connection.execute("DELETE FROM turnup.mac_claim WHERE location_id = $1", location.id)
    await here.set_partners(location, {here.partners[0]: True})
    payload = await here.released(location)
    assert (await here.acknowledge(here.partners[0], payload)).outcome == "DONE"
    assert await here.claims(location) == set()
    assert not await is_held(there, location.mac)
