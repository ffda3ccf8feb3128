"""Rules of the hand-off: which payload may be generated or released, and whether a partner's answer is accepted."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from app.domain.approving import check_ready
from app.domain.issue import Issue
from app.domain.limits import check_cap
from app.domain.recipients import Partner, Recipient
from app.domain.refusals import (
    AlreadyAnswered,
    ApprovalOutdated,
    DigestMismatch,
    IllegalTransition,
    PayloadNotLive,
    PayloadRejected,
    PayloadSuperseded,
    PayloadWithdrawn,
)
from app.domain.vocabulary import Gate, LocationAction, LocationStatus, PayloadState, ReceiptKind

WITHDRAWN_WITHOUT_REASON = "the location left provisioning"
"""What the recipients of a withdrawn payload read if no reason was given for them."""

_UNANSWERED = frozenset({PayloadState.GENERATED, PayloadState.RELEASED})


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadFacts:
    """The facts about a payload that decisions use.

    `withdrawn_because` is the reason for the recipients of a WITHDRAWN payload, if a lead gave one. `erased` says
    whether the document was erased because it contained personal data. `shows_successor` says whether the viewer can
    see the payload that superseded it: it may have other recipients.
    """

    id: str
    version: str
    state: PayloadState
    content_digest: str
    document_digest: str
    superseded_by: str | None = None
    withdrawn_because: str | None = None
    erased: bool = False
    shows_successor: bool = True


def check_approved(current_digest: str, approved_digest: str | None) -> None:
    """Raise ApprovalOutdated unless the current content is the approved content."""
    if current_digest != approved_digest:
        raise ApprovalOutdated(current_digest=current_digest)


def decide_generation(
    *,
    current_digest: str,
    approved_digest: str | None,
    version: str | None,
    latest: PayloadFacts | None,
    issues: Iterable[Issue],
) -> PayloadFacts | None:
    """Return the existing payload of the current content, or None when a new payload must be generated.

    `version` is the version that the content and the partners need, None if there is none, which blocks PROVISION. A
    payload that was released serves again whatever its version. Raises ApprovalOutdated, or NotReady when an issue
    blocks PROVISION.
    """
    check_approved(current_digest, approved_digest)
    check_ready(Gate.PROVISION, issues)
    if latest is None or not _is_offerable(latest, current_digest):
        return None
    return latest if latest.state is PayloadState.RELEASED or latest.version == version else None


def decide_release(
    status: LocationStatus,
    *,
    current_digest: str,
    approved_digest: str | None,
    latest: PayloadFacts | None,
    partners: Collection[Partner],
    allowed: tuple[LocationAction, ...],
    issues: Iterable[Issue],
) -> PayloadFacts:
    """Return the payload to release. `allowed` are the verbs that the viewer may use on the location now.

    Raises ApprovalOutdated; IllegalTransition when there is no payload of the approved content in a version that all
    partners accept; NotReady when an issue blocks PROVISION: since the payload was generated, a partner may have lost
    the access that its answer needs; LimitReached for more partners than a payload can have recipients.
    """
    check_approved(current_digest, approved_digest)
    if latest is None or not _is_offerable(latest, current_digest) or _is_refused(latest, partners):
        others = tuple(verb for verb in allowed if verb is not LocationAction.TRIGGER_PROVISIONING)
        raise IllegalTransition(from_status=status, action=LocationAction.TRIGGER_PROVISIONING, allowed=others)
    if latest.state is PayloadState.GENERATED:
        check_ready(Gate.PROVISION, issues)
        check_cap("recipients", partners)
    return latest


def decide_answer(payload: PayloadFacts, recipient: Recipient, kind: ReceiptKind, document_digest: str | None) -> bool:
    """Return whether a recipient's answer is new; False when it repeats the recipient's recorded answer.

    `document_digest` is the digest of the received document in an acknowledgement, None in a rejection. Raises
    DigestMismatch, and the refusals of `check_unanswered` and `check_open`.
    """
    if document_digest is not None and document_digest != payload.document_digest:
        raise DigestMismatch
    if recipient.answer is kind:
        return False
    check_unanswered(payload, recipient)
    check_open(payload)
    return True


def check_unanswered(payload: PayloadFacts, recipient: Recipient) -> None:
    """Raise AlreadyAnswered if the recipient has answered the payload, PayloadNotLive if it has decommissioned it.

    A payload can be decommissioned without an answer if a lead took it to run. An acknowledgement after that would
    make it live again, with addresses that another location may hold by then.
    """
    if recipient.answer is not None and recipient.answered_at is not None:
        raise AlreadyAnswered(answer=recipient.answer, answered_at=recipient.answered_at)
    if recipient.decommissioned_at is not None:
        raise PayloadNotLive(state=payload.state)


def check_open(payload: PayloadFacts) -> None:
    """Raise PayloadSuperseded, PayloadWithdrawn or PayloadRejected if no recipient can answer the payload any more.

    A payload that was acknowledged by its required recipients can still be answered by the others, until a later one
    is released.
    """
    if payload.state is PayloadState.WITHDRAWN:
        raise PayloadWithdrawn(reason=payload.withdrawn_because or WITHDRAWN_WITHOUT_REASON)
    if payload.erased:
        raise PayloadWithdrawn(reason="the document was erased")
    if payload.state is PayloadState.REJECTED:
        raise PayloadRejected
    if payload.state is PayloadState.SUPERSEDED or payload.superseded_by is not None:
        raise PayloadSuperseded(by=payload.superseded_by if payload.shows_successor else None)


def _is_offerable(payload: PayloadFacts, current_digest: str) -> bool:
    return payload.state in _UNANSWERED and payload.content_digest == current_digest


def _is_refused(payload: PayloadFacts, partners: Iterable[Partner]) -> bool:
    """Whether the payload is not released yet and a partner does not accept its version."""
    return payload.state is PayloadState.GENERATED and not all(each.accepts(payload.version) for each in partners)
