"""Send a submission back with a comment."""

from dataclasses import dataclass

from app.domain.reasons import reason_for
from app.domain.vocabulary import Budget, LocationAction
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestChanges(Command):
    """The submission to send back, and a comment for customers that describes the required changes."""

    location_id: str
    comment: str


def decide(aggregate: Aggregate, command: RequestChanges) -> LocationChange:
    """Send the submission back. Raises IllegalTransition, and InvalidInput without a comment."""
    decision = aggregate.transition(LocationAction.REQUEST_CHANGES)
    comment = reason_for(LocationAction.REQUEST_CHANGES, command.comment, field="approval.comment", path=("comment",))
    return LocationChange(transition=decision, reason=comment, reason_for_customer=comment)


REQUEST_CHANGES = LocationMutation(
    name="requestChanges",
    command=RequestChanges,
    decide=decide,
    action=Action.REQUEST_CHANGES,
    budget=Budget.APPROVALS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
