"""Create a payload with which a partner tries its receiver: a released payload of a location that exists for tests."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.db import demo, tables, writing
from app.db.content_rows import child_rows, location_row
from app.db.writing import Insert, Update, Write
from app.domain.canonical import canonical
from app.domain.content import LocationContent
from app.domain.digest import document_digest
from app.domain.payload import payload_document
from app.domain.payload_version import payload_version
from app.domain.progress import completeness
from app.domain.readiness import readiness
from app.domain.recipients import Partner
from app.domain.refusals import InvalidInput
from app.domain.vocabulary import Budget, LocationAction, LocationStatus, PartnerPurpose, PayloadState, Section
from app.operations.administration import AdministrationChange, AdministrationContext, AdministrationMutation
from app.operations.commands import Command
from app.operations.set_location_partners import broken_rules
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTestPayload(Command):
    """The account that gets the test location, and the partner who gets the payload."""

    account_id: str
    user_id: str


async def decide(context: AdministrationContext, command: CreateTestPayload) -> AdministrationChange:
    """Create a test location with the content of the published example, and release its payload to the partner.

    The location is PROVISIONING without a session and without an approval, because nobody filled it in or reviewed it.
    It claims no MAC addresses. Raises NotFound, and InvalidInput for a user who cannot answer payloads of the account.
    """
    account = await context.found(tables.account, command.account_id)
    (rule,) = await broken_rules(context, account.id, [command.user_id])
    if rule is not None:
        raise InvalidInput(field="userId", rule=rule, path=("userId",))
    user = (await context.kept(tables.user, [command.user_id]))[command.user_id]
    versions = await writing.accepted_versions(context.transaction, user.id)
    partner = Partner(user_id=user.id, name=user.name, versions=frozenset(versions), purpose=_PURPOSE, required=True)
    content = demo.test_content(account_id=account.id, provider=user.name, new_id=context.new_id)
    payload_id = context.new_id("ProvisioningPayload")
    return AdministrationChange(
        writes=(
            *_location(context, content),
            *_partner(context, content, user.id),
            *_payload(context, content, payload_id, account_name=account.name, partner=partner),
        ),
        chain=account.id,
        location_id=content.location_id,
        ids={"location": content.location_id, "payload": payload_id, "user": user.id},
    )


def _key(content: LocationContent) -> dict[str, str]:
    return {"account_id": content.account_id, "location_id": content.location_id}


def _location(context: AdministrationContext, content: LocationContent) -> Iterator[Write]:
    """The rows of the location, and the status that it has from the start."""
    times = {"created_at": context.now, "updated_at": context.now}
    row = {**location_row(content), "status": LocationStatus.PROVISIONING, "test": True, "revision": 1, **times}
    yield Insert(tables.location, row)
    complete = completeness(readiness(content))
    for section in Section:
        row = {**_key(content), "section": section, "revision": 1, "complete": complete[section]}
        yield Insert(tables.section, row)
    yield from (Insert(table, row) for table, row in child_rows(content, context.new_id))
    status_change_id = context.new_id("StatusChange")
    row = {
        "id": status_change_id,
        **_key(content),
        "verb": LocationAction.TRIGGER_PROVISIONING,
        "changed_by": context.viewer.id,
        "changed_at": context.now,
    }
    yield Insert(tables.status_change, row)
    yield Update(tables.location, {"id": content.location_id}, {"status_change_id": status_change_id})


def _partner(context: AdministrationContext, content: LocationContent, user_id: str) -> Iterator[Write]:
    """The partner, so that later payloads of the location go to nobody else either."""
    row = {"id": context.new_id("LocationPartner"), **_key(content), "user_id": user_id, **_ROLE}
    yield Insert(tables.location_partner, row)


def _payload(
    context: AdministrationContext, content: LocationContent, payload_id: str, *, account_name: str, partner: Partner
) -> Iterator[Write]:
    """The released payload, and its only recipient."""
    version = payload_version(content, [partner])
    assert version is not None  # noqa: S101 - the content of the example allows every version
    document = payload_document(
        content,
        version=version,
        account_name=account_name,
        now=context.now,
        sequence=1,
        generated_by=context.viewer.id,
        location_revision=1,
        supersedes=None,
    )
    location = location_row(content)
    row: dict[str, Any] = {
        "id": payload_id,
        **_key(content),
        "sequence": 1,
        "version": document["version"],
        "state": PayloadState.RELEASED,
        "test": True,
        "document": canonical(document).decode(),
        "document_digest": document_digest(document),
        "content_digest": location["content_digest"],
        "digest_version": location["digest_version"],
        "location_revision": 1,
        "generated_by": context.viewer.id,
        "generated_at": context.now,
        "released_by": context.viewer.id,
        "released_at": context.now,
        "updated_at": context.now,
    }
    yield Insert(tables.provisioning_payload, row)
    recipient = {"id": context.new_id("PayloadRecipient"), **_key(content), "payload_id": payload_id}
    yield Insert(tables.payload_recipient, {**recipient, "user_id": partner.user_id, **_ROLE, "live": False})


_PURPOSE = PartnerPurpose.OTHER
_ROLE = {"purpose": _PURPOSE, "required": True}

CREATE_TEST_PAYLOAD = AdministrationMutation(
    name="createTestPayload",
    command=CreateTestPayload,
    decide=decide,
    action=Action.CREATE_LOCATIONS,
    budget=Budget.PAYLOADS,
    counts=(),
)
