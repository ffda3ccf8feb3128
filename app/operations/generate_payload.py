"""Make the provisioning payload of the approved content."""

from app.db import tables
from app.domain.canonical import canonical
from app.domain.digest import document_digest
from app.domain.handoff import decide_generation
from app.domain.payload import VERSION, payload_document
from app.domain.status_machine import move
from app.domain.vocabulary import PayloadState, Verb
from app.operations.desk import Change, Input, UseCase, Work


def decide(work: Work, _given: Input) -> Change:
    """The latest payload when it says it all, else a new one; raises IllegalTransition, ApprovalOutdated, NotReady."""
    move(work.status, Verb.GENERATE_PAYLOAD, work.viewer.role, work.facts)
    payloads = work.dossier.payloads
    latest = payloads[0] if payloads else None
    reusable = decide_generation(
        current_digest=work.digest,
        approved_digest=work.approved_digest,
        latest=latest.standing if latest else None,
        issues=work.issues,
    )
    if reusable is not None:
        return Change(ids={"payload": reusable.id})
    location = work.dossier.location
    sequence = latest.sequence + 1 if latest else 1
    payload_id = work.new_id("ProvisioningPayload")
    document = payload_document(
        work.content,
        account_name=work.dossier.account_name,
        now=work.now,
        sequence=sequence,
        generated_by=work.viewer.id,
        location_revision=location.revision,
        supersedes=latest.id if latest else None,
    )
    row = {
        "id": payload_id,
        "account_id": location.account_id,
        "location_id": location.id,
        "sequence": sequence,
        "version": VERSION,
        "state": PayloadState.GENERATED,
        "document": canonical(document).decode(),
        "document_digest": document_digest(document),
        "content_digest": work.digest,
        "location_revision": location.revision,
        "generated_by": work.viewer.id,
        "generated_at": work.now,
    }
    replaced = tuple(
        (tables.provisioning_payload, {"id": each.id}, {"superseded_by": payload_id})
        for each in payloads
        if each.state is PayloadState.SUPERSEDED and each.superseded_by is None
    )
    return Change(rows=((tables.provisioning_payload, row),), updates=replaced, ids={"payload": payload_id})


GENERATE_PAYLOAD = UseCase(mutation="generatePayload", decide=decide)
