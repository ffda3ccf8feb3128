"""Approve exactly the content that was reviewed."""

from dataclasses import dataclass, replace
from typing import Any

from app.db import tables
from app.db.writing import Insert, Update
from app.domain.approving import check_confirmed, decide_approval, is_own_work
from app.domain.content_document import content_document
from app.domain.diff import changed_paths
from app.domain.text import clean
from app.domain.vocabulary import ApprovalStatus, Budget, LocationAction, LocationStatus
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, Counted, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve(Command):
    """The location to approve, and the digest of the content that was reviewed. Customers read the comment."""

    location_id: str
    expected_digest: str
    comment: str | None = None


def decide(aggregate: Aggregate, command: Approve) -> LocationChange:
    """Approve the current content if it was reviewed, is ready, and was not submitted or edited by the viewer.

    Raises IllegalTransition, UserUnconfirmed, StaleReview, NotReady, SelfApproval.
    """
    pending = aggregate.status is LocationStatus.PENDING_APPROVAL
    again = LocationAction.APPROVE_AGAIN in aggregate.allowed_verbs
    approval = aggregate.transition(LocationAction.APPROVE_AGAIN if again else LocationAction.APPROVE)
    check_confirmed(aggregate.viewer)
    session = aggregate.record.session
    self_approved = decide_approval(
        expected_digest=command.expected_digest,
        current_digest=aggregate.digest,
        changed_paths=_changed_since_review(aggregate),
        issues=aggregate.issues,
        own_work=is_own_work(
            aggregate.viewer.id,
            submitted_by=session.submitted_by if session and pending else None,
            editors=aggregate.editors,
        ),
        self_approval_allowed=aggregate.self_approval_allowed,
    )
    comment = clean("approval.comment", command.comment, path=("comment",))
    change = LocationChange(transition=approval, reason=comment, reason_for_customer=comment)
    approved = {"location_revision": aggregate.record.location.revision + 1, "self_approved": self_approved}
    content = {
        "digest": aggregate.digest,
        "digest_version": aggregate.digest_version,
        "content": aggregate.document,
    }
    request = aggregate.record.request
    if pending and request is not None:
        values = approved if request.digest == aggregate.digest else approved | content
        updates = (Update(tables.approval, {"id": request.id}, values),)
        waited = (aggregate.now - session.submitted_at).total_seconds() if session and session.submitted_at else None
        ids = {"approval": request.id}
        return replace(change, updates=updates, waited_seconds=waited, ids=ids)
    approval_id = aggregate.new_id("Approval")
    row = {"id": approval_id} | content | approved | _decision(aggregate, comment)
    return replace(change, rows=(Insert(tables.approval, row),), ids={"approval": approval_id})


def _decision(aggregate: Aggregate, comment: str | None) -> dict[str, Any]:
    """The row of an approval without a request, for content that changed under an override."""
    location = aggregate.record.location
    return {
        "account_id": location.account_id,
        "location_id": location.id,
        "requested_by": aggregate.viewer.id,
        "requested_at": aggregate.now,
        "status": ApprovalStatus.APPROVED,
        "decided_by": aggregate.viewer.id,
        "decided_at": aggregate.now,
        "comment": comment,
    }


def _changed_since_review(aggregate: Aggregate) -> tuple[str, ...]:
    """The paths at which the content differs from the reviewed content; all paths if the audit log does not have it."""
    return changed_paths(content_document(aggregate.reviewed) if aggregate.reviewed else None, aggregate.document)


APPROVE = LocationMutation(
    name="approve",
    command=Approve,
    decide=decide,
    action=Action.APPROVE,
    budget=Budget.APPROVALS,
    content=ContentEffect.APPROVES,
    refusals=RecordedRefusals.ALWAYS,
    counts=(Counted.APPROVALS,),
    needs_reviewed_content=True,
)
