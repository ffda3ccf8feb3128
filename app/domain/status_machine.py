"""Which verb takes a location from which status to which, and what follows. Who may use a verb is a permission."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum, unique
from types import MappingProxyType

from app.domain.refusals import IllegalTransition
from app.domain.vocabulary import (
    LOCKED_STATUSES,
    ApprovalStatus,
    ClaimChange,
    Gate,
    LocationStatus,
    PayloadState,
    SessionChange,
    Verb,
)


@unique
class Fact(StrEnum):
    """What a decision has to know of a location beyond its status."""

    DIGEST_MOVED = "DIGEST_MOVED"
    """The current content is not the approved content."""
    COMPLETED_UNANSWERED = "COMPLETED_UNANSWERED"
    """A lead completed the location and its payload has no receipt."""
    ACKNOWLEDGED_BEFORE = "ACKNOWLEDGED_BEFORE"
    """A partner acknowledged some payload of the location, so that its phones live by it."""


NO_FACTS: frozenset[Fact] = frozenset()

_NOT_STARTED = LocationStatus.NOT_STARTED
_IN_PROGRESS = LocationStatus.IN_PROGRESS
_PENDING = LocationStatus.PENDING_APPROVAL
_APPROVED = LocationStatus.APPROVED
_PROVISIONING = LocationStatus.PROVISIONING
_COMPLETED = LocationStatus.COMPLETED
_BLOCKED = LocationStatus.BLOCKED
_CANCELLED = LocationStatus.CANCELLED


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionRule:
    """One row of the table: the statuses that take the verb, and the status that it leads to (None: the same).

    `only_when` names what else must be so, by status. `gate` is the readiness it needs. `overrides` are the statuses
    from which it is audited as an override. `session`, `request` and `payload` say what becomes of the onboarding
    session, the open request for approval and the payload that the verb is about.
    """

    sources: frozenset[LocationStatus]
    to: LocationStatus | None
    only_when: Mapping[LocationStatus, Fact] = field(default_factory=dict)
    needs_reason: bool = False
    gate: Gate | None = None
    overrides: frozenset[LocationStatus] = frozenset()
    session: SessionChange = SessionChange.KEEP
    request: ApprovalStatus | None = None
    payload: PayloadState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What else a move changes.

    `request` is what the open request for approval becomes and `approval` what the approval in force becomes (None:
    stays). `payload` is what the payload that the verb is about becomes; with `withdraws_payloads` every other one
    that is GENERATED or RELEASED becomes WITHDRAWN.
    """

    session: SessionChange
    request: ApprovalStatus | None
    approval: ApprovalStatus | None
    payload: PayloadState | None
    withdraws_payloads: bool
    mac_claims: ClaimChange
    ends_override: bool
    audited_as_override: bool


@dataclass(frozen=True, slots=True)
class Transition:
    """A decided move: the status that the location takes and what follows from it."""

    to: LocationStatus
    consequences: Consequences


TABLE = MappingProxyType(
    {
        Verb.START: TransitionRule(
            sources=frozenset({_NOT_STARTED}),
            to=_IN_PROGRESS,
            session=SessionChange.OPEN_IF_MISSING,
        ),
        Verb.SUBMIT: TransitionRule(
            sources=frozenset({_IN_PROGRESS}),
            to=_PENDING,
            gate=Gate.SUBMIT,
        ),
        Verb.WITHDRAW: TransitionRule(
            sources=frozenset({_PENDING}),
            to=_IN_PROGRESS,
            request=ApprovalStatus.WITHDRAWN,
        ),
        Verb.REQUEST_CHANGES: TransitionRule(
            sources=frozenset({_PENDING}),
            to=_IN_PROGRESS,
            needs_reason=True,
            request=ApprovalStatus.CHANGES_REQUESTED,
        ),
        Verb.APPROVE: TransitionRule(
            sources=frozenset({_PENDING}),
            to=_APPROVED,
            gate=Gate.APPROVE,
            request=ApprovalStatus.APPROVED,
        ),
        Verb.APPROVE_AGAIN: TransitionRule(
            sources=LOCKED_STATUSES,
            to=None,
            only_when=dict.fromkeys(LOCKED_STATUSES, Fact.DIGEST_MOVED),
            gate=Gate.APPROVE,
        ),
        Verb.GENERATE_PAYLOAD: TransitionRule(
            sources=frozenset({_APPROVED, _PROVISIONING}),
            to=None,
            gate=Gate.PROVISION,
        ),
        Verb.TRIGGER_PROVISIONING: TransitionRule(
            sources=frozenset({_APPROVED, _PROVISIONING}),
            to=_PROVISIONING,
            payload=PayloadState.RELEASED,
        ),
        Verb.ACKNOWLEDGE: TransitionRule(
            sources=frozenset({_PROVISIONING, _COMPLETED}),
            to=_COMPLETED,
            only_when={_COMPLETED: Fact.COMPLETED_UNANSWERED},
            session=SessionChange.CLOSE,
            payload=PayloadState.ACKNOWLEDGED,
        ),
        Verb.COMPLETE: TransitionRule(
            sources=frozenset({_PROVISIONING}),
            to=_COMPLETED,
            needs_reason=True,
            overrides=frozenset({_PROVISIONING}),
            session=SessionChange.CLOSE,
        ),
        Verb.REJECT: TransitionRule(
            sources=frozenset({_PROVISIONING}),
            to=_BLOCKED,
            payload=PayloadState.REJECTED,
        ),
        Verb.BLOCK: TransitionRule(
            sources=frozenset({_NOT_STARTED, _IN_PROGRESS, _PENDING, _PROVISIONING}),
            to=_BLOCKED,
            needs_reason=True,
        ),
        Verb.UNBLOCK: TransitionRule(
            sources=frozenset({_BLOCKED}),
            to=_IN_PROGRESS,
            session=SessionChange.OPEN_IF_MISSING,
        ),
        Verb.CANCEL: TransitionRule(
            sources=frozenset(LocationStatus) - {_COMPLETED, _CANCELLED},
            to=_CANCELLED,
            needs_reason=True,
            session=SessionChange.CLOSE,
        ),
        Verb.REOPEN: TransitionRule(
            sources=frozenset({_CANCELLED, _APPROVED, _COMPLETED}),
            to=_IN_PROGRESS,
            needs_reason=True,
            overrides=frozenset({_APPROVED, _COMPLETED}),
            session=SessionChange.OPEN_IF_MISSING,
        ),
    }
)

