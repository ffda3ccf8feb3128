"""A location's dossier: everything a decision about it may depend on, read in one statement, one
location or a hundred."""

from datetime import datetime
from typing import Any

import msgspec

from app.db.statements import Statement
from app.domain.content import (
    Address,
    CallFlow,
    CallFlowOption,
    Contact,
    Device,
    Extension,
    LocationContent,
    Person,
    PhoneSystem,
    Target,
    WorkingHours,
)
from app.domain.handoff import PayloadFacts
from app.domain.locks import Override
from app.domain.rejection import Rejection, RejectionReason
from app.domain.vocabulary import (
    CallFlowKind,
    CallTarget,
    CallTrigger,
    DeviceBrand,
    LocationStatus,
    PayloadState,
    Section,
)


class StoredLocation(msgspec.Struct, frozen=True):
    """The location's own row."""

    id: str
    account_id: str
    name: str
    line1: str | None
    line2: str | None
    city: str | None
    state: str | None
    zipcode: str | None
    country: str | None
    timezone: str | None
    status: LocationStatus
    content_digest: str
    live_payload_id: str | None
    revision: int


class StoredFlow(msgspec.Struct, frozen=True):
    """The call flow's own row."""

    kind: CallFlowKind
    greeting: str | None
    timeout_seconds: int | None
    retries: int | None


class StoredRoute(msgspec.Struct, frozen=True):
    """A branch of the call flow."""

    trigger: CallTrigger
    digit: str | None
    target: CallTarget
    extension_id: str | None
    external_number: str | None
    external_number_e164: str | None


class StoredSection(msgspec.Struct, frozen=True):
    """Where a section stands; `complete` is about its own content, whatever others hold."""

    revision: int
    complete: bool


class StoredSession(msgspec.Struct, frozen=True):
    """The open onboarding session."""

    id: str
    revision: int
    submitted_at: datetime | None
    submitted_by: str | None


class StoredApproval(msgspec.Struct, frozen=True):
    """A request for approval, pending or approved; its content is None where that is the location's current one."""

    id: str
    digest: str
    content: dict[str, Any] | None


class StoredPayload(msgspec.Struct, frozen=True):
    """A payload, without its document."""

    id: str
    sequence: int
    state: PayloadState
    content_digest: str
    document_digest: str
    superseded_by: str | None
    withdrawn_reason: str | None

    @property
    def facts(self) -> PayloadFacts:
        """What decisions ask of it."""
        return PayloadFacts(
            id=self.id,
            state=self.state,
            content_digest=self.content_digest,
            document_digest=self.document_digest,
            superseded_by=self.superseded_by,
            withdrawn_because=self.withdrawn_reason,
        )


class StoredRejection(msgspec.Struct, frozen=True):
    """The last rejection by a partner."""

    content_digest: str
    reasons: list[RejectionReason]


class CatalogueModel(msgspec.Struct, frozen=True):
    """A model of the device catalogue."""

    brand: DeviceBrand
    model: str


class AggregateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is on record about a location at `now`, the database's clock behind the lock."""

    now: datetime
    location: StoredLocation
    account_name: str
    contacts: tuple[Contact, ...]
    phone_system: PhoneSystem | None
    devices: tuple[Device, ...]
    people: tuple[Person, ...]
    extensions: tuple[Extension, ...]
    working_hours: tuple[WorkingHours, ...]
    call_flow: StoredFlow | None
    routes: tuple[StoredRoute, ...]
    sections: dict[Section, StoredSection]
    row_revisions: dict[str, int]
    session: StoredSession | None
    override: Override | None
    request: StoredApproval | None
    approval: StoredApproval | None
    last_approved: StoredApproval | None
    """The newest approval that was given, also when it was voided since: what a review is compared with."""
    approvals_in_force: tuple[str, ...]
    payloads: tuple[StoredPayload, ...]
    rejection: StoredRejection | None
    claims: tuple[str, ...]
    claimed_elsewhere: dict[str, str | None]
    models: tuple[CatalogueModel, ...]

    @property
    def content(self) -> LocationContent:
        """The content as the domain knows it."""
        place = self.location
        return LocationContent(
            location_id=place.id,
            account_id=place.account_id,
            name=place.name,
            address=Address(**{part: getattr(place, part) for part in Address.__slots__}),
            timezone=place.timezone,
            contacts=self.contacts,
            phone_system=self.phone_system,
            devices=self.devices,
            people=self.people,
            extensions=self.extensions,
            working_hours=self.working_hours,
            call_flow=None if self.call_flow is None else _flow(self.call_flow, self.routes),
        )

    @property
    def last_rejection(self) -> Rejection | None:
        """The last rejection as the domain knows it."""
        found = self.rejection
        return None if found is None else Rejection(content_digest=found.content_digest, reasons=tuple(found.reasons))


