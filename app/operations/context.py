"""The environment of a mutation (WriteContext), its decision (LocationChange) and its result (MutationOutcome)."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from time import time_ns
from typing import Generic, TypeVar

from app.db.bulkheads import Share
from app.db.database import Database, Transaction
from app.db.writing import Insert, Update
from app.domain import ids
from app.domain.content import LocationContent
from app.domain.events import Effect
from app.domain.refusals import Refusal
from app.domain.status_machine import Transition
from app.domain.vocabulary import Section
from app.operations.commands import Command

C = TypeVar("C", bound=Command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The measurements of an applied mutation, for operators."""

    past_lock: bool = False
    """Whether it was a transition past a lock, which counts as an override even if none was open."""
    waited_seconds: float | None = None
    """How long an approved location waited since its submission, in seconds."""


NO_MEASUREMENTS = Measurements()


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteContext:
    """The environment of a user's writes: the database, the user, and the request."""

    database: Database
    user_id: str
    request_id: str
    client_request_id: str | None = None
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    """Returns the signed-in transaction of one attempt; committed if its block succeeds, otherwise rolled back."""
    locations: Share
    """The locations for which the current attempt counts as one that locks them."""
    self_approval_allowed: bool
    configured_issuer: str | None = None
    """The issuer of the users who have none of their own."""
    sign_in_url: str | None
    """The address of browser sign-in; None if the server has none."""
    performed: Callable[[str, str, Measurements], None]
    """Called with each mutation, its outcome (APPLIED, UNCHANGED, REPLAYED or a problem code) and measurements."""
    bulk_called: Callable[[str, str], None] = lambda *_: None
    """Called with each bulk mutation that was not a dry run and its outcome as a whole, as Watch says."""
    bulk_ended: Callable[[str, int, float], None] = lambda *_: None
    """Called with each bulk mutation that was not a dry run, however it ended: its items and its seconds."""
    emit: Callable[[str, Effect, str | None], None]
    """Called after the commit with a mutation, each of its effects, and the code if it was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationCall(Generic[C]):
    """One call of a mutation: the name, the command, and the idempotency key."""

    mutation: str
    command: C
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationOutcome:
    """Result of a mutation: the ids of the objects concerned, by kind, and whether it is a replay."""

    ids: Mapping[str, str]
    secret: str | None = field(default=None, repr=False)
    """See AdministrationChange. None for a replay."""
    replayed: bool = False
    measurements: Measurements = NO_MEASUREMENTS
    effects: tuple[Effect, ...] = ()
    """One per entry of the audit log; none for a replay, and if nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedAttempt:
    """Result of a mutation that was refused about an object in scope. The transaction is committed."""

    refusal: Refusal
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationChange:
    """The change of one location by a decision, before it is persisted.

    `content` is the whole new content, `transition` the decided transition. `rows` are inserted and `updates` are made
    as given. The revisions of `sections` are incremented even if the content did not change; the revision of a row is
    incremented if the row changes. `reason` is recorded in the audit log; the other two reasons are shown to customers
    and to partners.
    """

    content: LocationContent | None = None
    sections: frozenset[Section] = frozenset()
    transition: Transition | None = None
    rows: tuple[Insert, ...] = ()
    updates: tuple[Update, ...] = ()
    reason: str | None = None
    reason_for_customer: str | None = None
    reason_for_partner: str | None = None
    override_id: str | None = None
    payload_id: str | None = None
    """The payload that the transition is about."""
    live: frozenset[str] | None = None
    """The payloads that are live after the change. None for no change."""
    on_behalf: bool = False
    """Whether a lead acts on behalf of a partner, which counts as an override even without a transition."""
    current_step: Section | None = None
    waited_seconds: float | None = None
    """How long the location waited for this approval."""
    ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to write."""
        changes = (self.content, self.transition, self.live)
        return not any(each is not None for each in changes) and not (self.rows or self.updates or self.current_step)

    @property
    def is_override(self) -> bool:
        """Whether it counts as an override even if none is open: a transition past a lock, or an act on behalf."""
        return self.on_behalf or (self.transition is not None and self.transition.consequences.audited_as_override)

    @property
    def measurements(self) -> Measurements:
        """The measurements for operators."""
        return Measurements(past_lock=self.is_override, waited_seconds=self.waited_seconds)


def new_id(type_name: str) -> str:
    """A new id of this type, made from the current time."""
    return ids.new_id(type_name, milliseconds=time_ns() // 1_000_000, randomness=secrets.token_bytes(10))
