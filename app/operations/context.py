"""What a use case is handed (Work), what it decides (Change), what the caller learns (Outcome)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from app.db import tables
from app.db.database import Database
from app.domain.content import LocationContent
from app.domain.status_machine import Transition
from app.domain.vocabulary import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What operators watch of something that was done."""

    past_lock: bool = False
    """Whether it was a move past a lock, which counts as an override although none was open."""
    waited_seconds: float | None = None
    """How long a location that was approved had waited since its submission."""


NOTHING_WATCHED = Watched()


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteContext:
    """Where one user's writes are made: the database, the user's token subject, and the request they belong to."""

    database: Database
    subject: str
    request_id: str
    timeout_ms: int
    self_approval_allowed: bool
    performed: Callable[[str, str, Watched], None]
    """Told each use case's name, its outcome (APPLIED, UNCHANGED, REPLAYED or a problem's code), and what it did."""


Input = Mapping[str, Any]
"""A mutation's input by field names; a field that was left out of a patch is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationCall:
    """One mutation as it was sent: its name, its input, and the caller's key for repeating it."""

    mutation: str
    input: Input
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationOutcome:
    """What was done: the ids of the objects concerned, by kind, and whether an earlier call had done it."""

    ids: Mapping[str, str]
    replayed: bool = False
    watched: Watched = NOTHING_WATCHED


Row = tuple[Table, Mapping[str, Any]]
Update = tuple[Table, Mapping[str, Any], Mapping[str, Any]]
"""A table, the key of a row in it, and the columns to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationChange:
    """What a decision changes of one location. The frame works out everything that follows from it.

    `content` is the whole new content, `move` a decided move; `rows` are added and `updates` made as they stand.
    `sections` count up even when an edit leaves their content as it was; a row that changes counts up by itself.
    """

    content: LocationContent | None = None
    sections: frozenset[Section] = frozenset()
    transition: Transition | None = None
    rows: tuple[Row, ...] = ()
    updates: tuple[Update, ...] = ()
    reason: str | None = None
    override_id: str | None = None
    payload_id: str | None = None
    """The payload that the move is about."""
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
        """Whether it is a move past a lock, which counts as an override although none is open."""
        return self.transition is not None and self.transition.consequences.audited_as_override

    @property
    def watched(self) -> Watched:
        """What operators watch of it."""
        return Watched(past_lock=self.is_override, waited_seconds=self.waited_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """One mutation: its name, the row that its input names by `key`, and the decision.

    The row is a location, or anything of a location. `decide` is given the location, locked, and the input, and
    returns its change; with `other_key`, which names a second location, both of them, and returns a change of each.
    """

    mutation: str
    decide: Callable[..., LocationChange | tuple[LocationChange, ...]]
    table: Table = tables.location
    key: str = "location_id"
    other_key: str | None = None
