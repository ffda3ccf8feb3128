"""Locked locations and the overrides that unlock them: who may edit which sections, and when."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.limits import check_range
from app.domain.refusals import InvalidInput, Locked, NotLocked, OverrideScope
from app.domain.text import clean, given
from app.domain.viewer import Viewer
from app.domain.vocabulary import LOCKED_STATUSES, LocationStatus, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Permission for one lead to edit some sections of a locked location, until it expires or is ended."""

    id: str
    opened_by: str
    sections: frozenset[Section]
    expires_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideTerms:
    """The stored values of a new override."""

    sections: frozenset[Section]
    reason: str
    ticket: str | None
    expires_at: datetime


def is_locked(status: LocationStatus) -> bool:
    """Return whether a location in this status refuses edits without an override."""
    return status in LOCKED_STATUSES


def is_in_force(override: Override, now: datetime) -> bool:
    """Return whether the override is active at `now`; at `expires_at` itself it no longer is."""
    return override.ended_at is None and now < override.expires_at


def decide_edit(
    status: LocationStatus,
    sections: AbstractSet[Section],
    override: Override | None,
    viewer: Viewer,
    now: datetime,
) -> Override | None:
    """Return the override under which the viewer edits these sections; None on an unlocked location, which needs none.

    Raises Locked when the viewer has no active override, OverrideScope when the override does not cover all sections.
    """
    if not is_locked(status):
        return None
    if override is None or override.opened_by != viewer.id or not is_in_force(override, now):
        raise Locked(status=status)
    if not sections <= override.sections:
        raise OverrideScope(sections=override.sections)
    return override


def check_overridable(status: LocationStatus) -> None:
    """Raise NotLocked when the location is not locked."""
    if not is_locked(status):
        raise NotLocked(status=status)


def override_terms(
    *,
    sections: AbstractSet[Section],
    reason: str,
    ticket: str | None,
    expires_in_minutes: int,
    now: datetime,
) -> OverrideTerms:
    """Return the terms of a new override. Raises InvalidInput for no sections, or an invalid reason or duration."""
    if not sections:
        raise InvalidInput(field="editableSections", rule="at least one is required", path=("editableSections",))
    check_range("expiresInMinutes", expires_in_minutes, path=("expiresInMinutes",))
    return OverrideTerms(
        sections=frozenset(sections),
        reason=given("override.reason", reason, path=("reason",)),
        ticket=clean("override.ticket", ticket, path=("ticket",)),
        expires_at=now + timedelta(minutes=expires_in_minutes),
    )
