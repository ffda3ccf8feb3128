"""Begin to fill a location in."""

from app.domain.vocabulary import Verb
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase


def decide(aggregate: Aggregate, _given: Input) -> LocationChange:
    """NOT_STARTED becomes IN_PROGRESS, with an open session."""
    return LocationChange(transition=aggregate.transition(Verb.START))


START_ONBOARDING = UseCase(mutation="startOnboarding", decide=decide)
