"""Send a submission back with a comment."""

from app.domain.reasons import reason_for
from app.domain.status_machine import move
from app.domain.vocabulary import Verb
from app.operations.desk import Change, Input, UseCase, Work


def decide(work: Work, given: Input) -> Change:
    """Raises IllegalTransition, and InvalidInput without a comment."""
    decision = move(work.status, Verb.REQUEST_CHANGES, work.viewer.role, work.facts)
    comment = reason_for(Verb.REQUEST_CHANGES, given["comment"], field="approval.comment", path=("comment",))
    return Change(move=decision, reason=comment)


REQUEST_CHANGES = UseCase(mutation="requestChanges", decide=decide)
