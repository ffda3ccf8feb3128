"""The table of statuses and verbs: every combination, and what follows from each move."""

from itertools import product

import pytest

from app.domain.refusals import IllegalTransition
from app.domain.status_machine import CLAIMING_STATUSES, TABLE, Fact, allowed, transition
from app.domain.vocabulary import (
    ApprovalStatus,
    ClaimChange,
    Gate,
    LocationAction,
    LocationStatus,
    PayloadState,
    SessionChange,
)

EVERY_VERB = frozenset(TABLE)
FACTS = frozenset(Fact)

# verb: (statuses it is taken from, status it leads to or "same")
PROMISED = {
    "START_ONBOARDING": ("NOT_STARTED", "IN_PROGRESS"),
    "SUBMIT_ONBOARDING": ("IN_PROGRESS", "PENDING_APPROVAL"),
    "WITHDRAW_SUBMISSION": ("PENDING_APPROVAL", "IN_PROGRESS"),
    "REQUEST_CHANGES": ("PENDING_APPROVAL", "IN_PROGRESS"),
    "APPROVE": ("PENDING_APPROVAL", "APPROVED"),
    "APPROVE_AGAIN": ("APPROVED PROVISIONING COMPLETED", "same"),
    "GENERATE_PAYLOAD": ("APPROVED PROVISIONING COMPLETED", "same"),
    "TRIGGER_PROVISIONING": ("APPROVED PROVISIONING COMPLETED", "PROVISIONING"),
    "ACKNOWLEDGE_PAYLOAD": ("PROVISIONING COMPLETED", "COMPLETED"),
    "COMPLETE_PROVISIONING": ("PROVISIONING", "COMPLETED"),
    "WAIVE_RECEIPT": ("PROVISIONING COMPLETED", "COMPLETED"),
    "REJECT_PAYLOAD": ("PROVISIONING", "BLOCKED"),
    "BLOCK": ("NOT_STARTED IN_PROGRESS PENDING_APPROVAL PROVISIONING", "BLOCKED"),
    "UNBLOCK": ("BLOCKED", "IN_PROGRESS"),
    "CANCEL": ("NOT_STARTED IN_PROGRESS PENDING_APPROVAL APPROVED PROVISIONING BLOCKED", "CANCELLED"),
    "REOPEN": ("CANCELLED APPROVED COMPLETED", "IN_PROGRESS"),
}

LEGAL = [
    (status, verb)
    for status, verb in product(LocationStatus, TABLE)
    if status in {LocationStatus(name) for name in PROMISED[verb.name][0].split()}
]


def consequences(status, verb):
    return transition(status, verb, {verb}, FACTS).consequences


@pytest.mark.parametrize(("status", "verb"), list(product(LocationStatus, TABLE)))
@pytest.mark.parametrize("permitted", [EVERY_VERB, frozenset()], ids=["permitted", "not permitted"])
def test_a_location_takes_exactly_the_permitted_verbs_of_the_table(status, verb, permitted):
    sources, to = PROMISED[verb.name]
    if status in sources.split() and verb in permitted:
        assert transition(status, verb, permitted, FACTS).to == (status if to == "same" else to)
    else:
        with pytest.raises(IllegalTransition) as refusal:
            transition(status, verb, permitted, FACTS)
        assert (refusal.value.from_status, refusal.value.action) == (status, verb)
        assert refusal.value.allowed == allowed(status, permitted, FACTS)


@pytest.mark.parametrize("status", LocationStatus)
def test_what_is_allowed_is_what_is_taken(status):
    for verb in allowed(status, EVERY_VERB):
        assert transition(status, verb, EVERY_VERB).to in LocationStatus


def test_nobody_approves_again_what_did_not_move():
    with pytest.raises(IllegalTransition):
        transition(LocationStatus.APPROVED, LocationAction.APPROVE_AGAIN, EVERY_VERB)
    assert (
        transition(LocationStatus.APPROVED, LocationAction.APPROVE_AGAIN, EVERY_VERB, {Fact.CONTENT_CHANGED}).to
        is LocationStatus.APPROVED
    )


