"""Whose MAC address it is: held from submission on, and as long as a partner runs the phone, by one location of all
tenants, and told to nobody else."""

import asyncio
import json
import secrets
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from app.domain.mac_address import show_mac
from app.domain.vocabulary import LocationStatus
from tests.builders_db import fresh

from .scenario import Rollout, Scenario, Sent, a_key, a_mac, complete_content

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
HOLDING = (S.PENDING_APPROVAL, S.APPROVED, S.PROVISIONING, S.COMPLETED)


async def submitted(scenario: Scenario, who: str, location: Rollout) -> Sent:
    return await scenario.send(who, "submitOnboarding", locationId=location.id)


async def a_secret_site(scenario: Scenario, account: str, mac: str) -> Rollout:
    """A draft under a name that no other location has."""
    identifier = fresh("location")
    content = replace(complete_content(identifier, account, mac), name=f"Site {secrets.token_hex(6)}")
    return await scenario.a_location(S.IN_PROGRESS, name=identifier, content=content, account=account)


async def test_a_typo_in_a_draft_squats_on_nobody(scenario: Scenario) -> None:
    owner = await scenario.a_location(S.IN_PROGRESS)
    typo = await scenario.a_location(S.IN_PROGRESS, account=scenario.away, macs=[owner.mac])
    assert (await submitted(scenario, scenario.customer, owner)).outcome == "DONE"
    assert (await scenario.state_of(owner.id)).claims == (owner.mac,)
    assert (await scenario.state_of(typo.id)).claims == ()
    refused = await submitted(scenario, scenario.away_customer, typo)
    assert refused.outcome == "NOT_READY"
    blocking = [each["code"] for each in refused.problem["issues"] if each["severity"] == "BLOCKER"]
    assert blocking == ["MAC_IN_USE"]


@pytest.mark.parametrize("attempt", range(20))
async def test_of_two_customers_raced_for_one_address_one_wins_and_the_other_learns_nothing_of_the_owner(
    scenario: Scenario, attempt: int
) -> None:
    mac = a_mac()
    first = await a_secret_site(scenario, scenario.account, mac)
    second = await a_secret_site(scenario, scenario.away, mac)
    pairs = [(scenario.customer, first), (scenario.away_customer, second)]
    raced = await asyncio.gather(*(submitted(scenario, who, location) for who, location in pairs))
    assert sorted(sent.outcome == "DONE" for sent in raced) == [False, True]
    for sent, (who, location), (_, owner) in zip(raced, pairs, reversed(pairs), strict=True):
        if sent.outcome == "DONE":
            assert (await scenario.state_of(location.id)).claims == (mac,)
            continue
        assert sent.outcome in {"MAC_IN_USE", "NOT_READY"}
        if sent.outcome == "MAC_IN_USE":
            assert sent.problem["macAddresses"] == [show_mac(mac)]
        preview = await scenario.client.ask(f'{{ readiness(locationId: "{location.id}") {{ message }} }}', who)
        told = json.dumps(sent.problem) + preview.raw.decode()
        for secret in (owner.id, owner.content.name, owner.content.account_id, "Elm Florists", "Dune Opticians"):
            assert secret not in told
        assert (await scenario.state_of(location.id)).status == S.IN_PROGRESS


async def test_who_has_an_address_is_named_to_leads_only(scenario: Scenario) -> None:
    name = fresh("location")
    content = replace(complete_content(name, scenario.away), name="The secret site")
    owner = await scenario.a_location(S.APPROVED, account=scenario.away, name=name, content=content)
    draft = await scenario.a_location(S.IN_PROGRESS, macs=[owner.mac])
    messages = f'{{ readiness(locationId: "{draft.id}") {{ message }} }}'
    told = {who: (await scenario.client.ask(messages, who)).raw.decode() for who in (scenario.lead, scenario.customer)}
    assert "The secret site" in told[scenario.lead]
    assert "another location" in told[scenario.customer]
    assert "The secret site" not in told[scenario.customer]
    submit = (
        f'mutation {{ submitOnboarding(input: {{locationId: "{draft.id}"}})'
        " { problems { ... on NotReady { issues { message } } } } }"
    )
    assert "The secret site" not in (await scenario.client.ask(submit, scenario.customer)).raw.decode()
    assert "The secret site" in (await scenario.client.ask(submit, scenario.lead)).raw.decode()


@pytest.mark.parametrize("status", HOLDING)
async def test_an_edit_in_between_claims_anew(scenario: Scenario, status: LocationStatus) -> None:
    opener = None if status is S.PENDING_APPROVAL else scenario.lead
    location = await scenario.a_location(status, override_of=opener)
    new = a_mac()
    sent = await scenario.send(
        scenario.lead, "editDevice", deviceId=location.device, expectedRevision=1, macAddress=show_mac(new)
    )
    assert sent.outcome == "DONE"
    runs = {location.mac} if status is S.COMPLETED else set()
    assert set((await scenario.state_of(location.id)).claims) == {new} | runs


