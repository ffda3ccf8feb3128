"""The table of statuses and verbs: every combination, and what follows from each move."""

from itertools import product

import pytest

from app.domain.refusals import IllegalTransition
from app.domain.status_machine import NO_FACTS, TABLE, Fact, allowed, holds_macs, transition
from app.domain.vocabulary import (
    ApprovalStatus,
    ClaimChange,
    Gate,
    LocationStatus,
    PayloadState,
    SessionChange,
    Verb,
)

EVERY_VERB = frozenset(Verb)
FACTS = frozenset(Fact)

# verb: (statuses it is taken from, status it leads to or "same")
PROMISED = {
    "START": ("NOT_STARTED", "IN_PROGRESS"),
    "SUBMIT": ("IN_PROGRESS", "PENDING_APPROVAL"),
    "WITHDRAW": ("PENDING_APPROVAL", "IN_PROGRESS"),
    "REQUEST_CHANGES": ("PENDING_APPROVAL", "IN_PROGRESS"),
    "APPROVE": ("PENDING_APPROVAL", "APPROVED"),
    "APPROVE_AGAIN": ("APPROVED PROVISIONING COMPLETED", "same"),
    "GENERATE_PAYLOAD": ("APPROVED PROVISIONING", "same"),
    "TRIGGER_PROVISIONING": ("APPROVED PROVISIONING", "PROVISIONING"),
    "ACKNOWLEDGE": ("PROVISIONING COMPLETED", "COMPLETED"),
    "COMPLETE": ("PROVISIONING", "COMPLETED"),
    "REJECT": ("PROVISIONING", "BLOCKED"),
    "BLOCK": ("NOT_STARTED IN_PROGRESS PENDING_APPROVAL PROVISIONING", "BLOCKED"),
    "UNBLOCK": ("BLOCKED", "IN_PROGRESS"),
    "CANCEL": ("NOT_STARTED IN_PROGRESS PENDING_APPROVAL APPROVED PROVISIONING BLOCKED", "CANCELLED"),
    "REOPEN": ("CANCELLED APPROVED COMPLETED", "IN_PROGRESS"),
}

LEGAL = [
    (status, verb)
    for status, verb in product(LocationStatus, Verb)
    if status in {LocationStatus(name) for name in PROMISED[verb][0].split()}
]


def consequences(status, verb, facts=NO_FACTS):
    return transition(status, verb, {verb}, facts | {Fact.DIGEST_MOVED}).consequences


@pytest.mark.parametrize(("status", "verb"), list(product(LocationStatus, Verb)))
@pytest.mark.parametrize("permitted", [EVERY_VERB, frozenset()], ids=["permitted", "not permitted"])
def test_a_location_takes_exactly_the_permitted_verbs_of_the_table(status, verb, permitted):
    sources, to = PROMISED[verb]
    if status in sources.split() and verb in permitted:
        assert transition(status, verb, permitted, FACTS).to == (status if to == "same" else to)
    else:
        with pytest.raises(IllegalTransition) as refusal:
            transition(status, verb, permitted, FACTS)
        assert (refusal.value.from_status, refusal.value.verb) == (status, verb)
        assert refusal.value.allowed == allowed(status, permitted, FACTS)


@pytest.mark.parametrize("status", LocationStatus)
def test_what_is_allowed_is_what_is_taken(status):
    for verb in allowed(status, EVERY_VERB):
        assert transition(status, verb, EVERY_VERB).to in LocationStatus


def test_nobody_approves_again_what_did_not_move():
    with pytest.raises(IllegalTransition):
        transition(LocationStatus.APPROVED, Verb.APPROVE_AGAIN, EVERY_VERB)
    assert (
        transition(LocationStatus.APPROVED, Verb.APPROVE_AGAIN, EVERY_VERB, {Fact.DIGEST_MOVED}).to
        is LocationStatus.APPROVED
    )


def test_a_completed_location_is_acknowledged_only_where_a_lead_completed_it_without_a_receipt():
    with pytest.raises(IllegalTransition):
        transition(LocationStatus.COMPLETED, Verb.ACKNOWLEDGE, EVERY_VERB)
    late = transition(LocationStatus.COMPLETED, Verb.ACKNOWLEDGE, EVERY_VERB, {Fact.COMPLETED_UNANSWERED})
    assert late.to is LocationStatus.COMPLETED
    assert late.consequences.payload is PayloadState.ACKNOWLEDGED
    assert not late.consequences.ends_override


@pytest.mark.parametrize(("status", "verb"), LEGAL)
def test_any_change_of_status_ends_an_override_and_nothing_else_does(status, verb):
    moved = transition(status, verb, {verb}, FACTS)
    assert moved.consequences.ends_override is (moved.to is not status)


@pytest.mark.parametrize(
    ("verb", "becomes"),
    [
        (Verb.WITHDRAW, ApprovalStatus.WITHDRAWN),
        (Verb.REQUEST_CHANGES, ApprovalStatus.CHANGES_REQUESTED),
        (Verb.APPROVE, ApprovalStatus.APPROVED),
        (Verb.BLOCK, ApprovalStatus.WITHDRAWN),
        (Verb.CANCEL, ApprovalStatus.WITHDRAWN),
    ],
)
def test_leaving_pending_approval_settles_the_request(verb, becomes):
    assert consequences(LocationStatus.PENDING_APPROVAL, verb).request is becomes


@pytest.mark.parametrize(("status", "verb"), LEGAL)
def test_only_leaving_pending_approval_settles_a_request(status, verb):
    if status is not LocationStatus.PENDING_APPROVAL:
        assert consequences(status, verb, FACTS).request is None


