"""Release the latest payload to the partner."""

from app.domain.handoff import decide_release
from app.domain.vocabulary import PayloadState, Verb
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase


def decide(aggregate: Aggregate, _given: Input) -> LocationChange:
    """Raises IllegalTransition, ApprovalOutdated; a payload that is released already stays as it is."""
    release = aggregate.transition(Verb.TRIGGER_PROVISIONING)
    payloads = aggregate.record.payloads
    payload = decide_release(
        aggregate.status,
        current_digest=aggregate.digest,
        approved_digest=aggregate.approved_digest,
        latest=payloads[0].facts if payloads else None,
        allowed=aggregate.allowed_verbs,
    )
    if payload.state is PayloadState.RELEASED and release.to is aggregate.status:
        return LocationChange(ids={"payload": payload.id})
    return LocationChange(transition=release, payload_id=payload.id, ids={"payload": payload.id})


TRIGGER_PROVISIONING = UseCase(mutation="triggerProvisioning", decide=decide)
