"""Reads aggregates: a location with everything that decisions read. One statement reads any number of locations."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy import Table

from app.db import tables
from app.db.content_columns import CHILDREN, ROW_TYPES
from app.db.content_rows import SINGLE, ContentRows, content_of, revisions_of
from app.db.statements import Statement
from app.domain.content import LocationContent
from app.domain.handoff import PayloadFacts
from app.domain.locks import Override
from app.domain.mac_holder import MacHolder
from app.domain.recipients import Partner, Recipient
from app.domain.rejection import Rejection, RejectionReason
from app.domain.vocabulary import (
    DeviceBrand,
    LocationStatus,
    PayloadState,
    Section,
)


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A decoded result of the statement. A field that only one of the two has is an error."""


class StoredLocation(Stored, frozen=True):
    """The location's own row, without its content."""

    id: str
    account_id: str
    status: LocationStatus
    content_digest: str
    live_payload_id: str | None
    test: bool
    revision: int


class StoredSection(Stored, frozen=True):
    """The state of a section. `complete` depends on the section's own content only."""

    revision: int
    complete: bool


class StoredSession(Stored, frozen=True):
    """The open onboarding session."""

    id: str
    revision: int
    submitted_at: datetime | None
    submitted_by: str | None


class StoredApproval(Stored, frozen=True):
    """A request for approval. `content` is None if it is the location's current content."""

    id: str
    digest: str
    content: dict[str, Any] | None


class StoredPayload(Stored, frozen=True):
    """A provisioning payload without its document."""

    id: str
    sequence: int
    version: str
    state: PayloadState
    content_digest: str
    document_digest: str
    released_at: datetime | None
    superseded_by: str | None
    reason_for_partner: str | None
    """The reason for partners of the status change that withdrew the payload."""
    erased: bool

    @property
    def is_released(self) -> bool:
        """Whether the payload was released to its recipients."""
        return self.released_at is not None

    @property
    def facts(self) -> PayloadFacts:
        """The facts that decisions use."""
        return PayloadFacts(
            id=self.id,
            version=self.version,
            state=self.state,
            content_digest=self.content_digest,
            document_digest=self.document_digest,
            superseded_by=self.superseded_by,
            withdrawn_because=self.reason_for_partner,
            erased=self.erased,
        )


class StoredRejection(Stored, frozen=True):
    """The last rejection by a partner."""

    content_digest: str
    reasons: list[RejectionReason]


class HandedOff(Stored, frozen=True):
    """What was handed off, as decisions of every role need it: partners cannot read all of these rows themselves.

    `macs` are the MAC addresses, by payload, in the documents of the live payloads and of the payload that was released
    last, where the decision can make it live. `taken` are the addresses of the latter that other locations hold. `live`
    are the ids of the live payloads, `content_macs` the MAC addresses of the current content. `live_twice` are the
    addresses of live payloads that live payloads of other locations name as well, with the holder for leads.
    """

    recipients: tuple[Recipient, ...]
    macs: dict[str, frozenset[str]]
    live: frozenset[str]
    live_twice: dict[str, MacHolder | None]
    taken: frozenset[str]
    content_macs: frozenset[str]


class CatalogueModel(Stored, frozen=True):
    """A model of the device catalogue."""

    brand: DeviceBrand
    model: str


class AggregateRecord(Stored, frozen=True, kw_only=True, dict=True):
    """The stored state of a location. `now` is the time of the database's clock after the lock was taken."""

    now: datetime
    location: StoredLocation
    account_name: str
    rows: ContentRows
    sections: dict[Section, StoredSection]
    session: StoredSession | None
    override: Override | None
    request: StoredApproval | None
    approval: StoredApproval | None
    last_approved: StoredApproval | None
    """The newest approval, including a voided one. Reviews compare the content with it."""
    approvals_in_force: tuple[str, ...]
    payloads: tuple[StoredPayload, ...]
    rejection: StoredRejection | None
    handed_off: HandedOff
    partners: tuple[Partner, ...]
    claims: tuple[str, ...]
    claimed_elsewhere: dict[str, MacHolder | None]
    """The addresses of devices that other locations hold. The holders are known to leads only."""
    models: tuple[CatalogueModel, ...]

    @cached_property
    def content(self) -> LocationContent:
        """The content as a value of the domain."""
        return content_of(self.rows)

    @cached_property
    def row_revisions(self) -> dict[str, int]:
        """The revisions of the content's rows that have ids, by id."""
        return revisions_of(self.rows)

    @property
    def last_rejection(self) -> Rejection | None:
        """The last rejection as a value of the domain."""
        found = self.rejection
        return None if found is None else Rejection(content_digest=found.content_digest, reasons=tuple(found.reasons))


