"""The writes of a decided change: rows that differ, the digest, the consequences of a transition. Pure functions."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from app.db import tables
from app.db.content_columns import CHILDREN
from app.db.content_rows import WITHOUT_IDENTITY, child_rows, location_row, location_values
from app.db.writing import Delete, Insert, Update, Write
from app.domain.content import LocationContent
from app.domain.progress import completeness
from app.domain.readiness import readiness
from app.domain.status_machine import Consequences, Fact, holds_macs
from app.domain.vocabulary import (
    ApprovalStatus,
    ClaimChange,
    LocationStatus,
    PayloadState,
    Section,
    SessionChange,
)
from app.operations.aggregate import Aggregate
from app.operations.context import LocationChange

SECTION_OF_TABLE = {child.table: Section[child.member.upper()] for child in CHILDREN}
_UNANSWERED = frozenset({PayloadState.GENERATED, PayloadState.RELEASED})
_KEY = frozenset({"id", "account_id"})


@dataclass(frozen=True, slots=True)
class MacClaims:
    """The MAC addresses that a change claims and releases for a location."""

    take: frozenset[str]
    release: frozenset[str]


def writes_of(aggregate: Aggregate, change: LocationChange) -> Iterator[Write]:
    """Yield the writes of a change, in an order that the constraints allow."""
    place: dict[str, Any] = {}
    if change.content is not None:
        touched: set[Section] = set(change.sections)
        yield from _content(aggregate, change.content, touched)
        place |= {name: value for name, value in location_row(change.content).items() if name not in _KEY}
        yield from _sections(aggregate, change.content, touched)
        yield from _session_touched(aggregate, {})
        if change.override_id is not None:
            yield from _superseded(aggregate)
    if change.current_step is not None:
        yield from _session_touched(aggregate, {"current_step": change.current_step})
    # Updates come before inserts: an expired override is ended before the next one is opened.
    yield from change.updates
    yield from change.rows
    if change.transition is not None:
        place["status"] = change.transition.to
        yield from _entailed(aggregate, change, change.transition.consequences)
        if change.transition.consequences.payload is PayloadState.ACKNOWLEDGED and change.payload_id is not None:
            place["live_payload_id"] = change.payload_id
    place |= {"revision": aggregate.record.location.revision + 1, "updated_at": aggregate.now}
    yield Update(tables.location, {"id": aggregate.record.location.id}, place)


def claims_of(aggregate: Aggregate, change: LocationChange) -> MacClaims:
    """Return the claims and releases that match the content and the status after the change.

    Nothing, for a transition that keeps the claims: a partner who makes it cannot see the devices.
    """
    follows = change.transition.consequences.mac_claims if change.transition else ClaimChange.KEEP
    if change.content is None and follows is ClaimChange.KEEP:
        return MacClaims(frozenset(), frozenset())
    status = change.transition.to if change.transition else aggregate.status
    content = change.content or aggregate.content
    holds = holds_macs(status, has_live_payload=Fact.ACKNOWLEDGED_BEFORE in aggregate.facts)
    wanted = _addresses(content) if holds else frozenset()
    held = frozenset(aggregate.record.claims)
    return MacClaims(take=wanted - held, release=held - wanted)


def _addresses(content: LocationContent) -> frozenset[str]:
    return frozenset(each.mac_address for each in content.devices if each.mac_address is not None)


def _content(aggregate: Aggregate, content: LocationContent, touched: set[Section]) -> Iterator[Write]:
    """Yield the writes of the content rows that differ; add their sections to `touched`."""
    before, after = _by_table(aggregate.content, aggregate), _by_table(content, aggregate)
    # The rows of these tables have no ids in the content: if one of them differs, all are replaced.
    rewritten = {table for table in WITHOUT_IDENTITY if _bare(before[table]) != _bare(after[table])}
    touched |= {SECTION_OF_TABLE[table] for table in rewritten}
    for table in reversed(list(SECTION_OF_TABLE)):
        if table in rewritten:
            yield Delete(table, {"location_id": content.location_id})
        elif table not in WITHOUT_IDENTITY:
            for key in sorted(before[table].keys() - after[table].keys()):
                touched.add(SECTION_OF_TABLE[table])
                yield Delete(table, _key(table, key))
    for table, section in SECTION_OF_TABLE.items():
        if table in rewritten:
            yield from (Insert(table, row) for row in after[table].values())
        elif table not in WITHOUT_IDENTITY:
            for write in _differing(aggregate, table, before[table], after[table]):
                touched.add(section)
                yield write
    if location_values(aggregate.content) != location_values(content):
        touched.add(Section.LOCATION)


def _differing(
    aggregate: Aggregate, table: Table, before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]
) -> Iterator[Write]:
    for key, row in after.items():
        old = before.get(key)
        if old is None:
            yield Insert(table, row)
        elif old != row:
            values = {name: value for name, value in row.items() if old[name] != value}
            section = aggregate.record.sections[SECTION_OF_TABLE[table]].revision
            revision = aggregate.record.row_revisions.get(key, section)
            yield Update(table, _key(table, key), values | {"revision": revision + 1})


def _by_table(content: LocationContent, aggregate: Aggregate) -> dict[Table, dict[str, dict[str, Any]]]:
    found: dict[Table, dict[str, dict[str, Any]]] = {table: {} for table in SECTION_OF_TABLE}
    for table, row in child_rows(content, aggregate.new_id):
        found[table][row.get("id", content.location_id)] = row
    return found


def _bare(rows: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "id"} for row in rows.values()]


def _key(table: Table, key: str) -> dict[str, str]:
    return {"id" if "id" in table.c else "location_id": key}


def _sections(aggregate: Aggregate, content: LocationContent, edited: AbstractSet[Section]) -> Iterator[Write]:
    """Yield the revisions of edited sections and the completeness of all: an edit can complete another section."""
    complete = completeness(readiness(content))
    for section, stored in aggregate.record.sections.items():
        key = {"location_id": content.location_id, "section": section}
        if section in edited:
            yield Update(tables.section, key, {"revision": stored.revision + 1, "complete": complete[section]})
        elif stored.complete != complete[section]:
            yield Update(tables.section, key, {"complete": complete[section]})


def _session_touched(aggregate: Aggregate, more: Mapping[str, Any]) -> Iterator[Write]:
    session = aggregate.record.session
    if session is not None and aggregate.status is not LocationStatus.CANCELLED:
        values = {"last_saved_at": aggregate.now, "revision": session.revision + 1, **more}
        yield Update(tables.onboarding_session, {"id": session.id}, values)


def _superseded(aggregate: Aggregate) -> Iterator[Write]:
    """Supersede unanswered payloads: after an edit under an override they can no longer be acknowledged."""
    for payload in aggregate.record.payloads:
        if payload.state in _UNANSWERED:
            yield Update(tables.provisioning_payload, {"id": payload.id}, {"state": PayloadState.SUPERSEDED})


def _entailed(aggregate: Aggregate, change: LocationChange, follows: Consequences) -> Iterator[Write]:
    """Yield the consequences of a transition, except for the status itself."""
    record = aggregate.record
    yield from _session_writes(aggregate, follows.session, change.current_step)
    if follows.request is not None and record.request is not None:
        yield _request_write(aggregate, record.request.id, follows.request, change.reason)
    if follows.approval is not None:
        for approval_id in record.approvals_in_force:
            yield Update(tables.approval, {"id": approval_id}, {"status": follows.approval})
    if follows.ends_override and record.override is not None:
        ended = min(aggregate.now, record.override.expires_at)
        yield Update(tables.override, {"id": record.override.id}, {"ended_at": ended})
    if follows.payload is not None and change.payload_id is not None:
        yield _payload_write(aggregate, change.payload_id, follows.payload)
    if follows.withdraws_payloads:
        withdrawn = {"state": PayloadState.WITHDRAWN, "withdrawn_reason": change.reason or "rejected"}
        for payload in record.payloads:
            if payload.state in _UNANSWERED and payload.id != change.payload_id:
                yield Update(tables.provisioning_payload, {"id": payload.id}, withdrawn)


def _session_writes(aggregate: Aggregate, session: SessionChange, step: Section | None) -> Iterator[Write]:
    found, location = aggregate.record.session, aggregate.record.location
    if session is SessionChange.OPEN_IF_MISSING and found is None:
        row = {
            "id": aggregate.new_id("OnboardingSession"),
            "account_id": location.account_id,
            "location_id": location.id,
            "started_at": aggregate.now,
            "last_saved_at": aggregate.now,
            "current_step": step or Section.LOCATION,
        }
        yield Insert(tables.onboarding_session, row)
    elif session is SessionChange.CLOSE and found is not None:
        values = {"closed_at": aggregate.now, "revision": found.revision + 1}
        yield Update(tables.onboarding_session, {"id": found.id}, values)


def _request_write(aggregate: Aggregate, request_id: str, status: ApprovalStatus, comment: str | None) -> Write:
    values: dict[str, Any] = {"status": status}
    if status in {ApprovalStatus.APPROVED, ApprovalStatus.CHANGES_REQUESTED}:
        values |= {"decided_by": aggregate.viewer.id, "decided_at": aggregate.now, "comment": comment}
    return Update(tables.approval, {"id": request_id}, values)


def _payload_write(aggregate: Aggregate, payload_id: str, state: PayloadState) -> Write:
    values: dict[str, Any] = {"state": state}
    if state is PayloadState.RELEASED:
        values |= {"released_by": aggregate.viewer.id, "released_at": aggregate.now}
    return Update(tables.provisioning_payload, {"id": payload_id}, values)
