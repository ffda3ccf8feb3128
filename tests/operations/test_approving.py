"""Approval is of exactly the content that was seen, by somebody else than who made it."""

import asyncio
from hashlib import sha256

import pytest

from app.domain.canonical import canonical
from app.domain.vocabulary import LocationStatus
from tests.harness import first_row
from tests.lanes import scaled

from .edits import CONTENT_EDITS, EDITS
from .scenario import Rollout, Scenario, Sent

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus


async def reviewed(scenario: Scenario, location: Rollout) -> str:
    query = f'{{ review(locationId: "{location.id}") {{ digest revision request {{ id }} }} }}'
    review = (await scenario.client.ask(query, scenario.lead)).data["review"]
    assert review["revision"] == (await scenario.state_of(location.id)).revision
    return str(review["digest"])


async def approved(scenario: Scenario, who: str, location: Rollout, digest: str) -> Sent:
    select = "approval { id reviewStatus digest selfApproved comment decidedBy { id } }"
    return await scenario.send(who, "approve", select, locationId=location.id, expectedDigest=digest)


async def labelled(scenario: Scenario, who: str, location: Rollout, label: str, revision: int = 1) -> Sent:
    return await scenario.send(who, "editDevice", deviceId=location.device, expectedRevision=revision, label=label)


