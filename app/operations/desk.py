"""What a use case is handed (Work), what it decides (Change), what the caller learns (Outcome)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Table

from app.db import tables
from app.db.database import Database
from app.db.dossiers import Dossier, StoredApproval
from app.domain.content import LocationContent
from app.domain.content_document import content_document
from app.domain.digest import digest_of
from app.domain.issue import Issue
from app.domain.readiness import Outside, readiness
from app.domain.refusals import Conflict, NotFound
from app.domain.status_machine import Fact, Move
from app.domain.viewer import Viewer
from app.domain.vocabulary import LOCKED_STATUSES, LocationStatus, PayloadState, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What operators watch of something that was done."""

    past_lock: bool = False
    """Whether it was a move past a lock, which counts as an override although none was open."""
    waited_seconds: float | None = None
    """How long a location that was approved had waited since its submission."""


NOTHING_WATCHED = Watched()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
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
class Call:
    """One mutation as it was sent: its name, its input, and the caller's key for repeating it."""

    mutation: str
    input: Input
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was done: the ids of the objects concerned, by kind, and whether an earlier call had done it."""

    ids: Mapping[str, str]
    replayed: bool = False
    watched: Watched = NOTHING_WATCHED


Row = tuple[Table, Mapping[str, Any]]
Update = tuple[Table, Mapping[str, Any], Mapping[str, Any]]
"""A table, the key of a row in it, and the columns to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a decision changes of one location. The frame works out everything that follows from it.

    `content` is the whole new content, `move` a decided move; `rows` are added and `updates` made as they stand.
    `sections` count up even when an edit leaves their content as it was; a row that changes counts up by itself.
    """

    content: LocationContent | None = None
    sections: frozenset[Section] = frozenset()
    move: Move | None = None
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
        return self.content is None and self.move is None and not (self.rows or self.updates or self.current_step)

    @property
    def is_override(self) -> bool:
        """Whether it is a move past a lock, which counts as an override although none is open."""
        return self.move is not None and self.move.consequences.audited_as_override

    @property
    def watched(self) -> Watched:
        """What operators watch of it."""
        return Watched(past_lock=self.is_override, waited_seconds=self.waited_seconds)


@dataclass(frozen=True, kw_only=True)
class Work:
    """A locked location, seen by the viewer who wants to change it."""

    viewer: Viewer
    dossier: Dossier
    new_id: Callable[[str], str]
    self_approval_allowed: bool
    editors: frozenset[str] = frozenset()
    reviewed: LocationContent | None = None
    """What was reviewed, where the content is another one by now and the trail has the reviewed one."""

    @property
    def now(self) -> datetime:
        """The database's clock, read behind the lock."""
        return self.dossier.now

    @property
    def status(self) -> LocationStatus:
        """The location's status."""
        return self.dossier.location.status

    @cached_property
    def content(self) -> LocationContent:
        """The current content."""
        return self.dossier.content

    @cached_property
    def digest(self) -> str:
        """The current content's digest."""
        return digest_of(self.document)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The current content as one document."""
        return content_document(self.content)

    def content_of(self, approval: StoredApproval | None) -> dict[str, Any] | None:
        """The content that an approval is about, None where there is no approval."""
        if approval is None:
            return None
        return self.document if approval.content is None else approval.content

    @cached_property
    def issues(self) -> tuple[Issue, ...]:
        """Every readiness issue of the current content."""
        return readiness(self.content, self.outside)

    @property
    def outside(self) -> Outside:
        """What readiness has to be told."""
        dossier = self.dossier
        return Outside(
            claimed_elsewhere=dossier.claimed_elsewhere,
            models=frozenset((each.brand, each.model) for each in dossier.models),
            rejection=dossier.last_rejection,
        )

    @property
    def approved_digest(self) -> str | None:
        """The digest of the approval in force."""
        return self.dossier.approval.digest if self.dossier.approval else None

    @cached_property
    def facts(self) -> frozenset[Fact]:
        """What the status machine asks beyond the status."""
        payloads = self.dossier.payloads
        live = next((each for each in payloads if each.id == self.dossier.location.live_payload_id), None)
        holds = {
            Fact.DIGEST_MOVED: self.status in LOCKED_STATUSES and self.digest != self.approved_digest,
            Fact.COMPLETED_UNANSWERED: live is not None and live.state is PayloadState.RELEASED,
            Fact.ACKNOWLEDGED_BEFORE: self.dossier.location.live_payload_id is not None,
        }
        return frozenset(fact for fact, is_so in holds.items() if is_so)

    def check_section_revision(self, section: Section, expected: int) -> None:
        """Raises Conflict when the section has changed since it was read."""
        current = self.dossier.sections[section].revision
        if current != expected:
            raise Conflict(current_revision=current, path=("expectedRevision",))

    def check_row_revision(self, row_id: str, expected: int) -> None:
        """Raises Conflict when the row has changed since it was read, NotFound when it is not of this location."""
        current = self.dossier.row_revisions.get(row_id)
        if current is None:
            raise NotFound
        if current != expected:
            raise Conflict(current_revision=current, path=("expectedRevision",))


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """One mutation: its name, the row that its input names by `key`, and the decision.

    The row is a location, or anything of a location. `decide` is given the location, locked, and the input, and
    returns its change; with `other_key`, which names a second location, both of them, and returns a change of each.
    """

    mutation: str
    decide: Callable[..., Change | tuple[Change, ...]]
    table: Table = tables.location
    key: str = "location_id"
    other_key: str | None = None
