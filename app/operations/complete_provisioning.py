"""Complete a location by hand, without a receipt."""

from dataclasses import dataclass, replace

from app.domain.vocabulary import Budget, LocationAction
from app.operations import live_payloads
from app.operations.aggregate import Aggregate
from app.operations.commands import UNSET, Command, Unset
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from app.operations.transitions import explained
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteProvisioning(Command):
    """The location to complete by hand, and the reasons."""

    location_id: str
    reason: str
    reason_for_customer: str | Unset | None = UNSET
    reason_for_partner: str | Unset | None = UNSET


def decide(aggregate: Aggregate, command: CompleteProvisioning) -> LocationChange:
    """Take the payload that was released last to be in operation, even if an edit under an override superseded it.

    Raises IllegalTransition, and InvalidInput without a reason.
    """
    change = explained(aggregate, LocationAction.COMPLETE_PROVISIONING, command)
    released = aggregate.released_payload
    if released is None:
        return change
    live, updates = live_payloads.completed_by_hand(aggregate, released.id)
    return replace(change, payload_id=released.id, live=live, updates=updates)


COMPLETE_PROVISIONING = LocationMutation(
    name="completeProvisioning",
    command=CompleteProvisioning,
    decide=decide,
    action=Action.COMPLETE,
    budget=Budget.PAYLOADS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
