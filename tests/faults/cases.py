"""Mutations to be cut off: for each, locations in the right state and a call that is good for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.domain.vocabulary import LocationStatus
from tests.operations.edits import EDITS
from tests.operations.scenario import a_key, a_mac

if TYPE_CHECKING:
    from .ground import Ground

S = LocationStatus
PLACE = "location { id status revision }"
ITEM = "index locationId outcome problem { code message } location { id status revision }"
BULK = f"results {{ {ITEM} }} summary {{ applied unchanged refused }}"
BULK_WITH_PAYLOADS = f"results {{ {ITEM} payload {{ id state }} }} summary {{ applied unchanged refused }}"
NOWHERE = ""
REASON = "The landlord changed the locks."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A call with a key: who sends what, the locations that it changes, and those it leaves as they are."""

    who: str
    mutation: str
    given: Mapping[str, Any]
    touched: tuple[str, ...]
    spared: tuple[str, ...] = ()
    select: str = PLACE
    since: int = 0
    """Where no location is touched: the last audit entry that was there before."""

    @property
    def entered(self) -> dict[str, int]:
        """The audit entries that it leaves, by location."""
        return dict.fromkeys(self.touched or (NOWHERE,), 1)

    @property
    def concerned(self) -> tuple[str, ...]:
        return self.touched + self.spared


Arrange = Callable[["Ground", int], Awaitable[Sending]]


def _sending(who: str, mutation: str, *touched: str, select: str = PLACE, **given: Any) -> Sending:
    return Sending(
        who=who, mutation=mutation, given={**given, "idempotencyKey": a_key()}, touched=touched, select=select
    )


async def submit(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(S.IN_PROGRESS)
    return _sending(ground.customer, "submitOnboarding", location.id, locationId=location.id)


async def approve(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(S.PENDING_APPROVAL)
    given = {"locationId": location.id, "expectedDigest": location.digest}
    return _sending(ground.lead, "approve", location.id, **given)


async def generate(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(S.APPROVED, payload=False)
    return _sending(
        ground.lead, "generatePayload", location.id, select="payload { id state sequence }", locationId=location.id
    )


async def trigger(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(S.APPROVED)
    return _sending(ground.lead, "triggerProvisioning", location.id, locationId=location.id)


async def acknowledge(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(S.PROVISIONING)
    given = {"payloadId": location.payload, "documentDigest": location.payload_digest}
    return _sending(
        ground.partner, "acknowledgePayload", location.id, select="payload { id state } receipt { id answer }", **given
    )


async def add_device(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(S.IN_PROGRESS)
    given = EDITS["addDevice"](location)
    return _sending(ground.customer, "addDevice", location.id, select="device { id }", **given)


async def edit_device(ground: Ground, _items: int) -> Sending:
    """A submitted location's device gets another address: one claim is given up and another one taken."""
    location = await ground.a_location(S.PENDING_APPROVAL)
    given = {"deviceId": location.device, "expectedRevision": 1, "macAddress": a_mac()}
    return _sending(ground.customer, "editDevice", location.id, select="device { id macAddress revision }", **given)


async def set_extensions(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(S.IN_PROGRESS)
    return _sending(ground.customer, "setExtensions", location.id, **EDITS["setExtensions"](location))


async def move_device(ground: Ground, _items: int) -> Sending:
    source, target = await ground.a_location(S.PENDING_APPROVAL), await ground.a_location(S.PENDING_APPROVAL)
    given = {"deviceId": source.device, "expectedRevision": 1, "toLocationId": target.id}
    return _sending(
        ground.lead, "moveDevice", source.id, target.id, select="device { id revision location { id } }", **given
    )


async def open_override(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(S.APPROVED)
    given = {"locationId": location.id, "editableSections": ["DEVICES"], "reason": REASON, "expiresInMinutes": 60}
    return _sending(ground.lead, "openOverride", location.id, select="override { id }", **given)


async def bulk_submit(ground: Ground, items: int) -> Sending:
    """So many that can be submitted; one that cannot, one that is submitted already, and one that nobody has."""
    good = [(await ground.a_location(S.IN_PROGRESS)).id for _ in range(items)]
    done, bad = (await ground.a_location(S.PENDING_APPROVAL)).id, (await ground.a_location(S.COMPLETED)).id
    given = {"locationIds": [*good[::-1], done, "location-nobody", bad], "status": "PENDING_APPROVAL"}
    return Sending(
        who=ground.lead,
        mutation="bulkUpdateStatus",
        given={**given, "idempotencyKey": a_key()},
        touched=tuple(good),
        spared=(done,),
        select=BULK,
    )


async def bulk_approve(ground: Ground, items: int) -> Sending:
    """So many as they were reviewed, and one that was not."""
    made = [await ground.a_location(S.PENDING_APPROVAL) for _ in range(items + 1)]
    wanted = [{"locationId": each.id, "expectedDigest": each.digest} for each in made]
    wanted[0]["expectedDigest"] = "0" * 64
    return Sending(
        who=ground.lead,
        mutation="bulkApprove",
        given={"items": wanted, "idempotencyKey": a_key()},
        touched=tuple(each.id for each in made[1:]),
        spared=(made[0].id,),
        select=BULK,
    )


async def bulk_generate(ground: Ground, items: int) -> Sending:
    """So many approved ones, and one that is not."""
    good = [(await ground.a_location(S.APPROVED, payload=False)).id for _ in range(items)]
    bad = (await ground.a_location(S.IN_PROGRESS)).id
    return Sending(
        who=ground.lead,
        mutation="bulkGeneratePayloads",
        given={"locationIds": [bad, *good], "idempotencyKey": a_key()},
        touched=tuple(good),
        spared=(bad,),
        select=BULK_WITH_PAYLOADS,
    )


CASES: Mapping[str, Arrange] = {
    "submitOnboarding": submit,
    "approve": approve,
    "generatePayload": generate,
    "triggerProvisioning": trigger,
    "acknowledgePayload": acknowledge,
    "addDevice": add_device,
    "editDevice": edit_device,
    "setExtensions": set_extensions,
    "moveDevice": move_device,
    "openOverride": open_override,
    "bulkUpdateStatus": bulk_submit,
    "bulkApprove": bulk_approve,
    "bulkGeneratePayloads": bulk_generate,
}
