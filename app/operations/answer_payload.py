"""A partner's answer to a payload: that it arrived intact, or why it cannot be used."""

from collections.abc import Mapping
from typing import Any

from app.db import tables
from app.domain.handoff import decide_answer
from app.domain.limits import check_cap
from app.domain.refusals import IllegalTransition, InvalidInput, NotFound
from app.domain.text import given as given_text
from app.domain.vocabulary import PayloadState, ReceiptKind, Verb
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase


def acknowledge(aggregate: Aggregate, given: Input) -> LocationChange:
    """Confirm the document with this digest; the same answer again changes nothing.

    Raises DigestMismatch, PayloadSuperseded, PayloadWithdrawn, IllegalTransition.
    """
    return _answer(aggregate, given, ReceiptKind.ACKNOWLEDGED, [])


def reject(aggregate: Aggregate, given: Input) -> LocationChange:
    """Refuse the payload; the location is blocked. Raises PayloadSuperseded, PayloadWithdrawn, IllegalTransition."""
    if not given["reasons"]:
        raise InvalidInput(field="reasons", rule="there must be at least one", path=("reasons",))
    check_cap("reasons", given["reasons"], path=("reasons",))
    reasons = [_reason(each, place) for place, each in enumerate(given["reasons"])]
    return _answer(aggregate, given, ReceiptKind.REJECTED, reasons)


def _answer(aggregate: Aggregate, given: Input, kind: ReceiptKind, reasons: list[dict[str, str]]) -> LocationChange:
    found = next((each for each in aggregate.record.payloads if each.id == given["payload_id"]), None)
    if found is None:
        raise NotFound
    if not decide_answer(found.facts, kind, given.get("document_digest")):
        return LocationChange(ids={"payload": found.id})
    verb = _VERBS[kind]
    answer = aggregate.transition(verb)
    if found.state is not PayloadState.RELEASED:  # it had the other answer, and the location is out with a later one
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
        "reasons": reasons,
    }
    return LocationChange(
        transition=answer, payload_id=found.id, rows=((tables.receipt, receipt),), ids={"payload": found.id}
    )


_VERBS = {ReceiptKind.ACKNOWLEDGED: Verb.ACKNOWLEDGE, ReceiptKind.REJECTED: Verb.REJECT}
_ANSWERS = frozenset(_VERBS.values())


def _reason(given: Mapping[str, Any], place: int) -> dict[str, str]:
    path = ("reasons", str(place))
    return {
        name: given_text(f"rejection.{name}", given[name], path=(*path, name)) for name in ("path", "code", "message")
    }


ACKNOWLEDGE_PAYLOAD = UseCase(
    mutation="acknowledgePayload", decide=acknowledge, table=tables.provisioning_payload, key="payload_id"
)
REJECT_PAYLOAD = UseCase(mutation="rejectPayload", decide=reject, table=tables.provisioning_payload, key="payload_id")
