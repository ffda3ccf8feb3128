"""The mutations that need only the status table and a reason."""

from dataclasses import dataclass

from app.domain.reasons import reason_for
from app.domain.vocabulary import Budget, Verb
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawSubmission(Command):
    """The location whose submission to withdraw."""

    location_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Command):
    """The location to block, and the reason."""

    location_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unblock(Command):
    """The location to unblock."""

    location_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Command):
    """The location to cancel, and the reason."""

    location_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen(Command):
    """The location to reopen, and the reason."""

    location_id: str
    reason: str


def by_verb(aggregate: Aggregate, verb: Verb, reason: str | None = None) -> LocationChange:
    """The transition of a verb. Raises IllegalTransition, and InvalidInput without a reason that the verb requires."""
    decided = aggregate.transition(verb)
    return LocationChange(transition=decided, reason=reason_for(verb, reason))


def _withdraw_submission(aggregate: Aggregate, _command: WithdrawSubmission) -> LocationChange:
    return by_verb(aggregate, Verb.WITHDRAW)


def _block(aggregate: Aggregate, command: Block) -> LocationChange:
    return by_verb(aggregate, Verb.BLOCK, command.reason)


def _unblock(aggregate: Aggregate, _command: Unblock) -> LocationChange:
    return by_verb(aggregate, Verb.UNBLOCK)


def _cancel(aggregate: Aggregate, command: Cancel) -> LocationChange:
    return by_verb(aggregate, Verb.CANCEL, command.reason)


def _reopen(aggregate: Aggregate, command: Reopen) -> LocationChange:
    return by_verb(aggregate, Verb.REOPEN, command.reason)


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
