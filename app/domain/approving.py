"""Approval rules: confirmed leads approve current, ready content that is not their own work."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from app.domain.issue import Issue
from app.domain.refusals import NotReady, SelfApproval, StaleReview, UserUnconfirmed
from app.domain.viewer import Viewer
from app.domain.vocabulary import Gate


def is_own_work(viewer_id: str, *, submitted_by: str | None, editors: AbstractSet[str]) -> bool:
    """Return whether the viewer submitted the content or edited it.

    `editors` are those since the last submission or approval, and those since the last approval who may be the same
    person as who submitted or edited: the makers of a user who is not confirmed, and who shares a service token.
    """
    return viewer_id == submitted_by or viewer_id in editors


def check_confirmed(viewer: Viewer) -> None:
    """Raise UserUnconfirmed for a viewer whom a lead made, and whom nobody has confirmed since."""
    if not viewer.confirmed:
        raise UserUnconfirmed


def check_ready(gate: Gate, issues: Iterable[Issue]) -> None:
    """Raise NotReady, listing all issues, when at least one of them blocks the gate."""
    every = tuple(issues)
    if any(gate in issue.blocks for issue in every):
        raise NotReady(issues=every)


def decide_approval(
    *,
    expected_digest: str,
    current_digest: str,
    changed_paths: tuple[str, ...],
    issues: Iterable[Issue],
    own_work: bool,
    self_approval_allowed: bool,
) -> bool:
    """Return whether the approval must be marked as self-approved.

    `changed_paths` are the JSON pointers that differ between the reviewed and the current content. Raises StaleReview
    when the digests differ, NotReady when an issue blocks APPROVE, SelfApproval when it is the approver's own work and
    self-approval is not allowed.
    """
    if expected_digest != current_digest:
        raise StaleReview(current_digest=current_digest, changed_paths=changed_paths)
    check_ready(Gate.APPROVE, issues)
    if own_work and not self_approval_allowed:
        raise SelfApproval
    return own_work
