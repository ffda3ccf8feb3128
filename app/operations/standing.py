"""Where a location stands, as the decisions see it, without locking it: what previews are made from."""

from app.db import writing
from app.db.database import Transaction
from app.domain.approving import is_own_work
from app.domain.viewer_actions import Situation, ViewerAction, viewer_actions
from app.domain.vocabulary import LocationStatus, Role
from app.operations.desk import Work
from app.operations.frame import EDITS, SUBMIT_OR_APPROVE, new_id


async def standings(tx: Transaction, location_ids: list[str], *, self_approval_allowed: bool) -> list[Work]:
    """The locations as a use case would find them, in this transaction's snapshot; all of them are in reach."""
    editors: dict[str, frozenset[str]] = {}
    if tx.viewer.role is Role.IMPLEMENTATION_LEAD:
        editors = await writing.editors_since(tx, location_ids, edits=EDITS, marks=SUBMIT_OR_APPROVE)
    dossiers = await writing.dossiers_of(tx, location_ids)
    return [
        Work(
            viewer=tx.viewer,
            dossier=dossiers[location_id],
            new_id=new_id,
            self_approval_allowed=self_approval_allowed,
            editors=editors.get(location_id, frozenset()),
        )
        for location_id in location_ids
    ]


def actions_of(work: Work) -> tuple[ViewerAction, ...]:
    """What the viewer may do to the location, by the very functions that guard the mutations."""
    session, payloads = work.dossier.session, work.dossier.payloads
    pending = work.status is LocationStatus.PENDING_APPROVAL
    submitted_by = session.submitted_by if session and pending else None
    return viewer_actions(
        Situation(
            viewer=work.viewer,
            now=work.now,
            status=work.status,
            current_digest=work.digest,
            approved_digest=work.approved_digest,
            facts=work.facts,
            override=work.dossier.override,
            latest_payload=payloads[0].standing if payloads else None,
            issues=work.issues,
            own_work=is_own_work(work.viewer.id, submitted_by=submitted_by, editors=work.editors),
            self_approval_allowed=work.self_approval_allowed,
        )
    )
