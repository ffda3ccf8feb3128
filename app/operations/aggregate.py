"""The aggregate of a location: the stored record, the viewer, and the values that follow from both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from app.db.aggregates import AggregateRecord, StoredApproval, StoredPayload
from app.domain.content import LocationContent
from app.domain.content_document import content_document
from app.domain.digest import digest_of, digest_version
from app.domain.handoff import PayloadFacts
from app.domain.issue import Issue
from app.domain.mac_holder import MacHolder
from app.domain.payload_version import payload_version
from app.domain.readiness import Outside, readiness
from app.domain.recipients import Recipient
from app.domain.refusals import Conflict, NotFound
from app.domain.status_machine import Fact, Transition, allowed, transition
from app.domain.viewer import Viewer
from app.domain.vocabulary import LOCKED_STATUSES, LocationAction, LocationStatus, Section
from permissions.matrix import Action
from permissions.policy import may, verbs_of


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """A location with all data that a decision reads, and the viewer who makes the call."""

    viewer: Viewer
    record: AggregateRecord
    new_id: Callable[[str], str]
    self_approval_allowed: bool
    editors: frozenset[str] = frozenset()
    reviewed: LocationContent | None = None
    """The reviewed content, if the content has changed since and the audit log has the reviewed content."""
    holders: Mapping[str, MacHolder] = field(default_factory=dict)
    """The locations that hold the addresses `released_elsewhere`. In previews for leads only."""
    payload_document: Mapping[str, Any] | None = None
    """The document of the payload that the command names, for mutations that declare to need it."""

    @property
    def now(self) -> datetime:
        """The time of the database, read after the lock was acquired."""
        return self.record.now

    @property
    def status(self) -> LocationStatus:
        """The status of the location."""
        return self.record.location.status

    @cached_property
    def content(self) -> LocationContent:
        """The current content."""
        return self.record.content

    @cached_property
    def digest(self) -> str:
        """The digest of the current content."""
        return digest_of(self.document)

    @property
    def digest_version(self) -> int:
        """The version of the current content's digest."""
        return digest_version(self.content)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The current content as one JSON document."""
        return content_document(self.content)

    def content_of(self, approval: StoredApproval | None) -> dict[str, Any] | None:
        """The content that an approval is about, or None without an approval."""
        if approval is None:
            return None
        return self.document if approval.content is None else approval.content

    @cached_property
    def issues(self) -> tuple[Issue, ...]:
        """All readiness issues of the current content."""
        return readiness(self.content, self.outside)

    @property
    def outside(self) -> Outside:
        """The facts outside of the content that readiness needs."""
        record = self.record
        return Outside(
            claimed_elsewhere=record.claimed_elsewhere,
            live_twice=record.handed_off.live_twice,
            partners=record.partners,
            names_partners=may(self.viewer, Action.ASSIGN_PARTNERS),
            models=frozenset((each.brand, each.model) for each in record.models),
            rejection=record.last_rejection,
        )

    @cached_property
    def payload_version(self) -> str | None:
        """The version that a payload of the current content needs for the partners, or None if none suits them all."""
        return payload_version(self.content, self.record.partners)

    @property
    def approved_digest(self) -> str | None:
        """The digest of the approval in force."""
        return self.record.approval.digest if self.record.approval else None

    @cached_property
    def facts(self) -> frozenset[Fact]:
        """The facts, other than the status, that the status machine needs."""
        released = self.released_payload
        holds = {
            Fact.CONTENT_CHANGED: self.status in LOCKED_STATUSES and self.digest != self.approved_digest,
            Fact.RECEIPT_MISSING: released is not None
            and any(each.can_answer for each in self.recipients_of(released.id)),
            Fact.CHANGED_SINCE_RELEASE: released is not None and released.content_digest != self.digest,
        }
        return frozenset(fact for fact, is_so in holds.items() if is_so)

    @property
    def released_payload(self) -> StoredPayload | None:
        """The payload that was released last."""
        return next((each for each in self.record.payloads if each.is_released), None)

    @property
    def released_elsewhere(self) -> frozenset[str]:
        """The addresses of the payload that was released last that other locations hold."""
        released, handed_off = self.released_payload, self.record.handed_off
        return handed_off.taken & handed_off.macs.get(released.id, frozenset()) if released else frozenset()

    def payload(self, payload_id: str) -> StoredPayload:
        """The payload with this id. Raises NotFound if it is not among the payloads that the viewer can see."""
        for each in self.record.payloads:
            if each.id == payload_id:
                return each
        raise NotFound

    def facts_of(self, payload: StoredPayload) -> PayloadFacts:
        """The facts about a payload. A successor that the viewer cannot see is not named."""
        seen = {each.id for each in self.record.payloads}
        return replace(payload.facts, shows_successor=payload.superseded_by in seen)

    def recipients_of(self, payload_id: str) -> tuple[Recipient, ...]:
        """The recipients of a payload."""
        return tuple(each for each in self.record.handed_off.recipients if each.payload_id == payload_id)

    def recipient(self, payload_id: str, user_id: str, *, path: tuple[str, ...] = ()) -> Recipient:
        """The recipient of a payload that is this user. Raises NotFound, at `path` of the input."""
        for each in self.recipients_of(payload_id):
            if each.user_id == user_id:
                return each
        raise NotFound(path=path)

    @cached_property
    def content_macs(self) -> frozenset[str]:
        """The MAC addresses of the content, which every role can read here; `content` has no devices for partners."""
        return self.record.handed_off.content_macs

    @cached_property
    def verbs(self) -> frozenset[LocationAction]:
        """The verbs that the viewer may use."""
        return verbs_of(self.viewer)

    def transition(self, verb: LocationAction) -> Transition:
        """The transition of a verb. Raises IllegalTransition."""
        return transition(self.status, verb, self.verbs, self.facts)

    @property
    def allowed_verbs(self) -> tuple[LocationAction, ...]:
        """The verbs that the status allows for the viewer."""
        return allowed(self.status, self.verbs, self.facts)

    def check_section_revision(self, section: Section, expected: int) -> None:
        """Raises Conflict if the section has another revision."""
        current = self.record.sections[section].revision
        if current != expected:
            raise Conflict(current_revision=current, path=("expectedRevision",))

    def check_row_revision(self, row_id: str, expected: int) -> None:
        """Raises Conflict if the row has another revision, NotFound if it does not belong to this location."""
        current = self.record.row_revisions.get(row_id)
        if current is None:
            raise NotFound
        if current != expected:
            raise Conflict(current_revision=current, path=("expectedRevision",))
