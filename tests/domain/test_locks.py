"""A locked location is edited only under an override, by its opener, in its sections, in its time."""

from datetime import timedelta

import pytest

from app.domain.locks import check_overridable, decide_edit, is_in_force, is_locked, override_terms
from app.domain.refusals import InvalidInput, Locked, NotLocked, OverrideScope
from app.domain.vocabulary import LocationStatus, Section

from .builders import NOON, a_customer, a_lead, an_override

LOCKED = [LocationStatus.APPROVED, LocationStatus.PROVISIONING, LocationStatus.COMPLETED]
UNLOCKED = [status for status in LocationStatus if status not in LOCKED]
DEVICES = frozenset({Section.DEVICES})


def test_exactly_approved_provisioning_and_completed_are_locked():
    assert [status for status in LocationStatus if is_locked(status)] == LOCKED


@pytest.mark.parametrize("status", UNLOCKED)
def test_an_unlocked_location_is_edited_without_an_override(status):
    assert decide_edit(status, frozenset(Section), None, a_customer(), NOON) is None


@pytest.mark.parametrize("status", LOCKED)
def test_a_locked_location_refuses_edits_without_an_override(status):
    with pytest.raises(Locked) as refusal:
        decide_edit(status, DEVICES, None, a_lead(), NOON)
    assert refusal.value.status is status


@pytest.mark.parametrize("status", LOCKED)
def test_its_opener_edits_under_an_override_in_its_sections(status):
    override = an_override()
    assert decide_edit(status, DEVICES, override, a_lead(), NOON) is override


def test_somebody_else_finds_the_location_locked():
    with pytest.raises(Locked):
        decide_edit(LocationStatus.APPROVED, DEVICES, an_override(), a_lead("user-lead2"), NOON)


def test_another_section_is_out_of_the_override_s_scope():
    with pytest.raises(OverrideScope) as refusal:
        decide_edit(LocationStatus.APPROVED, DEVICES | {Section.CONTACTS}, an_override(), a_lead(), NOON)
    assert refusal.value.sections == DEVICES


@pytest.mark.parametrize(
    ("override", "in_force"),
    [
        (an_override(expires_at=NOON + timedelta(microseconds=1)), True),
        (an_override(expires_at=NOON), False),
        (an_override(ended_at=NOON - timedelta(minutes=1)), False),
    ],
)
def test_expiry_and_ending_put_an_override_out_of_force(override, in_force):
    assert is_in_force(override, NOON) is in_force
    if not in_force:
        with pytest.raises(Locked):
            decide_edit(LocationStatus.APPROVED, DEVICES, override, a_lead(), NOON)


@pytest.mark.parametrize("status", LocationStatus)
def test_there_is_nothing_to_override_on_an_unlocked_location(status):
    if status in LOCKED:
        check_overridable(status)
    else:
        with pytest.raises(NotLocked) as refusal:
            check_overridable(status)
        assert refusal.value.status is status


def terms(**changes):
    given = {
        "sections": DEVICES,
        "reason": "Carrier swapped the phone",
        "ticket": None,
        "expires_in_minutes": 480,
        "now": NOON,
    }
    return override_terms(**given | changes)


def test_an_override_is_opened_for_eight_hours_at_most():
    assert terms().expires_at == NOON + timedelta(hours=8)
    for minutes in (0, 481):
        with pytest.raises(InvalidInput):
            terms(expires_in_minutes=minutes)


@pytest.mark.parametrize("changes", [{"sections": frozenset()}, {"reason": "oops"}, {"reason": " . . . . . . . "}])
def test_an_override_needs_sections_and_a_reason_worth_reading(changes):
    with pytest.raises(InvalidInput):
        terms(**changes)


def test_an_override_keeps_its_ticket_trimmed():
    assert terms(ticket=" OPS-1 ").ticket == "OPS-1"
