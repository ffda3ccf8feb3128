"""Submit a location to a lead for approval."""

from dataclasses import dataclass

from app.db import tables
from app.db.writing import Insert, Update
from app.domain.approving import check_ready
from app.domain.vocabulary import Budget, Gate, LocationAction
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, Counted, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOnboarding(Command):
    """The location to submit."""

    location_id: str


def decide(aggregate: Aggregate, _command: SubmitOnboarding) -> LocationChange:
    """Request approval of the current content. Raises IllegalTransition, and NotReady with all issues."""
    submission = aggregate.transition(LocationAction.SUBMIT_ONBOARDING)
    check_ready(Gate.SUBMIT, aggregate.issues)
    location, session = aggregate.record.location, aggregate.record.session
    approval_id = aggregate.new_id("Approval")
    request = {
        "id": approval_id,
        "account_id": location.account_id,
        "location_id": location.id,
        "location_revision": location.revision + 1,
        "digest": aggregate.digest,
        "digest_version": aggregate.digest_version,
        "content": aggregate.document,
        "requested_by": aggregate.viewer.id,
        "requested_at": aggregate.now,
    }
    updates: tuple[Update, ...] = ()
    if session is not None:
        values = {"submitted_at": aggregate.now, "submitted_by": aggregate.viewer.id, "revision": session.revision + 1}
        updates = (Update(tables.onboarding_session, {"id": session.id}, values),)
    return LocationChange(
        transition=submission, rows=(Insert(tables.approval, request),), updates=updates, ids={"approval": approval_id}
    )


SUBMIT_ONBOARDING = LocationMutation(
    name="submitOnboarding",
    command=SubmitOnboarding,
    decide=decide,
    action=Action.SUBMIT,
    budget=Budget.SUBMITS,
    content=ContentEffect.SUBMITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(Counted.SUBMISSIONS,),
)