# The statuses in which a location holds the hardware addresses of its devices.
CLAIMING_STATUSES = frozenset({_PENDING, _APPROVED, _PROVISIONING, _COMPLETED})
# Where a location may go from a locked status with its approval and its payloads in force.
_HANDED_OFF = frozenset({_PROVISIONING, _COMPLETED})


def transition(
    status: LocationStatus, verb: Verb, permitted: AbstractSet[Verb], facts: AbstractSet[Fact] = NO_FACTS
) -> Transition:
    """Where the verb takes a location that is in this status, and what follows; `permitted` are the viewer's verbs.

    Raises IllegalTransition, with the verbs that the viewer may use here, for anything that the table does not list.
    """
    if not _takes(status, verb, permitted, facts):
        raise IllegalTransition(from_status=status, verb=verb, allowed=allowed(status, permitted, facts))
    to = TABLE[verb].to or status
    return Transition(to, _consequences(status, verb, to, facts))


def allowed(
    status: LocationStatus, permitted: AbstractSet[Verb], facts: AbstractSet[Fact] = NO_FACTS
) -> tuple[Verb, ...]:
    """Those of the permitted verbs that a location in this status takes, in the order of the table."""
    return tuple(verb for verb in TABLE if _takes(status, verb, permitted, facts))


def holds_macs(status: LocationStatus, *, has_live_payload: bool) -> bool:
    """Whether a location holds the hardware addresses of its devices against all other locations."""
    return status in CLAIMING_STATUSES or (has_live_payload and status is not _CANCELLED)


def _takes(status: LocationStatus, verb: Verb, permitted: AbstractSet[Verb], facts: AbstractSet[Fact]) -> bool:
    row = TABLE[verb]
    condition = row.only_when.get(status)
    return status in row.sources and verb in permitted and (condition is None or condition in facts)


def _consequences(status: LocationStatus, verb: Verb, to: LocationStatus, facts: AbstractSet[Fact]) -> Consequences:
    row = TABLE[verb]
    leaves = to is not status
    leaves_pending = leaves and status is _PENDING
    voids = leaves and status in LOCKED_STATUSES and to not in _HANDED_OFF
    return Consequences(
        session=row.session,
        request=(row.request or ApprovalStatus.WITHDRAWN) if leaves_pending else None,
        approval=ApprovalStatus.VOIDED if voids else None,
        payload=row.payload,
        withdraws_payloads=voids,
        mac_claims=_claim_change(status, to, live=Fact.ACKNOWLEDGED_BEFORE in facts),
        ends_override=leaves,
        audited_as_override=status in row.overrides,
    )


def _claim_change(status: LocationStatus, to: LocationStatus, *, live: bool) -> ClaimChange:
    held = holds_macs(status, has_live_payload=live)
    holds = holds_macs(to, has_live_payload=live)
    if held is holds:
        return ClaimChange.KEEP
    return ClaimChange.TAKE if holds else ClaimChange.RELEASE
