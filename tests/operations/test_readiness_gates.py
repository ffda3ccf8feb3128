"""What readiness shows beforehand is what submitting, approving and generating then say."""

import random
from dataclasses import replace
from typing import Any

import pytest

from app.domain.content import CallFlow, CallFlowOption, LocationContent, Target
from app.domain.places import place_of
from app.domain.vocabulary import Gate, LocationStatus, Section
from tests.builders_db import fresh
from tests.domain.builders import a_location as in_good_order
from tests.domain.defects import CHANGES, a_location_with_every_defect
from tests.lanes import scaled

from .scenario import Rollout, Scenario, Sent, a_key, a_mac

S = LocationStatus
FACTS = "code severity path message blocks"
NAMES = sorted(CHANGES)
# Addresses that another location may hold for good; each location gets one of its own by the same maker.
ORDINARY_MACS = ("805ec0010101", "00155d010101")


def as_another(content: LocationContent, location: str, account: str) -> LocationContent:
    """The same content as another location, under ids and with an address of its own."""

    def renamed(identifier: str | None) -> str | None:
        return None if identifier is None else f"{identifier}-{location}"

    def led(target: Target | None) -> Target | None:
        return None if target is None else replace(target, extension_id=renamed(target.extension_id))

    def routed(flow: CallFlow) -> CallFlow:
        return replace(
            flow,
            timeout_target=led(flow.timeout_target),
            invalid_target=led(flow.invalid_target),
            options=tuple(
                CallFlowOption(digit=each.digit, target=led(each.target) or each.target) for each in flow.options
            ),
            direct_targets=tuple(f"{each}-{location}" for each in flow.direct_targets),
        )

    macs = {each: a_mac(each[:6]) for each in ORDINARY_MACS}
    there = {each.id for each in content.devices} | {each.id for each in content.people}
    return replace(
        content,
        location_id=location,
        account_id=account,
        contacts=tuple(
            replace(each, id=f"{each.id}-{location}", position=place) for place, each in enumerate(content.contacts)
        ),
        devices=tuple(
            replace(
                each,
                id=f"{each.id}-{location}",
                mac_address=macs.get(each.mac_address or "", each.mac_address),
            )
            for each in content.devices
        ),
        people=tuple(replace(each, id=f"{each.id}-{location}") for each in content.people),
        working_hours=tuple(
            replace(each, id=f"hours-{place}-{location}") for place, each in enumerate(content.working_hours)
        ),
        extensions=tuple(
            replace(
                each,
                id=f"{each.id}-{location}",
                person_id=renamed(each.person_id) if each.person_id in there else None,
                device_id=renamed(each.device_id) if each.device_id in there else None,
            )
            for each in content.extensions
        ),
        call_flow=None if content.call_flow is None else routed(content.call_flow),
    )


async def with_content(scenario: Scenario, status: LocationStatus, content: LocationContent) -> Rollout:
    name = fresh("location")
    own = as_another(content, name, scenario.account)
    return await scenario.a_location(status, content=own, name=name, payload=False)


