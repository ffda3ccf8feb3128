"""`updatedAt` of a payload moves with every change that a recipient could want to know; `updatedSince` finds it.

What a recipient can see of a payload, and what a lead records for it, is compared before and after every mutation.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus, PayloadState

from .inputs import OF_A_LOCATION, arranged, good_input
from .scenario import Rollout, Scenario, a_key

S = LocationStatus
# Every column of a payload except `updated_at`, with its recipients and receipts, and whether recipients see its
# successor.
FACTS = """
SELECT p.id, p.updated_at,
       jsonb_build_object(
           'payload', to_jsonb(p) - 'updated_at',
           'successor_is_seen', EXISTS (SELECT FROM turnup.provisioning_payload q WHERE q.id = p.superseded_by
                                        AND p.released_at IS NOT NULL AND q.released_at IS NOT NULL),
           'recipients', (SELECT jsonb_agg(r ORDER BY r.id) FROM turnup.payload_recipient r WHERE r.payload_id = p.id),
           'receipts', (SELECT jsonb_agg(r ORDER BY r.id) FROM turnup.receipt r WHERE r.payload_id = p.id)
       )::text AS facts
FROM turnup.provisioning_payload p WHERE p.location_id = $1
"""
POLL = """query($filter: ProvisioningPayloadFilter, $after: String, $first: Int! = 100) {
  provisioningPayloads(filter: $filter, after: $after, first: $first,
                       orderBy: {field: UPDATED_AT, direction: ASC}) {
    nodes { id state live updatedAt supersededBy { id } statusChange { action } receipts { answer } }
    pageInfo { endCursor hasNextPage } } }"""
# The mutations of leads and partners about recipients are in the histories below, with two recipients.
IN_HISTORIES = {"waiveReceipt", "confirmDecommission", "setLocationPartners", "replaceDevice"}


async def facts_of(scenario: Scenario, location: str) -> dict[str, tuple[Any, str]]:
    rows = await scenario.connection.fetch(FACTS, location)
    return {row["id"]: (row["updated_at"], row["facts"]) for row in rows}


async def moved(scenario: Scenario, location: str, before: dict[str, tuple[Any, str]]) -> set[str]:
    """The payloads that changed; each of them, and no other, has a later `updated_at`."""
    after = await facts_of(scenario, location)
    changed = {payload for payload, (_, facts) in after.items() if before.get(payload, (None, None))[1] != facts}
    later = {payload for payload, (at, _) in after.items() if payload not in before or at > before[payload][0]}
    assert later == changed
    return changed


def situations() -> Iterator[Any]:
    for mutation in sorted(set(OF_A_LOCATION) - IN_HISTORIES):
        for live in (False, True):
            yield pytest.param(mutation, live, id=f"{mutation}{'-live' if live else ''}")


@pytest.mark.parametrize(("mutation", "live"), list(situations()))
async def test_whatever_a_mutation_changes_of_a_payload_moves_its_time_and_nothing_else_does(
    scenario: Scenario, mutation: str, live: bool
) -> None:
    who, here = await arranged(scenario, mutation, live=live)
    other = await scenario.a_location(S.IN_PROGRESS)
    before = await facts_of(scenario, here.id)
    sent = await scenario.send(who, mutation, **good_input(mutation, here, other))
    assert sent.outcome == "DONE", sent
    await moved(scenario, here.id, before)


class History:
    """A location with two partners, and a poll after each step, which starts at the last change that was seen."""

    def __init__(self, scenario: Scenario, location: Rollout, partners: list[str]) -> None:
        self.scenario, self.location, self.partners = scenario, location, partners
        self.seen: dict[str, dict[str, Any]] = {partner: {} for partner in partners}
        self.since: dict[str, str | None] = dict.fromkeys(partners)
        self.payloads: list[str] = []

    async def step(self, who: str, mutation: str, **given: Any) -> list[str]:
        """Run a mutation. Returns the payloads that it changed, oldest first."""
        before = await facts_of(self.scenario, self.location.id)
        sent = await self.scenario.send(who, mutation, **given)
        assert sent.outcome == "DONE", sent
        changed = await moved(self.scenario, self.location.id, before)
        self.payloads += sorted(changed - set(self.payloads))
        for partner in self.partners:
            await self._poll(partner)
        return [payload for payload in self.payloads if payload in changed]

    async def _poll(self, partner: str) -> None:
        """Read what changed since the last poll; that must give the same as reading everything.

        Whatever looks different to the partner has a later time: the poll can start after the last change it saw.
        """
        before = dict(self.seen[partner])
        found = (await self.scenario.client.ask(POLL, partner, filter={"updatedSince": self.since[partner]})).data
        nodes = found["provisioningPayloads"]["nodes"]
        self.seen[partner] |= {node["id"]: node for node in nodes}
        times = [node["updatedAt"] for node in nodes]
        assert times == sorted(times)
        self.since[partner] = times[-1] if times else self.since[partner]
        everything = await self._everything(partner)
        assert self.seen[partner] == everything
        for payload, was in before.items():
            assert was == everything[payload] or was["updatedAt"] < everything[payload]["updatedAt"]

    async def _everything(self, partner: str) -> dict[str, dict[str, Any]]:
        nodes = (await self.scenario.client.ask(POLL, partner)).data["provisioningPayloads"]["nodes"]
        return {node["id"]: node for node in nodes}

    async def hand_off(self) -> str:
        """Generate and release a payload of the current content. Returns its id."""
        lead, given = self.scenario.lead, {"locationId": self.location.id}
        await self.step(lead, "generatePayload", **given, idempotencyKey=a_key())
        await self.step(lead, "triggerProvisioning", **given, idempotencyKey=a_key())
        return self.payloads[-1]

    async def acknowledge(self, partner: str, payload: str) -> list[str]:
        digest = await self.scenario.connection.fetchval(
            "SELECT document_digest FROM turnup.provisioning_payload WHERE id = $1", payload
        )
        given = {"payloadId": payload, "documentDigest": digest, "idempotencyKey": a_key()}
        return await self.step(partner, "acknowledgePayload", **given)

    async def approve_edit(self, label: str) -> None:
        """Submit the reopened location with another label, and approve it."""
        scenario, location = self.scenario, self.location
        revision = (await scenario.revisions(location.id))[location.device]
        given = {"deviceId": location.device, "expectedRevision": revision, "label": label}
        await self.step(scenario.customer, "editDevice", **given)
        await self.step(scenario.customer, "submitOnboarding", locationId=location.id)
        digest = await scenario.digest_of_rows(location.id)
        await self.step(scenario.lead_2, "approve", locationId=location.id, expectedDigest=digest)


@pytest.fixture
async def history(scenario: Scenario) -> AsyncIterator[History]:
    location = await scenario.a_location(S.APPROVED, payload=False)
    async with scenario.more_partners(2) as partners:
        made = History(scenario, location, partners)
        listed = [{"userId": each, "partnerPurpose": "CARRIER", "required": True} for each in partners]
        chosen = {"listed": listed}
        assert await made.step(scenario.lead, "setLocationPartners", locationId=location.id, partners=chosen) == []
        yield made


async def test_a_poll_since_the_last_change_shows_every_step_of_a_hand_off(history: History) -> None:
    scenario, (one, two) = history.scenario, history.partners
    place = {"locationId": history.location.id}
    first = await history.hand_off()
    assert await history.acknowledge(one, first) == [first]
    given = {"payloadId": first, "userId": two, "reason": "Its receiver is down."}
    assert await history.step(scenario.lead, "waiveReceipt", **given) == [first]
    assert history.seen[one][first]["state"] == PayloadState.ACKNOWLEDGED
    assert await history.step(scenario.lead, "reopen", **place, reason="They move") == [first]
    await history.approve_edit("The second floor")
    second = await history.hand_off()
    assert history.seen[one][first]["supersededBy"] == {"id": second}
    assert await history.acknowledge(one, second) == [first, second]
    assert await history.acknowledge(two, second) == [first, second]
    assert not history.seen[one][first]["live"]
    decommission = {"payloadId": second}
    assert await history.step(one, "confirmDecommission", **decommission) == [second]
    by_lead = {**decommission, "onBehalfOf": {"userId": two}, "reason": "The partner left"}
    assert await history.step(scenario.lead, "confirmDecommission", **by_lead) == [second]
    assert not history.seen[two][second]["live"]


async def test_a_poll_since_the_last_change_shows_rejections_withdrawals_and_supersessions(history: History) -> None:
    scenario, (one, two) = history.scenario, history.partners
    place = {"locationId": history.location.id}
    first = await history.hand_off()
    opened = {**place, "editableSections": ["DEVICES"], "reason": "The phone was swapped.", "expiresInMinutes": 30}
    assert await history.step(scenario.lead, "openOverride", **opened) == []
    revision = (await scenario.revisions(history.location.id))[history.location.device]
    edit = {"deviceId": history.location.device, "expectedRevision": revision, "label": "The third floor"}
    assert await history.step(scenario.lead, "editDevice", **edit) == [first]
    assert history.seen[one][first]["state"] == PayloadState.SUPERSEDED
    digest = await scenario.digest_of_rows(history.location.id)
    assert await history.step(scenario.lead_2, "approve", **place, expectedDigest=digest) == []
    second = await history.hand_off()
    assert history.seen[two][first]["supersededBy"] == {"id": second}
    reasons = [{"path": "/devices/0", "code": "UNKNOWN_PHONE", "message": "We do not sell it."}]
    rejection = {"payloadId": second, "reasons": reasons, "idempotencyKey": a_key()}
    assert await history.step(two, "rejectPayload", **rejection) == [second]
    assert history.seen[one][second]["state"] == PayloadState.REJECTED
    await history.step(scenario.lead, "unblock", **place)
    await history.approve_edit("The fourth floor")
    third = await history.hand_off()
    assert await history.acknowledge(one, third) == [third]
    assert await history.step(scenario.lead, "cancel", **place, reason="They closed") == [third]
    assert history.seen[two][third]["state"] == PayloadState.WITHDRAWN
    for each in (first, second, third):
        assert json.dumps(history.seen[one][each]["updatedAt"]) != "null"


async def test_a_payload_names_its_successor_from_the_release_on_though_another_was_generated_in_between(
    history: History,
) -> None:
    scenario, (one, two) = history.scenario, history.partners
    place = {"locationId": history.location.id}
    first = await history.hand_off()
    for label in ("The third floor", "The fourth floor"):
        opened = {**place, "editableSections": ["DEVICES"], "reason": "The phone was swapped.", "expiresInMinutes": 30}
        await history.step(scenario.lead, "openOverride", **opened)
        revision = (await scenario.revisions(history.location.id))[history.location.device]
        edit = {"deviceId": history.location.device, "expectedRevision": revision, "label": label}
        await history.step(scenario.lead, "editDevice", **edit)
        opened_id = await scenario.connection.fetchval(
            "SELECT id FROM turnup.override WHERE location_id = $1 AND ended_at IS NULL", history.location.id
        )
        await history.step(scenario.lead, "closeOverride", overrideId=opened_id)
        digest = await scenario.digest_of_rows(history.location.id)
        await history.step(scenario.lead_2, "approve", **place, expectedDigest=digest)
        await history.step(scenario.lead, "generatePayload", **place, idempotencyKey=a_key())
        assert history.seen[one][first]["supersededBy"] is None
    await history.step(scenario.lead, "triggerProvisioning", **place, idempotencyKey=a_key())
    third = history.payloads[-1]
    assert set(history.seen[one]) == {first, third}
    assert history.seen[one][first]["supersededBy"] == history.seen[two][first]["supersededBy"] == {"id": third}


async def test_pages_in_the_order_of_changes_show_each_payload_once(history: History) -> None:
    scenario, one = history.scenario, history.partners[0]
    for label in ("One", "Two", "Three"):
        payload = await history.hand_off()
        await history.step(scenario.lead, "cancel", locationId=history.location.id, reason="A rehearsal")
        await history.step(scenario.lead, "reopen", locationId=history.location.id, reason="A rehearsal")
        assert history.seen[one][payload]["state"] == PayloadState.WITHDRAWN
        await history.approve_edit(label)
    shown, after, more = [], None, True
    while more:
        page = (await scenario.client.ask(POLL, one, first=1, after=after)).data["provisioningPayloads"]
        shown += [node["id"] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert shown == history.payloads[:3]