@pytest.mark.parametrize("verb", [LocationAction.ACKNOWLEDGE_PAYLOAD, LocationAction.WAIVE_RECEIPT])
def test_a_completed_location_takes_the_receipts_that_are_missing_and_waivers_of_them(verb):
    with pytest.raises(IllegalTransition):
        transition(LocationStatus.COMPLETED, verb, EVERY_VERB)
    late = transition(LocationStatus.COMPLETED, verb, EVERY_VERB, {Fact.RECEIPT_MISSING})
    assert late.to is LocationStatus.COMPLETED
    assert late.consequences.payload is PayloadState.ACKNOWLEDGED
    assert not late.consequences.ends_override


def test_a_completed_location_is_handed_off_again_once_its_content_changed_with_its_session_untouched():
    for verb in (LocationAction.GENERATE_PAYLOAD, LocationAction.TRIGGER_PROVISIONING):
        with pytest.raises(IllegalTransition):
            transition(LocationStatus.COMPLETED, verb, EVERY_VERB)
        again = transition(LocationStatus.COMPLETED, verb, EVERY_VERB, {Fact.CHANGED_SINCE_RELEASE})
        assert again.consequences.session is SessionChange.KEEP
        assert again.consequences.approval is None


@pytest.mark.parametrize(("status", "verb"), LEGAL)
def test_any_change_of_status_ends_an_override_and_nothing_else_does(status, verb):
    moved = transition(status, verb, {verb}, FACTS)
    assert moved.consequences.ends_override is (moved.to is not status)


@pytest.mark.parametrize(
    ("verb", "becomes"),
    [
        (LocationAction.WITHDRAW_SUBMISSION, ApprovalStatus.WITHDRAWN),
        (LocationAction.REQUEST_CHANGES, ApprovalStatus.CHANGES_REQUESTED),
        (LocationAction.APPROVE, ApprovalStatus.APPROVED),
        (LocationAction.BLOCK, ApprovalStatus.WITHDRAWN),
        (LocationAction.CANCEL, ApprovalStatus.WITHDRAWN),
    ],
)
def test_leaving_pending_approval_settles_the_request(verb, becomes):
    assert consequences(LocationStatus.PENDING_APPROVAL, verb).request is becomes


@pytest.mark.parametrize(("status", "verb"), LEGAL)
def test_only_leaving_pending_approval_settles_a_request(status, verb):
    if status is not LocationStatus.PENDING_APPROVAL:
        assert consequences(status, verb).request is None


VOIDING = {
    (LocationStatus.APPROVED, LocationAction.CANCEL),
    (LocationStatus.APPROVED, LocationAction.REOPEN),
    (LocationStatus.PROVISIONING, LocationAction.CANCEL),
    (LocationStatus.PROVISIONING, LocationAction.BLOCK),
    (LocationStatus.PROVISIONING, LocationAction.REJECT_PAYLOAD),
    (LocationStatus.COMPLETED, LocationAction.REOPEN),
}


@pytest.mark.parametrize(("status", "verb"), LEGAL)
def test_leaving_the_locked_statuses_voids_the_approval_and_withdraws_unanswered_payloads(status, verb):
    follows = consequences(status, verb)
    voids = (status, verb) in VOIDING
    assert follows.withdraws_payloads is voids
    assert follows.approval is (ApprovalStatus.VOIDED if voids else None)


def test_triggering_releases_the_payload_and_partners_answer_it():
    assert consequences(LocationStatus.APPROVED, LocationAction.TRIGGER_PROVISIONING).payload is PayloadState.RELEASED
    assert (
        consequences(LocationStatus.PROVISIONING, LocationAction.ACKNOWLEDGE_PAYLOAD).payload
        is PayloadState.ACKNOWLEDGED
    )
    assert consequences(LocationStatus.PROVISIONING, LocationAction.REJECT_PAYLOAD).payload is PayloadState.REJECTED
    assert consequences(LocationStatus.PROVISIONING, LocationAction.WAIVE_RECEIPT).payload is PayloadState.ACKNOWLEDGED
    assert consequences(LocationStatus.PROVISIONING, LocationAction.COMPLETE_PROVISIONING).payload is None


@pytest.mark.parametrize(("status", "verb"), LEGAL)
def test_recipients_of_live_payloads_learn_that_their_location_was_reopened_cancelled_or_stopped(status, verb):
    stopped = (status, verb) == (LocationStatus.PROVISIONING, LocationAction.BLOCK)
    assert consequences(status, verb).notifies_recipients is (
        stopped or verb in {LocationAction.REOPEN, LocationAction.CANCEL}
    )


