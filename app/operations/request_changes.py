"""Send a submission back with a comment."""

from app.domain.reasons import reason_for
from app.domain.vocabulary import Verb
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """Raises IllegalTransition, and InvalidInput without a comment."""
    decision = aggregate.transition(Verb.REQUEST_CHANGES)
    comment = reason_for(Verb.REQUEST_CHANGES, given["comment"], field="approval.comment", path=("comment",))
    return LocationChange(transition=decision, reason=comment)


REQUEST_CHANGES = UseCase(mutation="requestChanges", decide=decide)
