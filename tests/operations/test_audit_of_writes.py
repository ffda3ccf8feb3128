"""Every write leaves one entry: who did what, why and under which override. What changed nothing leaves none."""

from typing import Any

import asyncpg
import pytest

from app.domain.status_machine import TABLE
from app.domain.vocabulary import LocationAction, LocationStatus, Role
from tests.agreed import WHO_MAY
from tests.harness import TestDatabase

from .edits import CONTENT_EDITS, EDITS
from .scenario import LOCKED, Rollout, Scenario, Sent, a_key, document
from .test_verbs import MUTATION, REASON, conditions
from .test_verbs import given as good_input

S, V = LocationStatus, LocationAction
ROLES = {"customer": "CUSTOMER", "lead": "IMPLEMENTATION_LEAD", "partner": "PARTNER"}


async def only_entry(scenario: Scenario, location: Rollout, sent: Sent, who: str, **more: Any) -> None:
    (entry,) = await scenario.entries(location.id)
    entry.pop("id")
    assert entry == {
        "outcome": "APPLIED",
        "code": None,
        "actor_id": getattr(scenario, who),
        "actor_role": ROLES[who],
        "request_id": sent.request_id,
        "client_request_id": None,
        "reason": None,
        "override_id": None,
        "is_override": False,
        **more,
    }


@pytest.mark.parametrize("mutation", sorted(EDITS))
@pytest.mark.parametrize("who", ["customer", "lead"])
async def test_an_edit_leaves_one_entry(scenario: Scenario, mutation: str, who: str) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    sent = await scenario.send(getattr(scenario, who), mutation, **EDITS[mutation](location))
    await only_entry(scenario, location, sent, who, action=mutation)


@pytest.mark.parametrize("verb", [verb for verb in TABLE if verb is not V.GENERATE_PAYLOAD])
async def test_a_verb_leaves_one_entry_with_its_reason(scenario: Scenario, verb: LocationAction) -> None:
    row = TABLE[verb]
    who = "partner" if Role.PARTNER in WHO_MAY[verb] else "customer" if Role.CUSTOMER in WHO_MAY[verb] else "lead"
    for status in sorted(row.sources):
        if (verb, status) == (V.TRIGGER_PROVISIONING, S.PROVISIONING):
            continue  # its payload is out already
        location = await scenario.a_location(status, **conditions(status, verb))
        sent = await scenario.send(getattr(scenario, who), MUTATION[verb], **good_input(verb, location))
        reason = REASON if row.needs_reason else None
        marked = status in row.overrides
        await only_entry(scenario, location, sent, who, action=MUTATION[verb], reason=reason, is_override=marked)


async def test_a_new_payload_leaves_one_entry_and_the_same_one_none(scenario: Scenario) -> None:
    location = await scenario.a_location(S.APPROVED, payload=False)
    first = await scenario.send(scenario.lead, "generatePayload", locationId=location.id, idempotencyKey=a_key())
    await only_entry(scenario, location, first, "lead", action="generatePayload")
    again = await scenario.send(scenario.lead, "generatePayload", locationId=location.id, idempotencyKey=a_key())
    assert (again.outcome, again.replayed) == ("DONE", False)
    assert (await scenario.state_of(location.id)).entries == 1


async def test_what_was_done_already_leaves_no_entry(scenario: Scenario) -> None:
    released = await scenario.a_location(S.PROVISIONING)
    answered = await scenario.a_location(S.COMPLETED)
    done: list[tuple[str, str, dict[str, Any], Rollout]] = [
        (scenario.lead, "generatePayload", {"locationId": released.id}, released),
        (scenario.lead, "triggerProvisioning", {"locationId": released.id}, released),
        (
            scenario.partner,
            "acknowledgePayload",
            {"payloadId": answered.payload, "documentDigest": answered.payload_digest},
            answered,
        ),
    ]
    for who, mutation, given, location in done:
        before = await scenario.state_of(location.id)
        sent = await scenario.send(who, mutation, **given, idempotencyKey=a_key())
        assert (sent.outcome, await scenario.state_of(location.id)) == ("DONE", before)


@pytest.mark.parametrize("mutation", CONTENT_EDITS)
async def test_an_edit_under_an_override_carries_its_id(scenario: Scenario, mutation: str) -> None:
    location = await scenario.a_location(S.APPROVED, override_of=scenario.lead)
    sent = await scenario.send(scenario.lead, mutation, **EDITS[mutation](location))
    await only_entry(scenario, location, sent, "lead", action=mutation, override_id=location.override, is_override=True)


