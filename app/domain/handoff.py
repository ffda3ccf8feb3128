"""Whether content may go to a partner, and whether a partner's answer counts."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.approving import check_ready
from app.domain.issue import Issue
from app.domain.refusals import (
    ApprovalOutdated,
    DigestMismatch,
    IllegalTransition,
    PayloadSuperseded,
    PayloadWithdrawn,
)
from app.domain.vocabulary import Gate, LocationStatus, PayloadState, ReceiptKind, Verb

_UNANSWERED = frozenset({PayloadState.GENERATED, PayloadState.RELEASED})


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadFacts:
    """What decisions need to know of a payload; `withdrawn_because` is the reason of a WITHDRAWN one."""

    id: str
    state: PayloadState
    content_digest: str
    document_digest: str
    superseded_by: str | None = None
    withdrawn_because: str | None = None


def check_approved(current_digest: str, approved_digest: str | None) -> None:
    """Raises ApprovalOutdated unless the current content is the approved content."""
    if current_digest != approved_digest:
        raise ApprovalOutdated(current_digest=current_digest)


def decide_generation(
    *,
    current_digest: str,
    approved_digest: str | None,
    latest: PayloadFacts | None,
    issues: Iterable[Issue],
) -> PayloadFacts | None:
    """The payload that already says it all, or None when a new one has to be made.

    Raises ApprovalOutdated, or NotReady when an issue blocks PROVISION.
    """
    check_approved(current_digest, approved_digest)
    check_ready(Gate.PROVISION, issues)
    return latest if latest and _is_offerable(latest, current_digest) else None


def decide_release(
    status: LocationStatus,
    *,
    current_digest: str,
    approved_digest: str | None,
    latest: PayloadFacts | None,
    allowed: tuple[Verb, ...],
) -> PayloadFacts:
    """The payload that triggering releases; `allowed` are the verbs that the location takes from the viewer.

    Raises ApprovalOutdated, or IllegalTransition when there is no payload of the approved content.
    """
    check_approved(current_digest, approved_digest)
    if latest is None or not _is_offerable(latest, current_digest):
        others = tuple(verb for verb in allowed if verb is not Verb.TRIGGER_PROVISIONING)
        raise IllegalTransition(from_status=status, verb=Verb.TRIGGER_PROVISIONING, allowed=others)
    return latest


def decide_answer(payload: PayloadFacts, kind: ReceiptKind, document_digest: str | None) -> bool:
    """Whether a partner's answer is new; False when it repeats the answer on record.

    An acknowledgement names the digest of the document that arrived, a rejection none. Raises DigestMismatch,
    PayloadSuperseded or PayloadWithdrawn; a payload that was answered otherwise is left to the status machine.
    """
    if document_digest is not None and document_digest != payload.document_digest:
        raise DigestMismatch
    if payload.state is PayloadState.SUPERSEDED:
        raise PayloadSuperseded(by=payload.superseded_by)
    if payload.state is PayloadState.WITHDRAWN:
        raise PayloadWithdrawn(reason=payload.withdrawn_because or "the location left provisioning")
    return payload.state.value != kind.value


def _is_offerable(payload: PayloadFacts, current_digest: str) -> bool:
    return payload.state in _UNANSWERED and payload.content_digest == current_digest
