"""Every verb from every status by every kind of principal, over the API: the move with all that follows from it, or
ILLEGAL_TRANSITION with what is allowed, or FORBIDDEN, or NOT_FOUND."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from app.domain.status_machine import TABLE
from app.domain.vocabulary import LocationAction, LocationStatus, Role
from tests.agreed import WHO_MAY

from .scenario import CLOSED, LOCKED, LocationState, Rollout, Scenario, Sent, a_key, takes_key_only_if_wanted

S, V = LocationStatus, LocationAction

MUTATION = {
    V.START_ONBOARDING: "startOnboarding",
    V.SUBMIT_ONBOARDING: "submitOnboarding",
    V.WITHDRAW_SUBMISSION: "withdrawSubmission",
    V.REQUEST_CHANGES: "requestChanges",
    V.APPROVE: "approve",
    V.APPROVE_AGAIN: "approve",
    V.GENERATE_PAYLOAD: "generatePayload",
    V.TRIGGER_PROVISIONING: "triggerProvisioning",
    V.ACKNOWLEDGE_PAYLOAD: "acknowledgePayload",
    V.COMPLETE_PROVISIONING: "completeProvisioning",
    V.WAIVE_RECEIPT: "waiveReceipt",
    V.REJECT_PAYLOAD: "rejectPayload",
    V.BLOCK: "block",
    V.UNBLOCK: "unblock",
    V.CANCEL: "cancel",
    V.REOPEN: "reopen",
}
ANSWERS = frozenset({V.ACKNOWLEDGE_PAYLOAD, V.REJECT_PAYLOAD})
ABOUT_A_PAYLOAD = ANSWERS | {V.WAIVE_RECEIPT}
REASON = "The landlord changed the locks."


def given(verb: LocationAction, location: Rollout) -> dict[str, Any]:
    """A good input for a verb."""
    if verb in ABOUT_A_PAYLOAD:
        sent: dict[str, Any] = {"payloadId": location.payload or "payload-of-nobody"}
        if verb is V.ACKNOWLEDGE_PAYLOAD:
            sent["documentDigest"] = location.payload_digest
        elif verb is V.WAIVE_RECEIPT:
            sent["userId"] = location.recipient
        else:
            sent["reasons"] = [{"path": "/devices/0/model", "code": "UNKNOWN_MODEL", "message": "Not ours."}]
    else:
        sent = {"locationId": location.id}
    if verb in {V.COMPLETE_PROVISIONING, V.WAIVE_RECEIPT, V.BLOCK, V.CANCEL, V.REOPEN}:
        sent["reason"] = REASON
    if verb is V.REQUEST_CHANGES:
        sent["comment"] = REASON
    if verb in {V.APPROVE, V.APPROVE_AGAIN}:
        sent["expectedDigest"] = location.digest
    if not takes_key_only_if_wanted(MUTATION[verb]):
        sent["idempotencyKey"] = a_key()
    return sent


async def do(scenario: Scenario, who: str, verb: LocationAction, location: Rollout) -> Sent:
    return await scenario.send(who, MUTATION[verb], **given(verb, location))


ANSWERED_LATE = {V.ACKNOWLEDGE_PAYLOAD, V.WAIVE_RECEIPT}
HANDED_OFF_AGAIN = {V.GENERATE_PAYLOAD, V.TRIGGER_PROVISIONING}


def takes(status: LocationStatus, verb: LocationAction) -> bool:
    """Whether a location that was handed off, and not edited since, takes the verb."""
    if verb is V.APPROVE_AGAIN or (status is S.COMPLETED and verb in ANSWERED_LATE | HANDED_OFF_AGAIN):
        return False
    return status in TABLE[verb].sources


def conditions(status: LocationStatus, verb: LocationAction) -> dict[str, Any]:
    """What a location needs beside its status for the verb to be legal."""
    if verb is V.APPROVE_AGAIN:
        return {"moved": status in LOCKED}
    completed = status is S.COMPLETED
    return {"unanswered": completed and verb in ANSWERED_LATE, "changed": completed and verb in HANDED_OFF_AGAIN}


def expected(before: LocationState, location: Rollout, verb: LocationAction) -> LocationState:
    """What the page on statuses promises of a legal move, in words of its own rather than the table's."""
    status, to = S(before.status), TABLE[verb].to or S(before.status)
    session = 1 if verb in {V.START_ONBOARDING, V.UNBLOCK, V.REOPEN} else 0 if to in CLOSED else before.open_sessions
    approvals, payloads, receipts, live = dict(before.approvals), dict(before.payloads), dict(before.receipts), None
    if location.request:
        settled = {V.WITHDRAW_SUBMISSION: "WITHDRAWN", V.REQUEST_CHANGES: "CHANGES_REQUESTED", V.APPROVE: "APPROVED"}
        approvals[location.request] = settled.get(verb, "WITHDRAWN")
    left = status in LOCKED and to is not status and to not in {S.PROVISIONING, S.COMPLETED}
    if left and location.approval:
        approvals[location.approval] = "VOIDED"
    unanswered = [each for each, state in payloads.items() if state in {"GENERATED", "RELEASED"}]
    if left:
        payloads |= dict.fromkeys(unanswered, "WITHDRAWN")
    if location.payload and verb in {V.TRIGGER_PROVISIONING, *ABOUT_A_PAYLOAD}:
        became = {V.TRIGGER_PROVISIONING: "RELEASED", V.REJECT_PAYLOAD: "REJECTED"}.get(verb, "ACKNOWLEDGED")
        payloads[location.payload] = became
        if verb in ANSWERS:
            receipts[location.payload] = became
    if verb in {V.ACKNOWLEDGE_PAYLOAD, V.WAIVE_RECEIPT, V.COMPLETE_PROVISIONING}:
        live = location.payload
    held = to in {S.PENDING_APPROVAL, S.APPROVED, S.PROVISIONING, S.COMPLETED}
    lives = (live or before.live) is not None
    nothing = verb is V.GENERATE_PAYLOAD or (verb is V.TRIGGER_PROVISIONING and status is S.PROVISIONING)
    return replace(
        before,
        status=to.value,
        revision=before.revision + (0 if nothing else 1),
        open_sessions=session,
        submitted_by=before.submitted_by,
        approvals=approvals,
        payloads=payloads,
        receipts=receipts,
        live=live or before.live,
        open_overrides=before.open_overrides if to is status else 0,
        claims=(location.mac,) if held or lives else (),
        entries=before.entries + (0 if nothing else 1),
    )


