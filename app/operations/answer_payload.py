"""A partner's answer to a payload: that it arrived intact, or why it cannot be used."""

from collections.abc import Mapping
from typing import Any

from app.db import tables
from app.domain.handoff import decide_answer
from app.domain.limits import check_cap
from app.domain.refusals import IllegalTransition, InvalidInput, NotFound
from app.domain.status_machine import allowed, move
from app.domain.text import given as given_text
from app.domain.vocabulary import PayloadState, ReceiptKind, Verb
from app.operations.desk import Change, Input, UseCase, Work


def acknowledge(work: Work, given: Input) -> Change:
    """Confirm the document with this digest; the same answer again changes nothing.

    Raises DigestMismatch, PayloadSuperseded, PayloadWithdrawn, IllegalTransition.
    """
    return _answer(work, given, ReceiptKind.ACKNOWLEDGED, [])


def reject(work: Work, given: Input) -> Change:
    """Refuse the payload; the location is blocked. Raises PayloadSuperseded, PayloadWithdrawn, IllegalTransition."""
    if not given["reasons"]:
        raise InvalidInput(field="reasons", rule="there must be at least one", path=("reasons",))
    check_cap("reasons", given["reasons"], path=("reasons",))
    reasons = [_reason(each, place) for place, each in enumerate(given["reasons"])]
    return _answer(work, given, ReceiptKind.REJECTED, reasons)


def _answer(work: Work, given: Input, kind: ReceiptKind, reasons: list[dict[str, str]]) -> Change:
    found = next((each for each in work.dossier.payloads if each.id == given["payload_id"]), None)
    if found is None:
        raise NotFound
    if not decide_answer(found.standing, kind, given.get("document_digest")):
        return Change(ids={"payload": found.id})
    verb = _VERBS[kind]
    answer = move(work.status, verb, work.viewer.role, work.facts)
    if found.state is not PayloadState.RELEASED:  # it had the other answer, and the location is out with a later one
        taken = tuple(each for each in allowed(work.status, work.viewer.role, work.facts) if each not in _ANSWERS)
        raise IllegalTransition(from_status=work.status, verb=verb, allowed=taken)
    receipt = {
        "id": work.new_id("Receipt"),
        "account_id": work.dossier.location.account_id,
        "location_id": work.dossier.location.id,
        "payload_id": found.id,
        "kind": kind,
        "document_digest": found.document_digest,
        "received_by": work.viewer.id,
        "received_at": work.now,
        "reasons": reasons,
    }
    return Change(move=answer, payload_id=found.id, rows=((tables.receipt, receipt),), ids={"payload": found.id})


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
