"""End an override before its time."""

from app.db import tables
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """Any lead may end it; one that has ended stays as it is."""
    override_id = given["override_id"]
    current = aggregate.record.override
    if current is None or current.id != override_id:
        return LocationChange(ids={"override": override_id})
    ended = min(aggregate.now, current.expires_at)
    return LocationChange(
        updates=((tables.override, {"id": override_id}, {"ended_at": ended}),),
        override_id=override_id,
        ids={"override": override_id},
    )


CLOSE_OVERRIDE = UseCase(mutation="closeOverride", decide=decide, table=tables.override, key="override_id")
