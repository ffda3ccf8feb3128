"""A partner's answer to a payload: an acknowledgement, or a rejection with reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.db import tables
from app.db.writing import Insert
from app.domain.handoff import decide_answer
from app.domain.json_pointer import resolves
from app.domain.limits import check_cap
from app.domain.recipients import completes
from app.domain.refusals import InvalidInput
from app.domain.text import clean
from app.domain.text import given as given_text
from app.domain.vocabulary import Budget, LocationAction, ReceiptKind
from app.operations import live_payloads
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgePayload(Command):
    """The payload to acknowledge, and the digest of the document that was received."""

    payload_id: str
    document_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionReasonValue:
    """One reason for a rejection: a path in the document, the partner's own code, and a message."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectPayload(Command):
    """The payload to reject, and the reasons."""

    payload_id: str
    reasons: tuple[RejectionReasonValue, ...]


def acknowledge(aggregate: Aggregate, command: AcknowledgePayload) -> LocationChange:
    """Acknowledge the document with this digest. A repeated acknowledgement returns the first receipt.

    The last required receipt completes the location. Raises DigestMismatch, AlreadyAnswered, PayloadNotLive,
    PayloadSuperseded, PayloadWithdrawn, PayloadRejected, IllegalTransition.
    """
    kind = ReceiptKind.ACKNOWLEDGED
    return _answer(aggregate, command.payload_id, kind, digest=command.document_digest)


def reject(aggregate: Aggregate, command: RejectPayload) -> LocationChange:
    """Reject the payload and block the location. Each path leads to a value in the payload's document.

    Raises InvalidInput, LimitReached, AlreadyAnswered, PayloadNotLive, PayloadSuperseded, PayloadWithdrawn,
    PayloadRejected, IllegalTransition.
    """
    if not command.reasons:
        raise InvalidInput(field="reasons", rule="at least one is required", path=("reasons",))
    check_cap("reasons", command.reasons, path=("reasons",))
    reasons = [_reason(each, place) for place, each in enumerate(command.reasons)]
    return _answer(aggregate, command.payload_id, ReceiptKind.REJECTED, reasons=reasons)


def _check_paths(document: Mapping[str, Any] | None, reasons: Sequence[Mapping[str, str]]) -> None:
    for place, each in enumerate(reasons):
        if not resolves(document, each["path"]):
            rule = "must lead to a value in the payload's document"
            raise InvalidInput(field="path", rule=rule, path=("reasons", str(place), "path"))


def _answer(
    aggregate: Aggregate,
    payload_id: str,
    kind: ReceiptKind,
    *,
    digest: str | None = None,
    reasons: Sequence[dict[str, str]] = (),
) -> LocationChange:
    found = aggregate.payload(payload_id)
    recipient = aggregate.recipient(found.id, aggregate.viewer.id)
    if not decide_answer(aggregate.facts_of(found), recipient, kind, digest):
        return LocationChange(ids={"payload": found.id, "receipt": recipient.receipt_id or ""})
    _check_paths(aggregate.payload_document, reasons)
    answer = aggregate.transition(_VERBS[kind])
    receipt_id = aggregate.new_id("Receipt")
    receipt = {
        "id": receipt_id,
        "account_id": aggregate.record.location.account_id,
        "location_id": aggregate.record.location.id,
        "payload_id": found.id,
        "kind": kind,
        "document_digest": found.document_digest,
        "received_by": aggregate.viewer.id,
        "received_at": aggregate.now,
        "reasons": list(reasons),
    }
    change = LocationChange(
        payload_id=found.id,
        rows=(Insert(tables.receipt, receipt),),
        ids={"payload": found.id, "receipt": receipt_id},
    )
    acknowledges = kind is ReceiptKind.ACKNOWLEDGED
    live, updates = (live_payloads.acknowledged if acknowledges else live_payloads.rejected)(aggregate, recipient)
    decides = not acknowledges or completes(recipient, aggregate.recipients_of(found.id))
    return replace(change, live=live, updates=updates, transition=answer if decides else None)


_VERBS = {
    ReceiptKind.ACKNOWLEDGED: LocationAction.ACKNOWLEDGE_PAYLOAD,
    ReceiptKind.REJECTED: LocationAction.REJECT_PAYLOAD,
}


def _reason(given: RejectionReasonValue, place: int) -> dict[str, str]:
    path = ("reasons", str(place))
    return {
        "path": clean("rejection.path", given.path, path=(*path, "path")) or "",  # the whole document
        "code": given_text("rejection.code", given.code, path=(*path, "code")),
        "message": given_text("rejection.message", given.message, path=(*path, "message")),
    }


ACKNOWLEDGE_PAYLOAD = LocationMutation(
    name="acknowledgePayload",
    command=AcknowledgePayload,
    decide=acknowledge,
    action=Action.ACKNOWLEDGE,
    budget=Budget.PAYLOADS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
    table=tables.provisioning_payload,
    key="payload_id",
)

REJECT_PAYLOAD = LocationMutation(
    name="rejectPayload",
    command=RejectPayload,
    decide=reject,
    action=Action.REJECT,
    budget=Budget.PAYLOADS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
    table=tables.provisioning_payload,
    key="payload_id",
    needs_payload_document=True,
)
