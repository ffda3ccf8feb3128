"""The numbers of locations by status are those of the lists with the same filter, for everybody who sees locations."""

from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus, Role
from tests.builders_db import a_grant, a_location, a_user, an_account, committed, forget
from tests.harness import Client
from tests.harness import TestDatabase as WorkerDatabase

COUNTS = """query($account: ID) { statusCounts(accountId: $account) { status count countIsCapped } }"""
TOTAL = "query($filter: LocationFilter!) { locations(filter: $filter) { totalCount totalCountIsCapped } }"
OF_ACCOUNTS = "{ accounts(first: 40) { nodes { id statusCounts { status count countIsCapped } } } }"
STATUSES = [S.value for S in LocationStatus]


async def counted(client: Client, who: str, account: str | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.ask(COUNTS, who, account=account)).data["statusCounts"]
    return found


async def listed(client: Client, who: str, account: str | None = None) -> list[dict[str, Any]]:
    """What the lists count, status by status."""
    found = []
    for status in STATUSES:
        page = (await client.ask(TOTAL, who, filter={"accountId": account, "status": [status]})).data["locations"]
        found.append({"status": status, "count": page["totalCount"], "countIsCapped": page["totalCountIsCapped"]})
    return found


async def test_each_viewer_counts_what_the_lists_have(client: Client, database: WorkerDatabase) -> None:
    async with committed(database) as connection:
        here, away = await an_account(connection), await an_account(connection)
        places = [await a_location(connection, here, status=LocationStatus(STATUSES[n % 5])) for n in range(7)]
        places.append(await a_location(connection, here, status=LocationStatus.NOT_STARTED, test=True))
        await a_location(connection, away, status=LocationStatus.BLOCKED)
        lead, scoped = [await a_user(connection, Role.IMPLEMENTATION_LEAD, all_accounts=each) for each in (True, False)]
        customer, clerk = [await a_user(connection, Role.CUSTOMER, here) for _ in range(2)]
        await a_grant(connection, scoped, here)
        await a_grant(connection, customer, here)
        await a_grant(connection, clerk, here, places[:2])
    totals = []
    for who in (lead, scoped, customer, clerk):
        for account in (None, here, away, "account-of-nobody"):
            assert await counted(client, who, account) == await listed(client, who, account)
        totals.append(sum(each["count"] for each in await counted(client, who, here)))
        nodes = (await client.ask(OF_ACCOUNTS, who)).data["accounts"]["nodes"]
        assert {node["id"]: node["statusCounts"] for node in nodes} == {
            node["id"]: await counted(client, who, node["id"]) for node in nodes
        }
    assert totals == [8, 8, 8, 2]
    await forget(database, [here, away], [lead, scoped, customer, clerk])


async def test_counts_cost_as_much_as_one_total_for_each_status(client: Client) -> None:
    answer = await client.ask(COUNTS)
    assert answer.body["extensions"]["cost"]["price"] == len(STATUSES) * 100


@pytest.mark.parametrize("account", ["", "account 1", "a" * 200])
async def test_a_malformed_account_is_refused_by_name(client: Client, account: str) -> None:
    answer = await client.ask(COUNTS, account=account)
    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.body["errors"][0]["extensions"]["field"] == "accountId"
