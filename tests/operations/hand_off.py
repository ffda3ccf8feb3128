"""The hand-off of locations to several partners, call by call: who releases, answers, waives and decommissions."""

from dataclasses import dataclass, replace
from typing import Any

from app.domain.vocabulary import LocationStatus, Role
from tests.builders_db import a_grant, a_user, an_account, fresh

from .scenario import Rollout, Scenario, Sent, a_key, complete_content

S = LocationStatus
REASON = "The site closed for good."
ALL_RECIPIENTS = {"allRecipients": True}


@dataclass(frozen=True)
class Payload:
    """A released payload."""

    id: str
    digest: str


@dataclass(frozen=True)
class Account:
    """An account with a customer and partners of its own, so that other tests do not meet them."""

    scenario: Scenario
    id: str
    customer: str
    partners: tuple[str, ...]

    async def a_location(self, status: LocationStatus = S.APPROVED, **more: Any) -> Rollout:
        """A location of the account; nothing was generated or released."""
        return await self.scenario.a_location(
            status, account=self.id, payload=False, submitted_by=self.customer, **more
        )

    async def set_partners(self, location: Rollout, required: dict[str, bool]) -> Sent:
        """Choose the partners of a location, and whether the receipt of each is required."""
        listed = [{"userId": user, "partnerPurpose": "PBX", "required": needed} for user, needed in required.items()]
        partners = {"listed": listed} if listed else {"allOfAccount": True}
        return await self.lead("setLocationPartners", locationId=location.id, partners=partners)

    async def lead(self, mutation: str, /, select: str = "", **given: Any) -> Sent:
        """A call of the lead."""
        return await self.scenario.send(self.scenario.lead, mutation, select, **given)

    async def released(self, location: Rollout) -> Payload:
        """Generate the payload of the approved content and release it."""
        about = {"locationId": location.id}
        generated = await self.lead("generatePayload", **about, idempotencyKey=a_key())
        assert generated.outcome == "DONE", generated
        released = await self.lead(
            "triggerProvisioning", "payload { id documentDigest }", **about, idempotencyKey=a_key()
        )
        assert released.outcome == "DONE", released
        return Payload(released.payload["payload"]["id"], released.payload["payload"]["documentDigest"])

    async def acknowledge(self, who: str, payload: Payload) -> Sent:
        """The answer of a partner who got the document."""
        given: dict[str, Any] = {"payloadId": payload.id, "documentDigest": payload.digest, "idempotencyKey": a_key()}
        return await self.scenario.send(who, "acknowledgePayload", "payload { state }", **given)

    async def reject(self, who: str, payload: Payload) -> Sent:
        """The answer of a partner who cannot use the document."""
        reasons = [{"path": "/devices/0/model", "code": "NO_STOCK", "message": "Not before spring."}]
        given: dict[str, Any] = {"payloadId": payload.id, "reasons": reasons, "idempotencyKey": a_key()}
        return await self.scenario.send(who, "rejectPayload", **given)

    async def waive(self, who: str, payload: Payload) -> Sent:
        """A lead stops waiting for a partner."""
        return await self.lead("waiveReceipt", payloadId=payload.id, userId=who, reason="They sent an email.")

    async def complete(self, location: Rollout) -> Sent:
        """A lead completes a location by hand."""
        given: dict[str, Any] = {
            "locationId": location.id,
            "reason": "The carrier is on strike.",
            "idempotencyKey": a_key(),
        }
        return await self.lead("completeProvisioning", **given)

    async def decommission(self, who: str, payload: Payload, **given: Any) -> Sent:
        """A partner confirms for itself, or a lead on behalf of others."""
        if who in {self.scenario.lead, self.scenario.lead_2}:
            given = {"onBehalfOf": ALL_RECIPIENTS, "reason": REASON, **given}
        return await self.scenario.send(who, "confirmDecommission", "payload { live }", payloadId=payload.id, **given)

    async def edit(self, location: Rollout, mac: str | None, device: str | None = None) -> Sent:
        """A lead changes the address of a location's phone, under an override if the location is locked."""
        revision = (await self.scenario.record(location.id)).row_revisions[device or location.device]
        given: dict[str, Any] = {"deviceId": device or location.device, "expectedRevision": revision, "macAddress": mac}
        return await self.lead("editDevice", **given)

    async def override(self, location: Rollout) -> Sent:
        """A lead opens an override of the phones."""
        terms: dict[str, Any] = {
            "editableSections": ["DEVICES", "EXTENSIONS"],
            "reason": "Two phones were swapped.",
            "expiresInMinutes": 60,
        }
        return await self.lead("openOverride", locationId=location.id, **terms)

    async def approve(self, location: Rollout) -> Sent:
        """The other lead approves what is there."""
        digest = (await self.scenario.state_of(location.id)).digest
        return await self.scenario.send(self.scenario.lead_2, "approve", locationId=location.id, expectedDigest=digest)

    async def submit(self, location: Rollout) -> Sent:
        """The customer submits."""
        return await self.scenario.send(self.customer, "submitOnboarding", locationId=location.id)

    async def back(self, verb: str, location: Rollout) -> Sent:
        """A lead reopens or cancels a location."""
        return await self.lead(verb, locationId=location.id, reason="A change order came in.")

    async def change_order(self, location: Rollout, mac: str) -> Payload:
        """Another phone for a completed location: edit under an override, approve again, generate, release."""
        for sent in (await self.override(location), await self.edit(location, mac), await self.approve(location)):
            assert sent.outcome == "DONE", sent
        return await self.released(location)

    async def running(self, partners: int = 1, macs: list[str] | None = None) -> "tuple[Rollout, Payload]":
        """A location that the first partners of the account run."""
        location = await self.a_location(macs=macs or ())
        await self.set_partners(location, dict.fromkeys(self.partners[:partners], True))
        payload = await self.released(location)
        for who in self.partners[:partners]:
            assert (await self.acknowledge(who, payload)).outcome == "DONE"
        assert (await self.scenario.state_of(location.id)).status == S.COMPLETED
        return location, payload

    async def rival(self, *macs: str) -> Rollout:
        """A draft of this account that wants these addresses."""
        name = fresh("location")
        content = replace(complete_content(name, self.id, *macs), name="The rival")
        return await self.scenario.a_location(S.IN_PROGRESS, name=name, content=content, account=self.id)

    async def claims(self, location: Rollout) -> set[str]:
        """The addresses that the location holds."""
        return set((await self.scenario.state_of(location.id)).claims)


async def an_account_with(scenario: Scenario, partners: int) -> Account:
    """Return an account with so many partners."""
    db = scenario.connection
    async with scenario.arranging():
        account = await an_account(db, name="Fern Bakery")
        customer = await a_user(db, Role.CUSTOMER, account)
        users = [await a_user(db, Role.PARTNER) for _ in range(partners)]
        for user in (customer, *users):
            await a_grant(db, user, account)
    return Account(scenario, account, customer, tuple(users))
