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
from app.domain.status_machine import CLAIMING_STATUSES, Consequences, Transition
from app.domain.vocabulary import (
    ApprovalStatus,
    LocationStatus,
    PayloadState,
    Section,
    SessionChange,
)
from app.operations.aggregate import Aggregate
from app.operations.context import LocationChange

SECTION_OF_TABLE = {child.table: Section[child.member.upper()] for child in CHILDREN}
_UNANSWERED = frozenset({PayloadState.GENERATED, PayloadState.RELEASED})
_TO_BE_REPLACED = frozenset({PayloadState.SUPERSEDED, PayloadState.REJECTED})
_KEY = frozenset({"id", "account_id"})
# The tables whose rows belong to a payload.
_OF_PAYLOAD = frozenset({tables.payload_recipient, tables.receipt})


@dataclass(frozen=True, slots=True)
class MacClaims:
    """The MAC addresses that a change claims and releases for a location.

    The change is refused if another location holds an address in `take`. The addresses in `retake` should be held
    already: another location could hold them when claims began to follow live payloads. They are claimed if possible.
    """

    take: frozenset[str]
    release: frozenset[str]
    retake: frozenset[str] = frozenset()


def writes_of(aggregate: Aggregate, change: LocationChange) -> Iterator[Write]:
    """Yield the writes of a change, in an order that the constraints allow.

    Each payload that the change concerns gets a new `updated_at`: recipients find changes by it.
    """
    touched: set[str] = set()
    for write in _writes_of(aggregate, change):
        if isinstance(write, Insert) and write.table is tables.provisioning_payload:
            yield Insert(write.table, {**write.row, "updated_at": aggregate.now})
        else:
            yield write
            touched |= _payload_of(aggregate, write)
    for payload_id in sorted(touched):
        yield Update(tables.provisioning_payload, {"id": payload_id}, {"updated_at": aggregate.now})


def _payload_of(aggregate: Aggregate, write: Write) -> set[str]:
    """The existing payload that a write concerns: its row, a recipient or a receipt of it."""
    if isinstance(write, Insert):
        return {write.row["payload_id"]} if write.table in _OF_PAYLOAD else set()
    if write.table is tables.provisioning_payload:
        return {write.key["id"]}
    if write.table is tables.payload_recipient:
        recipients = aggregate.record.handed_off.recipients
        return {each.payload_id for each in recipients if each.id == write.key["id"]}
    return set()


def _writes_of(aggregate: Aggregate, change: LocationChange) -> Iterator[Write]:
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
    live = aggregate.record.handed_off.live if change.live is None else change.live
    if change.transition is not None:
        place["status"] = change.transition.to
        status_change_id = None
        if change.transition.to is not aggregate.status:
            status_change_id = place["status_change_id"] = aggregate.new_id("StatusChange")
            yield _status_change(aggregate, change, change.transition, status_change_id)
        yield from _entailed(aggregate, change, change.transition.consequences, status_change_id)
        if change.transition.to is LocationStatus.COMPLETED and change.payload_id in live:
            place["live_payload_id"] = change.payload_id
    yield from _liveness(aggregate, live)
    if aggregate.record.location.live_payload_id not in live | {None}:
        place.setdefault("live_payload_id", None)
    place |= {"revision": aggregate.record.location.revision + 1, "updated_at": aggregate.now}
    yield Update(tables.location, {"id": aggregate.record.location.id}, place)


def claims_of(aggregate: Aggregate, change: LocationChange) -> MacClaims:
    """Return the claims and releases of a change.

    A location claims the addresses of its content in some statuses, and those of its live payloads in every status. An
    address must be free when it enters the content or the live payloads. Test locations claim nothing.
    """
    record = aggregate.record
    if record.location.test:
        return MacClaims(frozenset(), frozenset())
    before, after = aggregate.content_macs, aggregate.content_macs
    if change.content is not None:
        after = _addresses(change.content)
    claimed = before if aggregate.status in CLAIMING_STATUSES else frozenset()
    claims = after if (change.transition.to if change.transition else aggregate.status) in CLAIMING_STATUSES else None
    was_live, live = record.handed_off.live, record.handed_off.live if change.live is None else change.live
    running, runs = _named_by(aggregate, was_live), _named_by(aggregate, live)
    wanted = (claims or frozenset()) | runs
    held = frozenset(record.claims)
    new = (wanted - (claimed | running)) | (runs - running)
    return MacClaims(take=new - held, release=held - wanted, retake=wanted - new - held)


def _named_by(aggregate: Aggregate, payloads: AbstractSet[str]) -> frozenset[str]:
    """The MAC addresses in the documents of payloads."""
    return frozenset[str]().union(*(aggregate.record.handed_off.macs.get(each, ()) for each in payloads))


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
            if "revision" in table.c:
                section = aggregate.record.sections[SECTION_OF_TABLE[table]].revision
                values["revision"] = aggregate.record.row_revisions.get(key, section) + 1
            yield Update(table, _key(table, key), values)


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


def _status_change(
    aggregate: Aggregate, change: LocationChange, transition: Transition, status_change_id: str
) -> Write:
    row = {
        "id": status_change_id,
        "account_id": aggregate.record.location.account_id,
        "location_id": aggregate.record.location.id,
        "verb": transition.verb,
        "reason": change.reason,
        "reason_for_customer": change.reason_for_customer,
        "reason_for_partner": change.reason_for_partner,
        "changed_by": aggregate.viewer.id,
        "changed_at": aggregate.now,
    }
    return Insert(tables.status_change, row)


def _liveness(aggregate: Aggregate, live: AbstractSet[str]) -> Iterator[Write]:
    """Yield the updates of payloads that become live or cease to be."""
    for payload_id in sorted(live ^ aggregate.record.handed_off.live):
        yield Update(tables.provisioning_payload, {"id": payload_id}, {"live": payload_id in live})


def _entailed(
    aggregate: Aggregate, change: LocationChange, follows: Consequences, status_change_id: str | None
) -> Iterator[Write]:
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
        withdrawn = {
            "state": PayloadState.WITHDRAWN,
            "withdrawn_reason": change.reason or "rejected",
            "status_change_id": status_change_id,
        }
        for payload in record.payloads:
            if payload.state in _UNANSWERED and payload.id != change.payload_id:
                yield Update(tables.provisioning_payload, {"id": payload.id}, withdrawn)
    explained = {change.payload_id} if follows.explains_payload and change.payload_id is not None else set()
    for payload_id in sorted(explained | (_in_use(aggregate) if follows.notifies_recipients else set())):
        yield Update(tables.provisioning_payload, {"id": payload_id}, {"status_change_id": status_change_id})


def _in_use(aggregate: Aggregate) -> AbstractSet[str]:
    """The payloads whose recipients wait for news: those that are live, and one that they wait to see replaced."""
    live, released = aggregate.record.handed_off.live, aggregate.released_payload
    return live if released is None or released.state not in _TO_BE_REPLACED else live | {released.id}


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
