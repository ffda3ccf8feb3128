"""The actions that a viewer may take on a location now, decided by the same functions that guard the mutations."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from app.domain.approving import check_confirmed, check_ready, decide_approval
from app.domain.handoff import PayloadFacts, check_open, decide_generation, decide_release
from app.domain.issue import Issue
from app.domain.locks import Override, check_overridable, decide_edit, is_in_force
from app.domain.recipients import Partner, Recipient
from app.domain.refusals import MacInUse, NotFound, OverrideScope, PayloadNotLive, Refusal
from app.domain.status_machine import NO_FACTS, Fact, allowed, transition
from app.domain.viewer import Viewer
from app.domain.vocabulary import (
    ClaimChange,
    Gate,
    IssueCode,
    LocationAction,
    LocationStatus,
    PayloadState,
    Verb,
)

FORBIDDEN = "FORBIDDEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that decisions about one location depend on, for one viewer at one moment.

    `permitted` are the actions and `verbs` the verbs of the status machine that the viewer's role includes.
    `partners` are those to whom the next payload would be released, `recipients` those of the payload that was released
    last. `released_is_taken` says whether another location holds an address of that payload.
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
    released_payload: PayloadFacts | None = None
    partners: tuple[Partner, ...] = ()
    recipients: tuple[Recipient, ...] = ()
    live_payloads: AbstractSet[str] = frozenset()
    released_is_taken: bool = False
    issues: tuple[Issue, ...] = ()
    own_work: bool = False
    self_approval_allowed: bool = False


@dataclass(frozen=True, slots=True)
class ViewerAction:
    """Whether an action would succeed; `reason` is FORBIDDEN or the code of the refusal, None when allowed."""

    action: LocationAction
    allowed: bool
    reason: str | None


def viewer_actions(situation: Situation) -> tuple[ViewerAction, ...]:
    """Return every action with its result, in the order of LocationAction."""
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
    decided = None
    if action in _VERBS:
        decided = transition(situation.status, _VERBS[action], situation.verbs, situation.facts)
    if action in _CONDITIONS:
        _CONDITIONS[action](situation)
    if decided is not None and decided.consequences.mac_claims is ClaimChange.TAKE:
        _check_claimable(situation)


def _check_claimable(situation: Situation) -> None:
    """Raise MacInUse when another location claims an address that the transition would claim."""
    if any(each.code is IssueCode.MAC_IN_USE for each in situation.issues):
        raise MacInUse(mac_addresses=())


_VERBS = MappingProxyType({LocationAction(verb): verb for verb in Verb if verb in LocationAction.__members__})


def _editable(situation: Situation) -> None:
    """Check that the viewer could edit at least one section."""
    decide_edit(situation.status, frozenset(), situation.override, situation.viewer, situation.now)


def _overridable(situation: Situation) -> None:
    check_overridable(situation.status)
    if situation.override is not None and is_in_force(situation.override, situation.now):
        raise OverrideScope(sections=situation.override.sections)


def _submittable(situation: Situation) -> None:
    check_ready(Gate.SUBMIT, situation.issues)


def _approvable(situation: Situation) -> None:
    """Check as for a reviewer who has just read the current content."""
    check_confirmed(situation.viewer)
    decide_approval(
        expected_digest=situation.current_digest,
        current_digest=situation.current_digest,
        changed_paths=(),
        issues=situation.issues,
        own_work=situation.own_work,
        self_approval_allowed=situation.self_approval_allowed,
    )


def _generable(situation: Situation) -> None:
    """Check that a payload could be generated, or served again: the version decides which of both."""
    decide_generation(
        current_digest=situation.current_digest,
        approved_digest=situation.approved_digest,
        version=None,
        latest=situation.latest_payload,
        issues=situation.issues,
    )


def _releasable(situation: Situation) -> None:
    decide_release(
        situation.status,
        current_digest=situation.current_digest,
        approved_digest=situation.approved_digest,
        latest=situation.latest_payload,
        partners=situation.partners,
        allowed=allowed(situation.status, situation.verbs, situation.facts),
        issues=situation.issues,
    )


def _waivable(situation: Situation) -> None:
    """Check that the receipt of at least one recipient could be waived."""
    if situation.released_payload is None or not any(each.is_awaited for each in situation.recipients):
        raise NotFound
    check_open(situation.released_payload)
    _completable(situation)


def _completable(situation: Situation) -> None:
    """Check that the payload that was released last could become live."""
    if situation.released_is_taken:
        raise MacInUse(mac_addresses=())


def _decommissionable(situation: Situation) -> None:
    if not situation.live_payloads:
        raise PayloadNotLive(
            state=situation.released_payload.state if situation.released_payload else PayloadState.GENERATED
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
        LocationAction.COMPLETE: _completable,
        LocationAction.WAIVE_RECEIPT: _waivable,
        LocationAction.REPLACE_DEVICE: _overridable,
        LocationAction.CONFIRM_DECOMMISSION: _decommissionable,
    }
)
