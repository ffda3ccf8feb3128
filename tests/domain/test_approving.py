"""An approval is of the content that was seen, of ready content, and of somebody else's work."""

from typing import Any

import pytest

from app.domain.approving import check_ready, decide_approval, is_own_work
from app.domain.readiness import readiness
from app.domain.refusals import NotReady, SelfApproval, StaleReview
from app.domain.vocabulary import Gate

from .builders import a_device, a_location

READY = readiness(a_location())
WITHOUT_MAC = readiness(a_location(devices=(a_device(mac_address=None),)))
ONLY_WARNINGS = readiness(a_location(devices=(a_device(mac_address="00155d010101"),)))


def decision(**changes):
    given: dict[str, Any] = {
        "expected_digest": "c" * 64,
        "current_digest": "c" * 64,
        "changed_paths": (),
        "issues": READY,
        "own_work": False,
        "self_approval_allowed": False,
    }
    return decide_approval(**given | changes)


def test_another_lead_s_approval_of_ready_content_is_plain():
    assert decision() is False


def test_content_that_moved_since_the_review_is_refused_with_what_changed():
    with pytest.raises(StaleReview) as refusal:
        decision(expected_digest="a" * 64, changed_paths=("/location/name",))
    assert (refusal.value.current_digest, refusal.value.changed_paths) == ("c" * 64, ("/location/name",))


def test_content_that_is_not_ready_is_refused_with_every_issue():
    with pytest.raises(NotReady) as refusal:
        decision(issues=WITHOUT_MAC)
    assert refusal.value.issues == WITHOUT_MAC


def test_warnings_stand_in_nobody_s_way():
    assert ONLY_WARNINGS
    assert decision(issues=ONLY_WARNINGS) is False


def test_one_s_own_work_is_refused_unless_that_is_allowed_and_then_it_is_marked():
    with pytest.raises(SelfApproval):
        decision(own_work=True)
    assert decision(own_work=True, self_approval_allowed=True) is True


def test_a_device_without_address_may_be_submitted_but_not_approved():
    check_ready(Gate.SUBMIT, WITHOUT_MAC)
    for gate in (Gate.APPROVE, Gate.PROVISION):
        with pytest.raises(NotReady):
            check_ready(gate, WITHOUT_MAC)


def test_own_work_is_what_one_submitted_or_edited():
    assert is_own_work("user-lead", submitted_by="user-lead", editors=frozenset())
    assert is_own_work("user-lead", submitted_by="user-customer", editors={"user-lead"})
    assert not is_own_work("user-lead", submitted_by="user-customer", editors={"user-customer"})
    assert not is_own_work("user-lead", submitted_by=None, editors=frozenset())