# json, not jsonb: the result is only sent as text.
def _select(table: Table, columns: Iterable[str], condition: str = "true", order: str = "location_id") -> str:
    """SQL for the location's rows of a table, with these columns."""
    return (
        f"(SELECT {', '.join(columns)} FROM turnup.{table.name} r WHERE r.location_id = l.id AND {condition}"
        f" ORDER BY {order})"
    )


def _row(table: Table, columns: Iterable[str], condition: str = "true", order: str = "location_id") -> str:
    return f"(SELECT to_json(r) FROM {_select(table, columns, condition, order)} r LIMIT 1)"


def _rows(table: Table, columns: Iterable[str], condition: str = "true", order: str = "location_id") -> str:
    return f"(SELECT coalesce(json_agg(r), '[]') FROM {_select(table, columns, condition, order)} r)"


def _approval(condition: str, order: str = "location_id") -> str:
    return _row(tables.approval, _APPROVAL, condition, order)


def _content() -> Iterator[str]:
    """SQL for the content rows of each table."""
    for child in CHILDREN:
        select = _row if child.table in SINGLE else _rows
        rows = select(child.table, ROW_TYPES[child.table].__struct_fields__, order=", ".join(child.order))
        yield f"'{child.name}', {rows}"


def _of_location(row: type[msgspec.Struct]) -> str:
    return f"(SELECT to_json(r) FROM (SELECT {', '.join(f'l.{column}' for column in row.__struct_fields__)}) r)"


_PAYLOAD_SQL = {
    "erased": f"r.document = '{tables.ERASED_DOCUMENT}' AS erased",
    "reason_for_partner": (
        "(SELECT s.reason_for_partner FROM turnup.status_change s WHERE s.id = r.status_change_id)"
        " AS reason_for_partner"
    ),
}
_PAYLOAD = tuple(_PAYLOAD_SQL.get(field, field) for field in StoredPayload.__struct_fields__)
# A live payload can be decommissioned, however many were generated since.
_LAST_OR_LIVE = (
    "(r.live OR r.sequence > (SELECT max(q.sequence) - 100 FROM turnup.provisioning_payload q"
    " WHERE q.location_id = l.id))"
)
_APPROVAL = ("id", "digest", "CASE WHEN digest <> l.content_digest THEN content END AS content")

_SQL = f"""
SELECT json_build_object(
    'now', clock_timestamp(),
    'location', {_of_location(StoredLocation)},
    'account_name', (SELECT name FROM turnup.account WHERE id = l.account_id),
    'rows', json_build_object('location', {_of_location(ROW_TYPES[tables.location])}, {", ".join(_content())}),
    'sections', (SELECT coalesce(json_object_agg(r.section, json_build_object(
                     'revision', r.revision, 'complete', r.complete)), '{{}}')
                 FROM turnup.section r WHERE r.location_id = l.id),
    'session', {_row(tables.onboarding_session, StoredSession.__struct_fields__, "closed_at IS NULL")},
    'override', {_row(tables.override, Override.__slots__, "ended_at IS NULL")},
    'request', {_approval("status = 'PENDING'")},
    'approval', {_approval("status = 'APPROVED'", "decided_at DESC, id DESC")},
    'last_approved', {_approval("status IN ('APPROVED', 'VOIDED')", "decided_at DESC, id DESC")},
    'approvals_in_force', (SELECT coalesce(json_agg(id ORDER BY id), '[]') FROM turnup.approval
                           WHERE location_id = l.id AND status = 'APPROVED'),
    'payloads', {_rows(tables.provisioning_payload, _PAYLOAD, _LAST_OR_LIVE, order="sequence DESC")},
    'rejection', f.rejection,
    'handed_off', f.handed_off,
    'partners', f.partners,
    'claims', (SELECT coalesce(json_agg(mac ORDER BY mac), '[]') FROM turnup.mac_claim WHERE location_id = l.id),
    'claimed_elsewhere', f.claimed_elsewhere,
    'models', (SELECT coalesce(json_agg(json_build_object('brand', brand, 'model', model)), '[]')
               FROM turnup.device_model)
)::text
FROM turnup.decision_facts(
    ARRAY(SELECT id FROM turnup.location WHERE id = ANY ($1::text[])), to_write => :to_write) f
JOIN turnup.location l ON l.id = f.location_id ORDER BY l.id
"""

_DECODER = msgspec.json.Decoder(AggregateRecord)

AGGREGATES = Statement("aggregates", _SQL.replace(":to_write", "true"), ("ids",), _DECODER.decode)
PREVIEWED = Statement("previewed aggregates", _SQL.replace(":to_write", "false"), ("ids",), _DECODER.decode)
