"""Remember which section the customer is working on."""

from app.domain.vocabulary import LocationStatus, Verb
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import permitted


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """Move the open session's step; the first step starts the onboarding. Without a session there is no step to keep.

    Raises Locked.
    """
    override_id = permitted(aggregate)
    first = aggregate.status is LocationStatus.NOT_STARTED
    if aggregate.record.session is None and not first:
        return LocationChange()
    start = aggregate.transition(Verb.START) if first else None
    return LocationChange(transition=start, current_step=given["step"], override_id=override_id)


SET_CURRENT_STEP = UseCase(mutation="setCurrentStep", decide=decide)
