"""What `viewerActions` says is what the mutation then does: allowed means done, a reason is the code of the refusal."""

from itertools import product
from typing import Any

import pytest

from app.domain.vocabulary import LocationAction, LocationStatus

from .edits import EDITS
from .scenario import LOCKED, Rollout, Scenario, a_mac
from .test_verbs import ANSWERS, MUTATION
from .test_verbs import given as good_input

S, A = LocationStatus, LocationAction
ACTIONS = [action for action in LocationAction if action not in ANSWERS]
ROLES = ("customer", "lead", "partner")
OF_A_PAYLOAD = {A.WAIVE_RECEIPT, A.CONFIRM_DECOMMISSION}
# One mutation serves both actions. It means the first for a locked location, and the second for others.
NAMED_OTHERWISE = {True: A.APPROVE, False: A.APPROVE_AGAIN}
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


async def answers(scenario: Scenario, who: str, location: Rollout) -> list[dict[str, Any]]:
    query = f'{{ location(id: "{location.id}") {{ viewerActions {{ action allowed reason message }} }} }}'
    found: list[dict[str, Any]] = (await scenario.client.ask(query, who)).data["location"]["viewerActions"]
    return found


async def said(scenario: Scenario, who: str, location: Rollout) -> dict[str, str]:
    """The outcome that each action is promised: DONE, or why not."""
    found = await answers(scenario, who, location)
    assert all((each["reason"] is None) == (each["message"] is None) == each["allowed"] for each in found)
    assert [each["action"] for each in found] == [action.name for action in ACTIONS]
    return {each["action"]: each["reason"] or "DONE" for each in found}


def call_of(action: LocationAction, location: Rollout) -> tuple[str, dict[str, Any]]:
    if action is A.EDIT:
        return "editDevice", EDITS["editDevice"](location)
    if action is A.OPEN_OVERRIDE:
        terms = {"editableSections": ["DEVICES"], "reason": "Two phones were swapped.", "expiresInMinutes": 30}
        return "openOverride", {"locationId": location.id, **terms}
    if action is A.SET_LOCATION_PARTNERS:
        return "setLocationPartners", {"locationId": location.id, "partners": {"allOfAccount": True}}
    if action is A.REPLACE_DEVICE:
        phone = {"macAddress": a_mac(), "serialNumber": "SN-2", "reason": "The phone at reception broke."}
        return "replaceDevice", {"deviceId": location.device, **phone}
    if action is A.CONFIRM_DECOMMISSION:
        given = {"payloadId": location.live or location.payload or "payload-of-nobody"}
        return "confirmDecommission", {**given, "onBehalfOf": {"allRecipients": True}, "reason": "The site closed."}
    return MUTATION[action], good_input(action, location)


async def calls_of(scenario: Scenario, action: LocationAction, location: Rollout) -> list[tuple[str, dict[str, Any]]]:
    """The call of an action. Of one that is about a payload and a recipient of it, all calls for the location."""
    mutation, given = call_of(action, location)
    if action not in OF_A_PAYLOAD:
        return [(mutation, given)]
    rows = await scenario.connection.fetch(
        "SELECT payload_id, user_id FROM turnup.payload_recipient WHERE location_id = $1", location.id
    )
    recipients = [(row["payload_id"], row["user_id"]) for row in rows]
    if action is A.WAIVE_RECEIPT:
        return [(mutation, given | {"payloadId": payload, "userId": user}) for payload, user in recipients]
    return [(mutation, given | {"payloadId": payload, "onBehalfOf": {"userId": user}}) for payload, user in recipients]


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
    for action in ACTIONS:
        location = location or await made(scenario, who, status, override, **turn)
        if role == "partner" and action is A.CONFIRM_DECOMMISSION:
            continue  # allowed, and told by the payload itself
        promised = "FORBIDDEN" if role == "partner" else (await said(scenario, who, location))[action.name]
        if (action, status in LOCKED) in {(A.APPROVE, True), (A.APPROVE_AGAIN, False)}:
            # One mutation serves both; on this side of the lock it means the other action.
            assert promised in {"ILLEGAL_TRANSITION", "FORBIDDEN"}
            continue
        outcomes = [
            (await scenario.send(who, mutation, **given)).outcome
            for mutation, given in await calls_of(scenario, action, location)
        ]
        assert (action, "DONE" in outcomes) == (action, promised == "DONE")
        if action not in OF_A_PAYLOAD or promised == "FORBIDDEN":
            assert (action, set(outcomes)) == (action, {promised} if outcomes else set())
        if promised == "DONE":
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
    for action in ACTIONS:
        if action is A.OPEN_OVERRIDE:
            continue
        location = await made(scenario, scenario.lead, status, override)
        promised = (await said(scenario, scenario.lead, location))[action.name]
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


SITUATIONS: dict[str, tuple[LocationStatus, dict[str, Any]]] = {
    **{f"{status}": (status, {}) for status in S},
    **TURNS,
    **{f"{status} with an override": (status, {"override": "other"}) for status in sorted(LOCKED)},
}


async def test_a_location_without_a_payload_has_none_to_decommission(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    assert (await said(scenario, scenario.lead, location))["CONFIRM_DECOMMISSION"] == "NOT_FOUND"


@pytest.mark.parametrize("role", ["customer", "lead", "scoped_lead"])
@pytest.mark.parametrize("situation", sorted(SITUATIONS))
async def test_a_viewer_reads_the_sentence_that_the_mutation_refuses_with(
    scenario: Scenario, role: str, situation: str
) -> None:
    who = getattr(scenario, role)
    status, turn = SITUATIONS[situation]
    location = await made(scenario, who, status, **turn)
    read = {each["action"]: each for each in await answers(scenario, who, location)}
    for action in set(ACTIONS) - OF_A_PAYLOAD - {NAMED_OTHERWISE[status in LOCKED]}:
        told = read[action.name]
        if told["allowed"]:
            continue
        mutation, given = call_of(action, location)
        sent = await scenario.send(who, mutation, **given)
        refusal = sent.problem or sent.error
        assert (action, told["message"].replace("accept APPROVE_AGAIN", "accept APPROVE")) == (
            action,
            refusal["message"],
        )


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
