"""Complete a location by hand, without a receipt."""

from dataclasses import dataclass, replace

from app.domain.reasons import reason_for
from app.domain.vocabulary import Budget, PayloadState, Verb
from app.operations import live_payloads
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteProvisioning(Command):
    """The location to complete by hand, and the reason."""

    location_id: str
    reason: str


def decide(aggregate: Aggregate, command: CompleteProvisioning) -> LocationChange:
    """Take the released payload to be in operation. Raises IllegalTransition, and InvalidInput without a reason."""
    completion = aggregate.transition(Verb.COMPLETE)
    change = LocationChange(transition=completion, reason=reason_for(Verb.COMPLETE, command.reason))
    released = [each.id for each in aggregate.record.payloads if each.state is PayloadState.RELEASED]
    if not released:
        return change
    live, updates = live_payloads.completed_by_hand(aggregate, released[0])
    return replace(change, payload_id=released[0], live=live, updates=updates)


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
