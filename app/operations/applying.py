"""Carry a decided change out: the rows that differ, the digest, and everything that follows from a move."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Table

from app.db import tables, writing
from app.db.contents import rows_of
from app.db.database import Transaction
from app.domain.content import LocationContent
from app.domain.digest import content_digest
from app.domain.mac_address import show_mac
from app.domain.progress import completeness
from app.domain.readiness import readiness
from app.domain.refusals import MacInUse
from app.domain.status_machine import Consequences, Fact, holds_macs
from app.domain.vocabulary import (
    ApprovalStatus,
    ClaimChange,
    LocationStatus,
    PayloadState,
    Section,
    SessionChange,
)
from app.operations.desk import Change, Work

SECTION_OF_TABLE = {
    tables.contact: Section.CONTACTS,
    tables.phone_system: Section.PHONE_SYSTEM,
    tables.device: Section.DEVICES,
    tables.person: Section.PEOPLE,
    tables.extension: Section.EXTENSIONS,
    tables.working_hours: Section.WORKING_HOURS,
    tables.call_flow: Section.CALL_FLOW,
    tables.call_flow_option: Section.CALL_FLOW,
}
# Rows of these tables have no identity of their own: when any of them differs, the list is written anew.
_REPLACED = (tables.working_hours, tables.call_flow_option)
_UNANSWERED = frozenset({PayloadState.GENERATED, PayloadState.RELEASED})
_PLACE = ("name", "line1", "line2", "city", "state", "zipcode", "country", "timezone")


async def apply(tx: Transaction, work: Work, change: Change) -> None:
    """Write a change. Raises MacInUse when another location holds an address that this one needs."""
    place: dict[str, Any] = {}
    sections = change.sections
    if change.content is not None:
        sections = sections | await _write_content(tx, work, change.content)
        place |= _place_of(change.content) | {"content_digest": content_digest(change.content)}
        await _write_sections(tx, work, change.content, sections)
        await _touch_session(tx, work, {})
        if change.override_id is not None:
            await _supersede(tx, work)
    if change.current_step is not None:
        await _touch_session(tx, work, {"current_step": change.current_step})
    for table, row in change.rows:
        await writing.insert_row(tx, table, row)
    for table, key, values in change.updates:
        await writing.update_row(tx, table, key, values)
    if change.move is not None:
        place |= {"status": change.move.to} | await _follow(tx, work, change.move.consequences, change)
    await _hold_macs(tx, work, change)
    place |= {"revision": work.dossier.location.revision + 1, "updated_at": work.now}
    await writing.update_row(tx, tables.location, {"id": work.dossier.location.id}, place)


async def _write_content(tx: Transaction, work: Work, content: LocationContent) -> frozenset[Section]:
    """Write the rows that differ; returns the sections they belong to."""
    before, after = _by_table(work.content, work), _by_table(content, work)
    touched: set[Section] = set()
    for table in reversed(list(SECTION_OF_TABLE)):
        gone = before[table].keys() - after[table].keys()
        if table in _REPLACED:
            if _bare(before[table]) != _bare(after[table]):
                await writing.delete_row(tx, table, {"location_id": content.location_id})
                touched.add(SECTION_OF_TABLE[table])
            continue
        for key in sorted(gone):
            await writing.delete_row(tx, table, _key(table, key))
            touched.add(SECTION_OF_TABLE[table])
    for table, section in SECTION_OF_TABLE.items():
        rows = after[table]
        if table in _REPLACED:
            if _bare(before[table]) != _bare(rows):
                for row in rows.values():
                    await writing.insert_row(tx, table, row)
            continue
        for key, row in rows.items():
            old = before[table].get(key)
            if old is None:
                await writing.insert_row(tx, table, row)
                touched.add(section)
            elif old != row:
                differing = {name: value for name, value in row.items() if old[name] != value}
                revision = work.dossier.row_revisions.get(key, work.dossier.section_revisions[section])
                await writing.update_row(tx, table, _key(table, key), differing | {"revision": revision + 1})
                touched.add(section)
    if _place_of(work.content) != _place_of(content):
        touched.add(Section.LOCATION)
    return frozenset(touched)


def _by_table(content: LocationContent, work: Work) -> dict[Table, dict[str, dict[str, Any]]]:
    found: dict[Table, dict[str, dict[str, Any]]] = {table: {} for table in SECTION_OF_TABLE}
    for table, row in rows_of(content, work.new_id):
        found[table][row.get("id", content.location_id)] = row
    return found


def _bare(rows: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "id"} for row in rows.values()]


def _key(table: Table, key: str) -> dict[str, str]:
    return {"id" if "id" in table.c else "location_id": key}


def _place_of(content: LocationContent) -> dict[str, Any]:
    address = {part: getattr(content.address, part) for part in content.address.__slots__}
    return {"name": content.name, **address, "timezone": content.timezone}


async def _write_sections(tx: Transaction, work: Work, content: LocationContent, sections: Iterable[Section]) -> None:
    """Count the edited sections up and note which sections are complete now; an edit may complete another one."""
    edited = frozenset(sections)
    was = completeness(work.issues)
    now = completeness(readiness(content, work.outside))
    for section in Section:
        values: dict[str, Any] = {}
        if section in edited:
            values["revision"] = work.dossier.section_revisions[section] + 1
        if was[section] != now[section] or section in edited:
            values["complete"] = now[section]
        if values:
            key = {"location_id": content.location_id, "section": section}
            await writing.update_row(tx, tables.section, key, values)


async def _touch_session(tx: Transaction, work: Work, more: Mapping[str, Any]) -> None:
    session = work.dossier.session
    if session is not None and work.status is not LocationStatus.CANCELLED:
        values = {"last_saved_at": work.now, "revision": session.revision + 1, **more}
        await writing.update_row(tx, tables.onboarding_session, {"id": session.id}, values)


async def _supersede(tx: Transaction, work: Work) -> None:
    """Content moved under an override: what was not acknowledged yet must not be any more."""
    for payload in work.dossier.payloads:
        if payload.state in _UNANSWERED:
            values = {"state": PayloadState.SUPERSEDED}
            await writing.update_row(tx, tables.provisioning_payload, {"id": payload.id}, values)


async def _follow(tx: Transaction, work: Work, follows: Consequences, change: Change) -> dict[str, Any]:
    """Everything a move entails beside the status; returns columns of the location."""
    dossier = work.dossier
    await _follow_session(tx, work, follows.session, change.current_step)
    decided = {"decided_by": work.viewer.id, "decided_at": work.now, "comment": change.reason}
    if follows.request is not None and dossier.request is not None:
        by_lead = follows.request in {ApprovalStatus.APPROVED, ApprovalStatus.CHANGES_REQUESTED}
        values = {"status": follows.request, **(decided if by_lead else {})}
        await writing.update_row(tx, tables.approval, {"id": dossier.request.id}, values)
    if follows.approval is not None:
        key = {"location_id": dossier.location.id, "status": ApprovalStatus.APPROVED}
        await writing.update_row(tx, tables.approval, key, {"status": follows.approval})
    if follows.ends_override and dossier.override is not None:
        await writing.update_row(tx, tables.override, {"id": dossier.override.id}, {"ended_at": work.now})
    place: dict[str, Any] = {}
    if follows.payload is not None and change.payload_id is not None:
        await _move_payload(tx, work, change.payload_id, follows.payload)
        if follows.payload is PayloadState.ACKNOWLEDGED:
            place["live_payload_id"] = change.payload_id
    if follows.withdraws_payloads:
        for payload in dossier.payloads:
            if payload.state in _UNANSWERED and payload.id != change.payload_id:
                values = {"state": PayloadState.WITHDRAWN, "withdrawn_reason": change.reason or "rejected"}
                await writing.update_row(tx, tables.provisioning_payload, {"id": payload.id}, values)
    return place


async def _follow_session(tx: Transaction, work: Work, session: SessionChange, step: Section | None) -> None:
    found = work.dossier.session
    location = work.dossier.location
    if session is SessionChange.OPEN_IF_MISSING and found is None:
        row = {
            "id": work.new_id("OnboardingSession"),
            "account_id": location.account_id,
            "location_id": location.id,
            "started_at": work.now,
            "last_saved_at": work.now,
            "current_step": step or Section.LOCATION,
        }
        await writing.insert_row(tx, tables.onboarding_session, row)
    elif session is SessionChange.CLOSE and found is not None:
        values = {"closed_at": work.now, "revision": found.revision + 1}
        await writing.update_row(tx, tables.onboarding_session, {"id": found.id}, values)


async def _move_payload(tx: Transaction, work: Work, payload_id: str, state: PayloadState) -> None:
    values: dict[str, Any] = {"state": state}
    if state is PayloadState.RELEASED:
        values |= {"released_by": work.viewer.id, "released_at": work.now}
    await writing.update_row(tx, tables.provisioning_payload, {"id": payload_id}, values)


async def _hold_macs(tx: Transaction, work: Work, change: Change) -> None:
    """Bring the claims in line with the content and the status that the change leads to.

    A move that keeps them is left alone: a partner who makes it does not see the devices.
    """
    dossier = work.dossier
    follows = change.move.consequences.mac_claims if change.move else ClaimChange.KEEP
    if change.content is None and follows is ClaimChange.KEEP:
        return
    status = change.move.to if change.move else work.status
    content = change.content or work.content
    live = Fact.ACKNOWLEDGED_BEFORE in work.facts
    wanted = {device.mac_address for device in content.devices if device.mac_address is not None}
    if not holds_macs(status, has_live_payload=live):
        wanted = set()
    held = set(dossier.claims)
    if held - wanted:
        await writing.release_macs(tx, dossier.location.id, held - wanted)
    key = {"account_id": dossier.location.account_id, "location_id": dossier.location.id}
    missed = await writing.claim_macs(tx, key, wanted - held)
    if missed:
        raise MacInUse(mac_addresses=tuple(show_mac(mac) for mac in missed))
