"""Lists that each of several parents has: the locations of accounts and of grants, a page at a time."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus, Role
from tests.builders_db import a_grant, a_location, a_user, an_account, an_entry, committed, forget
from tests.harness import CUSTOMER, LEAD, LISTED_CUSTOMER, PARTNER, Client
from tests.harness import TestDatabase as WorkerDatabase

from .serving import Wire, tables_of

PAGE = "nodes { id name } edges { cursor } totalCount pageInfo { hasNextPage hasPreviousPage endCursor }"
OF_ACCOUNTS = f"""query($ids: [ID!]!, $first: Int!, $after: String, $filter: LocationFilter, $order: LocationOrder!) {{
  nodes(ids: $ids) {{ ... on Account {{
    locations(first: $first, after: $after, filter: $filter, orderBy: $order) {{ {PAGE} }} }} }} }}"""
BY_NAME = {"field": "NAME", "direction": "ASC"}


@pytest.fixture(scope="module")
async def accounts(database: WorkerDatabase) -> AsyncIterator[list[str]]:
    """A hundred accounts: the first has seven locations, the second has none, and the others have one or two each."""
    async with committed(database) as connection:
        made = [await an_account(connection) for _ in range(100)]
        for number, account in enumerate(made):
            for each in range({0: 7, 1: 0}.get(number, 1 + number % 2)):
                status = LocationStatus.CANCELLED if each == 1 else LocationStatus.NOT_STARTED
                await a_location(
                    connection, account, id=f"location-{account}-{each}", name=f"Site {9 - each}", status=status
                )
    yield made
    await forget(database, made)


async def of_accounts(client: Client, ids: list[str], **given: Any) -> list[dict[str, Any]]:
    """The page of the locations of each account."""
    answer = await client.ask(OF_ACCOUNTS, LEAD, ids=ids, **{"first": 3, "order": BY_NAME, **given})
    return [node["locations"] for node in answer.data["nodes"]]


@pytest.mark.parametrize("count", [1, 10, 100])
async def test_the_locations_of_accounts_take_two_statements_however_many_accounts_there_are(
    wire: Wire, accounts: list[str], count: int
) -> None:
    async with wire.recorded() as seen:
        pages = await of_accounts(wire.client, accounts[:count])
    assert [page["totalCount"] for page in pages] == [7, 0, *(1 + n % 2 for n in range(2, 100))][:count]
    assert [len(page["nodes"]) for page in pages] == [min(3, page["totalCount"]) for page in pages]
    assert (tables_of(seen), len(seen)) == (["account", "location", "location"], 6)


@pytest.mark.parametrize("first", [1, 3, 7, 100])
@pytest.mark.parametrize("order", ["NAME ASC", "NAME DESC", "UPDATED_AT ASC", "UPDATED_AT DESC"])
@pytest.mark.parametrize("statuses", [None, ["CANCELLED", "NOT_STARTED", "BLOCKED"]], ids=["all", "merged"])
async def test_the_pages_of_an_account_hold_every_location_once_and_in_the_order_of_the_root(
    client: Client, accounts: list[str], statuses: list[str] | None, first: int, order: str
) -> None:
    field, direction = order.split()
    given = {"first": first, "order": {"field": field, "direction": direction}, "filter": {"status": statuses}}
    (page,) = await of_accounts(client, accounts[:1], **given)
    seen = page["nodes"]
    while page["pageInfo"]["hasNextPage"]:
        (page,) = await of_accounts(client, accounts[:1], after=page["pageInfo"]["endCursor"], **given)
        assert page["pageInfo"]["hasPreviousPage"]
        seen += page["nodes"]
    root = await client.ask(
        "query($filter: LocationFilter, $order: LocationOrder!) { "
        "locations(first: 100, filter: $filter, orderBy: $order) { nodes { id name } } }",
        filter={"accountId": accounts[0]},
        order=given["order"],
    )
    assert len(seen) == 7
    assert seen == root.data["locations"]["nodes"]


async def test_a_filter_applies_to_the_locations_of_each_account(client: Client, accounts: list[str]) -> None:
    pages = await of_accounts(client, accounts[:4], filter={"status": ["CANCELLED"]})
    assert [[node["id"] for node in page["nodes"]] for page in pages] == [
        [f"location-{accounts[0]}-1"],
        [],
        [],
        [f"location-{accounts[3]}-1"],
    ]
    assert [page["totalCount"] for page in pages] == [1, 0, 0, 1]


async def test_a_cursor_of_one_account_is_refused_for_another_and_serves_its_own(
    client: Client, accounts: list[str]
) -> None:
    (page,) = await of_accounts(client, accounts[:1])
    given = {"first": 3, "order": BY_NAME, "after": page["pageInfo"]["endCursor"]}
    answer = await client.ask(OF_ACCOUNTS, LEAD, ids=[accounts[0], accounts[3]], **given)
    own, other = answer.body["data"]["nodes"]
    assert [node["id"] for node in own["locations"]["nodes"]] == [
        f"location-{accounts[0]}-{each}" for each in (3, 2, 1)
    ]
    (error,) = answer.body["errors"]
    assert (other, error["path"], answer.codes) == ({"locations": None}, ["nodes", 1, "locations"], ["BAD_USER_INPUT"])


async def test_the_locations_of_an_account_are_those_that_the_viewer_sees(client: Client) -> None:
    query = "{ accounts { nodes { locations { nodes { id } totalCount } } } }"
    listed = (await client.ask(query, LISTED_CUSTOMER)).data["accounts"]["nodes"]
    assert [each["locations"]["totalCount"] for each in listed] == [2]
    whole = (await client.ask(query, CUSTOMER)).data["accounts"]["nodes"]
    assert [each["locations"]["totalCount"] for each in whole] == [5]
    refused = await client.ask(query, PARTNER)
    assert {str(each["locations"]) for each in refused.body["data"]["accounts"]["nodes"]} == {"None"}
    assert set(refused.codes) == {"FORBIDDEN"}


async def test_it_is_priced_by_both_page_sizes(client: Client) -> None:
    query = "{ accounts(first: 10) { nodes { locations(first: 30) { nodes { id } totalCount } } } }"
    answer = await client.ask(query, LEAD)
    assert answer.body["extensions"]["cost"]["price"] == 1 + 10 * (1 + 1 + 30 + 100)


async def test_the_reviews_of_a_page_of_locations_are_those_that_the_root_returns(client: Client) -> None:
    selected = "revision digest changes { path before after } request { id } location { id }"
    page = await client.ask(f"{{ locations(first: 100) {{ nodes {{ id review {{ {selected} }} }} }} }}", LEAD)
    nodes = page.data["locations"]["nodes"]
    for node in nodes:
        root = await client.ask(f'{{ review(locationId: "{node["id"]}") {{ {selected} }} }}', LEAD)
        assert node["review"] == root.data["review"]
    assert any(node["review"]["changes"] for node in nodes)


async def test_a_review_is_priced_for_the_content_that_it_reads(client: Client) -> None:
    answer = await client.ask("{ locations(first: 3) { nodes { review { digest } } } }", LEAD)
    assert answer.body["extensions"]["cost"]["price"] == 1 + 3 * (1 + 50)


@pytest.mark.parametrize("count", [1, 10, 100])
async def test_the_changes_of_audit_entries_take_two_statements_however_many_entries_there_are(
    wire: Wire, database: WorkerDatabase, an_empty_account: str, count: int
) -> None:
    async with committed(database) as connection:
        location = await a_location(connection, an_empty_account)
        for _ in range(count):
            await an_entry(connection, location)
    query = """query($first: Int!, $id: ID!) { auditLog(first: $first, filter: {locationId: $id}) {
      nodes { changes(first: 1) { nodes { field } totalCount pageInfo { hasNextPage } } } } }"""
    async with wire.recorded() as seen:
        entries = (await wire.client.ask(query, LEAD, first=count, id=location)).data["auditLog"]["nodes"]
    page = {"nodes": [{"field": "label"}], "totalCount": 2, "pageInfo": {"hasNextPage": True}}
    assert [entry["changes"] for entry in entries] == [page] * count
    assert tables_of(seen) == ["audit_entry", "field_change", "field_change"]


@pytest.mark.parametrize("count", [1, 10, 100])
async def test_the_locations_of_grants_take_a_statement_each_for_pages_and_counts(
    wire: Wire, database: WorkerDatabase, accounts: list[str], count: int
) -> None:
    async with committed(database) as connection:
        user = await a_user(connection, Role.IMPLEMENTATION_LEAD, all_accounts=False)
        for number, account in enumerate(accounts[:count]):
            listed = [f"location-{account}-{each}" for each in (6, 2, 4)] if number == 0 else []
            await a_grant(connection, user, account, listed)
    query = """query($id: ID!, $after: String) { node(id: $id) { ... on User { grants {
      locations(first: 2, after: $after) { nodes { id } totalCount pageInfo { hasNextPage } } } } } }"""
    try:
        async with wire.recorded() as seen:
            grants = (await wire.client.ask(query, LEAD, id=user)).data["node"]["grants"]
        (page,) = [each["locations"] for each in grants if each["locations"]["nodes"]]
        assert [node["id"] for node in page["nodes"]] == [f"location-{accounts[0]}-{each}" for each in (2, 4)]
        assert (page["totalCount"], page["pageInfo"]["hasNextPage"], len(grants)) == (3, True, count)
        assert (tables_of(seen), len(seen)) == (["grant", "location", "location", "user"], 7)
    finally:
        await forget(database, [], [user])
