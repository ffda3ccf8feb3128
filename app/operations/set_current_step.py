"""Remember which section the customer is working on."""

from app.domain.status_machine import move
from app.domain.vocabulary import LocationStatus, Verb
from app.operations.desk import Change, Input, UseCase, Work
from app.operations.editing import permitted


def decide(work: Work, given: Input) -> Change:
    """Move the open session's step; the first step starts the onboarding. Without a session there is no step to keep.

    Raises Locked.
    """
    override_id = permitted(work)
    first = work.status is LocationStatus.NOT_STARTED
    if work.dossier.session is None and not first:
        return Change()
    start = move(work.status, Verb.START, work.viewer.role, work.facts) if first else None
    return Change(move=start, current_step=given["step"], override_id=override_id)


SET_CURRENT_STEP = UseCase(mutation="setCurrentStep", decide=decide)