async def previewed(scenario: Scenario, who: str, location: Rollout) -> list[dict[str, Any]]:
    """Both previews, which have to be one; every word on completeness has to agree with them."""
    states = "{ section complete }"
    query = f"""{{ readiness(locationId: "{location.id}") {{ {FACTS} }}
                   location(id: "{location.id}") {{
                     readiness {{ {FACTS} }} sections {states} session {{ completeness {states} progress }} }} }}"""
    data = (await scenario.client.ask(query, who)).data
    found: list[dict[str, Any]] = data["readiness"]
    assert data["location"]["readiness"] == found
    incomplete = {place_of(issue["path"]).section for issue in found if Gate.SUBMIT in issue["blocks"]}
    complete = {section.value: section not in incomplete for section in Section}
    seen, session = data["location"]["sections"], data["location"]["session"]
    assert {each["section"]: each["complete"] for each in seen} == complete
    if session is not None:
        assert (session["completeness"], session["progress"]) == (seen, sum(complete.values()) * 100 // len(complete))
    return found


def must_agree(sent: Sent, preview: list[dict[str, Any]], gate: Gate) -> None:
    """Done exactly when nothing blocks the gate; refused with every issue that the preview shows."""
    if any(gate in issue["blocks"] for issue in preview):
        assert sent.outcome == "NOT_READY"
        assert sent.problem["issues"] == preview
    else:
        assert (sent.outcome, sent.problem) == ("DONE", {})


async def must_agree_in_bulk(
    scenario: Scenario, preview: list[dict[str, Any]], gate: Gate, mutation: str, **given: Any
) -> None:
    """A dry run in bulk predicts what the single mutation then does."""
    select = f"results {{ outcome problem {{ code ... on NotReady {{ issues {{ {FACTS} }} }} }} }}"
    sent = await scenario.send(scenario.lead, mutation, select, dryRun=True, idempotencyKey=a_key(), **given)
    (told,) = sent.payload["results"]
    if any(gate in issue["blocks"] for issue in preview):
        assert told == {"outcome": "REFUSED", "problem": {"code": "NOT_READY", "issues": preview}}
    else:
        assert told == {"outcome": "APPLIED", "problem": None}


async def try_every_gate(scenario: Scenario, content: LocationContent) -> None:
    draft = await with_content(scenario, S.IN_PROGRESS, content)
    preview = await previewed(scenario, scenario.customer, draft)
    given = {"status": "PENDING_APPROVAL", "locationIds": [draft.id]}
    await must_agree_in_bulk(scenario, preview, Gate.SUBMIT, "bulkUpdateStatus", **given)
    sent = await scenario.send(scenario.customer, "submitOnboarding", locationId=draft.id)
    must_agree(sent, preview, Gate.SUBMIT)
    await scenario.retire(draft)
    pending = await with_content(scenario, S.PENDING_APPROVAL, content)
    preview = await previewed(scenario, scenario.lead, pending)
    reviewed = {"locationId": pending.id, "expectedDigest": pending.digest}
    await must_agree_in_bulk(scenario, preview, Gate.APPROVE, "bulkApprove", items=[reviewed])
    must_agree(await scenario.send(scenario.lead, "approve", **reviewed), preview, Gate.APPROVE)
    await scenario.retire(pending)
    approved = await with_content(scenario, S.APPROVED, content)
    preview = await previewed(scenario, scenario.lead, approved)
    await must_agree_in_bulk(scenario, preview, Gate.PROVISION, "bulkGeneratePayloads", locationIds=[approved.id])
    sent = await scenario.send(scenario.lead, "generatePayload", locationId=approved.id, idempotencyKey=a_key())
    must_agree(sent, preview, Gate.PROVISION)
    await scenario.retire(approved)


@pytest.mark.parametrize("name", NAMES)
async def test_a_location_with_one_defect_passes_exactly_the_gates_that_the_defect_does_not_block(
    scenario: Scenario, name: str
) -> None:
    await try_every_gate(scenario, in_good_order(**CHANGES[name]))


@pytest.mark.parametrize("seed", range(12))
async def test_a_location_with_several_defects_passes_exactly_the_gates_that_none_of_them_blocks(
    scenario: Scenario, seed: int
) -> None:
    chosen = random.Random(seed).sample(NAMES, 1 + seed % 4)
    await try_every_gate(scenario, in_good_order(**{k: v for name in chosen for k, v in CHANGES[name].items()}))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 100 + scaled(100)))
async def test_any_mixture_of_defects_passes_exactly_the_gates_that_none_of_them_blocks(
    scenario: Scenario, seed: int
) -> None:
    chosen = random.Random(seed).sample(NAMES, 1 + seed % 6)
    await try_every_gate(scenario, in_good_order(**{k: v for name in chosen for k, v in CHANGES[name].items()}))


