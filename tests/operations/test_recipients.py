"""Several partners of a location: each payload has its recipients, and each recipient has its own receipt."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from app.audit.erasure import erase_person
from app.domain.vocabulary import LocationStatus, ReceiptKind, Role
from app.operations import transactions
from tests.builders_db import a_grant, a_user, an_account
from tests.harness import TestDatabase, granting, served
from tests.lanes import scaled

from .scenario import Rollout, Scenario, Sent, a_key

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
RECEIPT = "payload { id state } receipt { id answer receivedBy { id } }"


@dataclass(frozen=True, slots=True)
class Team:
    """An account with three partners and a customer, on a server without rate limits."""

    scenario: Scenario
    account: str
    carrier: str
    pbx: str
    installer: str
    customer: str

    async def released(self, *partners: dict[str, Any]) -> Rollout:
        """A location whose payload is released: to the partners of the account, or to those named."""
        made = await self.scenario.a_location(S.APPROVED, account=self.account)
        if partners:
            assert (await self.assigned(made, *partners)).outcome == "DONE"
        assert (await self.triggered(made)).outcome == "DONE"
        return made

    async def assigned(self, location: Rollout, *partners: dict[str, Any], **given: Any) -> Sent:
        select = "location { revision contentDigest partners { user { id } partnerPurpose required } }"
        chosen = {"listed": list(partners)} if partners else {"allOfAccount": True}
        given = {"locationId": location.id, "partners": chosen, **given}
        return await self.scenario.send(self.scenario.lead, "setLocationPartners", select, **given)

    async def triggered(self, location: Rollout) -> Sent:
        given = {"locationId": location.id, "idempotencyKey": a_key()}
        return await self.scenario.send(self.scenario.lead, "triggerProvisioning", "payload { state }", **given)

    async def acknowledged(self, who: str, location: Rollout, **given: Any) -> Sent:
        given = {"payloadId": location.payload, "documentDigest": location.payload_digest, **given}
        return await self.scenario.send(who, "acknowledgePayload", RECEIPT, **{"idempotencyKey": a_key(), **given})

    async def rejected(self, who: str, location: Rollout) -> Sent:
        reasons = [{"path": "/devices", "code": "NO_STOCK", "message": "None left."}]
        given = {"payloadId": location.payload, "reasons": reasons, "idempotencyKey": a_key()}
        return await self.scenario.send(who, "rejectPayload", RECEIPT, **given)

    async def waived(self, who: str, location: Rollout, reason: str = "The site closes") -> Sent:
        given = {"payloadId": location.payload, "userId": who, "reason": reason}
        return await self.scenario.send(self.scenario.lead, "waiveReceipt", "payload { state }", **given)

    async def completed(self, location: Rollout) -> Sent:
        given = {"locationId": location.id, "reason": "Confirmed by phone", "idempotencyKey": a_key()}
        return await self.scenario.send(self.scenario.lead, "completeProvisioning", **given)

    async def outcome_of(self, location: Rollout) -> tuple[str, str, dict[str, str]]:
        """The status of the location, the state of its payload, and the receipts by user."""
        db = self.scenario.connection
        status = await db.fetchval("SELECT status FROM turnup.location WHERE id = $1", location.id)
        state = await db.fetchval("SELECT state FROM turnup.provisioning_payload WHERE id = $1", location.payload)
        rows = await db.fetch("SELECT received_by, kind FROM turnup.receipt WHERE payload_id = $1", location.payload)
        return status, state, dict(map(tuple, rows))

    async def recipients(self, location: Rollout) -> list[dict[str, Any]]:
        """The recipients of the payload as a lead sees them."""
        query = """query($id: ID!) { provisioningPayload(id: $id) { recipients {
            user { id } partnerPurpose required live receipt { answer } waivedBy { id } waivedReason } } }"""
        answer = await self.scenario.client.ask(query, self.scenario.lead, id=location.payload)
        found: list[dict[str, Any]] = answer.data["provisioningPayload"]["recipients"]
        return found

    async def awaited(self, who: str, location: Rollout, wanted: bool) -> bool:
        """Whether the payload of the location is in a list of what awaits a receipt, or does not."""
        query = """query($filter: ProvisioningPayloadFilter) {
            provisioningPayloads(filter: $filter) { nodes { id } totalCount } }"""
        given = {"awaitingReceipt": wanted, "locationId": location.id}
        listed = (await self.scenario.client.ask(query, who, filter=given)).data["provisioningPayloads"]
        assert listed["totalCount"] == len(listed["nodes"])
        return location.payload in {each["id"] for each in listed["nodes"]}

    async def status_of(self, user: str, status: str) -> None:
        """Suspend or reinstate a user."""
        mutation = "suspendUser" if status == "SUSPENDED" else "reinstateUser"
        assert (await self.scenario.send(self.scenario.lead, mutation, userId=user)).outcome == "DONE"

    async def granted(self, user: str, *accounts: str) -> Sent:
        """Replace the grants of a user."""
        asked = await self.scenario.client.ask(_REVISION, self.scenario.lead, id=user)
        revision = asked.data["node"]["revision"]
        grants = [granting(each) for each in accounts]
        given = {"userId": user, "expectedRevision": revision, "grants": grants}
        return await self.scenario.send(self.scenario.lead, "setGrants", **given)


_REVISION = "query($id: ID!) { node(id: $id) { ... on User { revision } } }"


def partner(user: str, purpose: str = "CARRIER", *, required: bool = True) -> dict[str, Any]:
    return {"userId": user, "partnerPurpose": purpose, "required": required}


@pytest.fixture(scope="module")
async def team(scenario: Scenario, own_database: TestDatabase, home: Path) -> AsyncIterator[Team]:
    """The team, which every test leaves as it was."""
    db = scenario.connection
    async with scenario.arranging():
        account = await an_account(db, name="Harbour Clinics")
        partners = [await a_user(db, Role.PARTNER, name=f"Partner {place}") for place in (1, 2, 3)]
        customer = await a_user(db, Role.CUSTOMER, account)
        for user in (*partners, customer):
            await a_grant(db, user, account)
    async with served(own_database, home, limit_payloads=1_000_000, limit_edits=1_000_000) as client:
        unlimited = Scenario(client, db)
        unlimited.__dict__.update({**scenario.__dict__, "client": client})
        yield Team(unlimited, account, partners[0], partners[1], partners[2], customer)


# Who the recipients are


async def test_without_a_choice_every_active_partner_of_the_account_is_a_required_recipient(team: Team) -> None:
    await team.status_of(team.installer, "SUSPENDED")
    location = await team.released()
    await team.status_of(team.installer, "ACTIVE")
    told = [(each["user"]["id"], each["partnerPurpose"], each["required"]) for each in await team.recipients(location)]
    assert told == [(user, "OTHER", True) for user in sorted((team.carrier, team.pbx))]


async def test_the_chosen_partners_are_the_recipients(team: Team) -> None:
    location = await team.released(partner(team.pbx, "PBX"), partner(team.carrier, required=False))
    told = {each["user"]["id"]: (each["partnerPurpose"], each["required"]) for each in await team.recipients(location)}
    assert told == {team.pbx: ("PBX", True), team.carrier: ("CARRIER", False)}
    assert (await team.acknowledged(team.installer, location)).outcome == "NOT_FOUND"


async def test_a_later_choice_of_partners_changes_nothing_for_a_released_payload(team: Team) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx))
    before = await team.recipients(location)
    assert (await team.assigned(location, partner(team.installer, "INSTALLER"))).outcome == "DONE"
    assert await team.recipients(location) == before
    assert (await team.acknowledged(team.installer, location)).outcome == "NOT_FOUND"
    assert (await team.acknowledged(team.carrier, location)).outcome == "DONE"


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("loss", ["suspended", "without a grant"])
async def test_nothing_is_released_to_a_chosen_partner_that_cannot_answer(
    team: Team, loss: str, required: bool
) -> None:
    location = await team.scenario.a_location(S.APPROVED, account=team.account)
    await team.assigned(location, partner(team.carrier), partner(team.pbx, required=required))
    await (team.status_of(team.pbx, "SUSPENDED") if loss == "suspended" else team.granted(team.pbx))
    refused = await team.triggered(location)
    actions = await actions_of(team, location)
    outcome = await team.outcome_of(location)
    await (team.status_of(team.pbx, "ACTIVE") if loss == "suspended" else team.granted(team.pbx, team.account))
    assert refused.outcome == "NOT_READY"
    blocking = [each for each in refused.problem["issues"] if each["blocks"]]
    assert [(each["code"], each["blocks"]) for each in blocking] == [("PARTNER_UNAVAILABLE", ["PROVISION"])]
    assert actions["TRIGGER_PROVISIONING"] == actions["GENERATE_PAYLOAD"] == "NOT_READY"
    assert outcome == ("APPROVED", "GENERATED", {})
    assert (await team.triggered(location)).outcome == "DONE"


async def test_a_second_trigger_returns_the_released_payload_even_if_a_partner_is_gone(team: Team) -> None:
    location = await team.released(partner(team.carrier))
    await team.status_of(team.carrier, "SUSPENDED")
    again = await team.triggered(location)
    await team.status_of(team.carrier, "ACTIVE")
    assert (again.outcome, again.payload["payload"]) == ("DONE", {"state": "RELEASED"})


async def test_a_release_to_nobody_is_said_before_and_a_lead_completes_it(team: Team) -> None:
    async with team.scenario.arranging():
        lonely = await an_account(team.scenario.connection, name="Lonely Dunes")
    location = await team.scenario.a_location(S.APPROVED, account=lonely)
    assert ("PARTNER_MISSING", "WARNING") in await findings(team, team.scenario.lead, location)
    assert (await team.triggered(location)).outcome == "DONE"
    assert await team.recipients(location) == []
    assert not await team.awaited(team.scenario.lead, location, True)
    assert (await team.completed(location)).outcome == "DONE"
    assert await team.outcome_of(location) == ("COMPLETED", "RELEASED", {})


async def findings(team: Team, who: str, location: Rollout) -> set[tuple[str, str]]:
    query = "query($id: ID!) { readiness(locationId: $id) { code severity } }"
    answer = await team.scenario.client.ask(query, who, id=location.id)
    return {(each["code"], each["severity"]) for each in answer.data["readiness"]}


async def actions_of(team: Team, location: Rollout) -> dict[str, str | None]:
    """The reason why a lead cannot take each action on a location; None for what the lead can do."""
    query = "query($id: ID!) { location(id: $id) { viewerActions { action reason } } }"
    answer = await team.scenario.client.ask(query, team.scenario.lead, id=location.id)
    return {each["action"]: each["reason"] for each in answer.data["location"]["viewerActions"]}


async def test_only_leads_learn_which_partner_cannot_answer(team: Team) -> None:
    location = await team.scenario.a_location(S.IN_PROGRESS, account=team.account)
    await team.assigned(location, partner(team.carrier), partner(team.pbx))
    for user in (team.carrier, team.pbx):
        await team.status_of(user, "SUSPENDED")
    query = "query($id: ID!) { readiness(locationId: $id) { code message } }"
    told = [await team.scenario.client.ask(query, who, id=location.id) for who in (team.scenario.lead, team.customer)]
    for user in (team.carrier, team.pbx):
        await team.status_of(user, "ACTIVE")
    lead, customer = (
        next(each["message"] for each in answer.data["readiness"] if each["code"] == "PARTNER_UNAVAILABLE")
        for answer in told
    )
    assert lead == "Partner 1 and Partner 2 cannot answer payloads: suspended, or without access to the account."
    assert customer == "A partner cannot answer payloads: suspended, or without access to the account."
    assert "Partner 1" not in told[1].raw.decode()


# Answers


@pytest.mark.parametrize("order", list(permutations((0, 1, 2))), ids=str)
async def test_the_last_required_receipt_completes_the_location(team: Team, order: Sequence[int]) -> None:
    location = await team.released()
    partners = [(team.carrier, team.pbx, team.installer)[place] for place in order]
    for user in partners[:-1]:
        sent = await team.acknowledged(user, location)
        assert (sent.outcome, sent.payload["payload"]["state"]) == ("DONE", "RELEASED")
        assert (await team.outcome_of(location))[0] == "PROVISIONING"
    last = await team.acknowledged(partners[-1], location)
    assert last.payload["payload"]["state"] == "ACKNOWLEDGED"
    assert last.payload["receipt"]["receivedBy"] == {"id": partners[-1]}
    assert await team.outcome_of(location) == ("COMPLETED", "ACKNOWLEDGED", dict.fromkeys(partners, "ACKNOWLEDGED"))


async def test_where_no_receipt_is_required_a_lead_completes(team: Team) -> None:
    location = await team.released(partner(team.carrier, required=False), partner(team.pbx, "PBX", required=False))
    assert (await team.acknowledged(team.carrier, location)).outcome == "DONE"
    assert (await team.outcome_of(location))[:2] == ("PROVISIONING", "RELEASED")
    assert not await team.awaited(team.scenario.lead, location, True)
    assert (await team.completed(location)).outcome == "DONE"
    assert await team.awaited(team.pbx, location, True)
    assert (await team.acknowledged(team.pbx, location)).outcome == "DONE"
    assert await team.outcome_of(location) == (
        "COMPLETED",
        "RELEASED",
        dict.fromkeys((team.carrier, team.pbx), "ACKNOWLEDGED"),
    )


async def test_an_optional_recipient_answers_after_the_required_ones(team: Team) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX", required=False))
    assert (await team.acknowledged(team.carrier, location)).outcome == "DONE"
    assert (await team.outcome_of(location))[:2] == ("COMPLETED", "ACKNOWLEDGED")
    assert await team.awaited(team.pbx, location, True)
    refused = await team.rejected(team.pbx, location)
    assert (refused.outcome, refused.problem["from"]) == ("ILLEGAL_TRANSITION", "COMPLETED")
    late = await team.acknowledged(team.pbx, location)
    assert (late.outcome, late.payload["payload"]["state"]) == ("DONE", "ACKNOWLEDGED")
    assert not await team.awaited(team.pbx, location, True)
    assert {each["live"] for each in await team.recipients(location)} == {True}


async def test_an_optional_recipient_is_not_awaited_once_the_location_was_reopened(team: Team) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX", required=False))
    await team.acknowledged(team.carrier, location)
    reopened = {"locationId": location.id, "reason": "Two phones moved", "idempotencyKey": a_key()}
    assert (await team.scenario.send(team.scenario.lead, "reopen", **reopened)).outcome == "DONE"
    assert not await team.awaited(team.pbx, location, True)
    assert await team.awaited(team.pbx, location, False)
    assert (await team.acknowledged(team.pbx, location)).outcome == "ILLEGAL_TRANSITION"


@pytest.mark.parametrize("required", [True, False])
async def test_any_rejection_blocks_the_location_and_keeps_the_other_receipts(team: Team, required: bool) -> None:
    location = await team.released(
        partner(team.carrier), partner(team.pbx, "PBX", required=required), partner(team.installer, "INSTALLER")
    )
    assert (await team.acknowledged(team.carrier, location)).outcome == "DONE"
    assert (await team.rejected(team.pbx, location)).payload["payload"]["state"] == "REJECTED"
    receipts = {team.carrier: "ACKNOWLEDGED", team.pbx: "REJECTED"}
    assert await team.outcome_of(location) == ("BLOCKED", "REJECTED", receipts)
    query = "query($id: ID!) { provisioningPayload(id: $id) { state receipts { receivedBy { id } } } }"
    for user in (team.carrier, team.installer):
        seen = (await team.scenario.client.ask(query, user, id=location.payload)).data["provisioningPayload"]
        own = [{"receivedBy": {"id": user}}] if user == team.carrier else []
        assert seen == {"state": "REJECTED", "receipts": own}
    for answer in (team.acknowledged, team.rejected):
        assert (await answer(team.installer, location)).outcome == "PAYLOAD_REJECTED"
    assert not await team.awaited(team.installer, location, True)
    assert (await team.waived(team.installer, location)).outcome == "PAYLOAD_REJECTED"
    assert await team.outcome_of(location) == ("BLOCKED", "REJECTED", receipts)


async def later(team: Team, location: Rollout, state: str) -> None:
    """Bring a payload that one recipient acknowledged and another did not answer into a later state."""
    match state:
        case "ACKNOWLEDGED":
            assert (await team.acknowledged(team.pbx, location)).outcome == "DONE"
        case "REJECTED":
            assert (await team.rejected(team.pbx, location)).outcome == "DONE"
        case "WITHDRAWN":
            given = {"locationId": location.id, "reason": "The site closes", "idempotencyKey": a_key()}
            assert (await team.scenario.send(team.scenario.lead, "cancel", **given)).outcome == "DONE"
        case "SUPERSEDED":
            await override_edit(team, location)


async def override_edit(team: Team, location: Rollout) -> None:
    lead = team.scenario.lead
    opened: dict[str, Any] = {
        "locationId": location.id,
        "editableSections": ["DEVICES"],
        "reason": "The phones were swapped",
        "expiresInMinutes": 5,
    }
    assert (await team.scenario.send(lead, "openOverride", **opened)).outcome == "DONE"
    edit: dict[str, Any] = {"deviceId": location.device, "expectedRevision": 1, "label": "Front desk"}
    assert (await team.scenario.send(lead, "editDevice", **edit)).outcome == "DONE"


LATER = ["RELEASED", "ACKNOWLEDGED", "REJECTED", "WITHDRAWN", "SUPERSEDED"]


@pytest.mark.parametrize("state", LATER)
async def test_a_repeated_answer_returns_the_own_first_receipt_in_every_state(team: Team, state: str) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    key = a_key()
    first = await team.acknowledged(team.carrier, location, idempotencyKey=key)
    await later(team, location, state)
    before = await team.outcome_of(location)
    assert before[1] == state
    replay = await team.acknowledged(team.carrier, location, idempotencyKey=key)
    again = await team.acknowledged(team.carrier, location)
    assert (replay.outcome, replay.replayed, again.outcome, again.replayed) == ("DONE", True, "DONE", False)
    assert replay.payload["receipt"] == again.payload["receipt"] == first.payload["receipt"]
    assert again.payload["payload"]["state"] == state
    assert await team.outcome_of(location) == before


@pytest.mark.parametrize("state", LATER)
async def test_another_kind_of_answer_is_refused_with_the_recorded_one(team: Team, state: str) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    await team.acknowledged(team.carrier, location)
    await later(team, location, state)
    refused = await team.rejected(team.carrier, location)
    assert (refused.outcome, refused.problem["answer"]) == ("ALREADY_ANSWERED", "ACKNOWLEDGED")
    assert datetime.fromisoformat(refused.problem["answeredAt"]).tzinfo is not None


async def test_a_repeated_rejection_returns_the_own_receipt_and_an_acknowledgement_after_it_is_refused(
    team: Team,
) -> None:
    location = await team.released()
    first = await team.rejected(team.pbx, location)
    assert (await team.rejected(team.pbx, location)).payload["receipt"] == first.payload["receipt"]
    refused = await team.acknowledged(team.pbx, location)
    assert (refused.outcome, refused.problem["answer"]) == ("ALREADY_ANSWERED", "REJECTED")


async def test_a_successor_is_named_only_to_its_own_recipients(team: Team) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    await override_edit(team, location)
    digest = await team.scenario.digest_of_rows(location.id)
    given = {"locationId": location.id, "expectedDigest": digest, "idempotencyKey": a_key()}
    assert (await team.scenario.send(team.scenario.lead_2, "approve", **given)).outcome == "DONE"
    assert (await team.assigned(location, partner(team.carrier))).outcome == "DONE"
    generated = {"locationId": location.id, "idempotencyKey": a_key()}
    sent = await team.scenario.send(team.scenario.lead, "generatePayload", "payload { id }", **generated)
    successor = sent.payload["payload"]["id"]
    for user in (team.carrier, team.pbx):
        refused = await team.acknowledged(user, location)
        assert (refused.outcome, refused.problem["by"]) == ("PAYLOAD_SUPERSEDED", None), "not released to anybody yet"
    assert (await team.triggered(location)).outcome == "DONE"
    told = {user: (await team.acknowledged(user, location)).problem["by"] for user in (team.carrier, team.pbx)}
    assert told == {team.carrier: successor, team.pbx: None}


# Waivers


async def test_the_last_required_waiver_completes_the_location_and_is_an_override(team: Team) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    assert (await team.acknowledged(team.carrier, location)).outcome == "DONE"
    assert (await team.waived(team.pbx, location)).payload["payload"] == {"state": "ACKNOWLEDGED"}
    assert await team.outcome_of(location) == ("COMPLETED", "ACKNOWLEDGED", {team.carrier: "ACKNOWLEDGED"})
    entry = (await team.scenario.entries(location.id))[-1]
    assert (entry["action"], entry["reason"], entry["is_override"]) == ("waiveReceipt", "The site closes", True)
    (waived,) = [each for each in await team.recipients(location) if each["user"]["id"] == team.pbx]
    assert (waived["waivedReason"], waived["waivedBy"]) == ("The site closes", {"id": team.scenario.lead})


async def test_a_waiver_that_is_not_the_last_is_an_override_too_and_the_recipient_can_still_answer(team: Team) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    assert (await team.waived(team.pbx, location)).payload["payload"] == {"state": "RELEASED"}
    entry = (await team.scenario.entries(location.id))[-1]
    assert (entry["action"], entry["is_override"]) == ("waiveReceipt", True)
    assert not await team.awaited(team.pbx, location, True)
    assert await team.awaited(team.scenario.lead, location, True)
    assert (await team.acknowledged(team.pbx, location)).outcome == "DONE"
    assert (await team.outcome_of(location))[0] == "PROVISIONING"
    assert (await team.acknowledged(team.carrier, location)).outcome == "DONE"
    assert (await team.outcome_of(location))[0] == "COMPLETED"


async def test_a_waiver_repeated_changes_nothing(team: Team) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    await team.waived(team.pbx, location)
    before = await team.scenario.state_of(location.id)
    assert (await team.waived(team.pbx, location, "Another reason")).outcome == "DONE"
    assert await team.scenario.state_of(location.id) == before
    (waived,) = [each for each in await team.recipients(location) if each["user"]["id"] == team.pbx]
    assert waived["waivedReason"] == "The site closes"


async def test_a_waiver_of_a_receipt_that_exists_is_refused_with_it(team: Team) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    await team.acknowledged(team.carrier, location)
    refused = await team.waived(team.carrier, location)
    assert (refused.outcome, refused.problem["answer"]) == ("ALREADY_ANSWERED", "ACKNOWLEDGED")
    assert (await team.outcome_of(location))[2] == {team.carrier: "ACKNOWLEDGED"}


async def test_a_waiver_after_a_completion_by_hand_settles_the_payload(team: Team) -> None:
    location = await team.released(partner(team.carrier))
    assert (await team.completed(location)).outcome == "DONE"
    assert await team.awaited(team.scenario.lead, location, True)
    assert (await team.waived(team.carrier, location)).outcome == "DONE"
    assert await team.outcome_of(location) == ("COMPLETED", "ACKNOWLEDGED", {})
    assert not await team.awaited(team.scenario.lead, location, True)


@pytest.mark.parametrize(("state", "code"), [("SUPERSEDED", "PAYLOAD_SUPERSEDED"), ("WITHDRAWN", "PAYLOAD_WITHDRAWN")])
async def test_a_waiver_for_a_payload_that_is_no_longer_open_is_refused(team: Team, state: str, code: str) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    await team.acknowledged(team.carrier, location)
    await later(team, location, state)
    assert (await team.waived(team.pbx, location)).outcome == code


async def test_a_waiver_for_somebody_who_is_no_recipient_is_refused(team: Team) -> None:
    location = await team.released(partner(team.carrier))
    refused = await team.waived(team.pbx, location)
    assert (refused.outcome, refused.problem["path"]) == ("NOT_FOUND", ["userId"])


async def test_a_waiver_needs_a_reason(team: Team) -> None:
    location = await team.released(partner(team.carrier))
    refused = await team.waived(team.carrier, location, "  ")
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["reason"])
    assert (await team.outcome_of(location))[:2] == ("PROVISIONING", "RELEASED")


async def test_viewer_actions_say_whether_a_receipt_can_be_waived(team: Team) -> None:
    location = await team.scenario.a_location(S.APPROVED, account=team.account)
    await team.assigned(location, partner(team.carrier), partner(team.pbx, "PBX", required=False))
    seen = [await actions_of(team, location)]
    await team.triggered(location)
    seen.append(await actions_of(team, location))
    await team.acknowledged(team.carrier, location)
    seen.append(await actions_of(team, location))
    await team.acknowledged(team.pbx, location)
    seen.append(await actions_of(team, location))
    assert [each["WAIVE_RECEIPT"] for each in seen] == ["ILLEGAL_TRANSITION", None, None, "ILLEGAL_TRANSITION"]
    assert [each["SET_LOCATION_PARTNERS"] for each in seen] == [None] * 4


# Partners that go between the release and the answer


async def test_a_partner_without_a_grant_no_longer_finds_the_payload_and_a_lead_can_waive_its_receipt(
    team: Team,
) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    await team.acknowledged(team.carrier, location)
    assert (await team.granted(team.pbx)).outcome == "DONE"
    missing = await team.acknowledged(team.pbx, location)
    query = "query($id: ID!) { provisioningPayload(id: $id) { id } }"
    seen = await team.scenario.client.ask(query, team.pbx, id=location.payload)
    assert (await team.waived(team.pbx, location)).outcome == "DONE"
    assert (await team.granted(team.pbx, team.account)).outcome == "DONE"
    assert (missing.outcome, seen.codes) == ("NOT_FOUND", ["NOT_FOUND"])
    assert (await team.outcome_of(location))[0] == "COMPLETED"


async def test_a_suspended_partner_is_refused_and_answers_after_its_reinstatement(team: Team) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    await team.status_of(team.pbx, "SUSPENDED")
    body = {"payloadId": location.payload, "documentDigest": location.payload_digest, "idempotencyKey": a_key()}
    document = "mutation($i: AcknowledgePayloadInput!) { acknowledgePayload(input: $i) { payload { id } } }"
    refused = await team.scenario.client.ask(document, team.pbx, i=body)
    await team.status_of(team.pbx, "ACTIVE")
    assert refused.codes == ["UNAUTHENTICATED"]
    async with asyncio.timeout(30):  # the server repeats the refusal for two seconds
        while (await team.scenario.client.ask("{ viewer { name } }", team.pbx)).status != 200:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.1)
    assert (await team.acknowledged(team.pbx, location)).outcome == "DONE"


async def test_a_partner_that_is_no_longer_chosen_stays_a_recipient(team: Team) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    assert (await team.assigned(location)).outcome == "DONE"
    for user in (team.carrier, team.pbx):
        assert (await team.acknowledged(user, location)).outcome == "DONE"
    assert (await team.outcome_of(location))[0] == "COMPLETED"


# What awaits a receipt


async def test_awaiting_a_receipt_means_the_own_one_for_a_partner_and_any_required_one_for_a_lead(team: Team) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX", required=False))
    lead = team.scenario.lead

    async def awaiting() -> dict[str, bool]:
        found = {}
        for who in (lead, team.carrier, team.pbx):
            found[who] = await team.awaited(who, location, True)
            assert await team.awaited(who, location, False) is not found[who]
        assert not await team.awaited(team.installer, location, True)
        assert not await team.awaited(team.installer, location, False), "it is no recipient"
        return found

    assert await awaiting() == {lead: True, team.carrier: True, team.pbx: True}
    await team.acknowledged(team.pbx, location)
    assert await awaiting() == {lead: True, team.carrier: True, team.pbx: False}
    await team.acknowledged(team.carrier, location)
    assert await awaiting() == {lead: False, team.carrier: False, team.pbx: False}


async def test_a_payload_whose_document_was_erased_awaits_no_receipt(team: Team, own_database: TestDatabase) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX", required=False))
    await team.acknowledged(team.carrier, location)
    await team.scenario.send(team.carrier, "confirmDecommission", payloadId=location.payload)
    opened: dict[str, Any] = {
        "editableSections": ["CONTACTS"],
        "reason": "Somebody left the site",
        "expiresInMinutes": 5,
    }
    assert (await team.scenario.send(team.scenario.lead, "openOverride", locationId=location.id, **opened)).outcome == (
        "DONE"
    )
    revision = (await team.scenario.revisions(location.id))["CONTACTS"]
    contact = {"purpose": "PRIMARY", "fullName": "Ida Frost", "email": "ida@dune.example", "phone": "+1 212 555 0177"}
    edit: dict[str, Any] = {"locationId": location.id, "expectedRevision": revision, "contacts": [contact]}
    assert (await team.scenario.send(team.scenario.lead, "setContacts", **edit)).outcome == "DONE"
    assert await team.awaited(team.pbx, location, True)
    assert (await erase_person(own_database.owner_url, location.contact, reason="Request 7")).documents == 1
    assert (await team.acknowledged(team.pbx, location)).outcome == "PAYLOAD_WITHDRAWN"
    assert not await team.awaited(team.pbx, location, True)
    assert await team.awaited(team.pbx, location, False)


# The choice of partners


@pytest.mark.parametrize("status", S)
async def test_a_lead_chooses_partners_in_any_status_without_touching_the_content(
    team: Team, status: LocationStatus
) -> None:
    location = await team.scenario.a_location(status, account=team.account)
    before = await team.scenario.state_of(location.id)
    sections = await team.scenario.revisions(location.id)
    sent = await team.assigned(location, partner(team.pbx, "PBX"), partner(team.carrier, required=False))
    told = {
        each["user"]["id"]: (each["partnerPurpose"], each["required"]) for each in sent.payload["location"]["partners"]
    }
    assert told == {team.pbx: ("PBX", True), team.carrier: ("CARRIER", False)}
    after = await team.scenario.state_of(location.id)
    assert (after.status, after.digest, after.approvals, after.payloads) == (
        before.status,
        before.digest,
        before.approvals,
        before.payloads,
    )
    assert await team.scenario.revisions(location.id) == sections
    entry = (await team.scenario.entries(location.id))[-1]
    assert (entry["action"], entry["outcome"], entry["actor_id"]) == (
        "setLocationPartners",
        "APPLIED",
        team.scenario.lead,
    )
    changes = await team.scenario.connection.fetch(
        "SELECT DISTINCT c.table_name, c.account_id, c.location_id FROM turnup.field_change c WHERE c.entry_id = $1",
        entry["id"],
    )
    assert {tuple(each) for each in changes} == {
        (table, team.account, location.id) for table in ("location", "location_partner")
    }


async def test_the_choice_replayed_is_made_once(team: Team) -> None:
    location = await team.scenario.a_location(S.IN_PROGRESS, account=team.account)
    key = a_key()
    first = await team.assigned(location, partner(team.pbx), idempotencyKey=key)
    again = await team.assigned(location, partner(team.pbx), idempotencyKey=key)
    other = await team.assigned(location, partner(team.carrier), idempotencyKey=key)
    assert (first.replayed, again.replayed, other.outcome) == (False, True, "IDEMPOTENCY_KEY_REUSED")
    assert again.payload["location"] == first.payload["location"]


@pytest.mark.parametrize("case", ["unknown", "lead", "customer", "suspended", "of another account", "twice"])
async def test_a_user_who_cannot_answer_the_payloads_of_the_location_is_refused_as_its_partner(
    team: Team, case: str
) -> None:
    location = await team.scenario.a_location(S.IN_PROGRESS, account=team.account)
    users = {
        "unknown": "user-of-nobody",
        "lead": team.scenario.lead,
        "customer": team.customer,
        "suspended": team.installer,
        "of another account": team.scenario.away_partner,
        "twice": team.carrier,
    }
    if case == "suspended":
        await team.status_of(team.installer, "SUSPENDED")
    refused = await team.assigned(location, partner(team.carrier), partner(users[case], "PBX"))
    if case == "suspended":
        await team.status_of(team.installer, "ACTIVE")
    assert (refused.outcome, refused.problem["field"]) == ("INVALID_INPUT", "userId")
    assert refused.problem["path"] == ["partners", "listed", "1", "userId"]
    kept = await team.scenario.connection.fetch(
        "SELECT FROM turnup.location_partner WHERE location_id = $1", location.id
    )
    assert kept == []


@pytest.mark.parametrize(("chosen", "field"), [({"listed": []}, "listed"), ({"allOfAccount": False}, "allOfAccount")])
async def test_that_every_partner_of_the_account_gets_the_payload_is_stated(
    team: Team, chosen: dict[str, Any], field: str
) -> None:
    location = await team.scenario.a_location(S.IN_PROGRESS, account=team.account)
    assert (await team.assigned(location, partner(team.pbx))).outcome == "DONE"
    refused = await team.assigned(location, partners=chosen)
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["partners", field])
    kept = await team.scenario.connection.fetchval(
        "SELECT array_agg(user_id) FROM turnup.location_partner WHERE location_id = $1", location.id
    )
    assert kept == [team.pbx]


async def test_more_than_twenty_partners_are_refused(team: Team) -> None:
    location = await team.scenario.a_location(S.IN_PROGRESS, account=team.account)
    refused = await team.assigned(location, *(partner(f"user-{place}") for place in range(21)))
    assert (refused.outcome, refused.problem["limit"]) == ("LIMIT_REACHED", 20)


@pytest.mark.parametrize("who", ["customer", "carrier"])
async def test_nobody_but_leads_chooses_partners_or_waives_receipts(team: Team, who: str) -> None:
    location = await team.released(partner(team.carrier), partner(team.pbx, "PBX"))
    user = getattr(team, who)
    given: dict[str, Any] = {"locationId": location.id, "partners": {"listed": [partner(team.carrier)]}}
    assert (await team.scenario.send(user, "setLocationPartners", **given)).outcome == "FORBIDDEN"
    waiver: dict[str, Any] = {"payloadId": location.payload, "userId": team.pbx, "reason": "Closed"}
    assert (await team.scenario.send(user, "waiveReceipt", **waiver)).outcome == "FORBIDDEN"


# Races


@dataclass
class Model:
    """A payload with its recipients, as answers that come one after the other leave it."""

    required: frozenset[str]
    status: str = "PROVISIONING"
    state: str = "RELEASED"
    receipts: dict[str, str] = field(default_factory=dict)
    waived: set[str] = field(default_factory=set)

    def take(self, call: str, who: str) -> str:
        """The outcome of a call."""
        kind = {"acknowledge": ReceiptKind.ACKNOWLEDGED, "reject": ReceiptKind.REJECTED}.get(call)
        if who in self.receipts:
            return "DONE" if self.receipts[who] == kind else "ALREADY_ANSWERED"
        if kind is None and who in self.waived:
            return "DONE"
        if self.state == "REJECTED":
            return "PAYLOAD_REJECTED"
        if kind is ReceiptKind.REJECTED:
            if self.status == "COMPLETED":
                return "ILLEGAL_TRANSITION"
            self.receipts[who], self.state, self.status = "REJECTED", "REJECTED", "BLOCKED"
            return "DONE"
        if kind is None:
            self.waived.add(who)
        else:
            self.receipts[who] = "ACKNOWLEDGED"
        if self.required <= self.waived | self.receipts.keys():
            self.state, self.status = "ACKNOWLEDGED", "COMPLETED"
        return "DONE"


Calls = Sequence[tuple[str, str]]


def serial(required: frozenset[str], calls: Calls) -> Iterator[tuple[list[str], tuple[str, str, dict[str, str]]]]:
    """The outcomes of the calls and the final state, for each order of the calls."""
    for order in permutations(range(len(calls))):
        model = Model(required)
        outcomes = {place: model.take(*calls[place]) for place in order}
        yield [outcomes[place] for place in range(len(calls))], (model.status, model.state, model.receipts)


RACES: dict[str, Calls] = {
    "two acknowledge": [("acknowledge", "carrier"), ("acknowledge", "pbx")],
    "three acknowledge": [("acknowledge", "carrier"), ("acknowledge", "pbx"), ("acknowledge", "installer")],
    "one acknowledges and one rejects": [("acknowledge", "carrier"), ("reject", "pbx")],
    "two acknowledge and one rejects": [("acknowledge", "carrier"), ("acknowledge", "pbx"), ("reject", "installer")],
    "two reject": [("reject", "carrier"), ("reject", "pbx")],
    "one acknowledges and the other's receipt is waived": [("acknowledge", "carrier"), ("waive", "pbx")],
    "one acknowledges and its receipt is waived": [("acknowledge", "carrier"), ("waive", "carrier")],
    "one rejects and its receipt is waived": [("reject", "carrier"), ("waive", "carrier")],
    "the same partner twice": [("acknowledge", "carrier"), ("acknowledge", "carrier"), ("acknowledge", "pbx")],
    "the same partner both ways": [("acknowledge", "carrier"), ("reject", "carrier")],
}


@pytest.mark.parametrize("rounds", [2, pytest.param(scaled(20), marks=pytest.mark.slow)])
@pytest.mark.parametrize("race", RACES)
async def test_raced_answers_end_as_in_an_order_of_them(team: Team, race: str, rounds: int) -> None:
    calls = RACES[race]
    names = sorted({who for _, who in calls} | {"pbx"})
    users = {name: getattr(team, name) for name in names}
    named = [(call, users[who]) for call, who in calls]
    for _ in range(rounds):
        location = await team.released(*(partner(user) for user in users.values()))
        run = {"acknowledge": team.acknowledged, "reject": team.rejected, "waive": team.waived}
        sent = await asyncio.gather(*(run[call](who, location) for call, who in named))
        ended = [each.outcome for each in sent], await team.outcome_of(location)
        assert ended in list(serial(frozenset(users.values()), named))
        for (call, who), each in zip(named, sent, strict=True):
            if call != "waive" and each.outcome == "DONE":
                assert each.payload["receipt"]["receivedBy"] == {"id": who}


async def test_choices_of_partners_and_releases_at_once_leave_one_of_both_choices(team: Team) -> None:
    for _ in range(20):
        location = await team.scenario.a_location(S.APPROVED, account=team.account)
        await team.assigned(location, partner(team.carrier))
        sent = await asyncio.gather(
            team.triggered(location), team.assigned(location, partner(team.pbx), partner(team.installer))
        )
        assert [each.outcome for each in sent] == ["DONE", "DONE"]
        recipients = {each["user"]["id"] for each in await team.recipients(location)}
        assert recipients in ({team.carrier}, {team.pbx, team.installer})


async def test_leads_who_administer_partners_and_partners_who_answer_never_meet_in_a_deadlock(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is tried a second time here, so that a single deadlock would be told as OVERLOADED."""
    monkeypatch.setattr(transactions, "MOST_TRIES", 1)
    async with team.scenario.arranging():
        account, second = [
            await an_account(team.scenario.connection, name=name) for name in ("Crowded Quays", "Crowded Piers")
        ]
        users = [await a_user(team.scenario.connection, Role.PARTNER) for _ in range(4)]
        for user in users:
            await a_grant(team.scenario.connection, user, account)
    crowd = [await team.scenario.a_location(S.APPROVED, account=account) for _ in range(10)]
    calls: list[Any] = []
    for place, location in enumerate(crowd):
        mine, other = users[place % 4], users[(place + 1) % 4]
        calls += [
            lambda location=location, mine=mine: team.assigned(location, partner(mine)),
            lambda location=location: team.triggered(location),
            lambda location=location, mine=mine: team.acknowledged(mine, location),
            lambda location=location, other=other, mine=mine: team.assigned(location, partner(other), partner(mine)),
            lambda location=location, other=other: team.acknowledged(other, location),
            lambda location=location, mine=mine: team.waived(mine, location),
            lambda user=mine: team.granted(user, account, second),
            lambda user=other: team.granted(user, second, account),
            lambda user=users[place % 3]: team.scenario.send(team.scenario.lead, "suspendUser", userId=user),
            lambda user=users[place % 3]: team.scenario.send(team.scenario.lead_2, "reinstateUser", userId=user),
        ]
    assert len(calls) == 100
    sent = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
    outcomes = {each.outcome if isinstance(each, Sent) else repr(each) for each in sent}
    assert outcomes <= {
        "DONE",
        "CONFLICT",
        "NOT_FOUND",
        "NOT_READY",
        "INVALID_INPUT",
        "ALREADY_ANSWERED",
        "ILLEGAL_TRANSITION",
        "UNAUTHENTICATED",
    }
