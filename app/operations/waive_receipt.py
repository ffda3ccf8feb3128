"""Stop waiting for a recipient's receipt."""

from dataclasses import dataclass, replace

from app.db import tables
from app.domain.handoff import check_open, check_unanswered
from app.domain.recipients import completes
from app.domain.vocabulary import Budget, LocationAction
from app.operations import live_payloads
from app.operations.aggregate import Aggregate
from app.operations.commands import UNSET, Command, Unset
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from app.operations.transitions import explained
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiveReceipt(Command):
    """The payload, the recipient whose receipt to waive, and the reasons."""

    payload_id: str
    user_id: str
    reason: str
    reason_for_customer: str | Unset | None = UNSET
    reason_for_partner: str | Unset | None = UNSET


def decide(aggregate: Aggregate, command: WaiveReceipt) -> LocationChange:
    """Waive the receipt of a recipient. If it is the last required one, the location is completed.

    The recipient is taken to run with the payload. Waiving again changes nothing. Raises NotFound, AlreadyAnswered,
    PayloadNotLive, PayloadSuperseded, PayloadWithdrawn, PayloadRejected, IllegalTransition and InvalidInput.
    """
    payload = aggregate.payload(command.payload_id)
    recipient = aggregate.recipient(payload.id, command.user_id, path=("userId",))
    ids = {"payload": payload.id, "user": command.user_id}
    if recipient.waived_at is not None and recipient.answer is None:
        return LocationChange(ids=ids)
    check_unanswered(payload.facts, recipient)
    check_open(payload.facts)
    waiver = explained(aggregate, LocationAction.WAIVE_RECEIPT, command)
    values = {"waived_at": aggregate.now, "waived_by": aggregate.viewer.id, "waived_reason": waiver.reason}
    live, updates = live_payloads.waived(aggregate, recipient, values)
    is_last = completes(recipient, aggregate.recipients_of(payload.id))
    return replace(
        waiver,
        transition=waiver.transition if is_last else None,
        payload_id=payload.id,
        live=live,
        updates=updates,
        on_behalf=True,
        ids=ids,
    )


WAIVE_RECEIPT = LocationMutation(
    name="waiveReceipt",
    command=WaiveReceipt,
    decide=decide,
    action=Action.WAIVE_RECEIPT,
    budget=Budget.PAYLOADS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
    table=tables.provisioning_payload,
    key="payload_id",
)