@pytest.mark.parametrize(
    ("status", "mutation", "code"),
    [
        (S.APPROVED, "editDevice", "LOCKED"),
        (S.COMPLETED, "submitOnboarding", "ILLEGAL_TRANSITION"),
        (S.PROVISIONING, "unblock", "ILLEGAL_TRANSITION"),
        (S.PENDING_APPROVAL, "approve", "STALE_REVIEW"),
        (S.IN_PROGRESS, "approve", "ILLEGAL_TRANSITION"),
    ],
)
async def test_what_is_refused_on_a_locked_location_and_a_refused_approval_are_entered_with_their_code(
    scenario: Scenario, status: LocationStatus, mutation: str, code: str
) -> None:
    location = await scenario.a_location(status)
    given = {
        "editDevice": EDITS["editDevice"](location),
        "approve": {"locationId": location.id, "expectedDigest": "0" * 64},
    }.get(mutation, {"locationId": location.id})
    sent = await scenario.send(scenario.lead, mutation, **given)
    assert sent.outcome == code
    await only_entry(scenario, location, sent, "lead", action=mutation, outcome="REFUSED", code=code)


@pytest.mark.parametrize("status", [S.IN_PROGRESS, S.APPROVED])
async def test_what_is_only_a_mistake_is_not_entered(scenario: Scenario, status: LocationStatus) -> None:
    opener = scenario.lead if status in LOCKED else None
    location = await scenario.a_location(status, override_of=opener)
    edit = {"deviceId": location.device, "expectedRevision": 1}
    contact = {"purpose": "PRIMARY"}
    for mutation, given, code in (
        ("editDevice", {**edit, "expectedRevision": 5}, "CONFLICT"),
        ("editDevice", {**edit, "label": "a\0"}, "INVALID_INPUT"),
        ("setContacts", {"locationId": location.id, "expectedRevision": 1, "contacts": [contact] * 9}, "LIMIT_REACHED"),
        ("editDevice", {**edit, "deviceId": "device-of-nobody"}, "NOT_FOUND"),
        ("setCurrentStep", {"locationId": "location-of-nobody", "step": "DEVICES"}, "NOT_FOUND"),
    ):
        assert (await scenario.send(scenario.lead, mutation, **given)).outcome == code
    assert (await scenario.state_of(location.id)).entries == 0


async def test_what_changed_is_captured_field_by_field_and_only_what_changed(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    sent = await scenario.send(scenario.customer, "editDevice", **EDITS["editDevice"](location))
    assert sent.outcome == "DONE"
    (entry,) = await scenario.entries(location.id)
    rows = await scenario.connection.fetch(
        "SELECT table_name, field, before, after FROM turnup.field_change WHERE entry_id = $1", entry["id"]
    )
    changed = {(row["table_name"], row["field"]): (row["before"], row["after"]) for row in rows}
    assert changed["device", "label"] == ("Reception", "Front desk")
    assert changed["device", "revision"] == changed["section", "revision"] == changed["location", "revision"] == (1, 2)
    assert set(changed) == {
        ("device", "label"),
        ("device", "revision"),
        ("section", "revision"),
        ("location", "revision"),
        ("location", "updated_at"),
        ("location", "content_digest"),
        ("onboarding_session", "last_saved_at"),
        ("onboarding_session", "revision"),
    }


async def test_the_database_refuses_a_write_that_no_entry_covers(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    connection = await asyncpg.connect(own_database.app_url)
    await connection.execute("BEGIN")
    await connection.fetch("SELECT * FROM turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, 1000)", scenario.lead)
    moved = await connection.execute("UPDATE turnup.device SET label = 'x' WHERE id = $1", location.device)
    assert moved == "UPDATE 1"
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await connection.execute("COMMIT")
    assert refusal.value.sqlstate == "AU001"
    await connection.close()
    assert (await scenario.record(location.id)).content.devices[0].label == "Reception"


async def test_an_entry_has_the_id_that_the_client_sent_beside_the_servers(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    edit = document("editDevice")
    given = EDITS["editDevice"](location)
    await scenario.client.ask(edit, scenario.lead, headers={"x-request-id": "of-a-client"}, input=given)
    (entry,) = await scenario.entries(location.id)
    assert entry["client_request_id"] == "of-a-client"
    assert entry["request_id"] not in {"", "of-a-client"}