@pytest.mark.parametrize(
    ("status", "verb", "change"),
    [
        (LocationStatus.NOT_STARTED, LocationAction.START_ONBOARDING, SessionChange.OPEN_IF_MISSING),
        (LocationStatus.BLOCKED, LocationAction.UNBLOCK, SessionChange.OPEN_IF_MISSING),
        (LocationStatus.CANCELLED, LocationAction.REOPEN, SessionChange.OPEN_IF_MISSING),
        (LocationStatus.APPROVED, LocationAction.REOPEN, SessionChange.OPEN_IF_MISSING),
        (LocationStatus.PROVISIONING, LocationAction.ACKNOWLEDGE_PAYLOAD, SessionChange.CLOSE),
        (LocationStatus.PROVISIONING, LocationAction.COMPLETE_PROVISIONING, SessionChange.CLOSE),
        (LocationStatus.IN_PROGRESS, LocationAction.CANCEL, SessionChange.CLOSE),
        (LocationStatus.IN_PROGRESS, LocationAction.SUBMIT_ONBOARDING, SessionChange.KEEP),
        (LocationStatus.PROVISIONING, LocationAction.BLOCK, SessionChange.KEEP),
    ],
)
def test_a_session_is_opened_when_work_begins_and_closed_when_it_ends(status, verb, change):
    assert consequences(status, verb).session is change


@pytest.mark.parametrize(
    ("status", "verb", "change"),
    [
        (LocationStatus.IN_PROGRESS, LocationAction.SUBMIT_ONBOARDING, ClaimChange.TAKE),
        (LocationStatus.PENDING_APPROVAL, LocationAction.WITHDRAW_SUBMISSION, ClaimChange.RELEASE),
        (LocationStatus.PENDING_APPROVAL, LocationAction.APPROVE, ClaimChange.KEEP),
        (LocationStatus.PROVISIONING, LocationAction.REJECT_PAYLOAD, ClaimChange.RELEASE),
        (LocationStatus.COMPLETED, LocationAction.TRIGGER_PROVISIONING, ClaimChange.KEEP),
        (LocationStatus.COMPLETED, LocationAction.REOPEN, ClaimChange.RELEASE),
        (LocationStatus.IN_PROGRESS, LocationAction.CANCEL, ClaimChange.KEEP),
        (LocationStatus.CANCELLED, LocationAction.REOPEN, ClaimChange.KEEP),
    ],
)
def test_the_addresses_of_the_content_are_claimed_on_the_way_in_and_released_on_the_way_out(status, verb, change):
    assert consequences(status, verb).mac_claims is change


def test_a_location_claims_the_addresses_of_its_content_from_submission_on():
    assert {"PENDING_APPROVAL", "APPROVED", "PROVISIONING", "COMPLETED"} == CLAIMING_STATUSES


@pytest.mark.parametrize(("status", "verb"), LEGAL)
def test_acts_for_a_partner_and_reopening_what_was_locked_are_audited_as_overrides(status, verb):
    audited = consequences(status, verb).audited_as_override
    for_a_partner = verb in {LocationAction.COMPLETE_PROVISIONING, LocationAction.WAIVE_RECEIPT}
    assert audited is (for_a_partner or (verb is LocationAction.REOPEN and status is not LocationStatus.CANCELLED))


def test_the_verbs_that_must_be_explained_and_the_gates_they_pass_are_those_of_the_table():
    assert {verb for verb in TABLE if TABLE[verb].needs_reason} == {
        "REQUEST_CHANGES",
        "COMPLETE",
        "WAIVE_RECEIPT",
        "BLOCK",
        "CANCEL",
        "REOPEN",
    }
    assert {verb: TABLE[verb].gate for verb in TABLE if TABLE[verb].gate} == {
        LocationAction.SUBMIT_ONBOARDING: Gate.SUBMIT,
        LocationAction.APPROVE: Gate.APPROVE,
        LocationAction.APPROVE_AGAIN: Gate.APPROVE,
        LocationAction.GENERATE_PAYLOAD: Gate.PROVISION,
        LocationAction.TRIGGER_PROVISIONING: Gate.PROVISION,
    }
