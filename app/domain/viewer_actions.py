"""What a viewer may do to a location at this moment, asked of the very functions that guard the mutations."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from app.domain.approving import check_ready, decide_approval
from app.domain.handoff import PayloadFacts, decide_generation, decide_release
from app.domain.issue import Issue
from app.domain.locks import Override, check_overridable, decide_edit, is_in_force
from app.domain.refusals import MacInUse, OverrideScope, Refusal
from app.domain.status_machine import NO_FACTS, Fact, allowed, transition
from app.domain.viewer import Viewer
from app.domain.vocabulary import ClaimChange, Gate, IssueCode, LocationAction, LocationStatus, Verb

FORBIDDEN = "FORBIDDEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that the decisions about one location depend on, seen by one viewer at one moment.

    `permitted` are the actions, and `verbs` the verbs of the status machine, that the viewer's role includes.
    """

    viewer: Viewer
    permitted: AbstractSet[LocationAction]
    verbs: AbstractSet[Verb]
    now: datetime
    status: LocationStatus
    current_digest: str
    approved_digest: str | None = None
    facts: AbstractSet[Fact] = NO_FACTS
    override: Override | None = None
    latest_payload: PayloadFacts | None = None
    issues: tuple[Issue, ...] = ()
    own_work: bool = False
    self_approval_allowed: bool = False


@dataclass(frozen=True, slots=True)
class ViewerAction:
    """Whether an action would be taken; `reason` is FORBIDDEN or the code of the refusal, None when allowed."""

    action: LocationAction
    allowed: bool
    reason: str | None


def viewer_actions(situation: Situation) -> tuple[ViewerAction, ...]:
    """Every action with its answer, in the order of the closed set."""
    return tuple(_answer(action, situation) for action in LocationAction)


def _answer(action: LocationAction, situation: Situation) -> ViewerAction:
    reason = _refusal(action, situation)
    return ViewerAction(action, reason is None, reason)


def _refusal(action: LocationAction, situation: Situation) -> str | None:
    if action not in situation.permitted:
        return FORBIDDEN
    try:
        _decide(action, situation)
    except Refusal as refusal:
        return refusal.code.value
    return None


def _decide(action: LocationAction, situation: Situation) -> None:
    moved = None
    if action in _VERBS:
        moved = transition(situation.status, _VERBS[action], situation.verbs, situation.facts)
    if action in _CONDITIONS:
        _CONDITIONS[action](situation)
    if moved is not None and moved.consequences.mac_claims is ClaimChange.TAKE:
        _check_claimable(situation)


def _check_claimable(situation: Situation) -> None:
    """Raises MacInUse when another location holds an address that the move would claim."""
    if any(each.code is IssueCode.MAC_IN_USE for each in situation.issues):
        raise MacInUse(mac_addresses=())


_VERBS = MappingProxyType({LocationAction(verb): verb for verb in Verb if verb in LocationAction.__members__})


def _editable(situation: Situation) -> None:
    """Whether any section at all can be edited."""
    decide_edit(situation.status, frozenset(), situation.override, situation.viewer, situation.now)


def _overridable(situation: Situation) -> None:
    check_overridable(situation.status)
    if situation.override is not None and is_in_force(situation.override, situation.now):
        raise OverrideScope(sections=situation.override.sections)


def _submittable(situation: Situation) -> None:
    check_ready(Gate.SUBMIT, situation.issues)


def _approvable(situation: Situation) -> None:
    """As for a reviewer who has just seen the current content."""
    decide_approval(
        expected_digest=situation.current_digest,
        current_digest=situation.current_digest,
        changed_paths=(),
        issues=situation.issues,
        own_work=situation.own_work,
        self_approval_allowed=situation.self_approval_allowed,
    )


def _generable(situation: Situation) -> None:
    decide_generation(
        current_digest=situation.current_digest,
        approved_digest=situation.approved_digest,
        latest=situation.latest_payload,
        issues=situation.issues,
    )


def _releasable(situation: Situation) -> None:
    decide_release(
        situation.status,
        current_digest=situation.current_digest,
        approved_digest=situation.approved_digest,
        latest=situation.latest_payload,
        allowed=allowed(situation.status, situation.verbs, situation.facts),
    )


_CONDITIONS: MappingProxyType[LocationAction, Callable[[Situation], None]] = MappingProxyType(
    {
        LocationAction.EDIT: _editable,
        LocationAction.OPEN_OVERRIDE: _overridable,
        LocationAction.SUBMIT: _submittable,
        LocationAction.APPROVE: _approvable,
        LocationAction.APPROVE_AGAIN: _approvable,
        LocationAction.GENERATE_PAYLOAD: _generable,
        LocationAction.TRIGGER_PROVISIONING: _releasable,
    }
)
