"""The filters of locations, and the short lists, on the demo data alone."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus
from tests.builders_db import committed
from tests.harness import CUSTOMER, LEAD, Client
from tests.harness import TestDatabase as WorkerDatabase

FOUND = "query($filter: LocationFilter) { locations(first: 100, filter: $filter) { nodes { id } totalCount } }"


@pytest.mark.parametrize(
    ("conditions", "numbers"),
    [
        ({}, range(1, 13)),
        ({"status": ["PROVISIONING"]}, {5, 10}),
        ({"status": ["PROVISIONING", "BLOCKED", "PROVISIONING"]}, {5, 8, 10}),
        ({"status": [each.value for each in LocationStatus] * 200}, range(1, 13)),
        ({"status": []}, ()),
        ({"accountId": "account-2"}, {6, 7, 8, 9}),
        ({"name": "CLINIC"}, {2}),
        ({"name": "  dental - "}, {6, 7, 8, 9}),
        ({"name": ""}, range(1, 13)),
        ({"name": None, "status": None, "awaiting": None}, range(1, 13)),
        ({"awaiting": "CUSTOMER"}, {1, 2, 7, 12}),
        ({"awaiting": "LEAD"}, {3, 4, 8, 11}),
        ({"awaiting": "PARTNER"}, {5, 10}),
        ({"awaiting": "ME"}, {3, 4, 8, 11}),
        ({"awaiting": "LEAD", "status": ["BLOCKED", "COMPLETED"]}, {8}),
        ({"awaiting": "LEAD", "accountId": "account-3", "name": "hill"}, {11}),
        ({"updatedSince": "2000-01-01T00:00:00Z"}, range(1, 13)),
        ({"updatedSince": "2999-01-01T00:00:00Z"}, ()),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_every_condition_of_a_filter_has_to_hold(
    client: Client, conditions: dict[str, Any], numbers: Any
) -> None:
    page = (await client.ask(FOUND, filter=conditions)).data["locations"]
    expected = {f"location-{number}" for number in numbers}
    assert ({node["id"] for node in page["nodes"]}, page["totalCount"]) == (expected, len(expected))


async def test_a_customer_awaits_what_customers_have_to_do(client: Client) -> None:
    answer = await client.ask("{ locations(filter: {awaiting: ME}) { nodes { id } totalCount } }", CUSTOMER)
    assert answer.data == {"locations": {"nodes": [{"id": "location-1"}, {"id": "location-2"}], "totalCount": 2}}


async def test_accounts_come_by_name(client: Client) -> None:
    answer = await client.ask("{ accounts { nodes { id name revision } totalCount } }")
    accounts = ("Acme Medical Group", "Birch Dental Partners", "Cedar Veterinary Clinics")
    assert answer.data == {
        "accounts": {
            "nodes": [
                {"id": f"account-{number}", "name": name, "revision": 1} for number, name in enumerate(accounts, 1)
            ],
            "totalCount": 3,
        }
    }


async def test_the_device_catalogue_comes_by_id_and_by_maker(client: Client) -> None:
    answer = await client.ask(
        "{ all: deviceModels { totalCount } mine: deviceModels(brand: YEALINK) { nodes { id brand name lines } } }",
        CUSTOMER,
    )
    yealink = {"brand": "YEALINK", "lines": 16}
    assert answer.data == {
        "all": {"totalCount": 7},
        "mine": {
            "nodes": [
                {"id": "model-yealink-t46s", "name": "T46S", **yealink},
                {"id": "model-yealink-t54w", "name": "T54W", **yealink},
            ]
        },
    }


@pytest.fixture
async def ten_thousand_models(database: WorkerDatabase) -> AsyncIterator[None]:
    """A catalogue of exactly as many models as are counted."""
    async with committed(database) as connection:
        await connection.execute(
            "INSERT INTO turnup.device_model (id, brand, model, lines) "
            "SELECT 'model-load-' || n, 'OTHER', 'Load ' || n, 1 FROM generate_series(1, 9993) n"
        )
    yield
    async with committed(database) as connection:
        await connection.execute("DELETE FROM turnup.device_model WHERE id LIKE 'model-load-%'")


COUNTED = "{ deviceModels(first: 1) { totalCount totalCountIsCapped } }"


async def test_ten_thousand_rows_are_counted(client: Client, ten_thousand_models: None) -> None:
    answer = await client.ask(COUNTED)
    assert answer.data == {"deviceModels": {"totalCount": 10_000, "totalCountIsCapped": False}}


async def test_counting_stops_beyond_ten_thousand_and_says_so(
    client: Client, database: WorkerDatabase, ten_thousand_models: None
) -> None:
    async with committed(database) as connection:
        await connection.execute(
            "INSERT INTO turnup.device_model (id, brand, model, lines) VALUES ('model-load-0', 'OTHER', 'Load', 1)"
        )
    answer = await client.ask(COUNTED)
    assert answer.data == {"deviceModels": {"totalCount": 10_000, "totalCountIsCapped": True}}


NESTED = """
query Nested($first: Int!) {
  locations(first: $first) {
    nodes {
      id name status address { city } timezone
      account { name }
      contacts { purpose fullName email phone }
      devices { id brand model macAddress extension { number person { firstName } } }
      workingHours { weekday opens closes }
    }
  }
}
"""


async def test_a_lead_reads_every_location_with_everything_in_it(client: Client) -> None:
    answer = await client.ask(NESTED, LEAD, first=100)
    nodes = {node["id"]: node for node in answer.data["locations"]["nodes"]}
    assert len(nodes) == 12
    assert nodes["location-1"]["devices"] == [
        {
            "id": "phone-1",
            "brand": "YEALINK",
            "model": "T46S",
            "macAddress": "00:15:5D:01:01:01",
            "extension": {"number": "1001", "person": {"firstName": "Dana"}},
        }
    ]
