"""Reopening a locked location and completing one by hand count as overrides: marked, found, and counted."""

from typing import Any

import pytest

from app.domain.vocabulary import LOCKED_STATUSES, LocationStatus

from .scenario import Rollout, Scenario, Sent, a_key

S = LocationStatus
REASON = "A change order came in."
FOUND = """query($filter: AuditLogFilter) { auditLog(filter: $filter) {
  nodes { action isOverride statedReason override { id } } } }"""
BULK = """mutation($ids: [ID!]!, $dry: Boolean!, $key: String!) { bulkUpdateStatus(input: {
  locationIds: $ids, status: IN_PROGRESS, policy: PER_ITEM, dryRun: $dry, reason: "A change order came in."
  idempotencyKey: $key}) { results { outcome } problems { code } } }"""


async def reopened(scenario: Scenario, location: Rollout) -> Sent:
    return await scenario.send(scenario.lead, "reopen", locationId=location.id, reason=REASON)


async def completed(scenario: Scenario, location: Rollout) -> Sent:
    given = {"locationId": location.id, "reason": REASON, "idempotencyKey": a_key()}
    return await scenario.send(scenario.lead, "completeProvisioning", **given)


async def marks(scenario: Scenario, location: Rollout) -> list[tuple[str, bool | None]]:
    return [(each["action"], each["is_override"]) for each in await scenario.entries(location.id)]


async def counted(scenario: Scenario) -> dict[str, float]:
    """How many moves past a lock operators see, by mutation."""
    lines = (await scenario.client.http.get("/metrics")).text.splitlines()
    name = "turnup_overrides_moves_total{"
    found = (line.removeprefix(name).rsplit(" ", 1) for line in lines if line.startswith(name))
    values = {label.split('"')[1]: float(value) for label, value in found}
    return {mutation: value for mutation, value in values.items() if value}


@pytest.mark.parametrize("status", [S.APPROVED, S.COMPLETED, S.CANCELLED])
async def test_a_reopening_is_marked_when_the_location_was_locked(scenario: Scenario, status: LocationStatus) -> None:
    location = await scenario.a_location(status)
    assert (await reopened(scenario, location)).outcome == "DONE"
    assert await marks(scenario, location) == [("reopen", status in LOCKED_STATUSES)]


async def test_a_completion_by_hand_is_marked(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    assert (await completed(scenario, location)).outcome == "DONE"
    assert await marks(scenario, location) == [("completeProvisioning", True)]


async def test_a_refused_move_is_not_marked(scenario: Scenario) -> None:
    location = await scenario.a_location(S.APPROVED)
    assert (await completed(scenario, location)).outcome == "ILLEGAL_TRANSITION"
    assert await marks(scenario, location) == [("completeProvisioning", False)]


async def test_in_bulk_each_location_is_marked_by_its_own_status(scenario: Scenario) -> None:
    locked, cancelled = [await scenario.a_location(status) for status in (S.APPROVED, S.CANCELLED)]
    ids = [locked.id, cancelled.id]
    sent = await scenario.client.ask(BULK, scenario.lead, ids=ids, dry=False, key=a_key())
    assert sent.data["bulkUpdateStatus"]["results"] == [{"outcome": "APPLIED"}] * 2
    assert await marks(scenario, locked) == [("bulkUpdateStatus", True)]
    assert await marks(scenario, cancelled) == [("bulkUpdateStatus", False)]


async def test_the_audit_log_lists_edits_under_an_override_and_moves_past_a_lock_together(scenario: Scenario) -> None:
    location = await scenario.a_location(S.APPROVED, override_of=scenario.lead)
    edit: dict[str, Any] = {"deviceId": location.device, "expectedRevision": 1, "label": "Swapped"}
    assert (await scenario.send(scenario.lead, "editDevice", **edit)).outcome == "DONE"
    assert (await reopened(scenario, location)).outcome == "DONE"
    assert (await scenario.send(scenario.lead, "block", locationId=location.id, reason="No cabling")).outcome == "DONE"
    listed = {}
    for wanted in (True, False, None):
        asked = {"locationId": location.id, "isOverride": wanted}
        listed[wanted] = (await scenario.client.ask(FOUND, scenario.lead, filter=asked)).data["auditLog"]["nodes"]
    assert listed[True] == [
        {"action": "REOPEN", "isOverride": True, "statedReason": REASON, "override": None},
        {"action": "EDIT_DEVICE", "isOverride": True, "statedReason": None, "override": {"id": location.override}},
    ]
    assert [each["action"] for each in listed[False]] == ["BLOCK"]
    assert listed[None] == [*listed[False], *listed[True]]


async def test_operators_count_each_move_past_a_lock_once(scenario: Scenario) -> None:
    approved, cancelled, provisioning, more, awaited, live = [
        await scenario.a_location(status)
        for status in (S.APPROVED, S.CANCELLED, S.PROVISIONING, S.COMPLETED, S.PROVISIONING, S.COMPLETED)
    ]
    before, key = await counted(scenario), a_key()
    for location in (approved, cancelled):
        assert (await reopened(scenario, location)).outcome == "DONE"
    assert (await completed(scenario, provisioning)).outcome == "DONE"
    assert (await completed(scenario, more)).outcome == "ILLEGAL_TRANSITION"
    waiver: dict[str, Any] = {"payloadId": awaited.payload, "userId": awaited.recipient, "reason": REASON}
    for _ in range(2):  # the second one changes nothing
        assert (await scenario.send(scenario.lead, "waiveReceipt", **waiver)).outcome == "DONE"
    gone: dict[str, Any] = {"payloadId": live.live, "reason": REASON}
    for who, stated in ((scenario.lead, {"allRecipients": True}), (scenario.partner, None)):
        assert (await scenario.send(who, "confirmDecommission", **gone, onBehalfOf=stated)).outcome == "DONE"
    for dry, which in ((True, a_key()), (False, key), (False, key)):
        await scenario.client.ask(BULK, scenario.lead, ids=[more.id], dry=dry, key=which)
    after = await counted(scenario)
    assert {name: after[name] - before.get(name, 0) for name in after} == {
        "reopen": 1,
        "completeProvisioning": 1,
        "waiveReceipt": 1,
        "confirmDecommission": 1,
        "bulkUpdateStatus": 1,
    }
