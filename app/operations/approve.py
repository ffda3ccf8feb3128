"""Approve exactly the content that was reviewed."""

from typing import Any

from app.db import tables
from app.domain.approving import decide_approval, is_own_work
from app.domain.diff import changed_paths
from app.domain.status_machine import move
from app.domain.text import clean
from app.domain.vocabulary import ApprovalStatus, LocationStatus, Verb
from app.operations.desk import Change, Input, UseCase, Work


def decide(work: Work, given: Input) -> Change:
    """Approve the current content, if it is what was reviewed, ready, and not one's own work.

    Raises IllegalTransition, StaleReview, NotReady, SelfApproval.
    """
    pending = work.status is LocationStatus.PENDING_APPROVAL
    verb = Verb.APPROVE if pending else Verb.APPROVE_AGAIN
    approval = move(work.status, verb, work.viewer.role, work.facts)
    session = work.dossier.session
    self_approved = decide_approval(
        expected_digest=given["expected_digest"],
        current_digest=work.digest,
        changed_paths=changed_paths(_reviewed(work, given["expected_digest"]), work.document),
        issues=work.issues,
        own_work=is_own_work(
            work.viewer.id,
            submitted_by=session.submitted_by if session and pending else None,
            editors=work.editors,
        ),
        self_approval_allowed=work.self_approval_allowed,
    )
    comment = clean("approval.comment", given.get("comment"), path=("comment",))
    content = {
        "digest": work.digest,
        "content": work.document,
        "location_revision": work.dossier.location.revision + 1,
        "self_approved": self_approved,
    }
    if pending and work.dossier.request is not None:
        request = work.dossier.request.id
        return Change(
            move=approval,
            updates=((tables.approval, {"id": request}, content),),
            reason=comment,
            ids={"approval": request},
        )
    approval_id = work.new_id("Approval")
    row = {"id": approval_id} | content | _decision(work, comment)
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


def _reviewed(work: Work, digest: str) -> dict[str, Any] | None:
    """The content that was reviewed, when it is on record; else the last approved one."""
    dossier = work.dossier
    for known in (dossier.request, dossier.approval):
        if known is not None and known.digest == digest:
            return known.content
    return dossier.last_approved.content if dossier.last_approved else None


APPROVE = UseCase(mutation="approve", decide=decide)