@pytest.mark.parametrize(("verb", "status"), [(v, s) for v, s in product(TABLE, S) if s in TABLE[v].sources])
async def test_a_legal_verb_changes_the_status_with_exactly_its_consequences(
    scenario: Scenario, verb: LocationAction, status: LocationStatus
) -> None:
    for role in sorted(WHO_MAY[verb]):
        who = {
            Role.CUSTOMER: scenario.customer,
            Role.IMPLEMENTATION_LEAD: scenario.lead,
            Role.PARTNER: scenario.partner,
        }[role]
        opener = scenario.lead_2 if status in LOCKED else None
        location = await scenario.a_location(status, override_of=opener, **conditions(status, verb))
        before = await scenario.state_of(location.id)
        sent = await do(scenario, who, verb, location)
        assert (sent.outcome, sent.problem) == ("DONE", {})
        after = await scenario.state_of(location.id)
        promised = expected(before, location, verb)
        if verb is V.SUBMIT_ONBOARDING:
            made = dict.fromkeys(after.approvals.keys() - before.approvals.keys(), "PENDING")
            assert len(made) == 1
            promised = replace(promised, approvals=made, submitted_by=who)
        if verb is V.APPROVE_AGAIN:
            made = dict.fromkeys(after.approvals.keys() - before.approvals.keys(), "APPROVED")
            assert len(made) == 1
            promised = replace(promised, approvals={**promised.approvals, **made})
        if verb is V.REOPEN and status is not S.APPROVED:
            assert after.submitted_by is None, "a session that was opened anew was not submitted"
            promised = replace(promised, submitted_by=None)
        if promised.open_sessions == 0:
            promised = replace(promised, submitted_by=None)
        assert after == promised


