"""Open a locked location for editing, for a while, in some sections, by one lead."""

from app.db import tables
from app.domain.locks import check_overridable, is_in_force, override_terms
from app.domain.refusals import OverrideScope
from app.operations.desk import Change, Input, Update, UseCase, Work


def decide(work: Work, given: Input) -> Change:
    """Raises NotLocked, InvalidInput, and OverrideScope while another override is in force."""
    check_overridable(work.status)
    terms = override_terms(
        sections=frozenset(given["sections"]),
        reason=given["reason"],
        ticket=given.get("ticket"),
        expires_in_minutes=given["expires_in_minutes"],
        now=work.now,
    )
    earlier = work.dossier.override
    updates: tuple[Update, ...] = ()
    if earlier is not None:
        if is_in_force(earlier, work.now):
            raise OverrideScope(sections=earlier.sections)
        updates = ((tables.override, {"id": earlier.id}, {"ended_at": earlier.expires_at}),)
    override_id = work.new_id("Override")
    row = {
        "id": override_id,
        "account_id": work.dossier.location.account_id,
        "location_id": work.dossier.location.id,
        "opened_by": work.viewer.id,
        "sections": sorted(terms.sections),
        "reason": terms.reason,
        "ticket": terms.ticket,
        "opened_at": work.now,
        "expires_at": terms.expires_at,
    }
    return Change(
        rows=((tables.override, row),),
        updates=updates,
        reason=terms.reason,
        override_id=override_id,
        ids={"override": override_id},
    )


OPEN_OVERRIDE = UseCase(mutation="openOverride", decide=decide)
