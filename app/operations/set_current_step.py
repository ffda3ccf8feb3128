"""Store the section that the customer is working on."""

from dataclasses import dataclass

from app.domain.vocabulary import Budget, LocationAction, LocationStatus, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.editing import permitted
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCurrentStep(Command):
    """The section that the customer is working on."""

    location_id: str
    step: Section


def decide(aggregate: Aggregate, command: SetCurrentStep) -> LocationChange:
    """Set the step of the open session. The first step starts the onboarding. Without a session, nothing changes.

    Raises Locked.
    """
    override_id = permitted(aggregate)
    first = aggregate.status is LocationStatus.NOT_STARTED
    if aggregate.record.session is None and not first:
        return LocationChange()
    start = aggregate.transition(LocationAction.START_ONBOARDING) if first else None
    return LocationChange(transition=start, current_step=command.step, override_id=override_id)


SET_CURRENT_STEP = LocationMutation(
    name="setCurrentStep",
    command=SetCurrentStep,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
