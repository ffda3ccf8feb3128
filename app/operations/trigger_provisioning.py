"""Release the latest payload to the partners of the location."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.db import tables
from app.db.aggregates import StoredPayload
from app.db.writing import Insert, Update
from app.domain.handoff import decide_release
from app.domain.vocabulary import Budget, LocationAction, PayloadState
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerProvisioning(Command):
    """The location whose latest payload to release."""

    location_id: str


def decide(aggregate: Aggregate, _command: TriggerProvisioning) -> LocationChange:
    """Release the latest payload, unless it is already released.

    Raises IllegalTransition, ApprovalOutdated, and NotReady if a partner of the location cannot answer.
    """
    release = aggregate.transition(LocationAction.TRIGGER_PROVISIONING)
    payloads = aggregate.record.payloads
    payload = decide_release(
        aggregate.status,
        current_digest=aggregate.digest,
        approved_digest=aggregate.approved_digest,
        latest=payloads[0].facts if payloads else None,
        partners=aggregate.record.partners,
        allowed=aggregate.allowed_verbs,
        issues=aggregate.issues,
    )
    if payload.state is PayloadState.RELEASED and release.to is aggregate.status:
        return LocationChange(ids={"payload": payload.id})
    return LocationChange(
        transition=release,
        payload_id=payload.id,
        rows=tuple(_recipients(aggregate, payload.id)),
        updates=tuple(_replaced(aggregate, payload.id)),
        ids={"payload": payload.id},
    )


def _recipients(aggregate: Aggregate, payload_id: str) -> Iterator[Insert]:
    """The recipients of the payload: the partners of the location at this moment."""
    for partner in aggregate.record.partners:
        row = {
            "id": aggregate.new_id("PayloadRecipient"),
            "account_id": aggregate.record.location.account_id,
            "location_id": aggregate.record.location.id,
            "payload_id": payload_id,
            "user_id": partner.user_id,
            "purpose": partner.purpose,
            "required": partner.required,
            "live": False,
        }
        yield Insert(tables.payload_recipient, row)


def _replaced(aggregate: Aggregate, payload_id: str) -> Iterator[Update]:
    """The earlier released payloads whose successor this is: their recipients see it from now on.

    Payloads that were generated in between and never released are no successors for recipients.
    """
    unreleased = {each.id for each in aggregate.record.payloads if not each.is_released}
    for each in aggregate.record.payloads:
        if each.is_released and (each.superseded_by in unreleased or _is_open(each)):
            yield Update(tables.provisioning_payload, {"id": each.id}, {"superseded_by": payload_id})


def _is_open(payload: StoredPayload) -> bool:
    """Whether recipients could answer the payload until now, after the required ones."""
    return payload.state is PayloadState.ACKNOWLEDGED and payload.superseded_by is None


TRIGGER_PROVISIONING = LocationMutation(
    name="triggerProvisioning",
    command=TriggerProvisioning,
    decide=decide,
    action=Action.TRIGGER_PROVISIONING,
    budget=Budget.PAYLOADS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
