"""Ways round the rules that somebody may try: other doors to the same room, other hands, other orders, all at once."""

import asyncio
import random
import secrets
from itertools import product
from typing import Any

import pytest

from app.domain.mac_address import show_mac
from app.domain.vocabulary import LocationStatus, Section
from tests.harness import TestDatabase
from tests.lanes import scaled

from .edits import SECTIONS
from .inputs import OF_A_LOCATION, good_input
from .scenario import LOCKED, Rollout, Scenario, Sent, a_key, a_mac, as_definer, input_fields

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
ROUNDS = [12, pytest.param(scaled(50), marks=pytest.mark.slow)]


async def labelled(
    scenario: Scenario, who: str, location: Rollout, label: str = "Elsewhere", revision: int = 1
) -> Sent:
    return await scenario.send(who, "editDevice", deviceId=location.device, expectedRevision=revision, label=label)


async def moved(scenario: Scenario, who: str, source: Rollout, target: Rollout) -> Sent:
    given: dict[str, Any] = {"deviceId": source.device, "toLocationId": target.id, "expectedRevision": 1}
    return await scenario.send(who, "moveDevice", "device { location { id } revision }", **given)


async def approved(scenario: Scenario, who: str, location: Rollout, digest: str | None = None) -> Sent:
    digest = digest or (await scenario.state_of(location.id)).digest
    return await scenario.send(who, "approve", locationId=location.id, expectedDigest=digest)


async def submitted(scenario: Scenario, who: str, location: Rollout) -> Sent:
    return await scenario.send(who, "submitOnboarding", locationId=location.id)


async def handed_off(scenario: Scenario, mutation: str, location: Rollout) -> Sent:
    return await scenario.send(scenario.lead, mutation, locationId=location.id, idempotencyKey=a_key())


async def acknowledged(scenario: Scenario, location: Rollout) -> Sent:
    given: dict[str, Any] = {
        "payloadId": location.payload,
        "documentDigest": location.payload_digest,
        "idempotencyKey": a_key(),
    }
    return await scenario.send(scenario.partner, "acknowledgePayload", **given)


async def decommissioned(scenario: Scenario, location: Rollout) -> None:
    given: dict[str, Any] = {
        "payloadId": location.live,
        "onBehalfOf": {"allRecipients": True},
        "reason": "The phone was unplugged.",
    }
    assert (await scenario.send(scenario.lead, "confirmDecommission", **given)).outcome == "DONE"


# Nobody approves their own work, by whatever door it came in


async def test_who_moves_a_device_is_an_editor_of_both_locations(scenario: Scenario) -> None:
    source, target = [await scenario.a_location(S.PENDING_APPROVAL, macs=[a_mac(), a_mac()]) for _ in range(2)]
    given: dict[str, Any] = {"deviceId": f"{source.device}-2", "toLocationId": target.id, "expectedRevision": 1}
    assert (await scenario.send(scenario.lead, "moveDevice", **given)).outcome == "DONE"
    for location in (source, target):
        assert (await approved(scenario, scenario.lead, location)).outcome == "SELF_APPROVAL"
        assert (await approved(scenario, scenario.lead_2, location)).outcome == "DONE"


@pytest.mark.parametrize("dry_run", [True, False])
async def test_nobody_approves_their_own_work_in_bulk_either(scenario: Scenario, dry_run: bool) -> None:
    others, own, edited = [
        await scenario.a_location(S.PENDING_APPROVAL, submitted_by=who)
        for who in (scenario.customer, scenario.lead, None)
    ]
    assert (await labelled(scenario, scenario.lead, edited)).outcome == "DONE"
    items = [
        {"locationId": each.id, "expectedDigest": (await scenario.state_of(each.id)).digest}
        for each in (others, own, edited)
    ]
    given: dict[str, Any] = {"items": items, "dryRun": dry_run, "idempotencyKey": a_key()}
    sent = await scenario.send(scenario.lead, "bulkApprove", "results { outcome problem { code } }", **given)
    assert [(each["outcome"], each["problem"]) for each in sent.payload["results"]] == [
        ("APPLIED", None),
        ("REFUSED", {"code": "SELF_APPROVAL"}),
        ("REFUSED", {"code": "SELF_APPROVAL"}),
    ]


