"""Begin to fill a location in."""

from app.domain.status_machine import move
from app.domain.vocabulary import Verb
from app.operations.desk import Change, Input, UseCase, Work


def decide(work: Work, _given: Input) -> Change:
    """NOT_STARTED becomes IN_PROGRESS, with an open session."""
    return Change(move=move(work.status, Verb.START, work.viewer.role, work.facts))


START_ONBOARDING = UseCase(mutation="startOnboarding", decide=decide)