# The outcome of a verb about a payload depends on the payload: the next table.
ILLEGAL = [
    (verb, status)
    for verb, status in product(TABLE, S)
    if verb not in ABOUT_A_PAYLOAD
    and not takes(status, verb)
    and (verb, status) != (V.APPROVE_AGAIN, S.PENDING_APPROVAL)  # there it is an approval like any other
]


@pytest.mark.parametrize(("verb", "status"), ILLEGAL)
async def test_a_verb_that_the_status_does_not_take_is_refused_with_what_it_takes(
    scenario: Scenario, rest: dict[LocationStatus, Rollout], verb: LocationAction, status: LocationStatus
) -> None:
    location = rest[status]
    for role in sorted(WHO_MAY[verb]):
        who = scenario.customer if role is Role.CUSTOMER else scenario.lead
        before = await scenario.state_of(location.id)
        sent = await do(scenario, who, verb, location)
        asked = V.APPROVE if verb is V.APPROVE_AGAIN else verb
        taken = [each.name for each in TABLE if takes(status, each) and role in WHO_MAY[each]]
        assert sent.outcome == "ILLEGAL_TRANSITION"
        facts = (sent.problem["from"], sent.problem["action"], sent.problem["allowed"], sent.problem["path"])
        assert facts == (status, asked.name, taken, [])
        entered = verb in {V.APPROVE, V.APPROVE_AGAIN} or status in LOCKED
        assert await scenario.state_of(location.id) == replace(before, entries=before.entries + entered)


ANSWERED = {
    ("ACKNOWLEDGED", V.ACKNOWLEDGE_PAYLOAD): "DONE",
    ("ACKNOWLEDGED", V.REJECT_PAYLOAD): "ALREADY_ANSWERED",
    ("ACKNOWLEDGED", V.WAIVE_RECEIPT): "ALREADY_ANSWERED",
    ("REJECTED", V.ACKNOWLEDGE_PAYLOAD): "ALREADY_ANSWERED",
    ("REJECTED", V.REJECT_PAYLOAD): "DONE",
    ("REJECTED", V.WAIVE_RECEIPT): "ALREADY_ANSWERED",
    **dict.fromkeys([("SUPERSEDED", verb) for verb in ABOUT_A_PAYLOAD], "PAYLOAD_SUPERSEDED"),
    **dict.fromkeys([("WITHDRAWN", verb) for verb in ABOUT_A_PAYLOAD], "PAYLOAD_WITHDRAWN"),
}


@pytest.mark.parametrize(
    ("state", "verb", "status"), [(state, verb, status) for (state, verb), status in product(sorted(ANSWERED), S)]
)
async def test_an_answered_superseded_or_withdrawn_payload_takes_no_answer_in_any_status(
    scenario: Scenario, state: str, verb: LocationAction, status: LocationStatus
) -> None:
    location = await scenario.a_location(status)
    old, digest = await scenario.an_earlier_payload(location, state)
    before = await scenario.state_of(location.id)
    who = scenario.partner if verb in ANSWERS else scenario.lead
    sent = await do(scenario, who, verb, replace(location, payload=old, payload_digest=digest))
    assert sent.outcome == ANSWERED[state, verb]
    entered = sent.outcome != "DONE" and status in LOCKED
    assert await scenario.state_of(location.id) == replace(before, entries=before.entries + entered)


