"""The verbs that need nothing beyond the status table and a reason."""

from app.domain.reasons import reason_for
from app.domain.vocabulary import Verb
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase


def _by_table(mutation: str, verb: Verb) -> UseCase:
    def decide(aggregate: Aggregate, given: Input) -> LocationChange:
        decided = aggregate.transition(verb)
        return LocationChange(transition=decided, reason=reason_for(verb, given.get("reason")))

    return UseCase(mutation=mutation, decide=decide)


WITHDRAW_SUBMISSION = _by_table("withdrawSubmission", Verb.WITHDRAW)
BLOCK = _by_table("block", Verb.BLOCK)
UNBLOCK = _by_table("unblock", Verb.UNBLOCK)
CANCEL = _by_table("cancel", Verb.CANCEL)
REOPEN = _by_table("reopen", Verb.REOPEN)