async def test_submitting_the_worst_location_tells_every_defect_at_once(scenario: Scenario) -> None:
    location = await with_content(scenario, S.IN_PROGRESS, a_location_with_every_defect())
    preview = await previewed(scenario, scenario.customer, location)
    sent = await scenario.send(scenario.customer, "submitOnboarding", locationId=location.id)
    assert sent.problem["issues"] == preview
    assert len({issue["code"] for issue in preview}) >= 25


@pytest.mark.parametrize("reader", ["lead", "customer"])
async def test_a_partners_reasons_are_read_until_the_content_moves(scenario: Scenario, reader: str) -> None:
    who = getattr(scenario, reader)
    location = await scenario.a_location(S.PROVISIONING)
    path = f"/devices/{location.device}/model"
    reasons = [{"path": "/devices/0/model", "code": "UNKNOWN_MODEL", "message": "We do not stock it."}]
    answer: dict[str, Any] = {"payloadId": location.payload, "reasons": reasons, "idempotencyKey": a_key()}
    assert (await scenario.send(scenario.partner, "rejectPayload", **answer)).outcome == "DONE"
    told = [(each["code"], each["path"], each["blocks"]) for each in await previewed(scenario, who, location)]
    assert ("REJECTED_BY_PARTNER", path, []) in told
    await scenario.send(scenario.lead, "unblock", locationId=location.id)
    await scenario.send(scenario.customer, "editDevice", deviceId=location.device, expectedRevision=1, model="T54W")
    assert "REJECTED_BY_PARTNER" not in {each["code"] for each in await previewed(scenario, who, location)}


async def progress_of(scenario: Scenario, who: str, location: Rollout) -> int:
    """How far the location is seen to be, after checking that it is what readiness says."""
    await previewed(scenario, who, location)
    query = f'{{ location(id: "{location.id}") {{ session {{ progress }} }} }}'
    found: int = (await scenario.client.ask(query, who)).data["location"]["session"]["progress"]
    return found


async def test_a_section_is_complete_exactly_when_nothing_in_it_blocks_submission(scenario: Scenario) -> None:
    taken = await scenario.a_location(S.APPROVED, account=scenario.away)
    draft = await scenario.a_location(S.IN_PROGRESS)
    edit = {"deviceId": draft.device}
    assert await progress_of(scenario, scenario.customer, draft) == 100
    await scenario.send(scenario.customer, "editDevice", **edit, expectedRevision=1, macAddress=taken.mac)
    assert await progress_of(scenario, scenario.customer, draft) == 87
    await scenario.send(scenario.customer, "editDevice", **edit, expectedRevision=2, macAddress=a_mac())
    assert await progress_of(scenario, scenario.customer, draft) == 100


async def test_a_section_is_complete_as_long_as_no_other_location_holds_its_addresses_and_nobody_writes_to_it(
    scenario: Scenario,
) -> None:
    draft = await scenario.a_location(S.IN_PROGRESS)
    rival = await scenario.a_location(S.IN_PROGRESS, account=scenario.away, macs=[draft.mac])
    before = await scenario.state_of(draft.id), await scenario.revisions(draft.id)
    for verb, progress in (("submitOnboarding", 87), ("withdrawSubmission", 100), ("submitOnboarding", 87)):
        assert (await scenario.send(scenario.away_customer, verb, locationId=rival.id)).outcome == "DONE"
        for who in (scenario.customer, scenario.lead):
            assert await progress_of(scenario, who, draft) == progress
    assert (await scenario.state_of(draft.id), await scenario.revisions(draft.id)) == before


async def test_an_edit_puts_right_what_was_kept_of_sections_that_it_does_not_touch(scenario: Scenario) -> None:
    """As after a release that changes a rule: what was kept then is not what the rules say now."""
    draft = await scenario.a_location(S.IN_PROGRESS)
    async with scenario.arranging():
        turned = "UPDATE turnup.section SET complete = NOT complete WHERE location_id = $1"
        await scenario.connection.execute(turned, draft.id)
    await scenario.send(scenario.customer, "setWorkingHours", locationId=draft.id, expectedRevision=1, intervals=[])
    assert await progress_of(scenario, scenario.customer, draft) == 87
