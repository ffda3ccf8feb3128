"""Where a mutation runs (WriteContext), what it decides (LocationChange), what its caller is told (MutationOutcome)."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from time import time_ns
from typing import Generic, TypeVar

from app.db.database import Database, Transaction
from app.db.writing import Insert, Update
from app.domain import ids
from app.domain.content import LocationContent
from app.domain.status_machine import Transition
from app.domain.vocabulary import Section
from app.operations.commands import Command

C = TypeVar("C", bound=Command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """What operators measure of a mutation that was done."""

    past_lock: bool = False
    """Whether it was a transition past a lock, which counts as an override although none was open."""
    waited_seconds: float | None = None
    """How long a location that was approved had waited since its submission."""


NO_MEASUREMENTS = Measurements()


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteContext:
    """Where one user's writes are made: the database, the user's token subject, and the request they belong to."""

    database: Database
    subject: str
    request_id: str
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    """Returns the signed-in transaction of one attempt, committed when its block ends well, else rolled back."""
    self_approval_allowed: bool
    performed: Callable[[str, str, Measurements], None]
    """Called with each mutation, its outcome (APPLIED, UNCHANGED, REPLAYED or a problem's code), and measurements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationCall(Generic[C]):
    """One mutation as it was sent: its name, its command, and the caller's key for repeating it."""

    mutation: str
    command: C
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationOutcome:
    """What was done: the ids of the objects concerned, by kind, and whether an earlier call had done it."""

    ids: Mapping[str, str]
    replayed: bool = False
    measurements: Measurements = NO_MEASUREMENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationChange:
    """What a decision changes of one location. Persisting it works out everything that follows.

    `content` is the whole new content, `transition` a decided transition; `rows` are added and `updates` made as given.
    `sections` count up even when an edit leaves their content as it was; a row that changes counts up by itself.
    """

    content: LocationContent | None = None
    sections: frozenset[Section] = frozenset()
    transition: Transition | None = None
    rows: tuple[Insert, ...] = ()
    updates: tuple[Update, ...] = ()
    reason: str | None = None
    override_id: str | None = None
    payload_id: str | None = None
    """The payload that the transition is about."""
    current_step: Section | None = None
    waited_seconds: float | None = None
    """How long the location waited for this approval."""
    ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_nothing(self) -> bool:
        """Whether all of it is done already."""
        return self.content is None and self.transition is None and not (self.rows or self.updates or self.current_step)

    @property
    def is_override(self) -> bool:
        """Whether it is a transition past a lock, which counts as an override although none is open."""
        return self.transition is not None and self.transition.consequences.audited_as_override

    @property
    def measurements(self) -> Measurements:
        """What operators measure of it."""
        return Measurements(past_lock=self.is_override, waited_seconds=self.waited_seconds)


def new_id(type_name: str) -> str:
    """A new id at this moment."""
    return ids.new_id(type_name, milliseconds=time_ns() // 1_000_000, randomness=secrets.token_bytes(10))
