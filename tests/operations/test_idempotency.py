"""A call with a key is done once, however often and however at once it is sent."""

import asyncio
from typing import Any

import pytest

from app.domain.status_machine import TABLE
from app.domain.vocabulary import LocationStatus
from tests.agreed import WHO_MAY

from .edits import EDITS
from .scenario import MUTATIONS, Scenario, a_key, input_fields
from .test_verbs import MUTATION, conditions
from .test_verbs import given as good_input

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
SELECT = "location { revision } device { id }"


async def devices(scenario: Scenario, location: str) -> int:
    return int(
        await scenario.connection.fetchval("SELECT count(*) FROM turnup.device WHERE location_id = $1", location)
    )


async def test_fifty_calls_at_once_with_one_key_have_one_effect(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    given = {**EDITS["addDevice"](location), "idempotencyKey": a_key()}
    sent = await asyncio.gather(*(scenario.send(scenario.customer, "addDevice", SELECT, **given) for _ in range(50)))
    assert {each.outcome for each in sent} <= {"DONE", "IDEMPOTENCY_IN_PROGRESS"}
    done = [each for each in sent if each.outcome == "DONE"]
    assert [each.replayed for each in done].count(False) == 1
    assert len({each.payload["device"]["id"] for each in done}) == 1
    assert all(each.problem["retryAfterMs"] > 0 for each in sent if each.outcome != "DONE")
    assert (await devices(scenario, location.id), (await scenario.state_of(location.id)).entries) == (2, 1)


@pytest.mark.parametrize("mutation", sorted(EDITS))
async def test_an_edit_that_is_sent_again_is_answered_by_what_it_did(scenario: Scenario, mutation: str) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    given = {**EDITS[mutation](location), "idempotencyKey": a_key()}
    first = await scenario.send(scenario.customer, mutation, "location { revision }", **given)
    after = await scenario.state_of(location.id)
    again = await scenario.send(scenario.customer, mutation, "location { revision }", **given)
    assert (first.outcome, first.replayed, again.outcome, again.replayed) == ("DONE", False, "DONE", True)
    assert first.payload["location"] == again.payload["location"]
    assert await scenario.state_of(location.id) == after, "a replay leaves no trace, not even in the audit log"


@pytest.mark.parametrize("verb", sorted(TABLE))
async def test_a_verb_that_is_sent_again_is_answered_by_what_it_did(scenario: Scenario, verb: Any) -> None:
    status = sorted(TABLE[verb].sources)[0]
    location = await scenario.a_location(status, **conditions(status, verb))
    given = {**good_input(verb, location), "idempotencyKey": a_key()}
    who = next(
        user
        for role, user in (
            ("CUSTOMER", scenario.customer),
            ("IMPLEMENTATION_LEAD", scenario.lead),
            ("PARTNER", scenario.partner),
        )
        if role in WHO_MAY[verb]
    )
    first = await scenario.send(who, MUTATION[verb], **given)
    after = await scenario.state_of(location.id)
    again = await scenario.send(who, MUTATION[verb], **given)
    assert (first.outcome, first.replayed, again.outcome, again.replayed) == ("DONE", False, "DONE", True)
    assert await scenario.state_of(location.id) == after


async def test_another_input_with_the_same_key_is_refused(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    key = a_key()
    given: dict[str, Any] = {
        "deviceId": location.device,
        "expectedRevision": 1,
        "label": "One",
        "idempotencyKey": key,
    }
    assert (await scenario.send(scenario.customer, "editDevice", **given)).outcome == "DONE"
    before = await scenario.state_of(location.id)
    others: list[tuple[str, dict[str, Any]]] = [
        ("editDevice", {**given, "label": "Two"}),
        ("editDevice", {**given, "label": None}),
        ("editDevice", {name: value for name, value in given.items() if name != "label"}),
        ("editDevice", {**given, "model": None}),
        ("editDevice", {**given, "expectedRevision": 2}),
        ("removeDevice", {name: value for name, value in given.items() if name != "label"}),
    ]
    for mutation, other in others:
        sent = await scenario.send(scenario.customer, mutation, **other)
        assert (sent.outcome, sent.problem["path"]) == ("IDEMPOTENCY_KEY_REUSED", ["idempotencyKey"])
    assert await scenario.state_of(location.id) == before


async def test_where_null_means_the_same_as_nothing_either_repeats_the_call(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    given = {**EDITS["addDevice"](location), "idempotencyKey": a_key()}
    assert (await scenario.send(scenario.customer, "addDevice", **given)).outcome == "DONE"
    again = await scenario.send(scenario.customer, "addDevice", **given, label=None, macAddress=None)
    assert (again.outcome, again.replayed) == ("DONE", True)


async def test_another_users_key_is_another_key(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    given = {**EDITS["addDevice"](location), "idempotencyKey": a_key()}
    for who in (scenario.customer, scenario.clerk, scenario.lead):
        sent = await scenario.send(who, "addDevice", **given)
        assert (sent.outcome, sent.replayed) == ("DONE", False)
    assert await devices(scenario, location.id) == 4


async def test_a_replay_reads_what_is_there_now_even_when_the_call_would_be_refused_by_now(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    given = {"locationId": location.id, "idempotencyKey": a_key()}
    select = "location { status } approval { reviewStatus }"
    assert (await scenario.send(scenario.customer, "submitOnboarding", **given)).outcome == "DONE"
    approval = {"locationId": location.id, "expectedDigest": location.digest}
    assert (await scenario.send(scenario.lead, "approve", **approval)).outcome == "DONE"
    again = await scenario.send(scenario.customer, "submitOnboarding", select, **given)
    assert again.payload == {
        "location": {"status": "APPROVED"},
        "approval": {"reviewStatus": "APPROVED"},
        "replayed": True,
        "problems": [],
    }


async def test_a_refusal_leaves_the_key_free(scenario: Scenario) -> None:
    location = await scenario.a_location(S.APPROVED)
    key = {"idempotencyKey": a_key()}
    edit = {"deviceId": location.device, "label": "x", **key}
    assert (await scenario.send(scenario.lead, "editDevice", **edit, expectedRevision=1)).outcome == "LOCKED"
    await scenario.send(scenario.lead, "reopen", locationId=location.id, reason="A change order")
    assert (await scenario.send(scenario.lead, "editDevice", **edit, expectedRevision=9)).outcome == "CONFLICT"
    sent = await scenario.send(scenario.lead, "editDevice", **edit, expectedRevision=1)
    assert (sent.outcome, sent.replayed) == ("DONE", False)


async def test_a_key_is_forgotten_after_a_day(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    key = a_key()
    given = {**EDITS["addDevice"](location), "idempotencyKey": key}
    await scenario.send(scenario.customer, "addDevice", **given)
    await scenario.connection.execute(
        "UPDATE turnup.idempotency_key SET created_at = now() - interval '24 hours 1 second' WHERE key = $1", key
    )
    sent = await scenario.send(scenario.customer, "addDevice", **given)
    assert (sent.outcome, sent.replayed) == ("DONE", False)


async def test_a_patch_tells_null_from_nothing(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    select = "device { brand model macAddress serialNumber label }"
    edit = {"deviceId": location.device}
    kept = await scenario.send(scenario.customer, "editDevice", select, **edit, expectedRevision=1)
    emptied = await scenario.send(
        scenario.customer, "editDevice", select, **edit, expectedRevision=1, label=None, macAddress=None
    )
    device = location.content.devices[0]
    assert kept.payload["device"]["label"] == device.label
    assert emptied.payload["device"] == {**kept.payload["device"], "label": None, "macAddress": None}


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
def test_every_mutation_takes_a_key(mutation: str) -> None:
    required = {
        "generatePayload",
        "triggerProvisioning",
        "completeProvisioning",
        "acknowledgePayload",
        "rejectPayload",
        "bulkUpdateStatus",
        "bulkApprove",
        "bulkGeneratePayloads",
    }
    assert str(input_fields(mutation)["idempotencyKey"].type) == ("String!" if mutation in required else "String")
