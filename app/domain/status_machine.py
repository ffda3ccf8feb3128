"""The status machine: which verb takes a location from which status to which, with its consequences.

A verb is an action on a location that has a row in the table. Which role may use it is decided by
`permissions.matrix`, not here.
"""

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
    LocationAction,
    LocationStatus,
    PayloadState,
    SessionChange,
)


@unique
class Fact(StrEnum):
    """Facts that decisions use in addition to the status."""

    CONTENT_CHANGED = "CONTENT_CHANGED"
    """The current content differs from the approved content."""
    RECEIPT_MISSING = "RECEIPT_MISSING"
    """A recipient has not answered the payload that was released last."""
    CHANGED_SINCE_RELEASE = "CHANGED_SINCE_RELEASE"
    """The current content differs from the content of the payload that was released last."""


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
    """One row of the table: the statuses that accept the verb, and the resulting status (`to`; None: the same).

    `only_when` maps a source status to a fact that must hold there. `gate` is the required readiness. `overrides` are
    the source statuses from which the transition is audited as an override. `session`, `request` and `payload` are the
    resulting changes of the onboarding session, the open request for approval and the payload that the verb concerns.
    A transition from one of the statuses in `notifies` is told to the recipients of live payloads, and to those who
    wait for the next payload because the last one was superseded or rejected; with `explains` to those of the payload
    that the verb concerns. The payload refers to the change of the status.
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
    notifies: frozenset[LocationStatus] = frozenset()
    explains: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """The further changes of a transition.

    `request` is the new status of the open request for approval, `approval` that of the approval in force, `payload`
    the new state of the payload that the verb concerns; None leaves each unchanged. With `withdraws_payloads` every
    other payload that is GENERATED or RELEASED becomes WITHDRAWN. With `notifies_recipients` each live payload, and
    the last one if it was superseded or rejected, refers to this change of the status, with `explains_payload` the
    payload that the verb concerns.
    """

    session: SessionChange
    request: ApprovalStatus | None
    approval: ApprovalStatus | None
    payload: PayloadState | None
    withdraws_payloads: bool
    notifies_recipients: bool
    explains_payload: bool
    mac_claims: ClaimChange
    ends_override: bool
    audited_as_override: bool


@dataclass(frozen=True, slots=True)
class Transition:
    """A decided transition: its verb, the new status of the location and the consequences."""

    verb: LocationAction
    to: LocationStatus
    consequences: Consequences


TABLE = MappingProxyType(
    {
        LocationAction.START_ONBOARDING: TransitionRule(
            sources=frozenset({_NOT_STARTED}),
            to=_IN_PROGRESS,
            session=SessionChange.OPEN_IF_MISSING,
        ),
        LocationAction.SUBMIT_ONBOARDING: TransitionRule(
            sources=frozenset({_IN_PROGRESS}),
            to=_PENDING,
            gate=Gate.SUBMIT,
        ),
        LocationAction.WITHDRAW_SUBMISSION: TransitionRule(
            sources=frozenset({_PENDING}),
            to=_IN_PROGRESS,
            request=ApprovalStatus.WITHDRAWN,
        ),
        LocationAction.REQUEST_CHANGES: TransitionRule(
            sources=frozenset({_PENDING}),
            to=_IN_PROGRESS,
            needs_reason=True,
            request=ApprovalStatus.CHANGES_REQUESTED,
        ),
        LocationAction.APPROVE: TransitionRule(
            sources=frozenset({_PENDING}),
            to=_APPROVED,
            gate=Gate.APPROVE,
            request=ApprovalStatus.APPROVED,
        ),
        LocationAction.APPROVE_AGAIN: TransitionRule(
            sources=LOCKED_STATUSES,
            to=None,
            only_when=dict.fromkeys(LOCKED_STATUSES, Fact.CONTENT_CHANGED),
            gate=Gate.APPROVE,
        ),
        LocationAction.GENERATE_PAYLOAD: TransitionRule(
            sources=LOCKED_STATUSES,
            to=None,
            only_when={_COMPLETED: Fact.CHANGED_SINCE_RELEASE},
            gate=Gate.PROVISION,
        ),
        LocationAction.TRIGGER_PROVISIONING: TransitionRule(
            sources=LOCKED_STATUSES,
            to=_PROVISIONING,
            only_when={_COMPLETED: Fact.CHANGED_SINCE_RELEASE},
            gate=Gate.PROVISION,
            payload=PayloadState.RELEASED,
        ),
        LocationAction.ACKNOWLEDGE_PAYLOAD: TransitionRule(
            sources=frozenset({_PROVISIONING, _COMPLETED}),
            to=_COMPLETED,
            only_when={_COMPLETED: Fact.RECEIPT_MISSING},
            session=SessionChange.CLOSE,
            payload=PayloadState.ACKNOWLEDGED,
        ),
        LocationAction.COMPLETE_PROVISIONING: TransitionRule(
            sources=frozenset({_PROVISIONING}),
            to=_COMPLETED,
            needs_reason=True,
            overrides=frozenset({_PROVISIONING}),
            session=SessionChange.CLOSE,
            explains=True,
        ),
        LocationAction.WAIVE_RECEIPT: TransitionRule(
            sources=frozenset({_PROVISIONING, _COMPLETED}),
            to=_COMPLETED,
            only_when={_COMPLETED: Fact.RECEIPT_MISSING},
            needs_reason=True,
            overrides=frozenset({_PROVISIONING, _COMPLETED}),
            session=SessionChange.CLOSE,
            payload=PayloadState.ACKNOWLEDGED,
            explains=True,
        ),
        LocationAction.REJECT_PAYLOAD: TransitionRule(
            sources=frozenset({_PROVISIONING}),
            to=_BLOCKED,
            payload=PayloadState.REJECTED,
            explains=True,
        ),
        LocationAction.BLOCK: TransitionRule(
            sources=frozenset({_NOT_STARTED, _IN_PROGRESS, _PENDING, _PROVISIONING}),
            to=_BLOCKED,
            needs_reason=True,
            notifies=frozenset({_PROVISIONING}),
        ),
        LocationAction.UNBLOCK: TransitionRule(
            sources=frozenset({_BLOCKED}),
            to=_IN_PROGRESS,
            session=SessionChange.OPEN_IF_MISSING,
        ),
        LocationAction.CANCEL: TransitionRule(
            sources=frozenset(LocationStatus) - {_COMPLETED, _CANCELLED},
            to=_CANCELLED,
            needs_reason=True,
            session=SessionChange.CLOSE,
            notifies=frozenset(LocationStatus) - {_COMPLETED, _CANCELLED},
        ),
        LocationAction.REOPEN: TransitionRule(
            sources=frozenset({_CANCELLED, _APPROVED, _COMPLETED}),
            to=_IN_PROGRESS,
            needs_reason=True,
            overrides=frozenset({_APPROVED, _COMPLETED}),
            session=SessionChange.OPEN_IF_MISSING,
            notifies=frozenset({_CANCELLED, _APPROVED, _COMPLETED}),
        ),
    }
)

# The statuses in which a location claims the MAC addresses of its content. In every status it claims those of its live
# payloads.
CLAIMING_STATUSES = frozenset({_PENDING, _APPROVED, _PROVISIONING, _COMPLETED})
# Transitions from a locked status to one of these keep the approval and the payloads in force.
_HANDED_OFF = frozenset({_PROVISIONING, _COMPLETED})


def transition(
    status: LocationStatus,
    verb: LocationAction,
    permitted: AbstractSet[LocationAction],
    facts: AbstractSet[Fact] = NO_FACTS,
) -> Transition:
    """Return the new status and the consequences of a verb; `permitted` are the verbs of the viewer's role.

    Raises IllegalTransition, listing the verbs that the viewer may use now, when the table has no such transition.
    """
    if not _takes(status, verb, permitted, facts):
        raise IllegalTransition(from_status=status, action=verb, allowed=allowed(status, permitted, facts))
    to = TABLE[verb].to or status
    return Transition(verb, to, _consequences(status, verb, to))


def allowed(
    status: LocationStatus, permitted: AbstractSet[LocationAction], facts: AbstractSet[Fact] = NO_FACTS
) -> tuple[LocationAction, ...]:
    """Return the permitted verbs that a location in this status accepts, in the order of the table."""
    return tuple(verb for verb in TABLE if _takes(status, verb, permitted, facts))


def _takes(
    status: LocationStatus, verb: LocationAction, permitted: AbstractSet[LocationAction], facts: AbstractSet[Fact]
) -> bool:
    row = TABLE[verb]
    condition = row.only_when.get(status)
    return status in row.sources and verb in permitted and (condition is None or condition in facts)


def _consequences(status: LocationStatus, verb: LocationAction, to: LocationStatus) -> Consequences:
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
        notifies_recipients=status in row.notifies,
        explains_payload=row.explains and leaves,
        mac_claims=_claim_change(status, to),
        ends_override=leaves,
        audited_as_override=status in row.overrides,
    )


def _claim_change(status: LocationStatus, to: LocationStatus) -> ClaimChange:
    held, holds = status in CLAIMING_STATUSES, to in CLAIMING_STATUSES
    if held is holds:
        return ClaimChange.KEEP
    return ClaimChange.TAKE if holds else ClaimChange.RELEASE
