"""Complete a location by hand, without a receipt."""

from dataclasses import dataclass

from app.db import tables
from app.db.writing import Update
from app.domain.reasons import reason_for
from app.domain.vocabulary import Budget, PayloadState, Verb
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
    """Make the released payload the live one. Raises IllegalTransition, and InvalidInput without a reason."""
    completion = aggregate.transition(Verb.COMPLETE)
    released = [each.id for each in aggregate.record.payloads if each.state is PayloadState.RELEASED]
    location_id = aggregate.record.location.id
    live = (Update(tables.location, {"id": location_id}, {"live_payload_id": released[0]}),) if released else ()
    return LocationChange(transition=completion, updates=live, reason=reason_for(Verb.COMPLETE, command.reason))


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
