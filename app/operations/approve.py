"""Approve exactly the content that was reviewed."""

from typing import Any

from app.db import tables
from app.domain.approving import decide_approval, is_own_work
from app.domain.content_document import content_document
from app.domain.diff import changed_paths
from app.domain.status_machine import TABLE, move
from app.domain.text import clean
from app.domain.vocabulary import ApprovalStatus, LocationStatus, Verb
from app.operations.desk import Change, Input, UseCase, Work


def decide(work: Work, given: Input) -> Change:
    """Approve the current content, if it is what was reviewed, ready, and not one's own work.

    Raises IllegalTransition, StaleReview, NotReady, SelfApproval.
    """
    pending = work.status is LocationStatus.PENDING_APPROVAL
    verb = Verb.APPROVE_AGAIN if work.status in TABLE[Verb.APPROVE_AGAIN].sources else Verb.APPROVE
    approval = move(work.status, verb, work.viewer.role, work.facts)
    session = work.dossier.session
    self_approved = decide_approval(
        expected_digest=given["expected_digest"],
        current_digest=work.digest,
        changed_paths=_changed_since_review(work),
        issues=work.issues,
        own_work=is_own_work(
            work.viewer.id,
            submitted_by=session.submitted_by if session and pending else None,
            editors=work.editors,
        ),
        self_approval_allowed=work.self_approval_allowed,
    )
    comment = clean("approval.comment", given.get("comment"), path=("comment",))
    approved = {"location_revision": work.dossier.location.revision + 1, "self_approved": self_approved}
    content = {"digest": work.digest, "content": work.document}
    request = work.dossier.request
    if pending and request is not None:
        values = approved if request.digest == work.digest else approved | content
        updates = ((tables.approval, {"id": request.id}, values),)
        waited = (work.now - session.submitted_at).total_seconds() if session and session.submitted_at else None
        ids = {"approval": request.id}
        return Change(move=approval, updates=updates, reason=comment, waited_seconds=waited, ids=ids)
    approval_id = work.new_id("Approval")
    row = {"id": approval_id} | content | approved | _decision(work, comment)
    return Change(move=approval, rows=((tables.approval, row),), reason=comment, ids={"approval": approval_id})


def _decision(work: Work, comment: str | None) -> dict[str, Any]:
    """An approval that nobody had to request: the content moved under an override."""
    location = work.dossier.location
    return {
        "account_id": location.account_id,
        "location_id": location.id,
        "requested_by": work.viewer.id,
        "requested_at": work.now,
        "status": ApprovalStatus.APPROVED,
        "decided_by": work.viewer.id,
        "decided_at": work.now,
        "comment": comment,
    }


def _changed_since_review(work: Work) -> tuple[str, ...]:
    """Where the content differs from what was reviewed; all of it where that is not on record."""
    return changed_paths(content_document(work.reviewed) if work.reviewed else None, work.document)


APPROVE = UseCase(mutation="approve", decide=decide)
