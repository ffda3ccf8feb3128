"""Complete a location by hand, without a receipt."""

from app.db import tables
from app.domain.reasons import reason_for
from app.domain.status_machine import move
from app.domain.vocabulary import PayloadState, Verb
from app.operations.desk import Change, Input, UseCase, Work


def decide(work: Work, given: Input) -> Change:
    """The released payload becomes the live one. Raises IllegalTransition, and InvalidInput without a reason."""
    completion = move(work.status, Verb.COMPLETE, work.viewer.role, work.facts)
    released = [each.id for each in work.dossier.payloads if each.state is PayloadState.RELEASED]
    live = ((tables.location, {"id": work.dossier.location.id}, {"live_payload_id": released[0]}),) if released else ()
    return Change(move=completion, updates=live, reason=reason_for(Verb.COMPLETE, given["reason"]))


COMPLETE_PROVISIONING = UseCase(mutation="completeProvisioning", decide=decide)
