"""Only approved content is handed off, and each recipient answers a payload once, while it can be answered."""

from dataclasses import replace
from typing import Any

import pytest

from app.domain.handoff import (
    WITHDRAWN_WITHOUT_REASON,
    check_approved,
    decide_answer,
    decide_generation,
    decide_release,
)
from app.domain.limits import CAPS
from app.domain.readiness import readiness
from app.domain.recipients import Recipient, completes
from app.domain.refusals import (
    AlreadyAnswered,
    ApprovalOutdated,
    DigestMismatch,
    IllegalTransition,
    LimitReached,
    NotReady,
    PayloadNotLive,
    PayloadRejected,
    PayloadSuperseded,
    PayloadWithdrawn,
)
from app.domain.vocabulary import LocationAction, LocationStatus, PayloadState, ReceiptKind

from .builders import NOON, a_location, a_partner, a_payload

CURRENT = "c" * 64
DOCUMENT = "d" * 64
READY = readiness(a_location())
ALLOWED = (LocationAction.GENERATE_PAYLOAD, LocationAction.TRIGGER_PROVISIONING, LocationAction.CANCEL)


def generation(**changes):
    given: dict[str, Any] = {
        "current_digest": CURRENT,
        "approved_digest": CURRENT,
        "version": "1.0.0",
        "latest": None,
        "issues": READY,
    }
    return decide_generation(**given | changes)


def release(**changes):
    given: dict[str, Any] = {
        "current_digest": CURRENT,
        "approved_digest": CURRENT,
        "latest": a_payload(),
        "partners": (),
        "issues": READY,
        "allowed": ALLOWED,
    }
    return decide_release(LocationStatus.APPROVED, **given | changes)


@pytest.mark.parametrize("approved", [None, "a" * 64])
def test_content_that_nobody_approved_goes_nowhere(approved):
    for decide in (generation, release):
        with pytest.raises(ApprovalOutdated) as refusal:
            decide(approved_digest=approved)
        assert refusal.value.current_digest == CURRENT
    check_approved(CURRENT, CURRENT)


def test_no_payload_is_made_of_content_that_is_not_ready():
    with pytest.raises(NotReady):
        generation(issues=readiness(a_location(timezone=None)))


@pytest.mark.parametrize("state", PayloadState)
def test_the_latest_payload_serves_again_while_it_is_unanswered(state):
    latest = a_payload(state=state)
    serves = state in {PayloadState.GENERATED, PayloadState.RELEASED}
    assert generation(latest=latest) == (latest if serves else None)


def test_a_payload_of_older_content_is_made_anew():
    assert generation(latest=a_payload(content_digest="a" * 64)) is None
    assert generation(latest=None) is None


def test_a_payload_in_another_version_than_the_partners_need_is_made_anew_until_it_is_released():
    assert generation(version="1.1.0", latest=a_payload()) is None
    assert generation(latest=a_payload(version="1.1.0")) is None
    released = a_payload(state=PayloadState.RELEASED)
    assert generation(version="1.1.0", latest=released) == released


ONLY_OLD, ONLY_NEW, BOTH = (a_partner(*versions) for versions in (("1.0.0",), ("1.1.0",), ()))


@pytest.mark.parametrize("partners", [[ONLY_NEW], [BOTH, ONLY_NEW], [ONLY_OLD, ONLY_NEW]])
def test_a_payload_whose_version_a_partner_does_not_accept_is_not_released(partners):
    with pytest.raises(IllegalTransition) as refusal:
        release(partners=partners)
    assert refusal.value.allowed == (LocationAction.GENERATE_PAYLOAD, LocationAction.CANCEL)
    assert release(partners=[ONLY_OLD, BOTH]) == a_payload()


def test_a_payload_that_was_released_stays_whatever_the_partners_accept_since():
    released = a_payload(state=PayloadState.RELEASED)
    assert release(latest=released, partners=[ONLY_NEW]) == released


def test_a_payload_is_not_released_to_more_partners_than_it_can_have_recipients():
    most = [a_partner()] * CAPS["recipients"]
    assert release(partners=most) == a_payload()
    with pytest.raises(LimitReached) as refusal:
        release(partners=[*most, a_partner()])
    assert (refusal.value.counted, refusal.value.limit) == ("recipients", 100)
    released = a_payload(state=PayloadState.RELEASED)
    assert release(latest=released, partners=[*most, a_partner()]) == released


def test_triggering_releases_the_latest_payload_of_the_approved_content():
    assert release() == a_payload()


@pytest.mark.parametrize("latest", [None, a_payload(content_digest="a" * 64), a_payload(state=PayloadState.SUPERSEDED)])
def test_triggering_without_such_a_payload_says_what_can_be_done_instead(latest):
    with pytest.raises(IllegalTransition) as refusal:
        release(latest=latest)
    assert refusal.value.allowed == (LocationAction.GENERATE_PAYLOAD, LocationAction.CANCEL)


