"""Confirm that the phones of a payload are out of operation, so that their MAC addresses are free."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.db import tables
from app.domain.limits import check_true
from app.domain.recipients import Recipient
from app.domain.refusals import InvalidInput, PayloadNotLive
from app.domain.text import clean, given
from app.domain.vocabulary import Budget
from app.operations import live_payloads
from app.operations.aggregate import Aggregate
from app.operations.commands import UNSET, Command, Unset
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action
from permissions.policy import acts_on_behalf


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBehalfOf:
    """The recipients on whose behalf a lead confirms: one of them, or all."""

    user_id: str | Unset = UNSET
    all_recipients: bool | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmDecommission(Command):
    """The payload. A lead states on whose behalf, and gives a reason."""

    payload_id: str
    on_behalf_of: OnBehalfOf | None = None
    reason: str | None = None


def decide(aggregate: Aggregate, command: ConfirmDecommission) -> LocationChange:
    """Record that recipients no longer run with the payload. Confirming again changes nothing.

    A partner confirms for itself. A lead confirms on behalf of a recipient, or of all, with a reason; this is recorded
    as an override. Raises NotFound, PayloadNotLive and InvalidInput.
    """
    payload = aggregate.payload(command.payload_id)
    on_behalf = acts_on_behalf(aggregate.viewer)
    reason = _reason(command, on_behalf=on_behalf)
    recipients = _recipients(aggregate, command, on_behalf=on_behalf)
    running = [each for each in recipients if each.live]
    by_hand = payload.id in live_payloads.without_recipients(aggregate)
    ids = {"payload": payload.id}
    if not running and not by_hand:
        if any(each.decommissioned_at for each in recipients):
            return LocationChange(ids=ids)
        raise PayloadNotLive(state=payload.state)
    values = {
        "decommissioned_at": aggregate.now,
        "decommissioned_by": aggregate.viewer.id,
        "decommission_reason": reason,
    }
    live, updates = live_payloads.decommissioned(aggregate, payload.id, running, values)
    return LocationChange(live=live, updates=updates, reason=reason, on_behalf=on_behalf, ids=ids)


def _reason(command: ConfirmDecommission, *, on_behalf: bool) -> str | None:
    if on_behalf:
        return given("decommission.reason", command.reason, path=("reason",))
    return clean("decommission.reason", command.reason, path=("reason",))


def _recipients(aggregate: Aggregate, command: ConfirmDecommission, *, on_behalf: bool) -> Sequence[Recipient]:
    stated, path = command.on_behalf_of, ("onBehalfOf",)
    if not on_behalf:
        if stated is not None:
            raise InvalidInput(field="onBehalfOf", rule="a partner confirms for itself only", path=path)
        return [aggregate.recipient(command.payload_id, aggregate.viewer.id)]
    if stated is None:
        raise InvalidInput(field="onBehalfOf", rule="required for leads", path=path)
    if stated.user_id is not UNSET:
        return [aggregate.recipient(command.payload_id, stated.user_id, path=(*path, "userId"))]
    check_true("allRecipients", stated.all_recipients, path=(*path, "allRecipients"))
    return aggregate.recipients_of(command.payload_id)


CONFIRM_DECOMMISSION = LocationMutation(
    name="confirmDecommission",
    command=ConfirmDecommission,
    decide=decide,
    action=Action.CONFIRM_DECOMMISSION,
    budget=Budget.PAYLOADS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
    table=tables.provisioning_payload,
    key="payload_id",
)
