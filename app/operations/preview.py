"""Previews: aggregates of locations that are read without locks, and the actions that they allow."""

from dataclasses import replace

from app.db import writing
from app.db.database import Transaction
from app.domain.approving import is_own_work
from app.domain.viewer_actions import Situation, ViewerAction, viewer_actions
from app.domain.vocabulary import LocationStatus
from app.operations.aggregate import Aggregate
from app.operations.context import new_id
from app.operations.registry import APPROVES, EDITS, SUBMITS
from permissions.matrix import Action
from permissions.policy import actions_on_locations, forbidden_actions_of, may


async def previews(tx: Transaction, location_ids: list[str], *, self_approval_allowed: bool) -> list[Aggregate]:
    """The aggregates of locations in the snapshot of this transaction. All of the locations are in scope."""
    editors: dict[str, frozenset[str]] = {}
    if may(tx.viewer, Action.APPROVE):
        editors = await writing.editors_since(tx, location_ids, edits=EDITS, submits=SUBMITS, approves=APPROVES)
    records = await writing.previewed_records_of(tx, location_ids)
    aggregates = [
        Aggregate(
            viewer=tx.viewer,
            record=records[location_id],
            new_id=new_id,
            self_approval_allowed=self_approval_allowed,
            editors=editors.get(location_id, frozenset()),
        )
        for location_id in location_ids
    ]
    held = frozenset().union(*(each.released_elsewhere for each in aggregates))
    if not held:
        return aggregates
    holders = await writing.holders_of(tx, held)
    return [replace(each, holders=holders) for each in aggregates]


def actions_of(aggregate: Aggregate) -> tuple[ViewerAction, ...]:
    """The actions that the viewer can perform on the location, decided by the functions that guard the mutations."""
    session, payloads = aggregate.record.session, aggregate.record.payloads
    released, handed_off = aggregate.released_payload, aggregate.record.handed_off
    pending = aggregate.status is LocationStatus.PENDING_APPROVAL
    submitted_by = session.submitted_by if session and pending else None
    return viewer_actions(
        Situation(
            viewer=aggregate.viewer,
            forbidden=forbidden_actions_of(
                aggregate.viewer,
                account_id=aggregate.record.location.account_id,
                location_id=aggregate.record.location.id,
            ),
            verbs=aggregate.verbs,
            now=aggregate.now,
            status=aggregate.status,
            current_digest=aggregate.digest,
            approved_digest=aggregate.approved_digest,
            facts=aggregate.facts,
            override=aggregate.record.override,
            latest_payload=payloads[0].facts if payloads else None,
            released_payload=released.facts if released else None,
            partners=aggregate.record.partners,
            recipients=aggregate.recipients_of(released.id) if released else (),
            live_payloads=handed_off.live,
            content_held=aggregate.record.claimed_elsewhere,
            released_held={mac: aggregate.holders.get(mac) for mac in aggregate.released_elsewhere},
            issues=aggregate.issues,
            own_work=is_own_work(aggregate.viewer.id, submitted_by=submitted_by, editors=aggregate.editors),
            self_approval_allowed=aggregate.self_approval_allowed,
        ),
        actions_on_locations(),
    )
