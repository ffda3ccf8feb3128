"""Erasure after real work: documents that were live, words of leads that went into rows, answers kept for repeats."""

from typing import Any

import pytest

from app.db import tables
from app.db.audit.erasure import Erased, erase_person, erase_reason
from app.db.database import Database
from app.db.housekeeping import erase_what_is_due
from app.domain.vocabulary import LocationStatus
from tests.harness import TestDatabase as Databases

from .house import House, Rollout, a_key

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
BULK = """mutation($id: ID!, $key: String!) { bulkUpdateStatus(input: {
  locationIds: [$id], status: PENDING_APPROVAL, policy: PER_ITEM, dryRun: false, idempotencyKey: $key}) {
  replayed results { problem { ... on NotReady { issues { message } } } } } }"""


async def test_a_live_document_loses_a_contact_once_the_next_one_is_live(house: House, own_database: Databases) -> None:
    location = await house.a_location(S.COMPLETED)
    assert (await done(house, house.lead, "reopen", location, reason="Somebody left."))["location"]
    await contacts_set(house, location, "Ida Frost", "ida@dune.example")
    [contact] = location.content.contacts
    first = await erase_person(own_database.owner_url, contact.id, reason="Request 1")
    assert (first.documents, first.kept) == (0, (location.payload,))

    await done(house, house.customer, "submitOnboarding", location)
    digest = (await house.dossier(location.id)).location.content_digest
    await done(house, house.lead, "approve", location, expectedDigest=digest)
    await done(house, house.lead, "generatePayload", location, idempotencyKey=a_key())
    chosen = "payload { id documentDigest }"
    shipped = await done(house, house.lead, "triggerProvisioning", location, chosen, idempotencyKey=a_key())
    answer = {"payloadId": shipped["payload"]["id"], "documentDigest": shipped["payload"]["documentDigest"]}
    sent = await house.send(house.partner, "acknowledgePayload", **answer, idempotencyKey=a_key())
    assert sent.outcome == "DONE"

    opened = await Database.open(own_database.app_url, size=1)
    await erase_what_is_due(opened)
    await opened.close()
    documents = await house.connection.fetch(
        "SELECT document FROM turnup.provisioning_payload WHERE location_id = $1 ORDER BY sequence", location.id
    )
    [before, after] = [row["document"] for row in documents]
    assert before == '{"erased": true}'
    assert "ida@dune.example" in after
    text = await everything_of(house, location)
    assert [value for value in (contact.email, contact.phone) if value and value in text] == []
    assert await erase_person(own_database.owner_url, contact.id, reason="Request 1") == Erased(0, 0, ())


@pytest.mark.parametrize(
    ("status", "mutation", "word", "given"),
    [
        (S.APPROVED, "openOverride", "reason", {"sections": ["DEVICES"], "expiresInMinutes": 10}),
        (S.PENDING_APPROVAL, "requestChanges", "comment", {}),
        (S.PROVISIONING, "block", "reason", {}),
        (S.APPROVED, "cancel", "reason", {}),
    ],
)
async def test_a_lead_s_words_are_erased_wherever_the_mutation_wrote_them(
    house: House, own_database: Databases, status: LocationStatus, mutation: str, word: str, given: dict[str, Any]
) -> None:
    words = "Ottoline Vex is in hospital."
    location = await house.a_location(status)
    await done(house, house.lead, mutation, location, **{word: words}, **given)
    assert (await everything_of(house, location)).count(words) > 1
    [entry] = [each for each in await house.entries(location.id) if each["action"] == mutation]
    await erase_reason(own_database.owner_url, entry["id"], reason="Request 2")
    assert words not in await everything_of(house, location)


async def test_a_refusal_kept_for_a_key_quotes_nobody_who_was_erased(house: House, own_database: Databases) -> None:
    location = await house.a_location(S.IN_PROGRESS)
    await contacts_set(house, location, "Ottoline Vex", "ottoline-vex-at-example")
    [contact] = (await house.dossier(location.id)).content.contacts
    asked = {"id": location.id, "key": a_key()}
    refused = await house.client.ask(BULK, house.lead, **asked)
    assert "ottoline-vex-at-example" in str(refused.data)
    await contacts_set(house, location, "Ida Frost", "ida@dune.example")
    await erase_person(own_database.owner_url, contact.id, reason="Request 3")
    again = (await house.client.ask(BULK, house.lead, **asked)).data["bulkUpdateStatus"]
    assert again == {"replayed": False, "results": [{"problem": None}]}
    assert "ottoline" not in (await everything_of(house, location)).lower()


async def done(
    house: House, who: str, mutation: str, location: Rollout, select: str = "location { id }", /, **given: Any
) -> dict[str, Any]:
    """What a mutation of the location returned; it was not refused."""
    sent = await house.send(who, mutation, select, locationId=location.id, **given)
    assert sent.outcome == "DONE", sent
    return sent.payload


async def contacts_set(house: House, location: Rollout, name: str, email: str) -> None:
    """One new contact in the place of those that were there."""
    contact = {"purpose": "PRIMARY", "name": name, "email": email, "phone": "+1 212 555 0177"}
    revision = (await house.revisions(location.id))["CONTACTS"]
    await done(house, house.customer, "setContacts", location, expectedRevision=revision, contacts=[contact])


async def everything_of(house: House, location: Rollout) -> str:
    """Every row of any table that names the location, as one text."""
    rows = [
        row["text"]
        for table in tables.metadata.sorted_tables
        for row in await house.connection.fetch(
            f'SELECT t::text AS text FROM turnup."{table.name}" t WHERE position($1 IN t::text) > 0', location.id
        )
    ]
    return "\n".join(rows)