def _flow(stored: StoredFlow, routes: tuple[StoredRoute, ...]) -> CallFlow:
    by_trigger: dict[CallTrigger, list[StoredRoute]] = {trigger: [] for trigger in CallTrigger}
    for route in routes:
        by_trigger[route.trigger].append(route)
    return CallFlow(
        kind=stored.kind,
        greeting=stored.greeting,
        timeout_seconds=stored.timeout_seconds,
        retries=stored.retries,
        timeout_target=_only(by_trigger[CallTrigger.TIMEOUT]),
        invalid_target=_only(by_trigger[CallTrigger.INVALID]),
        options=tuple(
            CallFlowOption(digit=route.digit or "", target=_target(route)) for route in by_trigger[CallTrigger.DIGIT]
        ),
        direct_targets=tuple(route.extension_id or "" for route in by_trigger[CallTrigger.DIRECT]),
    )


def _only(routes: list[StoredRoute]) -> Target | None:
    return _target(routes[0]) if routes else None


def _target(route: StoredRoute) -> Target:
    return Target(
        kind=route.target,
        extension_id=route.extension_id,
        external_number=route.external_number,
        external_number_e164=route.external_number_e164,
    )


# Built as json, not jsonb: it is sent as text at once, and nobody looks anything up in it on the way.
def _rows(table: str, order: str) -> str:
    return f"(SELECT coalesce(json_agg(r ORDER BY {order}), '[]') FROM turnup.{table} r WHERE r.location_id = l.id)"


def _row(table: str, condition: str = "true", order: str = "r.location_id", more: str = "to_json(r)") -> str:
    return f"(SELECT {more} FROM turnup.{table} r WHERE r.location_id = l.id AND {condition} ORDER BY {order} LIMIT 1)"


def _approval(condition: str, order: str = "r.location_id") -> str:
    return _row("approval", condition, order, _APPROVAL)


_APPROVAL = (
    "json_build_object('id', r.id, 'digest', r.digest,"
    " 'content', CASE WHEN r.digest <> l.content_digest THEN r.content END)"
)
_PAYLOAD = ", ".join(f"r.{field}" for field in StoredPayload.__struct_fields__)
_REVISIONS = " UNION ALL ".join(
    f"SELECT id, revision FROM turnup.{table} WHERE location_id = l.id"
    for table in ("contact", "device", "person", "extension")
)

SQL = f"""
SELECT json_build_object(
    'now', clock_timestamp(),
    'location', to_json(l),
    'account_name', (SELECT name FROM turnup.account WHERE id = l.account_id),
    'contacts', {_rows("contact", "r.position")},
    'phone_system', {_row("phone_system")},
    'devices', {_rows("device", "r.id")},
    'people', {_rows("person", "r.id")},
    'extensions', {_rows("extension", "r.number, r.id")},
    'working_hours', {_rows("working_hours", "r.weekday, r.opens, r.id")},
    'call_flow', {_row("call_flow")},
    'routes', {_rows("call_flow_option", "r.position")},
    'sections', (SELECT coalesce(json_object_agg(section, row_to_json(r)), '{{}}') FROM turnup.section r
                 WHERE location_id = l.id),
    'row_revisions', (SELECT coalesce(json_object_agg(id, revision), '{{}}') FROM ({_REVISIONS}) all_rows),
    'session', {_row("onboarding_session", "r.closed_at IS NULL")},
    'override', {_row("override", "r.ended_at IS NULL")},
    'request', {_approval("r.status = 'PENDING'")},
    'approval', {_approval("r.status = 'APPROVED'", "r.decided_at DESC, r.id DESC")},
    'last_approved', {_approval("r.status IN ('APPROVED', 'VOIDED')", "r.decided_at DESC, r.id DESC")},
    'approvals_in_force', (SELECT coalesce(json_agg(id ORDER BY id), '[]') FROM turnup.approval
                           WHERE location_id = l.id AND status = 'APPROVED'),
    'payloads', (SELECT coalesce(json_agg(p ORDER BY p.sequence DESC), '[]')
                 FROM (SELECT {_PAYLOAD} FROM turnup.provisioning_payload r WHERE r.location_id = l.id
                       ORDER BY r.sequence DESC LIMIT 100) p),
    'rejection', turnup.last_rejection(l.id),
    'claims', (SELECT coalesce(json_agg(mac ORDER BY mac), '[]') FROM turnup.mac_claim WHERE location_id = l.id),
    'claimed_elsewhere', (SELECT coalesce(json_object_agg(c.mac, c.holder), '{{}}')
                          FROM turnup.claimed_elsewhere(l.id) c),
    'models', (SELECT coalesce(json_agg(json_build_object('brand', brand, 'model', model)), '[]')
               FROM turnup.device_model)
)::text
FROM turnup.location l WHERE l.id = ANY ($1::text[]) ORDER BY l.id
"""

_DECODER = msgspec.json.Decoder(AggregateRecord)

AGGREGATES = Statement("dossiers", SQL, ("ids",), _DECODER.decode)