async def test_a_submission_in_bulk_is_a_submission(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    given: dict[str, Any] = {"status": "PENDING_APPROVAL", "locationIds": [location.id], "idempotencyKey": a_key()}
    assert (await scenario.send(scenario.lead, "bulkUpdateStatus", **given)).outcome == "DONE"
    assert (await approved(scenario, scenario.lead, location)).outcome == "SELF_APPROVAL"


@pytest.mark.parametrize("who", ["lead", "customer"])
async def test_what_was_edited_while_it_was_cancelled_counts_by_who_submits_it(scenario: Scenario, who: str) -> None:
    location = await scenario.a_location(S.CANCELLED)
    assert (await labelled(scenario, scenario.lead, location)).outcome == "DONE"
    assert (
        await scenario.send(scenario.lead, "reopen", locationId=location.id, reason="They pay again")
    ).outcome == "DONE"
    assert (await submitted(scenario, getattr(scenario, who), location)).outcome == "DONE"
    outcome = {"lead": "SELF_APPROVAL", "customer": "DONE"}[who]
    assert (await approved(scenario, scenario.lead, location)).outcome == outcome


async def test_after_an_approval_the_next_edit_is_judged_by_itself(scenario: Scenario) -> None:
    """Each lead approves what the other one edited; nobody has to find a third."""
    location = await scenario.a_location(S.COMPLETED, override_of=scenario.lead)
    assert (await labelled(scenario, scenario.lead, location)).outcome == "DONE"
    assert (await approved(scenario, scenario.lead_2, location)).outcome == "DONE"
    await scenario.send(scenario.lead, "closeOverride", overrideId=location.override)
    await scenario.an_override(location, scenario.lead_2)
    assert (await labelled(scenario, scenario.lead_2, location, "Back again", 2)).outcome == "DONE"
    assert (await approved(scenario, scenario.lead_2, location)).outcome == "SELF_APPROVAL"
    assert (await approved(scenario, scenario.lead, location)).outcome == "DONE"


async def test_two_leads_who_both_edited_need_a_third(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    for revision, who in enumerate((scenario.lead, scenario.lead_2), 1):
        assert (await labelled(scenario, who, location, who[:20], revision)).outcome == "DONE"
    for who in (scenario.lead, scenario.lead_2):
        assert (await approved(scenario, who, location)).outcome == "SELF_APPROVAL"


EDITED_IN_A_WALK = ("editDevice", "updateLocation")
WALKED = sorted(
    mutation
    for mutation in OF_A_LOCATION
    if "payloadId" not in input_fields(mutation) and (mutation not in SECTIONS or mutation in EDITED_IN_A_WALK)
)


async def step(scenario: Scenario, chance: random.Random, location: Rollout) -> Sent:
    """Any mutation of a lead's, sent as one would who reads before writing."""
    mutation = chance.choice([*WALKED, *EDITED_IN_A_WALK, "openOverride", "submitOnboarding", "approve"])
    now = await scenario.record(location.id)
    digest = now.location.content_digest
    given = good_input(mutation, location, location) | {"expectedDigest": digest}
    given |= {
        "expectedRevision": now.row_revisions[location.device]
        if mutation == "editDevice"
        else now.sections[Section.LOCATION].revision,
        "overrideId": now.override.id if now.override else "override-of-nobody",
        "items": [{"locationId": location.id, "expectedDigest": digest}],
        "editableSections": [section.value for section in Section],
        "name": secrets.token_hex(4),
        "label": secrets.token_hex(4),
        "timezone": "America/Chicago",
        "address": {"line2": secrets.token_hex(4)},
        "macAddress": a_mac(),
        "model": "T54W",
    }
    if mutation == "bulkUpdateStatus":
        given["status"] = chance.choice(["IN_PROGRESS", "PENDING_APPROVAL", "PROVISIONING", "BLOCKED", "CANCELLED"])
    fields = input_fields(mutation)
    return await scenario.send(
        scenario.lead, mutation, **{name: each for name, each in given.items() if name in fields}
    )


@pytest.mark.parametrize(
    ("status", "seed"),
    [
        *product(sorted(LOCKED | {S.PENDING_APPROVAL}), range(2)),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in product(S, range(10, 10 + scaled(4)))),
    ],
)
async def test_a_single_lead_cannot_generate_a_payload_from_content_that_they_edited(
    scenario: Scenario, status: LocationStatus, seed: int
) -> None:
    chance = random.Random(seed)
    location = await scenario.a_location(status)
    done = set()
    for _ in range(40):
        sent = await step(scenario, chance, location)
        assert sent.outcome not in {"INTERNAL", "BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}
        done |= {sent.outcome}
    assert "DONE" in done
    made = await scenario.connection.fetch(
        "SELECT DISTINCT content_digest FROM turnup.provisioning_payload WHERE location_id = $1", location.id
    )
    assert {row["content_digest"] for row in made} <= {location.digest}
    await scenario.retire(location)


# A lock holds on both ends of a move, and until the very moment


@pytest.mark.parametrize(("status", "opened"), list(product(sorted(LOCKED), [None, "source", "target", "both"])))
async def test_a_device_moves_between_locked_locations_under_an_override_of_each_and_outdates_both(
    scenario: Scenario, status: LocationStatus, opened: str | None
) -> None:
    source, target = [
        await scenario.a_location(status, override_of=scenario.lead if opened in {name, "both"} else None)
        for name in ("source", "target")
    ]
    sent = await moved(scenario, scenario.lead, source, target)
    if opened != "both":
        assert sent.outcome == "LOCKED"
        assert [(await scenario.state_of(each.id)).digest for each in (source, target)] == [
            source.digest,
            target.digest,
        ]
        return
    if status is S.COMPLETED:
        # A partner runs the phone at the source.
        assert (sent.outcome, sent.problem["macAddresses"]) == ("MAC_IN_USE", [show_mac(source.mac)])
        await decommissioned(scenario, source)
        sent = await moved(scenario, scenario.lead, source, target)
    assert sent.payload["device"] == {"location": {"id": target.id}, "revision": 2}
    for location in (source, target):
        after = await scenario.state_of(location.id)
        assert (after.status, after.digest != location.digest) == (status, True)
        unanswered = {"GENERATED", "RELEASED"} & set(after.payloads.values())
        assert not unanswered
        *_, entry = await scenario.entries(location.id)
        assert (entry["action"], entry["override_id"]) == ("moveDevice", location.override)


@pytest.mark.parametrize("missing", [Section.DEVICES, Section.EXTENSIONS])
async def test_a_device_leaves_with_its_extension_only_under_an_override_of_both_sections(
    scenario: Scenario, missing: Section
) -> None:
    sections = set(Section) - {missing}
    source = await scenario.a_location(S.APPROVED, override_of=scenario.lead, sections=sections)
    target = await scenario.a_location(S.IN_PROGRESS)
    assert (await moved(scenario, scenario.lead, source, target)).outcome == "OVERRIDE_SCOPE"


async def test_a_device_moves_no_further_than_its_account_and_the_viewers_reach(scenario: Scenario) -> None:
    source = await scenario.a_location(S.IN_PROGRESS)
    away = await scenario.a_location(S.IN_PROGRESS, account=scenario.away)
    near = await scenario.a_location(S.IN_PROGRESS)
    across = await moved(scenario, scenario.lead, source, away)
    assert (across.outcome, across.problem["path"]) == ("INVALID_INPUT", ["toLocationId"])
    hidden = await moved(scenario, scenario.customer, source, away)
    assert (hidden.outcome, hidden.problem["path"]) == ("NOT_FOUND", [])
    await scenario.grant_listed(source.id)
    assert (await moved(scenario, scenario.listed, source, near)).outcome == "NOT_FOUND"
    await scenario.grant_listed(near.id)
    assert (await moved(scenario, scenario.listed, source, near)).outcome == "DONE"


async def until_waiting(scenario: Scenario, *sent: "asyncio.Task[Any]") -> None:
    """Return once as many others as were sent wait for locks."""
    waiting = """SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"""
    async with asyncio.timeout(30):
        while await scenario.connection.fetchval(waiting) < len(sent):
            assert not any(each.done() for each in sent), "nothing was waited for"
            await asyncio.sleep(0.01)


async def test_an_edit_that_waited_while_its_device_was_moved_away_is_told_that_it_changed(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    source, target = await scenario.a_location(S.IN_PROGRESS), await scenario.a_location(S.IN_PROGRESS)
    holder = await as_definer(own_database.owner_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM turnup.location WHERE id = $1 FOR UPDATE", source.id)
        moving = asyncio.ensure_future(moved(scenario, scenario.lead, source, target))
        await until_waiting(scenario, moving)
        editing = asyncio.ensure_future(labelled(scenario, scenario.customer, source))
        await until_waiting(scenario, moving, editing)
    await holder.close()
    assert (await moving).outcome == "DONE"
    assert ((await editing).outcome, (await editing).problem["currentRevision"]) == ("CONFLICT", 2)


async def test_an_override_that_runs_out_while_an_edit_waits_for_its_turn_opens_nothing(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    """The clock that counts is the database's behind the lock, not that of when the transaction began."""
    location = await scenario.a_location(S.APPROVED, override_of=scenario.lead)
    holder = await as_definer(own_database.owner_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM turnup.location WHERE id = $1 FOR UPDATE", location.id)
        waiting = asyncio.ensure_future(labelled(scenario, scenario.lead, location))
        await until_waiting(scenario, waiting)
        async with scenario.arranging():
            await scenario.connection.execute(
                "UPDATE turnup.override SET expires_at = clock_timestamp() WHERE id = $1", location.override
            )
    await holder.close()
    assert (await waiting).outcome == "LOCKED"


# Addresses go along


@pytest.mark.parametrize("status", [S.PENDING_APPROVAL, S.APPROVED])
async def test_a_device_that_moves_between_holding_locations_takes_its_claim_along(
    scenario: Scenario, status: LocationStatus
) -> None:
    opener = scenario.lead if status in LOCKED else None
    source, target = [await scenario.a_location(status, override_of=opener) for _ in range(2)]
    assert (await moved(scenario, scenario.lead, source, target)).outcome == "DONE"
    assert (await scenario.state_of(source.id)).claims == ()
    assert set((await scenario.state_of(target.id)).claims) == {source.mac, target.mac}


async def test_a_device_does_not_move_to_where_its_address_would_be_another_locations(scenario: Scenario) -> None:
    owner = await scenario.a_location(S.APPROVED, account=scenario.away)
    draft = await scenario.a_location(S.IN_PROGRESS, macs=[owner.mac])
    holding = await scenario.a_location(S.PENDING_APPROVAL)
    sent = await moved(scenario, scenario.customer, draft, holding)
    assert (sent.outcome, sent.problem["macAddresses"]) == ("MAC_IN_USE", [show_mac(owner.mac)])
    for location in (draft, holding):
        assert (await scenario.state_of(location.id)).digest == location.digest


# What was approved once does not come back


@pytest.mark.parametrize("verb", ["block", "cancel", "reopen", "rejectPayload"])
async def test_an_approval_that_was_left_behind_approves_nothing_any_more(scenario: Scenario, verb: str) -> None:
    status = S.APPROVED if verb == "reopen" else S.PROVISIONING
    location = await scenario.a_location(status)
    if verb == "rejectPayload":
        reasons = [{"path": "/devices", "code": "NO_STOCK", "message": "Not before spring."}]
        rejection: dict[str, Any] = {"payloadId": location.payload, "reasons": reasons, "idempotencyKey": a_key()}
        assert (await scenario.send(scenario.partner, verb, **rejection)).outcome == "DONE"
    else:
        given = {"locationId": location.id, "reason": "A change order"}
        assert (await scenario.send(scenario.lead, verb, **given)).outcome == "DONE"
    back = {"block": "unblock", "rejectPayload": "unblock", "cancel": "reopen"}.get(verb)
    if back is not None:
        more = {"reason": "They pay again"} if back == "reopen" else {}
        assert (await scenario.send(scenario.lead, back, locationId=location.id, **more)).outcome == "DONE"
    after = await scenario.state_of(location.id)
    assert (after.status, after.digest, after.approvals) == (
        S.IN_PROGRESS,
        location.digest,
        {location.approval: "VOIDED"},
    )
    assert (await submitted(scenario, scenario.customer, location)).outcome == "DONE"
    for mutation in ("generatePayload", "triggerProvisioning"):
        assert (await handed_off(scenario, mutation, location)).outcome == "ILLEGAL_TRANSITION"
    assert (await approved(scenario, scenario.lead, location, location.digest)).outcome == "DONE"
    assert (await handed_off(scenario, "triggerProvisioning", location)).outcome == "ILLEGAL_TRANSITION"
    assert (await handed_off(scenario, "generatePayload", location)).outcome == "DONE"
    assert (await handed_off(scenario, "triggerProvisioning", location)).outcome == "DONE"
    late = {"rejectPayload": "ALREADY_ANSWERED", "reopen": "NOT_FOUND"}.get(verb, "PAYLOAD_WITHDRAWN")
    assert (await acknowledged(scenario, location)).outcome == late


async def test_a_record_that_was_corrected_after_completion_is_handed_off_again_once_it_is_approved(
    scenario: Scenario,
) -> None:
    location = await scenario.a_location(S.COMPLETED, override_of=scenario.lead)
    steps = ("generatePayload", "triggerProvisioning")
    for mutation in steps:
        assert (await handed_off(scenario, mutation, location)).outcome == "ILLEGAL_TRANSITION"
    assert (await labelled(scenario, scenario.lead, location)).outcome == "DONE"
    for mutation in steps:
        assert (await handed_off(scenario, mutation, location)).outcome == "APPROVAL_OUTDATED"
    assert (await approved(scenario, scenario.lead_2, location)).outcome == "DONE"
    assert (await handed_off(scenario, "triggerProvisioning", location)).outcome == "ILLEGAL_TRANSITION"
    for mutation in steps:
        assert (await handed_off(scenario, mutation, location)).outcome == "DONE"
    after = await scenario.state_of(location.id)
    assert (after.status, after.open_sessions, after.live) == (S.PROVISIONING, 0, location.payload)
    assert sorted(after.payloads.values()) == ["ACKNOWLEDGED", "RELEASED"]


async def test_a_location_that_was_blocked_before_it_began_gets_its_session_when_it_is_unblocked(
    scenario: Scenario,
) -> None:
    location = await scenario.a_location(S.NOT_STARTED)
    assert (await scenario.send(scenario.lead, "block", locationId=location.id, reason="A flood")).outcome == "DONE"
    assert (await scenario.state_of(location.id)).open_sessions == 0
    assert (await scenario.send(scenario.lead, "unblock", locationId=location.id)).outcome == "DONE"
    assert (await scenario.state_of(location.id)).open_sessions == 1
    assert (await submitted(scenario, scenario.customer, location)).outcome == "DONE"
    assert (await scenario.state_of(location.id)).submitted_by == scenario.customer


# At the same time


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_receipt_raced_against_an_edit_is_of_the_approved_content_or_none(
    scenario: Scenario, rounds: int
) -> None:
    for _ in range(rounds):
        location = await scenario.a_location(S.PROVISIONING, override_of=scenario.lead)
        receipt, edit = await asyncio.gather(
            acknowledged(scenario, location), labelled(scenario, scenario.lead, location)
        )
        after = await scenario.state_of(location.id)
        if receipt.outcome == "DONE":
            assert (edit.outcome, after.status, after.digest) == ("LOCKED", S.COMPLETED, location.digest)
            assert after.live == location.payload
        else:
            assert (receipt.outcome, edit.outcome, after.status) == ("PAYLOAD_SUPERSEDED", "DONE", S.PROVISIONING)
            assert (after.payloads, after.receipts) == ({location.payload: "SUPERSEDED"}, {})


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_release_raced_against_an_edit_is_of_the_approved_content_or_none(
    scenario: Scenario, rounds: int
) -> None:
    for _ in range(rounds):
        location = await scenario.a_location(S.APPROVED, override_of=scenario.lead_2)
        release, edit = await asyncio.gather(
            handed_off(scenario, "triggerProvisioning", location), labelled(scenario, scenario.lead_2, location)
        )
        after = await scenario.state_of(location.id)
        assert (release.outcome, edit.outcome) in {("DONE", "LOCKED"), ("APPROVAL_OUTDATED", "DONE")}
        released = release.outcome == "DONE"
        assert after.payloads == {location.payload: "RELEASED" if released else "SUPERSEDED"}
        assert (after.digest == location.digest) is released


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_payload_raced_against_an_edit_is_superseded_or_never_made(scenario: Scenario, rounds: int) -> None:
    for _ in range(rounds):
        location = await scenario.a_location(S.APPROVED, override_of=scenario.lead_2, payload=False)
        made, edit = await asyncio.gather(
            handed_off(scenario, "generatePayload", location), labelled(scenario, scenario.lead_2, location)
        )
        assert (made.outcome, edit.outcome) in {("DONE", "DONE"), ("APPROVAL_OUTDATED", "DONE")}
        assert set((await scenario.state_of(location.id)).payloads.values()) <= {"SUPERSEDED"}


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_new_approval_raced_against_an_edit_is_of_what_was_reviewed_or_none(
    scenario: Scenario, rounds: int
) -> None:
    for _ in range(rounds):
        location = await scenario.a_location(S.PROVISIONING, moved=True, override_of=scenario.lead_2)
        approval, edit = await asyncio.gather(
            approved(scenario, scenario.lead, location, location.digest), labelled(scenario, scenario.lead_2, location)
        )
        assert (approval.outcome, edit.outcome) in {("DONE", "DONE"), ("STALE_REVIEW", "DONE")}
        rows = await scenario.connection.fetch(
            "SELECT digest FROM turnup.approval WHERE location_id = $1 AND id <> $2", location.id, location.approval
        )
        assert [row["digest"] for row in rows] == ([location.digest] if approval.outcome == "DONE" else [])
        assert (await handed_off(scenario, "generatePayload", location)).outcome == "APPROVAL_OUTDATED"


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_of_two_leads_who_open_an_override_concurrently_one_succeeds(scenario: Scenario, rounds: int) -> None:
    terms: dict[str, Any] = {
        "editableSections": ["DEVICES"],
        "reason": "Two phones were swapped.",
        "expiresInMinutes": 5,
    }
    for _ in range(rounds):
        location = await scenario.a_location(S.APPROVED)
        sent = await asyncio.gather(
            *(
                scenario.send(who, "openOverride", locationId=location.id, **terms)
                for who in (scenario.lead, scenario.lead_2)
            )
        )
        assert sorted(each.outcome for each in sent) == ["DONE", "OVERRIDE_SCOPE"]
        assert (await scenario.state_of(location.id)).open_overrides == 1


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_of_two_concurrent_verbs_that_leave_a_status_one_succeeds(scenario: Scenario, rounds: int) -> None:
    for _ in range(rounds):
        location = await scenario.a_location(S.PROVISIONING)
        blocking = scenario.send(scenario.lead, "block", locationId=location.id, reason="A flood")
        receipt, block = await asyncio.gather(acknowledged(scenario, location), blocking)
        assert (receipt.outcome, block.outcome) in {("DONE", "ILLEGAL_TRANSITION"), ("PAYLOAD_WITHDRAWN", "DONE")}
        status = S.COMPLETED if receipt.outcome == "DONE" else S.BLOCKED
        assert (await scenario.state_of(location.id)).status == status
