"""A refusal is a sentence with facts."""

import pytest

from app.domain import refusals
from app.domain.refusals import (
    AlreadyAnswered,
    IllegalTransition,
    InvalidInput,
    LimitReached,
    Locked,
    MacInUse,
    OverrideScope,
    PayloadNotLive,
    Refusal,
)
from app.domain.vocabulary import LocationAction, LocationStatus, PayloadState, ProblemCode, ReceiptKind, Section

from .builders import NOON


def test_every_problem_code_has_exactly_one_refusal():
    codes = [refusal.code for refusal in Refusal.__subclasses__() if refusal.__module__ == refusals.__name__]
    assert sorted(codes) == sorted(ProblemCode)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (
            Locked(status=LocationStatus.APPROVED),
            "The location is locked because its status is APPROVED. An implementation lead can open an override.",
        ),
        (
            IllegalTransition(
                from_status=LocationStatus.BLOCKED,
                action=LocationAction.SUBMIT_ONBOARDING,
                allowed=(LocationAction.UNBLOCK, LocationAction.CANCEL),
            ),
            "A location in status BLOCKED does not accept SUBMIT_ONBOARDING. Accepted actions: UNBLOCK, CANCEL.",
        ),
        (
            IllegalTransition(
                from_status=LocationStatus.CANCELLED, action=LocationAction.SUBMIT_ONBOARDING, allowed=()
            ),
            "A location in status CANCELLED does not accept SUBMIT_ONBOARDING. Accepted actions: none.",
        ),
        (
            OverrideScope(sections=frozenset({Section.DEVICES, Section.CONTACTS})),
            "The open override covers only these sections: CONTACTS, DEVICES.",
        ),
        (LimitReached(limit=250, counted="devices"), "Limit reached: at most 250 devices."),
        (
            MacInUse(mac_addresses=("00:15:5D:01:01:01",)),
            "Another location uses these MAC addresses: 00:15:5D:01:01:01.",
        ),
        (
            PayloadNotLive(state=PayloadState.WITHDRAWN),
            "The payload is not in operation, or no longer. Its state is WITHDRAWN.",
        ),
        (
            AlreadyAnswered(answer=ReceiptKind.REJECTED, answered_at=NOON),
            f"The recipient has already answered this payload: REJECTED at {NOON:%Y-%m-%dT%H:%M:%SZ}.",
        ),
        (
            InvalidInput(field="name", rule="must not be empty", path=("input", "name")),
            "Invalid value for name: must not be empty.",
        ),
    ],
)
def test_its_message_is_its_docstring_with_the_facts_filled_in(refusal, message):
    assert refusal.message == str(refusal) == message


def test_it_says_where_in_the_input_it_belongs():
    assert InvalidInput(field="name", rule="x", path=("input", "name")).path == ("input", "name")
    assert LimitReached(limit=1, counted="devices").path == ()
