"""A partner's answer to a payload: an acknowledgement, or a rejection with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.db import tables
from app.db.writing import Insert
from app.domain.handoff import decide_answer
from app.domain.limits import check_cap
from app.domain.refusals import IllegalTransition, InvalidInput, NotFound
from app.domain.text import given as given_text
from app.domain.vocabulary import Budget, PayloadState, ReceiptKind, Verb
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
    """Acknowledge the document with this digest. A repeated acknowledgement changes nothing.

    Raises DigestMismatch, PayloadSuperseded, PayloadWithdrawn, IllegalTransition.
    """
    kind = ReceiptKind.ACKNOWLEDGED
    return _answer(aggregate, command.payload_id, kind, digest=command.document_digest)


def reject(aggregate: Aggregate, command: RejectPayload) -> LocationChange:
    """Reject the payload and block the location.

    Raises InvalidInput, LimitReached, PayloadSuperseded, PayloadWithdrawn, IllegalTransition.
    """
    if not command.reasons:
        raise InvalidInput(field="reasons", rule="at least one is required", path=("reasons",))
    check_cap("reasons", command.reasons, path=("reasons",))
    reasons = [_reason(each, place) for place, each in enumerate(command.reasons)]
    return _answer(aggregate, command.payload_id, ReceiptKind.REJECTED, reasons=reasons)


def _answer(
    aggregate: Aggregate,
    payload_id: str,
    kind: ReceiptKind,
    *,
    digest: str | None = None,
    reasons: Sequence[dict[str, str]] = (),
) -> LocationChange:
    found = next((each for each in aggregate.record.payloads if each.id == payload_id), None)
    if found is None:
        raise NotFound
    if not decide_answer(found.facts, kind, digest):
        return LocationChange(ids={"payload": found.id})
    verb = _VERBS[kind]
    answer = aggregate.transition(verb)
    if found.state is not PayloadState.RELEASED:  # it got the other answer, and a later payload is now released
        taken = tuple(each for each in aggregate.allowed_verbs if each not in _ANSWERS)
        raise IllegalTransition(from_status=aggregate.status, verb=verb, allowed=taken)
    receipt = {
        "id": aggregate.new_id("Receipt"),
        "account_id": aggregate.record.location.account_id,
        "location_id": aggregate.record.location.id,
        "payload_id": found.id,
        "kind": kind,
        "document_digest": found.document_digest,
        "received_by": aggregate.viewer.id,
        "received_at": aggregate.now,
        "reasons": list(reasons),
    }
    return LocationChange(
        transition=answer, payload_id=found.id, rows=(Insert(tables.receipt, receipt),), ids={"payload": found.id}
    )


_VERBS = {ReceiptKind.ACKNOWLEDGED: Verb.ACKNOWLEDGE, ReceiptKind.REJECTED: Verb.REJECT}
_ANSWERS = frozenset(_VERBS.values())


def _reason(given: RejectionReasonValue, place: int) -> dict[str, str]:
    path = ("reasons", str(place))
    return {
        "path": given_text("rejection.path", given.path, path=(*path, "path")),
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
)
