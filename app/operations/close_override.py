"""End an override before its time."""

from app.db import tables
from app.operations.desk import Change, Input, UseCase, Work


def decide(work: Work, given: Input) -> Change:
    """Any lead may end it; one that has ended stays as it is."""
    override_id = given["override_id"]
    current = work.dossier.override
    if current is None or current.id != override_id:
        return Change(ids={"override": override_id})
    ended = min(work.now, current.expires_at)
    return Change(
        updates=((tables.override, {"id": override_id}, {"ended_at": ended}),),
        override_id=override_id,
        ids={"override": override_id},
    )


CLOSE_OVERRIDE = UseCase(mutation="closeOverride", decide=decide, table=tables.override, key="override_id")
