"""What `viewerActions` says is what the mutation then does: allowed means done, a reason is the code of the refusal."""

from itertools import product
from typing import Any

import pytest

from app.domain.vocabulary import LocationAction, LocationStatus, Verb

from .edits import EDITS
from .scenario import LOCKED, Rollout, Scenario, a_mac
from .test_verbs import MUTATION
from .test_verbs import given as good_input

S, A = LocationStatus, LocationAction
ROLES = ("customer", "lead", "partner")
OF_A_PAYLOAD = {A.WAIVE_RECEIPT, A.CONFIRM_DECOMMISSION}
OVERRIDES = ("none", "own", "other", "expired")

# Locations beyond their status: the content is not the approved one, not ready, or the viewer's own work.
TURNS: dict[str, tuple[LocationStatus, dict[str, Any]]] = {
    "not ready to submit": (S.IN_PROGRESS, {"bare": True}),
    "not ready to approve": (S.PENDING_APPROVAL, {"bare": True}),
    "submitted by the viewer": (S.PENDING_APPROVAL, {"own": True}),
    "completed by hand": (S.COMPLETED, {"unanswered": True}),
    "approved without a payload": (S.APPROVED, {"payload": False}),
    **{f"moved while {status}": (status, {"moved": True}) for status in sorted(LOCKED)},
    "changed since it was completed": (S.COMPLETED, {"changed": True}),
    "working and in progress": (S.IN_PROGRESS, {"live": True}),
    "working and cancelled": (S.CANCELLED, {"live": True}),
    "working and cancelled, an address of its draft taken": (S.CANCELLED, {"live": True, "rival": True}),
}


async def said(scenario: Scenario, who: str, location: Rollout) -> dict[str, str]:
    """The outcome that each action is promised: DONE, or why not."""
    query = f'{{ location(id: "{location.id}") {{ viewerActions {{ action allowed reason }} }} }}'
    found = (await scenario.client.ask(query, who)).data["location"]["viewerActions"]
    assert all((each["reason"] is None) == each["allowed"] for each in found)
    assert [each["action"] for each in found] == [action.value for action in LocationAction]
    return {each["action"]: each["reason"] or "DONE" for each in found}


def call_of(action: LocationAction, location: Rollout) -> tuple[str, dict[str, Any]]:
    if action is A.EDIT:
        return "editDevice", EDITS["editDevice"](location)
    if action is A.OPEN_OVERRIDE:
        terms = {"sections": ["DEVICES"], "reason": "Two phones were swapped.", "expiresInMinutes": 30}
        return "openOverride", {"locationId": location.id, **terms}
    if action is A.SET_PARTNERS:
        return "setLocationPartners", {"locationId": location.id, "partners": []}
    if action is A.REPLACE_DEVICE:
        phone = {"macAddress": a_mac(), "serialNumber": "SN-2", "reason": "The phone at reception broke."}
        return "replaceDevice", {"deviceId": location.device, **phone}
    if action is A.CONFIRM_DECOMMISSION:
        given = {"payloadId": location.live or location.payload or "payload-of-nobody"}
        return "confirmDecommission", {**given, "reason": "The site closed."}
    verb = Verb(action.value)
    return MUTATION[verb], good_input(verb, location)


async def made(scenario: Scenario, who: str, status: LocationStatus, override: str = "none", **turn: Any) -> Rollout:
    opener = {"none": None, "own": who, "other": scenario.lead_2, "expired": who}[override]
    bare, own, rival = turn.pop("bare", False), turn.pop("own", False), turn.pop("rival", False)
    location = await scenario.a_location(status, override_of=opener, submitted_by=who if own else None, **turn)
    if override == "expired":
        await scenario.expire(location.override or "")
    if bare:
        location = await scenario.without_hours(location)
    if rival:
        taken = a_mac()
        phone = {"locationId": location.id, "brand": "YEALINK", "model": "T54W", "macAddress": taken}
        assert (await scenario.send(scenario.lead, "addDevice", **phone)).outcome == "DONE"
        await scenario.a_location(S.APPROVED, account=scenario.away, macs=[taken])
    return location


async def must_hold(scenario: Scenario, role: str, status: LocationStatus, override: str = "none", **turn: Any) -> None:
    """Try every action; a location that refused one is as it was, and serves for the next."""
    who = getattr(scenario, role)
    location: Rollout | None = None
    for action in LocationAction:
        location = location or await made(scenario, who, status, override, **turn)
        if role == "partner" and action is A.CONFIRM_DECOMMISSION:
            continue  # allowed, and told by the payload itself
        promised = "FORBIDDEN" if role == "partner" else (await said(scenario, who, location))[action]
        if (action, status in LOCKED) in {(A.APPROVE, True), (A.APPROVE_AGAIN, False)}:
            # One mutation serves both; on this side of the lock it means the other action.
            assert promised in {"ILLEGAL_TRANSITION", "FORBIDDEN"}
            continue
        mutation, given = call_of(action, location)
        sent = await scenario.send(who, mutation, **given)
        if action in OF_A_PAYLOAD and sent.outcome != "DONE":
            # The action is of the location; the mutation names a payload, which may not exist.
            assert (action, promised) != (action, "DONE")
            continue
        assert (action, sent.outcome) == (action, promised)
        if sent.outcome == "DONE":
            location = None