async def test_a_review_that_went_stale_is_told_what_has_changed_since(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    digest = await reviewed(scenario, location)
    await labelled(scenario, scenario.customer, location, "Elsewhere")
    sent = await approved(scenario, scenario.lead, location, digest)
    assert (sent.outcome, sent.problem["path"]) == ("STALE_REVIEW", [])
    assert sent.problem["changedPaths"] == [f"/devices/{location.device}/label"]
    assert sent.problem["currentDigest"] == await reviewed(scenario, location)
    assert (await scenario.state_of(location.id)).approvals == {location.request: "PENDING"}
    assert (await approved(scenario, scenario.lead, location, sent.problem["currentDigest"])).outcome == "DONE"


async def test_a_review_between_two_edits_is_told_the_second_alone(scenario: Scenario) -> None:
    for location in await scenario.a_location(S.PENDING_APPROVAL), await scenario.a_location(S.COMPLETED, moved=True):
        opened = await scenario.send(
            scenario.lead_2,
            "openOverride",
            locationId=location.id,
            editableSections=["DEVICES", "CONTACTS"],
            reason="Two phones were swapped.",
            expiresInMinutes=30,
        )
        editor = scenario.lead_2 if opened.outcome == "DONE" else scenario.customer
        assert (await scenario.send(editor, "setContacts", **EDITS["setContacts"](location))).outcome == "DONE"
        digest = await reviewed(scenario, location)
        await labelled(scenario, editor, location, "Elsewhere")
        sent = await approved(scenario, scenario.lead, location, digest)
        assert (sent.outcome, sent.problem["changedPaths"]) == ("STALE_REVIEW", [f"/devices/{location.device}/label"])


async def test_a_review_of_what_never_was_is_told_that_everything_differs(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    paths = (await approved(scenario, scenario.lead, location, "0" * 64)).problem["changedPaths"]
    assert {"/location/name", "/location/timezone", f"/devices/{location.device}/macAddress"} <= set(paths)


@pytest.mark.parametrize("digest", ["", "0" * 64, "A" * 64, "not a digest"])
async def test_no_other_digest_approves_anything(scenario: Scenario, digest: str) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    assert (await approved(scenario, scenario.lead, location, digest)).outcome == "STALE_REVIEW"
    upper = await approved(scenario, scenario.lead, location, location.digest.upper())
    assert upper.outcome == "STALE_REVIEW"
    assert (await scenario.state_of(location.id)).status == S.PENDING_APPROVAL


async def test_who_submitted_does_not_approve(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL, submitted_by=scenario.lead)
    assert (await approved(scenario, scenario.lead, location, location.digest)).outcome == "SELF_APPROVAL"
    assert (await scenario.state_of(location.id)).approvals == {location.request: "PENDING"}
    assert (await approved(scenario, scenario.lead_2, location, location.digest)).outcome == "DONE"


@pytest.mark.parametrize("mutation", CONTENT_EDITS)
async def test_who_edited_since_the_submission_does_not_approve(scenario: Scenario, mutation: str) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    assert (await scenario.send(scenario.customer, "submitOnboarding", locationId=location.id)).outcome == "DONE"
    assert (await scenario.send(scenario.lead, mutation, **EDITS[mutation](location))).outcome == "DONE"
    digest = await reviewed(scenario, location)
    refused = await approved(scenario, scenario.lead, location, digest)
    other = await approved(scenario, scenario.lead_2, location, digest)
    if refused.outcome == "NOT_READY":  # the edit left something undone, which comes first
        assert other.outcome == "NOT_READY"
    else:
        assert (refused.outcome, other.outcome) == ("SELF_APPROVAL", "DONE")


async def test_an_edit_before_somebody_elses_submission_is_no_own_work(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    await labelled(scenario, scenario.lead, location, "Helped")
    await scenario.send(scenario.customer, "submitOnboarding", locationId=location.id)
    sent = await approved(scenario, scenario.lead, location, await reviewed(scenario, location))
    assert sent.payload["approval"]["selfApproved"] is False


async def test_an_edit_before_somebody_elses_approval_is_no_own_work(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    await labelled(scenario, scenario.lead, location, "Helped")
    first = await approved(scenario, scenario.lead_2, location, await reviewed(scenario, location))
    assert first.outcome == "DONE"
    await scenario.send(
        scenario.lead_2,
        "openOverride",
        locationId=location.id,
        editableSections=["DEVICES"],
        reason="A phone was swapped on site.",
        expiresInMinutes=30,
    )
    assert (await labelled(scenario, scenario.lead_2, location, "Swapped", revision=2)).outcome == "DONE"
    sent = await approved(scenario, scenario.lead, location, await reviewed(scenario, location))
    assert (sent.outcome, sent.payload["approval"]["selfApproved"]) == ("DONE", False)


async def test_what_the_customer_edits_after_submitting_a_lead_may_approve(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    await labelled(scenario, scenario.customer, location, "By the customer")
    assert (await approved(scenario, scenario.lead, location, await reviewed(scenario, location))).outcome == "DONE"


async def test_a_refused_edit_makes_nobody_an_editor(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    assert (await labelled(scenario, scenario.lead, location, "Late", revision=7)).outcome == "CONFLICT"
    assert (await approved(scenario, scenario.lead, location, location.digest)).outcome == "DONE"


async def test_where_self_approval_is_allowed_it_is_marked(scenario: Scenario, lenient_scenario: Scenario) -> None:
    own = await scenario.a_location(S.PENDING_APPROVAL, submitted_by=scenario.lead)
    others = await scenario.a_location(S.PENDING_APPROVAL)
    for location, marked in ((own, True), (others, False)):
        sent = await approved(lenient_scenario, scenario.lead, location, location.digest)
        assert sent.payload["approval"] == {
            "id": location.request,
            "reviewStatus": "APPROVED",
            "digest": location.digest,
            "selfApproved": marked,
            "comment": None,
            "decidedBy": {"id": scenario.lead},
        }


async def race(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    approval, edit = await asyncio.gather(
        approved(scenario, scenario.lead, location, location.digest),
        labelled(scenario, scenario.customer, location, "In between"),
    )
    assert (approval.outcome, edit.outcome) in {("DONE", "LOCKED"), ("STALE_REVIEW", "DONE")}
    row = await first_row(scenario.connection, "SELECT * FROM turnup.approval WHERE id = $1", location.request)
    after = await scenario.state_of(location.id)
    assert await scenario.digest_of_rows(location.id) == after.digest
    if approval.outcome == "DONE":
        assert row["digest"] == location.digest == after.digest == sha256(canonical(row["content"])).hexdigest()
    else:
        assert (row["status"], after.status, after.digest != location.digest) == ("PENDING", "PENDING_APPROVAL", True)


@pytest.mark.parametrize("rounds", [40, pytest.param(scaled(100), marks=pytest.mark.slow)])
async def test_an_edit_raced_against_an_approval_never_gets_unseen_content_approved(
    scenario: Scenario, rounds: int
) -> None:
    for _ in range(rounds):
        await race(scenario)