@pytest.mark.parametrize(("verb", "status"), list(product(TABLE, S)))
async def test_a_role_without_the_verb_is_forbidden_and_a_location_out_of_reach_is_not_found(
    scenario: Scenario, rest: dict[LocationStatus, Rollout], verb: LocationAction, status: LocationStatus
) -> None:
    location = rest[status]
    before = await scenario.state_of(location.id)
    people = {
        scenario.customer: Role.CUSTOMER,
        scenario.listed: Role.CUSTOMER,
        scenario.away_customer: Role.CUSTOMER,
        scenario.lead: Role.IMPLEMENTATION_LEAD,
        scenario.partner: Role.PARTNER,
        scenario.away_partner: Role.PARTNER,
        scenario.auditor: Role.AUDITOR,
    }
    assert set(people.values()) == set(Role)
    for who, role in people.items():
        if role not in WHO_MAY[verb]:
            assert (await do(scenario, who, verb, location)).outcome == "FORBIDDEN"
        elif who in {scenario.listed, scenario.away_customer, scenario.away_partner}:
            hidden = await do(scenario, who, verb, location)
            missing = await do(scenario, who, verb, replace(location, id="location-of-nobody", payload=None))
            assert hidden.outcome == "NOT_FOUND"
            assert (hidden.problem, hidden.payload) == (missing.problem, missing.payload)
    assert await scenario.state_of(location.id) == before


@pytest.mark.parametrize(
    ("verb", "status"), list(product(sorted(ANSWERS), sorted(set(S) - {S.PROVISIONING, S.COMPLETED})))
)
async def test_a_partner_does_not_find_a_payload_that_was_not_released(
    scenario: Scenario, rest: dict[LocationStatus, Rollout], verb: LocationAction, status: LocationStatus
) -> None:
    assert (await do(scenario, scenario.partner, verb, rest[status])).outcome == "NOT_FOUND"


@pytest.mark.parametrize(
    "mutation", ["block", "cancel", "reopen", "completeProvisioning", "requestChanges", "waiveReceipt"]
)
async def test_a_verb_that_has_to_be_explained_is_refused_without_a_visible_reason(
    scenario: Scenario, mutation: str
) -> None:
    verb = next(each for each in TABLE if MUTATION[each] == mutation)
    status = sorted(TABLE[verb].sources)[0]
    location = await scenario.a_location(status, **conditions(status, verb))
    before = await scenario.state_of(location.id)
    name = "comment" if mutation == "requestChanges" else "reason"
    for text in ("", "  \n ", "\u200b\u200b"):
        sent = await scenario.send(scenario.lead, mutation, **{**given(verb, location), name: text})
        assert (sent.outcome, sent.problem["path"], sent.problem["field"]) == ("INVALID_INPUT", [name], name)
    assert await scenario.state_of(location.id) == before


@pytest.mark.parametrize("edit", ["setCurrentStep", "setWorkingHours"])
async def test_the_first_edit_starts_the_onboarding(scenario: Scenario, edit: str) -> None:
    location = await scenario.a_location(S.NOT_STARTED)
    inputs: dict[str, dict[str, Any]] = {
        "setCurrentStep": {"step": "DEVICES"},
        "setWorkingHours": {"expectedRevision": 1, "intervals": []},
    }
    sent = await scenario.send(
        scenario.customer, edit, "location { status session { currentStep } }", locationId=location.id, **inputs[edit]
    )
    step = "DEVICES" if edit == "setCurrentStep" else "LOCATION"
    assert sent.payload["location"] == {"status": "IN_PROGRESS", "session": {"currentStep": step}}
    assert (await scenario.state_of(location.id)).open_sessions == 1


async def test_an_edit_of_a_cancelled_location_belongs_to_no_session_and_starts_nothing(scenario: Scenario) -> None:
    location = await scenario.a_location(S.CANCELLED)
    sent = await scenario.send(
        scenario.customer, "editDevice", deviceId=location.device, expectedRevision=1, label="Kept for the record"
    )
    assert sent.outcome == "DONE"
    after = await scenario.state_of(location.id)
    assert (after.status, after.open_sessions, after.claims) == ("CANCELLED", 0, ())