@pytest.mark.parametrize("status", HOLDING)
async def test_an_edit_to_an_address_that_another_has_is_refused_and_changes_nothing(
    scenario: Scenario, status: LocationStatus
) -> None:
    opener = None if status is S.PENDING_APPROVAL else scenario.lead
    owner = await scenario.a_location(S.APPROVED, account=scenario.away)
    location = await scenario.a_location(status, override_of=opener)
    before = await scenario.record(location.id)
    given: dict[str, Any] = {
        "deviceId": location.device,
        "expectedRevision": 1,
        "macAddress": owner.mac,
        "label": "Never",
    }
    sent = await scenario.send(scenario.lead, "editDevice", **given)
    assert (sent.outcome, sent.problem["macAddresses"]) == ("MAC_IN_USE", [show_mac(owner.mac)])
    after = await scenario.record(location.id)
    assert (after.content, after.claims, after.location) == (before.content, before.claims, before.location)
    added = await scenario.send(
        scenario.lead, "addDevice", locationId=location.id, brand="YEALINK", macAddress=owner.mac
    )
    assert added.outcome == "MAC_IN_USE"


async def test_a_device_that_goes_takes_its_claim_along(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    assert (
        await scenario.send(scenario.customer, "removeDevice", deviceId=location.device, expectedRevision=1)
    ).outcome == "DONE"
    assert (await scenario.state_of(location.id)).claims == ()


async def test_two_devices_with_one_address_hold_it_together_until_the_last_one_goes(scenario: Scenario) -> None:
    mac = a_mac()
    location = await scenario.a_location(S.PENDING_APPROVAL, macs=[mac, mac])
    await scenario.send(scenario.customer, "removeDevice", deviceId=f"{location.device}-2", expectedRevision=1)
    assert (await scenario.state_of(location.id)).claims == (mac,)
    await scenario.send(scenario.customer, "removeDevice", deviceId=location.device, expectedRevision=1)
    assert (await scenario.state_of(location.id)).claims == ()


@pytest.mark.parametrize(
    ("status", "verb"), list(product([S.APPROVED, S.PROVISIONING, S.PENDING_APPROVAL], ["cancel", "block", "reopen"]))
)
@pytest.mark.parametrize("live", [False, True])
async def test_a_location_keeps_the_addresses_that_a_partner_runs_whatever_its_status(
    scenario: Scenario, status: LocationStatus, verb: str, live: bool
) -> None:
    location = await scenario.a_location(status, live=live)
    sent = await scenario.send(scenario.lead, verb, locationId=location.id, reason="A change order")
    held = (await scenario.state_of(location.id)).claims
    assert held == ((location.mac,) if live or sent.outcome == "ILLEGAL_TRANSITION" else ())


async def test_a_reopened_location_holds_what_is_in_operation_and_not_its_draft(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS, live=True)
    new = a_mac()
    await scenario.send(scenario.customer, "editDevice", deviceId=location.device, expectedRevision=1, macAddress=new)
    assert (await scenario.state_of(location.id)).claims == (location.mac,)
    assert (await submitted(scenario, scenario.customer, location)).outcome == "DONE"
    assert set((await scenario.state_of(location.id)).claims) == {location.mac, new}


async def test_nobody_gets_the_address_of_a_cancelled_location_whose_phones_work(scenario: Scenario) -> None:
    location = await scenario.a_location(S.CANCELLED, live=True)
    other = await scenario.a_location(S.IN_PROGRESS, account=scenario.away, macs=[location.mac])
    refused = await submitted(scenario, scenario.away_customer, other)
    assert (refused.outcome, refused.problem["issues"][0]["code"]) == ("NOT_READY", "MAC_IN_USE")
    sent = await scenario.send(scenario.lead, "reopen", locationId=location.id, reason="They pay again")
    assert sent.outcome == "DONE"
    assert (await scenario.state_of(location.id)).claims == (location.mac,)


async def test_a_location_completed_by_hand_and_reopened_keeps_its_addresses(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    done = {"locationId": location.id, "reason": "The carrier is on strike", "idempotencyKey": a_key()}
    assert (await scenario.send(scenario.lead, "completeProvisioning", **done)).outcome == "DONE"
    assert (
        await scenario.send(scenario.lead, "reopen", locationId=location.id, reason="A change order")
    ).outcome == "DONE"
    assert (await scenario.state_of(location.id)).claims == (location.mac,)


@pytest.mark.parametrize("attempt", range(3))
async def test_two_locations_that_swap_their_addresses_concurrently_both_get_an_answer(
    scenario: Scenario, attempt: int
) -> None:
    """Each waits for what the other gives up; PostgreSQL breaks the deadlock and that one is tried again."""
    one = await scenario.a_location(S.PENDING_APPROVAL)
    two = await scenario.a_location(S.PENDING_APPROVAL, account=scenario.away)
    sent = await asyncio.gather(
        *(
            scenario.send(scenario.lead, "editDevice", deviceId=here.device, expectedRevision=1, macAddress=there.mac)
            for here, there in ((one, two), (two, one))
        )
    )
    assert {each.outcome for each in sent} <= {"DONE", "MAC_IN_USE"}
    held = {(await scenario.state_of(each.id)).claims for each in (one, two)}
    assert held == {(one.mac,), (two.mac,)}
