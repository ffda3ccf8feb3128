"""Hand a location to a lead for approval."""

from app.db import tables
from app.domain.approving import check_ready
from app.domain.status_machine import move
from app.domain.vocabulary import Gate, Verb
from app.operations.desk import Change, Input, Update, UseCase, Work


def decide(work: Work, _given: Input) -> Change:
    """Request approval of the content as it stands. Raises IllegalTransition, NotReady with every issue."""
    submission = move(work.status, Verb.SUBMIT, work.viewer.role, work.facts)
    check_ready(Gate.SUBMIT, work.issues)
    location, session = work.dossier.location, work.dossier.session
    approval_id = work.new_id("Approval")
    request = {
        "id": approval_id,
        "account_id": location.account_id,
        "location_id": location.id,
        "location_revision": location.revision + 1,
        "digest": work.digest,
        "content": work.document,
        "requested_by": work.viewer.id,
        "requested_at": work.now,
    }
    updates: tuple[Update, ...] = ()
    if session is not None:
        values = {"submitted_at": work.now, "submitted_by": work.viewer.id, "revision": session.revision + 1}
        updates = ((tables.onboarding_session, {"id": session.id}, values),)
    return Change(move=submission, rows=((tables.approval, request),), updates=updates, ids={"approval": approval_id})


SUBMIT_ONBOARDING = UseCase(mutation="submitOnboarding", decide=decide)
