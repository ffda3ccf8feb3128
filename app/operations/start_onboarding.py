"""Start the onboarding of a location."""

from dataclasses import dataclass

from app.domain.vocabulary import Budget, LocationAction
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOnboarding(Command):
    """The location whose onboarding to start."""

    location_id: str


def decide(aggregate: Aggregate, _command: StartOnboarding) -> LocationChange:
    """NOT_STARTED becomes IN_PROGRESS, with an open session. Raises IllegalTransition."""
    return LocationChange(transition=aggregate.transition(LocationAction.START_ONBOARDING))


START_ONBOARDING = LocationMutation(
    name="startOnboarding",
    command=StartOnboarding,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
