"""The actions that a viewer may take on a location now, decided by the same functions that guard the mutations."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from app.domain.approving import check_confirmed, check_ready, decide_approval
from app.domain.handoff import PayloadFacts, check_open, decide_generation, decide_release
from app.domain.issue import Issue
from app.domain.locks import Override, check_overridable, decide_edit, is_in_force
from app.domain.mac_address import in_use
from app.domain.mac_holder import MacHolder
from app.domain.recipients import Partner, Recipient
from app.domain.refusals import NotFound, OverrideScope, PayloadNotLive, Refusal, RefusalCode
from app.domain.status_machine import NO_FACTS, TABLE, Fact, allowed, transition
from app.domain.viewer import Viewer
from app.domain.vocabulary import (
    ClaimChange,
    Gate,
    LocationAction,
    LocationStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that decisions about one location depend on, for one viewer at one moment.

    `forbidden` are the actions that the viewer's role does not include, each with a message; `verbs` are the verbs of
    the status machine that it includes.
    `partners` are those to whom the next payload would be released, `recipients` those of the payload that was released
    last. Other locations hold the addresses of `content_held` and `released_held`, which are of the current content and
    of that payload; each is given with its holder, if the viewer may know it.
    """

    viewer: Viewer
    forbidden: Mapping[LocationAction, str]
    verbs: AbstractSet[LocationAction]
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
    content_held: Mapping[str, MacHolder | None] = field(default_factory=dict)
    released_held: Mapping[str, MacHolder | None] = field(default_factory=dict)
    issues: tuple[Issue, ...] = ()
    own_work: bool = False
    self_approval_allowed: bool = False


@dataclass(frozen=True, slots=True)
class ViewerAction:
    """Whether an action would succeed; `reason` and `message` are those of the refusal, None when allowed."""

    action: LocationAction
    allowed: bool
    reason: RefusalCode | None
    message: str | None


def viewer_actions(situation: Situation, actions: Iterable[LocationAction]) -> tuple[ViewerAction, ...]:
    """Return the actions with their results, in the same order."""
    return tuple(_answer(action, situation) for action in actions)


def _answer(action: LocationAction, situation: Situation) -> ViewerAction:
    if action in situation.forbidden:
        return ViewerAction(action, False, RefusalCode("FORBIDDEN"), situation.forbidden[action])
    try:
        _decide(action, situation)
    except Refusal as refusal:
        return ViewerAction(action, False, RefusalCode(refusal.code.value), refusal.message)
    return ViewerAction(action, True, None, None)


def _decide(action: LocationAction, situation: Situation) -> None:
    decided = None
    if action in TABLE:
        decided = transition(situation.status, action, situation.verbs, situation.facts)
    if action in _CONDITIONS:
        _CONDITIONS[action](situation)
    if decided is not None and decided.consequences.mac_claims is ClaimChange.TAKE:
        _check_claimable(situation)


def _check_claimable(situation: Situation) -> None:
    """Raise MacInUse when another location claims an address that the transition would claim."""
    if situation.content_held:
        raise in_use(situation.content_held)


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
    if situation.released_held:
        raise in_use(situation.released_held)


def _decommissionable(situation: Situation) -> None:
    if not situation.live_payloads:
        newest = situation.released_payload or situation.latest_payload
        raise PayloadNotLive(state=newest.state) if newest else NotFound()


_CONDITIONS: MappingProxyType[LocationAction, Callable[[Situation], None]] = MappingProxyType(
    {
        LocationAction.EDIT: _editable,
        LocationAction.OPEN_OVERRIDE: _overridable,
        LocationAction.SUBMIT_ONBOARDING: _submittable,
        LocationAction.APPROVE: _approvable,
        LocationAction.APPROVE_AGAIN: _approvable,
        LocationAction.GENERATE_PAYLOAD: _generable,
        LocationAction.TRIGGER_PROVISIONING: _releasable,
        LocationAction.COMPLETE_PROVISIONING: _completable,
        LocationAction.WAIVE_RECEIPT: _waivable,
        LocationAction.REPLACE_DEVICE: _overridable,
        LocationAction.CONFIRM_DECOMMISSION: _decommissionable,
    }
)
