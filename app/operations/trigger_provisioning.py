"""Release the latest payload to the partner."""

from app.domain.handoff import decide_release
from app.domain.status_machine import allowed, move
from app.domain.vocabulary import PayloadState, Verb
from app.operations.desk import Change, Input, UseCase, Work


def decide(work: Work, _given: Input) -> Change:
    """Raises IllegalTransition, ApprovalOutdated; a payload that is released already stays as it is."""
    release = move(work.status, Verb.TRIGGER_PROVISIONING, work.viewer.role, work.facts)
    payloads = work.dossier.payloads
    payload = decide_release(
        work.status,
        current_digest=work.digest,
        approved_digest=work.approved_digest,
        latest=payloads[0].standing if payloads else None,
        allowed=allowed(work.status, work.viewer.role, work.facts),
    )
    if payload.state is PayloadState.RELEASED and release.to is work.status:
        return Change(ids={"payload": payload.id})
    return Change(move=release, payload_id=payload.id, ids={"payload": payload.id})


TRIGGER_PROVISIONING = UseCase(mutation="triggerProvisioning", decide=decide)
