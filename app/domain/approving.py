"""Whether a review may become an approval: of the content that was seen, ready, and not one's own."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from app.domain.issue import Issue
from app.domain.refusals import NotReady, SelfApproval, StaleReview
from app.domain.vocabulary import Gate


def is_own_work(viewer_id: str, *, submitted_by: str | None, editors: AbstractSet[str]) -> bool:
    """Whether the viewer submitted the content, or is among those who edited it since it was submitted or approved."""
    return viewer_id == submitted_by or viewer_id in editors


def check_ready(gate: Gate, issues: Iterable[Issue]) -> None:
    """Raises NotReady, with all of them, when any issue stands in the way of the gate."""
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
    """Whether the approval has to be marked as self-approved.

    `changed_paths` are those between the reviewed and the current content.
    Raises StaleReview, NotReady or SelfApproval.
    """
    if expected_digest != current_digest:
        raise StaleReview(current_digest=current_digest, changed_paths=changed_paths)
    check_ready(Gate.APPROVE, issues)
    if own_work and not self_approval_allowed:
        raise SelfApproval
    return own_work