@pytest.mark.parametrize(("role", "status"), list(product(ROLES, S)))
async def test_what_a_viewer_is_told_is_what_the_mutation_does(
    scenario: Scenario, role: str, status: LocationStatus
) -> None:
    await must_hold(scenario, role, status)


@pytest.mark.parametrize(("status", "override"), list(product(sorted(LOCKED), ["own", "expired", "other"])))
async def test_an_override_changes_what_is_told_and_what_is_done_alike(
    scenario: Scenario, status: LocationStatus, override: str
) -> None:
    for action in LocationAction:
        if action is A.OPEN_OVERRIDE:
            continue
        location = await made(scenario, scenario.lead, status, override)
        promised = (await said(scenario, scenario.lead, location))[action]
        mutation, given = call_of(action, location)
        if action in {A.APPROVE, A.APPROVE_AGAIN}:
            assert promised == "ILLEGAL_TRANSITION"
        outcome = (await scenario.send(scenario.lead, mutation, **given)).outcome
        assert action in OF_A_PAYLOAD or outcome == promised
        assert (action, outcome == "DONE") == (action, promised == "DONE")


@pytest.mark.parametrize("override", ["none", "expired"])
async def test_an_override_is_opened_where_it_is_offered(scenario: Scenario, override: str) -> None:
    location = await made(scenario, scenario.lead, S.APPROVED, override)
    mutation, given = call_of(A.OPEN_OVERRIDE, location)
    assert (await said(scenario, scenario.lead, location))["OPEN_OVERRIDE"] == "DONE"
    assert (await scenario.send(scenario.lead, mutation, **given)).outcome == "DONE"


@pytest.mark.parametrize("override", ["own", "other"])
async def test_an_override_is_not_offered_where_one_is_in_force(scenario: Scenario, override: str) -> None:
    location = await made(scenario, scenario.lead, S.APPROVED, override)
    mutation, given = call_of(A.OPEN_OVERRIDE, location)
    promised = (await said(scenario, scenario.lead, location))["OPEN_OVERRIDE"]
    assert (await scenario.send(scenario.lead, mutation, **given)).outcome == promised


@pytest.mark.parametrize("name", sorted(TURNS))
@pytest.mark.parametrize("role", ["customer", "lead"])
async def test_readiness_own_work_and_payloads_count_for_what_is_told_and_done_alike(
    scenario: Scenario, role: str, name: str
) -> None:
    status, turn = TURNS[name]
    await must_hold(scenario, role, status, **turn)


async def test_who_edited_since_the_submission_is_told_so_and_nobody_else(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    assert (await scenario.send(scenario.lead, "editDevice", **EDITS["editDevice"](location))).outcome == "DONE"
    given = {"locationId": location.id, "expectedDigest": (await scenario.state_of(location.id)).digest}
    for who, outcome in ((scenario.lead, "SELF_APPROVAL"), (scenario.lead_2, "DONE")):
        assert (await said(scenario, who, location))["APPROVE"] == outcome
        assert (await scenario.send(who, "approve", **given)).outcome == outcome


async def test_what_is_told_under_lenient_self_approval_is_what_is_done(lenient_scenario: Scenario) -> None:
    await must_hold(lenient_scenario, "lead", S.PENDING_APPROVAL, own=True)


def situations() -> list[Any]:
    """Every role, status, override, readiness, submitter and approved content together; one in eleven in every run."""
    every = [
        (role, status, override, bare, own, moved)
        for role, status in product(["customer", "lead"], S)
        for override in (OVERRIDES if status in LOCKED else ["none"])
        for bare, own, moved in product([False, True], repeat=3)
        if not (role == "customer" and override in {"own", "expired"}) and not (moved and status not in LOCKED)
    ]
    return [
        each if place % 11 == 0 else pytest.param(*each, marks=pytest.mark.slow) for place, each in enumerate(every)
    ]


@pytest.mark.parametrize(("role", "status", "override", "bare", "own", "moved"), situations())
async def test_every_listed_action_is_allowed_exactly_when_it_succeeds(
    scenario: Scenario, role: str, status: LocationStatus, override: str, bare: bool, own: bool, moved: bool
) -> None:
    turn = {name: True for name, so in {"bare": bare, "own": own, "moved": moved}.items() if so}
    await must_hold(scenario, role, status, override, **turn)
