"""The document of the example location has every key and value of the example that partners were shown."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import CUSTOMER, LEAD, TestDatabase

from .scenario import Scenario, Sent, a_key

EXAMPLE = {
    "locationId": "location-1",
    "locationName": "Acme Medical - Main Office",
    "accountId": "account-1",
    "accountName": "Acme Medical Group",
    "version": "1.0.0",
    "location": {
        "name": "Acme Medical - Main Office",
        "address": {
            "line1": "123 Main Street",
            "line2": "Suite 100",
            "city": "New York",
            "state": "NY",
            "zipcode": "10001",
        },
    },
    "contacts": {"primary": {"name": "Alice Johnson", "email": "alice@example.com", "phone": "+1-555-0101"}},
    "devices": [
        {
            "id": "phone-1",
            "brand": "YEALINK",
            "model": "T46S",
            "macAddress": "00:15:5D:01:01:01",
            "extension": "1001",
        }
    ],
}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a document with its place."""
    if isinstance(value, (dict, list)):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for name, member in members:
            yield from leaves(member, f"{path}/{name}")
    else:
        yield path, value


@pytest.fixture(scope="session")  # the location goes this way once
async def generated(scenario: Scenario, own_database: TestDatabase) -> dict[str, Any]:
    """The example location taken from the demo data to its payload, by the people of the demo data."""

    async def send(who: str, mutation: str, **given: Any) -> Sent:
        select = "payload { document }" if mutation == "generatePayload" else ""
        sent = await scenario.send(who, mutation, select, **given)
        assert (sent.outcome, sent.problem) == ("DONE", {})
        return sent

    await send(CUSTOMER, "submitOnboarding", locationId="location-1")
    review = await scenario.client.ask('{ review(locationId: "location-1") { digest } }', LEAD)
    await send(LEAD, "approve", locationId="location-1", expectedDigest=review.data["review"]["digest"])
    payload = await send(LEAD, "generatePayload", locationId="location-1", idempotencyKey=a_key())
    document: dict[str, Any] = payload.payload["payload"]["document"]
    return document


@pytest.mark.parametrize(("path", "value"), list(leaves(EXAMPLE)))
def test_every_value_of_the_example_comes_out_at_its_place(generated: dict[str, Any], path: str, value: Any) -> None:
    assert dict(leaves(generated))[path] == value


@pytest.mark.parametrize("key", ["timestamp", "users", "extensions", "workingHours", "callFlow"])
def test_every_key_of_the_example_is_there_with_something_in_it(generated: dict[str, Any], key: str) -> None:
    assert generated[key]


def test_a_payload_has_one_moment_in_whole_seconds_of_utc(generated: dict[str, Any]) -> None:
    date, _, clock = generated["timestamp"].partition("T")
    assert (len(date), len(clock), clock[-1]) == (10, 9, "Z")
