"""Close an override before it expires."""

from dataclasses import dataclass

from app.db import tables
from app.db.writing import Update
from app.domain.vocabulary import Budget
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseOverride(Command):
    """The override to close."""

    override_id: str


def decide(aggregate: Aggregate, command: CloseOverride) -> LocationChange:
    """Close the override. Any lead can close it. An override that has already ended does not change."""
    override_id = command.override_id
    current = aggregate.record.override
    if current is None or current.id != override_id:
        return LocationChange(ids={"override": override_id})
    ended = min(aggregate.now, current.expires_at)
    return LocationChange(
        updates=(Update(tables.override, {"id": override_id}, {"ended_at": ended}),),
        override_id=override_id,
        ids={"override": override_id},
    )


CLOSE_OVERRIDE = LocationMutation(
    name="closeOverride",
    command=CloseOverride,
    decide=decide,
    action=Action.OVERRIDE_LOCK,
    budget=Budget.EDITS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
    table=tables.override,
    key="override_id",
)
