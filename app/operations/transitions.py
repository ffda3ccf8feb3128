"""The mutations that need only the status table and reasons."""

from dataclasses import dataclass

from app.domain.vocabulary import Budget, LocationAction
from app.operations.aggregate import Aggregate
from app.operations.commands import UNSET, Command, Unset
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from app.operations.reasons import Reasoned, with_reasons
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawSubmission(Command):
    """The location whose submission to withdraw."""

    location_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Command):
    """The location to block, and the reasons."""

    location_id: str
    reason: str
    reason_for_customer: str | Unset | None = UNSET
    reason_for_partner: str | Unset | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Unblock(Command):
    """The location to unblock."""

    location_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Command):
    """The location to cancel, and the reasons."""

    location_id: str
    reason: str
    reason_for_customer: str | Unset | None = UNSET
    reason_for_partner: str | Unset | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen(Command):
    """The location to reopen, and the reasons."""

    location_id: str
    reason: str
    reason_for_customer: str | Unset | None = UNSET
    reason_for_partner: str | Unset | None = UNSET


def explained(aggregate: Aggregate, verb: LocationAction, command: Reasoned) -> LocationChange:
    """The transition of a verb with reasons. Raises IllegalTransition, and InvalidInput as `with_reasons`."""
    return with_reasons(_by_verb(aggregate, verb), verb, command)


def _by_verb(aggregate: Aggregate, verb: LocationAction) -> LocationChange:
    return LocationChange(transition=aggregate.transition(verb))


def _withdraw_submission(aggregate: Aggregate, _command: WithdrawSubmission) -> LocationChange:
    return _by_verb(aggregate, LocationAction.WITHDRAW_SUBMISSION)


def _block(aggregate: Aggregate, command: Block) -> LocationChange:
    return explained(aggregate, LocationAction.BLOCK, command)


def _unblock(aggregate: Aggregate, _command: Unblock) -> LocationChange:
    return _by_verb(aggregate, LocationAction.UNBLOCK)


def _cancel(aggregate: Aggregate, command: Cancel) -> LocationChange:
    return explained(aggregate, LocationAction.CANCEL, command)


def _reopen(aggregate: Aggregate, command: Reopen) -> LocationChange:
    return explained(aggregate, LocationAction.REOPEN, command)


WITHDRAW_SUBMISSION = LocationMutation(
    name="withdrawSubmission",
    command=WithdrawSubmission,
    decide=_withdraw_submission,
    action=Action.WITHDRAW,
    budget=Budget.SUBMITS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)

BLOCK = LocationMutation(
    name="block",
    command=Block,
    decide=_block,
    action=Action.BLOCK,
    budget=Budget.EDITS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)

UNBLOCK = LocationMutation(
    name="unblock",
    command=Unblock,
    decide=_unblock,
    action=Action.UNBLOCK,
    budget=Budget.EDITS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)

CANCEL = LocationMutation(
    name="cancel",
    command=Cancel,
    decide=_cancel,
    action=Action.CANCEL,
    budget=Budget.EDITS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)

REOPEN = LocationMutation(
    name="reopen",
    command=Reopen,
    decide=_reopen,
    action=Action.REOPEN,
    budget=Budget.EDITS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
