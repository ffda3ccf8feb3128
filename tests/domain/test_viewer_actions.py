"""A viewer is told what may be done, by the rules that will decide it."""

from dataclasses import replace

import pytest

from app.domain.readiness import readiness
from app.domain.recipients import Recipient
from app.domain.status_machine import TABLE, Fact
from app.domain.viewer_actions import Situation, viewer_actions
from app.domain.vocabulary import LocationAction, LocationStatus, PayloadState

from .builders import NOON, a_customer, a_lead, a_location, a_partner, a_payload, an_override

PARTNERS_OWN = {LocationAction.ACKNOWLEDGE_PAYLOAD, LocationAction.REJECT_PAYLOAD}
CUSTOMERS = {LocationAction.START_ONBOARDING, LocationAction.SUBMIT_ONBOARDING, LocationAction.WITHDRAW_SUBMISSION}


def a_situation(**changes):
    situation = Situation(
        viewer=a_lead(),
        forbidden={},
        verbs=frozenset(TABLE) - PARTNERS_OWN,
        now=NOON,
        status=LocationStatus.IN_PROGRESS,
        current_digest="c" * 64,
    )
    return replace(situation, **changes)


def to_a_customer(**changes):
    permitted = {LocationAction.EDIT, LocationAction.SUBMIT_ONBOARDING, LocationAction.WITHDRAW_SUBMISSION}
    forbidden = dict.fromkeys(set(LocationAction) - permitted, "Not for customers.")
    return {"viewer": a_customer(), "forbidden": forbidden, "verbs": CUSTOMERS} | changes


ASKED = [action for action in LocationAction if action not in PARTNERS_OWN]


def told(**changes):
    return {answer.action.name: answer for answer in viewer_actions(a_situation(**changes), ASKED)}


def answers(**changes):
    return {name: answer.reason for name, answer in told(**changes).items()}


def allowed(**changes):
    return {name for name, answer in told(**changes).items() if answer.allowed}


def test_the_actions_that_were_asked_for_are_answered_in_their_order():
    assert list(told()) == [action.name for action in ASKED]


def test_a_viewer_reads_the_sentence_that_the_mutation_would_refuse_with():
    approve = told(status=LocationStatus.CANCELLED)["APPROVE"]
    assert approve.message == "A location in status CANCELLED does not accept APPROVE. Accepted actions: REOPEN."
    assert told(**to_a_customer())["APPROVE"].message == "Not for customers."
    assert told(status=LocationStatus.CANCELLED)["REOPEN"].message is None


def test_a_customer_in_progress_may_edit_and_submit():
    assert allowed(**to_a_customer()) == {"EDIT", "SUBMIT_ONBOARDING"}


def test_a_lead_in_progress_may_also_block_and_cancel():
    assert allowed() == {"EDIT", "SUBMIT_ONBOARDING", "BLOCK", "CANCEL", "SET_LOCATION_PARTNERS"}


def test_what_a_role_never_does_is_forbidden_whatever_the_status():
    for status in LocationStatus:
        assert answers(**to_a_customer(status=status))["APPROVE"] == "FORBIDDEN"


def test_content_that_is_not_ready_is_not_submitted():
    assert answers(issues=readiness(a_location(timezone=None)))["SUBMIT_ONBOARDING"] == "NOT_READY"


@pytest.mark.parametrize(
    ("override", "reason"),
    [(None, "LOCKED"), (an_override(), None), (an_override(opened_by="user-lead2"), "LOCKED")],
)
def test_a_locked_location_is_edited_under_one_s_own_override_only(override, reason):
    given = answers(status=LocationStatus.APPROVED, override=override)
    assert given["EDIT"] == reason
    assert given["OPEN_OVERRIDE"] == (None if override is None else "OVERRIDE_SCOPE")


def test_there_is_nothing_to_override_on_an_unlocked_location():
    assert answers()["OPEN_OVERRIDE"] == "NOT_LOCKED"


def test_nobody_approves_their_own_work():
    pending = {"status": LocationStatus.PENDING_APPROVAL}
    assert answers(**pending)["APPROVE"] is None
    assert answers(**pending, own_work=True)["APPROVE"] == "SELF_APPROVAL"
    assert answers(**pending, own_work=True, self_approval_allowed=True)["APPROVE"] is None


def test_an_approved_location_is_generated_then_triggered():
    approved = {"status": LocationStatus.APPROVED, "approved_digest": "c" * 64}
    before = answers(**approved)
    assert (before["GENERATE_PAYLOAD"], before["TRIGGER_PROVISIONING"]) == (None, "ILLEGAL_TRANSITION")
    assert answers(**approved, latest_payload=a_payload())["TRIGGER_PROVISIONING"] is None


def test_a_payload_in_a_version_that_a_partner_does_not_accept_is_generated_again_and_not_triggered():
    approved = {"status": LocationStatus.APPROVED, "approved_digest": "c" * 64, "latest_payload": a_payload()}
    given = answers(**approved, partners=(a_partner(), a_partner("1.1.0")))
    assert (given["GENERATE_PAYLOAD"], given["TRIGGER_PROVISIONING"]) == (None, "ILLEGAL_TRANSITION")
    assert answers(**approved, partners=(a_partner("1.0.0"),))["TRIGGER_PROVISIONING"] is None


def test_an_edit_under_an_override_asks_for_another_approval_first():
    moved = {
        "status": LocationStatus.PROVISIONING,
        "approved_digest": "a" * 64,
        "facts": {Fact.CONTENT_CHANGED},
        "latest_payload": a_payload(state=PayloadState.SUPERSEDED),
    }
    given = answers(**moved)
    assert given["APPROVE_AGAIN"] is None
    assert given["GENERATE_PAYLOAD"] == given["TRIGGER_PROVISIONING"] == "APPROVAL_OUTDATED"


def test_a_receipt_that_is_awaited_can_be_waived():
    released = {"status": LocationStatus.PROVISIONING, "released_payload": a_payload(state=PayloadState.RELEASED)}
    recipient = Recipient(id="recipient-1", payload_id="payload-1", user_id="partner-1", required=True)
    assert answers(**released)["WAIVE_RECEIPT"] == "NOT_FOUND"
    assert answers(**released, recipients=(recipient,))["WAIVE_RECEIPT"] is None
    waived = replace(recipient, waived_at=NOON)
    assert answers(**released, recipients=(waived,))["WAIVE_RECEIPT"] == "NOT_FOUND"
    replaced = {**released, "released_payload": a_payload(state=PayloadState.SUPERSEDED, superseded_by="payload-2")}
    assert answers(**replaced, recipients=(recipient,))["WAIVE_RECEIPT"] == "PAYLOAD_SUPERSEDED"


@pytest.mark.parametrize("status", LocationStatus)
def test_what_is_live_can_be_decommissioned_in_any_status(status):
    assert answers(status=status)["CONFIRM_DECOMMISSION"] == "NOT_FOUND"
    assert answers(status=status, latest_payload=a_payload())["CONFIRM_DECOMMISSION"] == "PAYLOAD_NOT_LIVE"
    assert answers(status=status, live_payloads={"payload-1"})["CONFIRM_DECOMMISSION"] is None


@pytest.mark.parametrize("status", LocationStatus)
def test_partners_are_chosen_in_any_status(status):
    assert answers(status=status)["SET_LOCATION_PARTNERS"] is None
