"""Erasure after real work: documents that were live, words of leads that went into rows, answers kept for repeats."""

from typing import Any

import pytest

from app.audit.erasure import Erased, erase_person, erase_reason
from app.db import tables
from app.db.database import Database
from app.domain.vocabulary import LocationStatus
from app.operations.housekeeping import erase_what_is_due
from tests.harness import TestDatabase as Databases

from .scenario import Rollout, Scenario, a_key

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
BULK = """mutation($id: ID!, $key: String!) { bulkUpdateStatus(input: {
  locationIds: [$id], status: PENDING_APPROVAL, policy: PER_ITEM, dryRun: false, idempotencyKey: $key}) {
  replayed results { problem { ... on NotReady { issues { message } } } } } }"""


async def test_a_live_document_loses_a_contact_once_the_next_one_is_live(
    scenario: Scenario, own_database: Databases
) -> None:
    location = await scenario.a_location(S.COMPLETED)
    assert (await done(scenario, scenario.lead, "reopen", location, reason="Somebody left."))["location"]
    await contacts_set(scenario, location, "Ida Frost", "ida@dune.example")
    [contact] = location.content.contacts
    first = await erase_person(own_database.owner_url, contact.id, reason="Request 1")
    assert (first.documents, first.kept) == (0, (location.payload,))

    await done(scenario, scenario.customer, "submitOnboarding", location)
    digest = (await scenario.record(location.id)).location.content_digest
    await done(scenario, scenario.lead, "approve", location, expectedDigest=digest)
    await done(scenario, scenario.lead, "generatePayload", location, idempotencyKey=a_key())
    chosen = "payload { id documentDigest }"
    shipped = await done(scenario, scenario.lead, "triggerProvisioning", location, chosen, idempotencyKey=a_key())
    answer = {"payloadId": shipped["payload"]["id"], "documentDigest": shipped["payload"]["documentDigest"]}
    sent = await scenario.send(scenario.partner, "acknowledgePayload", **answer, idempotencyKey=a_key())
    assert sent.outcome == "DONE"

    opened = await Database.open(own_database.app_url, size=1)
    await erase_what_is_due(opened)
    await opened.close()
    documents = await scenario.connection.fetch(
        "SELECT document FROM turnup.provisioning_payload WHERE location_id = $1 ORDER BY sequence", location.id
    )
    [before, after] = [row["document"] for row in documents]
    assert before == '{"erased": true}'
    assert "ida@dune.example" in after
    text = await everything_of(scenario, location)
    assert [value for value in (contact.email, contact.phone) if value and value in text] == []
    assert await erase_person(own_database.owner_url, contact.id, reason="Request 1") == Erased(0, 0, ())


@pytest.mark.parametrize(
    ("status", "mutation", "word", "given"),
    [
        (S.APPROVED, "openOverride", "reason", {"editableSections": ["DEVICES"], "expiresInMinutes": 10}),
        (S.PENDING_APPROVAL, "requestChanges", "comment", {}),
        (S.PROVISIONING, "block", "reason", {}),
        (S.APPROVED, "cancel", "reason", {}),
        *((S.PROVISIONING, "block", word, {"reason": "Closed."}) for word in ("reasonForCustomer", "reasonForPartner")),
        *((S.COMPLETED, "reopen", word, {"reason": "Closed."}) for word in ("reasonForCustomer", "reasonForPartner")),
        *(
            (S.PROVISIONING, "completeProvisioning", word, {"reason": "Closed.", "idempotencyKey": a_key()})
            for word in ("reasonForCustomer", "reasonForPartner")
        ),
    ],
)
async def test_a_lead_s_words_are_erased_wherever_the_mutation_wrote_them(
    scenario: Scenario, own_database: Databases, status: LocationStatus, mutation: str, word: str, given: dict[str, Any]
) -> None:
    words = "Ottoline Vex is in hospital."
    location = await scenario.a_location(status)
    await done(scenario, scenario.lead, mutation, location, **{**given, word: words})
    assert (await everything_of(scenario, location)).count(words) > 1  # in the rows, and in the audit log
    [entry] = [each for each in await scenario.entries(location.id) if each["action"] == mutation]
    await erase_reason(own_database.owner_url, entry["id"], reason="Request 2")
    assert words not in await everything_of(scenario, location)


async def test_a_refusal_kept_for_a_key_quotes_nobody_who_was_erased(
    scenario: Scenario, own_database: Databases
) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    await contacts_set(scenario, location, "Ottoline Vex", "ottoline-vex-at-example")
    [contact] = (await scenario.record(location.id)).content.contacts
    asked: dict[str, Any] = {"id": location.id, "key": a_key()}
    refused = await scenario.client.ask(BULK, scenario.lead, **asked)
    assert "ottoline-vex-at-example" in str(refused.data)
    await contacts_set(scenario, location, "Ida Frost", "ida@dune.example")
    await erase_person(own_database.owner_url, contact.id, reason="Request 3")
    again = (await scenario.client.ask(BULK, scenario.lead, **asked)).data["bulkUpdateStatus"]
    assert again == {"replayed": False, "results": [{"problem": None}]}
    assert "ottoline" not in (await everything_of(scenario, location)).lower()


async def done(
    scenario: Scenario, who: str, mutation: str, location: Rollout, select: str = "location { id }", /, **given: Any
) -> dict[str, Any]:
    """What a mutation of the location returned; it was not refused."""
    sent = await scenario.send(who, mutation, select, locationId=location.id, **given)
    assert sent.outcome == "DONE", sent
    return sent.payload


async def contacts_set(scenario: Scenario, location: Rollout, name: str, email: str) -> None:
    """One new contact in the place of those that were there."""
    contact = {"purpose": "PRIMARY", "fullName": name, "email": email, "phone": "+1 212 555 0177"}
    revision = (await scenario.revisions(location.id))["CONTACTS"]
    await done(scenario, scenario.customer, "setContacts", location, expectedRevision=revision, contacts=[contact])


async def everything_of(scenario: Scenario, location: Rollout) -> str:
    """Every row of any table that names the location, as one text."""
    rows = [
        row["text"]
        for table in tables.metadata.sorted_tables
        for row in await scenario.connection.fetch(
            f'SELECT t::text AS text FROM turnup."{table.name}" t WHERE position($1 IN t::text) > 0', location.id
        )
    ]
    return "\n".join(rows)
