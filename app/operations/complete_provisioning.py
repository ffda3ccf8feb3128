"""Complete a location by hand, without a receipt."""

from app.db import tables
from app.domain.reasons import reason_for
from app.domain.vocabulary import PayloadState, Verb
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """The released payload becomes the live one. Raises IllegalTransition, and InvalidInput without a reason."""
    completion = aggregate.transition(Verb.COMPLETE)
    released = [each.id for each in aggregate.record.payloads if each.state is PayloadState.RELEASED]
    live = (
        ((tables.location, {"id": aggregate.record.location.id}, {"live_payload_id": released[0]}),) if released else ()
    )
    return LocationChange(transition=completion, updates=live, reason=reason_for(Verb.COMPLETE, given["reason"]))


COMPLETE_PROVISIONING = UseCase(mutation="completeProvisioning", decide=decide)
