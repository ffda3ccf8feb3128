"""Hand a location to a lead for approval."""

from app.db import tables
from app.domain.approving import check_ready
from app.domain.vocabulary import Gate, Verb
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, Update, UseCase


def decide(aggregate: Aggregate, _given: Input) -> LocationChange:
    """Request approval of the content as it stands. Raises IllegalTransition, NotReady with every issue."""
    submission = aggregate.transition(Verb.SUBMIT)
    check_ready(Gate.SUBMIT, aggregate.issues)
    location, session = aggregate.record.location, aggregate.record.session
    approval_id = aggregate.new_id("Approval")
    request = {
        "id": approval_id,
        "account_id": location.account_id,
        "location_id": location.id,
        "location_revision": location.revision + 1,
        "digest": aggregate.digest,
        "content": aggregate.document,
        "requested_by": aggregate.viewer.id,
        "requested_at": aggregate.now,
    }
    updates: tuple[Update, ...] = ()
    if session is not None:
        values = {"submitted_at": aggregate.now, "submitted_by": aggregate.viewer.id, "revision": session.revision + 1}
        updates = ((tables.onboarding_session, {"id": session.id}, values),)
    return LocationChange(
        transition=submission, rows=((tables.approval, request),), updates=updates, ids={"approval": approval_id}
    )


SUBMIT_ONBOARDING = UseCase(mutation="submitOnboarding", decide=decide)
