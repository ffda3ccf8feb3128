"""Generate the provisioning payload of the approved content."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.db import tables
from app.db.aggregates import StoredPayload
from app.db.writing import Insert, Update
from app.domain.canonical import canonical
from app.domain.digest import document_digest
from app.domain.handoff import decide_generation
from app.domain.payload import payload_document
from app.domain.vocabulary import Budget, LocationAction, PayloadState
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratePayload(Command):
    """The location whose payload to generate."""

    location_id: str


def decide(aggregate: Aggregate, _command: GeneratePayload) -> LocationChange:
    """The latest payload if it is current and in the version that the partners need, otherwise a new one.

    Raises IllegalTransition, ApprovalOutdated, NotReady.
    """
    aggregate.transition(LocationAction.GENERATE_PAYLOAD)
    payloads = aggregate.record.payloads
    latest = payloads[0] if payloads else None
    version = aggregate.payload_version
    reusable = decide_generation(
        current_digest=aggregate.digest,
        approved_digest=aggregate.approved_digest,
        version=version,
        latest=latest.facts if latest else None,
        issues=aggregate.issues,
    )
    if reusable is not None:
        return LocationChange(ids={"payload": reusable.id})
    assert version is not None  # noqa: S101 - readiness blocks PROVISION when no version suits the partners
    location = aggregate.record.location
    sequence = latest.sequence + 1 if latest else 1
    payload_id = aggregate.new_id("ProvisioningPayload")
    document = payload_document(
        aggregate.content,
        version=version,
        account_name=aggregate.record.account_name,
        now=aggregate.now,
        sequence=sequence,
        generated_by=aggregate.viewer.id,
        location_revision=location.revision,
        supersedes=latest.id if latest else None,
    )
    row = {
        "id": payload_id,
        "account_id": location.account_id,
        "location_id": location.id,
        "sequence": sequence,
        "version": version,
        "state": PayloadState.GENERATED,
        "test": location.test,
        "document": canonical(document).decode(),
        "document_digest": document_digest(document),
        "content_digest": aggregate.digest,
        "digest_version": aggregate.digest_version,
        "location_revision": location.revision,
        "generated_by": aggregate.viewer.id,
        "generated_at": aggregate.now,
    }
    replaced = tuple(_replaced(payloads, payload_id))
    return LocationChange(
        rows=(Insert(tables.provisioning_payload, row),), updates=replaced, ids={"payload": payload_id}
    )


def _replaced(payloads: Iterable[StoredPayload], payload_id: str) -> Iterator[Update]:
    """The earlier payloads that the new one replaces: superseded ones, and one that was generated and not released."""
    for each in payloads:
        if each.state is PayloadState.GENERATED:
            values = {"state": PayloadState.SUPERSEDED, "superseded_by": payload_id}
            yield Update(tables.provisioning_payload, {"id": each.id}, values)
        elif each.state is PayloadState.SUPERSEDED and each.superseded_by is None:
            yield Update(tables.provisioning_payload, {"id": each.id}, {"superseded_by": payload_id})


GENERATE_PAYLOAD = LocationMutation(
    name="generatePayload",
    command=GeneratePayload,
    decide=decide,
    action=Action.GENERATE_PAYLOAD,
    budget=Budget.PAYLOADS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