VOIDING = {
    (LocationStatus.APPROVED, Verb.CANCEL),
    (LocationStatus.APPROVED, Verb.REOPEN),
    (LocationStatus.PROVISIONING, Verb.CANCEL),
    (LocationStatus.PROVISIONING, Verb.BLOCK),
    (LocationStatus.PROVISIONING, Verb.REJECT),
    (LocationStatus.COMPLETED, Verb.REOPEN),
}


@pytest.mark.parametrize(("status", "verb"), LEGAL)
def test_leaving_the_locked_statuses_voids_the_approval_and_withdraws_unanswered_payloads(status, verb):
    follows = consequences(status, verb, FACTS)
    voids = (status, verb) in VOIDING
    assert follows.withdraws_payloads is voids
    assert follows.approval is (ApprovalStatus.VOIDED if voids else None)


def test_triggering_releases_the_payload_and_partners_answer_it():
    assert consequences(LocationStatus.APPROVED, Verb.TRIGGER_PROVISIONING).payload is PayloadState.RELEASED
    assert consequences(LocationStatus.PROVISIONING, Verb.ACKNOWLEDGE).payload is PayloadState.ACKNOWLEDGED
    assert consequences(LocationStatus.PROVISIONING, Verb.REJECT).payload is PayloadState.REJECTED
    assert consequences(LocationStatus.PROVISIONING, Verb.COMPLETE).payload is None


@pytest.mark.parametrize(
    ("status", "verb", "change"),
    [
        (LocationStatus.NOT_STARTED, Verb.START, SessionChange.OPEN_IF_MISSING),
        (LocationStatus.BLOCKED, Verb.UNBLOCK, SessionChange.OPEN_IF_MISSING),
        (LocationStatus.CANCELLED, Verb.REOPEN, SessionChange.OPEN_IF_MISSING),
        (LocationStatus.APPROVED, Verb.REOPEN, SessionChange.OPEN_IF_MISSING),
        (LocationStatus.PROVISIONING, Verb.ACKNOWLEDGE, SessionChange.CLOSE),
        (LocationStatus.PROVISIONING, Verb.COMPLETE, SessionChange.CLOSE),
        (LocationStatus.IN_PROGRESS, Verb.CANCEL, SessionChange.CLOSE),
        (LocationStatus.IN_PROGRESS, Verb.SUBMIT, SessionChange.KEEP),
        (LocationStatus.PROVISIONING, Verb.BLOCK, SessionChange.KEEP),
    ],
)
def test_a_session_is_opened_when_work_begins_and_closed_when_it_ends(status, verb, change):
    assert consequences(status, verb).session is change


@pytest.mark.parametrize(
    ("status", "verb", "facts", "change"),
    [
        (LocationStatus.IN_PROGRESS, Verb.SUBMIT, NO_FACTS, ClaimChange.TAKE),
        (LocationStatus.PENDING_APPROVAL, Verb.WITHDRAW, NO_FACTS, ClaimChange.RELEASE),
        (LocationStatus.PENDING_APPROVAL, Verb.APPROVE, NO_FACTS, ClaimChange.KEEP),
        (LocationStatus.PROVISIONING, Verb.REJECT, NO_FACTS, ClaimChange.RELEASE),
        (LocationStatus.COMPLETED, Verb.REOPEN, NO_FACTS, ClaimChange.RELEASE),
        (LocationStatus.COMPLETED, Verb.REOPEN, {Fact.ACKNOWLEDGED_BEFORE}, ClaimChange.KEEP),
        (LocationStatus.IN_PROGRESS, Verb.SUBMIT, {Fact.ACKNOWLEDGED_BEFORE}, ClaimChange.KEEP),
        (LocationStatus.IN_PROGRESS, Verb.CANCEL, {Fact.ACKNOWLEDGED_BEFORE}, ClaimChange.RELEASE),
        (LocationStatus.CANCELLED, Verb.REOPEN, {Fact.ACKNOWLEDGED_BEFORE}, ClaimChange.TAKE),
        (LocationStatus.CANCELLED, Verb.REOPEN, NO_FACTS, ClaimChange.KEEP),
    ],
)
def test_hardware_addresses_are_claimed_on_the_way_in_and_released_on_the_way_out(status, verb, facts, change):
    assert consequences(status, verb, facts).mac_claims is change


def test_a_location_holds_its_addresses_from_submission_on_and_while_its_phones_live():
    holding = {status for status in LocationStatus if holds_macs(status, has_live_payload=False)}
    assert holding == {"PENDING_APPROVAL", "APPROVED", "PROVISIONING", "COMPLETED"}
    living = {status for status in LocationStatus if holds_macs(status, has_live_payload=True)}
    assert living == set(LocationStatus) - {"CANCELLED"}


@pytest.mark.parametrize(("status", "verb"), LEGAL)
def test_completing_by_hand_and_reopening_what_was_locked_are_audited_as_overrides(status, verb):
    audited = consequences(status, verb, FACTS).audited_as_override
    assert audited is (verb is Verb.COMPLETE or (verb is Verb.REOPEN and status is not LocationStatus.CANCELLED))


def test_the_verbs_that_must_be_explained_and_the_gates_they_pass_are_those_of_the_table():
    assert {verb for verb in Verb if TABLE[verb].needs_reason} == {
        "REQUEST_CHANGES",
        "COMPLETE",
        "BLOCK",
        "CANCEL",
        "REOPEN",
    }
    assert {verb: TABLE[verb].gate for verb in Verb if TABLE[verb].gate} == {
        Verb.SUBMIT: Gate.SUBMIT,
        Verb.APPROVE: Gate.APPROVE,
        Verb.APPROVE_AGAIN: Gate.APPROVE,
        Verb.GENERATE_PAYLOAD: Gate.PROVISION,
    }
