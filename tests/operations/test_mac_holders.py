"""MAC_IN_USE names to a lead the account, the location and its id that hold an address, and nothing to anybody else.

Each way in which somebody can hear of a held address is tried by a lead and by a customer of another account.
"""

import json
import secrets
from dataclasses import dataclass, replace
from typing import Any

import pytest

from app.domain.mac_address import show_mac
from app.domain.mac_holder import MacHolder
from app.domain.refusals import MOST_NAMED, MacInUse
from app.domain.vocabulary import LocationStatus
from app.operations.idempotency import refusal_from_json, refusal_to_json
from tests.builders_db import fresh

from .scenario import Rollout, Scenario, Sent, a_key, a_mac, complete_content

S = LocationStatus
HOLDERS = "macAddresses holders { locationId locationName accountName }"
SINGLE = f"""mutation($input: EditDeviceInput!) {{ editDevice(input: $input) {{
  problems {{ code message ... on MacInUse {{ {HOLDERS} }} }} }} }}"""
BULK = f"results {{ outcome problem {{ code message ... on MacInUse {{ {HOLDERS} }} }} }}"
LOOKED_UP = """query($id: ID!) { location(id: $id) {
  readiness { code message fix path } viewerActions { action allowed reason message } } }"""


@dataclass(frozen=True)
class Held:
    """A location of another account that holds an address, under a name that no other location has."""

    holder: Rollout

    @property
    def mac(self) -> str:
        return self.holder.mac

    @property
    def as_told(self) -> dict[str, str]:
        """The holder as a lead sees it."""
        return {"locationId": self.holder.id, "locationName": self.holder.content.name, "accountName": "Elm Florists"}

    def is_named_in(self, text: str) -> bool:
        return all(each in text for each in self.as_told.values())

    def is_hinted_at_in(self, text: str) -> bool:
        return any(each in text for each in (*self.as_told.values(), self.holder.content.account_id))


@pytest.fixture(params=[S.PENDING_APPROVAL, S.COMPLETED], ids=["claimed", "in operation"])
async def held(scenario: Scenario, request: pytest.FixtureRequest) -> Held:
    """An address that another account's location has claimed, or that is in operation there."""
    name = fresh("location")
    content = replace(complete_content(name, scenario.away), name=f"Site {secrets.token_hex(6)}")
    return Held(await scenario.a_location(request.param, name=name, content=content, account=scenario.away))


async def edited(scenario: Scenario, who: str, held: Held) -> dict[str, Any]:
    """The problem of an edit of a submitted location to the held address."""
    mine = await scenario.a_location(S.PENDING_APPROVAL)
    given = {"deviceId": mine.device, "expectedRevision": 1, "macAddress": show_mac(held.mac)}
    answer = await scenario.client.ask(SINGLE, who, input=given)
    (problem,) = answer.data["editDevice"]["problems"]
    assert problem["code"] == "MAC_IN_USE"
    assert problem["macAddresses"] == [show_mac(held.mac)]
    return dict(problem)


async def test_a_lead_is_told_who_holds_an_address(scenario: Scenario, held: Held) -> None:
    problem = await edited(scenario, scenario.lead, held)
    assert problem["holders"] == [held.as_told]
    assert held.is_named_in(problem["message"])


async def test_a_customer_is_not_told_who_holds_an_address(scenario: Scenario, held: Held) -> None:
    problem = await edited(scenario, scenario.customer, held)
    assert problem["holders"] == []
    assert not held.is_hinted_at_in(json.dumps(problem))


async def test_readiness_names_the_holder_to_leads_and_nothing_else_does_to_customers(
    scenario: Scenario, held: Held
) -> None:
    draft = await scenario.a_location(S.IN_PROGRESS, macs=[held.mac])
    told = {
        who: (await scenario.client.ask(LOOKED_UP, who, id=draft.id)).data["location"]
        for who in (scenario.lead, scenario.customer)
    }
    for found in told.values():
        assert "MAC_IN_USE" in {issue["code"] for issue in found["readiness"]}
    assert held.is_named_in(json.dumps(told[scenario.lead]["readiness"]))
    assert not held.is_hinted_at_in(json.dumps(told[scenario.customer]))


async def in_bulk(scenario: Scenario, locations: list[str], **given: Any) -> Sent:
    call = {"locationIds": locations, "status": "PENDING_APPROVAL", "idempotencyKey": a_key(), **given}
    return await scenario.send(scenario.lead, "bulkUpdateStatus", BULK, **call)


@pytest.mark.parametrize("dry", [True, False])
async def test_a_bulk_call_names_the_item_that_got_the_address(scenario: Scenario, dry: bool) -> None:
    mac = a_mac()
    first, second = sorted(
        [await scenario.a_location(S.IN_PROGRESS, macs=[mac]) for _ in range(2)], key=lambda each: each.id
    )
    got, missed = (await in_bulk(scenario, [first.id, second.id], dryRun=dry)).payload["results"]
    assert (got["outcome"], missed["outcome"]) == ("APPLIED", "REFUSED")
    (holder,) = missed["problem"]["holders"]
    assert holder["locationId"] == first.id
    assert first.id in missed["problem"]["message"]


async def test_the_refusal_of_a_repeated_bulk_call_names_the_same_holder(scenario: Scenario) -> None:
    mac, key = a_mac(), a_key()
    locations = [await scenario.a_location(S.IN_PROGRESS, macs=[mac]) for _ in range(2)]
    ids = sorted(each.id for each in locations)
    first, again = [await in_bulk(scenario, ids, idempotencyKey=key) for _ in range(2)]
    assert (first.replayed, again.replayed) == (False, True)
    assert again.payload["results"] == first.payload["results"]
    assert first.payload["results"][1]["problem"]["holders"]


def test_a_kept_refusal_names_the_same_holders() -> None:
    holder = MacHolder(location_id="location-9", location_name="Old Mill", account_name="Birch")
    refusal = MacInUse(mac_addresses=("00:15:5D:00:00:01", "00:15:5D:00:00:02"), holders=(holder, None))
    kept = refusal_from_json(json.loads(json.dumps(refusal_to_json(refusal))))
    assert isinstance(kept, MacInUse)
    assert (kept.mac_addresses, kept.holders) == (refusal.mac_addresses, refusal.holders)
    assert kept.message.endswith("in use at Birch, Old Mill (location-9).")


def test_a_message_names_a_few_holders_once() -> None:
    holders = tuple(
        MacHolder(location_id=f"location-{n}", location_name="Site", account_name="Birch") for n in range(8)
    )
    message = MacInUse(mac_addresses=("00:15:5D:00:00:01",) * 16, holders=(*holders, *holders)).message
    assert message.count("Birch, Site") == MOST_NAMED
    assert message.endswith("and 3 more.")
