"""Several objects of any types, by their ids, in one field."""

from typing import Any

import pytest

from tests.harness import CUSTOMER, LEAD, PARTNER, Client

from .serving import Wire, tables_of

NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"


async def test_objects_of_several_types_come_in_the_order_of_their_ids_and_as_often(client: Client) -> None:
    ids = ["phone-1", "location-2", "account-1", "location-1", "phone-1"]
    answer = await client.ask(NODES, LEAD, ids=ids)
    assert [(node["__typename"], node["id"]) for node in answer.data["nodes"]] == list(
        zip(["Device", "Location", "Account", "Location", "Device"], ids, strict=True)
    )


async def test_what_is_missing_is_null_in_place_and_all_of_it_is_one_error(client: Client) -> None:
    ids = ["location-1", "location-99", "nothing", "no such id", "", "location-2", "a" * 65]
    answer = await client.ask(NODES, LEAD, ids=ids)
    found = answer.body["data"]["nodes"]
    assert [node and node["id"] for node in found] == ["location-1", None, None, None, None, "location-2", None]
    (error,) = answer.without_id.body["errors"]
    assert error == {
        "message": "Some of the objects do not exist or are not visible to you.",
        "locations": [{"line": 1, "column": 23}],
        "path": ["nodes", 1],
        "extensions": {"code": "NOT_FOUND", "indexes": [1, 2, 3, 4, 6], "requestId": ""},
    }


async def test_what_the_role_does_not_include_is_one_error_of_its_own(client: Client) -> None:
    answer = await client.ask(NODES, PARTNER, ids=["location-99", "account-1", "location-1", "account-99", "phone-1"])
    assert [node and node["id"] for node in answer.body["data"]["nodes"]] == [None, "account-1", None, None, None]
    assert [
        (error["path"], error["extensions"]["code"], error["extensions"]["indexes"]) for error in answer.body["errors"]
    ] == [
        (["nodes", 0], "FORBIDDEN", [0, 2, 4]),
        (["nodes", 3], "NOT_FOUND", [3]),
    ]


@pytest.mark.parametrize("count", [0, 101, 200])
async def test_a_number_of_ids_out_of_bounds_is_refused(client: Client, count: int) -> None:
    answer = await client.ask(NODES, LEAD, ids=["location-1"] * count)
    (error,) = answer.body["errors"]
    assert (answer.body["data"], error["message"]) == (None, "Invalid value for ids: must have 1 to 100 items.")
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("BAD_USER_INPUT", "ids")


async def test_a_list_in_a_document_that_is_far_too_long_is_refused_before_anything_is_read(wire: Wire) -> None:
    listed = " ".join(['"location-1"'] * 201)
    async with wire.recorded() as seen:
        answer = await wire.client.ask(f"{{ nodes(ids: [{listed}]) {{ id }} }}", LEAD)
    assert [error["message"] for error in answer.body["errors"]] == ["Argument 'ids' must have at most 100 items."]
    assert seen == []


@pytest.mark.parametrize("times", [1, 10, 50])
async def test_it_takes_one_statement_per_type_however_many_ids_there_are(wire: Wire, times: int) -> None:
    async with wire.recorded() as seen:
        answer = await wire.client.ask(NODES, LEAD, ids=["location-1", "location-2"] * times)
    assert len(answer.data["nodes"]) == 2 * times
    assert tables_of(seen) == ["location"]
    async with wire.recorded() as seen:
        await wire.client.ask(NODES, LEAD, ids=["phone-1", *["location-1", "account-1"] * (times - 1), "no id"])
    assert len(tables_of(seen)) == (3 if times > 1 else 1)


@pytest.mark.parametrize(
    ("definition", "ids", "variables", "count"),
    [
        ("", '["location-1"]', {}, 1),
        ("($id: ID!)", '["location-1", "location-1", $id]', {"id": "location-2"}, 3),
        ("($ids: [ID!]!)", "$ids", {"ids": ["location-1"] * 7}, 7),
        ("($ids: [ID!]!)", "$ids", {"ids": ["location-1"] * 100}, 100),
        ('($ids: [ID!]! = ["location-1", "location-2"])', "$ids", {}, 2),
    ],
)
async def test_it_is_priced_by_the_number_of_ids(
    client: Client, definition: str, ids: str, variables: dict[str, Any], count: int
) -> None:
    selected = "{ id ... on Location { account { id } } }"
    answer = await client.ask(f"query{definition} {{ nodes(ids: {ids}) {selected} }}", CUSTOMER, **variables)
    cost = answer.body["extensions"]["cost"]
    assert (cost["price"], cost["returned"]) == (2 * count, 2 * count)
