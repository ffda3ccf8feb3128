"""Open sections of a locked location for editing by one lead, for a limited time."""

from dataclasses import dataclass
from datetime import datetime

from app.db import tables
from app.db.writing import Insert, Update
from app.domain.locks import OverrideTerms, check_overridable, is_in_force, override_terms
from app.domain.refusals import OverrideScope
from app.domain.vocabulary import Budget, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, Counted, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOverride(Command):
    """The sections to open, the reason, and the duration."""

    location_id: str
    editable_sections: tuple[Section, ...]
    reason: str
    ticket: str | None = None
    expires_in_minutes: int


def decide(aggregate: Aggregate, command: OpenOverride) -> LocationChange:
    """Open an override. Raises NotLocked, InvalidInput, and OverrideScope while another override is in force."""
    check_overridable(aggregate.status)
    terms = override_terms(
        sections=frozenset(command.editable_sections),
        reason=command.reason,
        ticket=command.ticket,
        expires_in_minutes=command.expires_in_minutes,
        now=aggregate.now,
    )
    return new_override(aggregate, terms)


def new_override(aggregate: Aggregate, terms: OverrideTerms, *, ended_at: datetime | None = None) -> LocationChange:
    """The change that adds an override with these terms; with `ended_at` it is over as soon as it is added.

    Raises OverrideScope while another override is in force.
    """
    earlier = aggregate.record.override
    updates: tuple[Update, ...] = ()
    if earlier is not None:
        if is_in_force(earlier, aggregate.now):
            raise OverrideScope(sections=earlier.sections)
        updates = (Update(tables.override, {"id": earlier.id}, {"ended_at": earlier.expires_at}),)
    override_id = aggregate.new_id("Override")
    row = {
        "id": override_id,
        "account_id": aggregate.record.location.account_id,
        "location_id": aggregate.record.location.id,
        "opened_by": aggregate.viewer.id,
        "sections": sorted(terms.sections),
        "reason": terms.reason,
        "ticket": terms.ticket,
        "opened_at": aggregate.now,
        "expires_at": terms.expires_at,
        "ended_at": ended_at,
    }
    return LocationChange(
        rows=(Insert(tables.override, row),),
        updates=updates,
        reason=terms.reason,
        override_id=override_id,
        ids={"override": override_id},
    )


OPEN_OVERRIDE = LocationMutation(
    name="openOverride",
    command=OpenOverride,
    decide=decide,
    action=Action.OVERRIDE_LOCK,
    budget=Budget.EDITS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(Counted.OVERRIDES_OPENED,),
)