def a_recipient(answer: ReceiptKind | None = None, **changes: Any) -> Recipient:
    at = None if answer is None else NOON
    return Recipient(
        id="recipient-1",
        payload_id="payload-1",
        user_id="partner-1",
        required=True,
        answer=answer,
        answered_at=at,
        **changes,
    )


@pytest.mark.parametrize("state", [PayloadState.RELEASED, PayloadState.ACKNOWLEDGED])
def test_an_answer_is_new_once_per_recipient_also_after_the_required_ones(state):
    payload = a_payload(state=state)
    for kind, digest in ((ReceiptKind.ACKNOWLEDGED, DOCUMENT), (ReceiptKind.REJECTED, None)):
        assert decide_answer(payload, a_recipient(), kind, digest)
        assert not decide_answer(payload, a_recipient(kind), kind, digest)


@pytest.mark.parametrize("state", PayloadState)
def test_a_recipient_gets_its_own_first_answer_again_whatever_became_of_the_payload(state):
    payload = a_payload(state=state, superseded_by="payload-2")
    assert not decide_answer(payload, a_recipient(ReceiptKind.ACKNOWLEDGED), ReceiptKind.ACKNOWLEDGED, DOCUMENT)


@pytest.mark.parametrize(("given", "asked"), [tuple(ReceiptKind), tuple(reversed(ReceiptKind))])
def test_a_recipient_does_not_change_its_answer(given, asked):
    with pytest.raises(AlreadyAnswered) as refusal:
        decide_answer(a_payload(state=PayloadState.RELEASED), a_recipient(given), asked, None)
    assert (refusal.value.answer, refusal.value.answered_at) == (given, NOON)


@pytest.mark.parametrize("kind", ReceiptKind)
def test_a_recipient_that_decommissioned_a_payload_does_not_answer_it(kind):
    with pytest.raises(PayloadNotLive) as refusal:
        decide_answer(a_payload(state=PayloadState.RELEASED), a_recipient(decommissioned_at=NOON), kind, None)
    assert refusal.value.state is PayloadState.RELEASED


@pytest.mark.parametrize("state", [PayloadState.RELEASED, PayloadState.ACKNOWLEDGED, PayloadState.SUPERSEDED])
def test_an_acknowledgement_of_another_document_is_refused(state):
    with pytest.raises(DigestMismatch):
        decide_answer(a_payload(state=state), a_recipient(), ReceiptKind.ACKNOWLEDGED, "e" * 64)


@pytest.mark.parametrize("kind", ReceiptKind)
@pytest.mark.parametrize("state", [PayloadState.SUPERSEDED, PayloadState.ACKNOWLEDGED])
def test_a_replaced_payload_names_its_successor(kind, state):
    with pytest.raises(PayloadSuperseded) as refusal:
        decide_answer(a_payload(state=state, superseded_by="payload-2"), a_recipient(), kind, None)
    assert refusal.value.by == "payload-2"


@pytest.mark.parametrize("kind", ReceiptKind)
def test_what_another_recipient_rejected_is_not_answered(kind):
    with pytest.raises(PayloadRejected):
        decide_answer(a_payload(state=PayloadState.REJECTED), a_recipient(), kind, None)


def test_a_withdrawn_payload_says_why_and_an_erased_one_is_withdrawn():
    given: list[tuple[dict[str, Any], str]] = [
        ({"state": PayloadState.WITHDRAWN, "withdrawn_because": "Site closes"}, "Site closes"),
        ({"state": PayloadState.WITHDRAWN}, WITHDRAWN_WITHOUT_REASON),
        ({"state": PayloadState.ACKNOWLEDGED, "erased": True}, "the document was erased"),
    ]
    for changes, said in given:
        with pytest.raises(PayloadWithdrawn) as refusal:
            decide_answer(a_payload(**changes), a_recipient(), ReceiptKind.ACKNOWLEDGED, DOCUMENT)
        assert refusal.value.reason == said


def test_the_last_required_receipt_completes_and_an_optional_one_never_does():
    required, another = a_recipient(), replace(a_recipient(), id="recipient-2")
    answered, waived = a_recipient(ReceiptKind.ACKNOWLEDGED), a_recipient(waived_at=NOON)
    gone, optional = a_recipient(decommissioned_at=NOON), replace(required, required=False)
    done = [replace(each, id=f"recipient-{place}") for place, each in enumerate([answered, waived, gone, optional], 3)]
    assert completes(required, [required, *done])
    assert not completes(required, [required, another, *done])
    assert not completes(optional, [optional, *done])
