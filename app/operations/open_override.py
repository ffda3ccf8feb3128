"""Open a locked location for editing, for a while, in some sections, by one lead."""

from app.db import tables
from app.domain.locks import check_overridable, is_in_force, override_terms
from app.domain.refusals import OverrideScope
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, Update, UseCase


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """Raises NotLocked, InvalidInput, and OverrideScope while another override is in force."""
    check_overridable(aggregate.status)
    terms = override_terms(
        sections=frozenset(given["sections"]),
        reason=given["reason"],
        ticket=given.get("ticket"),
        expires_in_minutes=given["expires_in_minutes"],
        now=aggregate.now,
    )
    earlier = aggregate.record.override
    updates: tuple[Update, ...] = ()
    if earlier is not None:
        if is_in_force(earlier, aggregate.now):
            raise OverrideScope(sections=earlier.sections)
        updates = ((tables.override, {"id": earlier.id}, {"ended_at": earlier.expires_at}),)
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
    }
    return LocationChange(
        rows=((tables.override, row),),
        updates=updates,
        reason=terms.reason,
        override_id=override_id,
        ids={"override": override_id},
    )


OPEN_OVERRIDE = UseCase(mutation="openOverride", decide=decide)
