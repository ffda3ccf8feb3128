"""Behind the policies PostgreSQL still goes by its indexes, for leads and for customers, on any page of a list."""

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Column

from app.db import tables
from app.db.database import Database
from app.db.loaders import many_statement
from app.db.nested import LOCATIONS_OF_ACCOUNT, LOCATIONS_OF_GRANT, NestedList, pages_of
from app.db.paging import Order, Page
from app.db.queries import ACCOUNTS_BY_NAME, LOCATIONS_BY_ID, LOCATIONS_BY_NAME, LOCATIONS_BY_UPDATED, page_of
from app.db.reading import Reading
from app.db.seed import seed_many
from app.db.statements import joined
from tests import harness

from .explaining import Plan, nodes_of, plan_of
from .scenario import put, unaudited

# One worker runs them all: each would have to make the database anew.
pytestmark = pytest.mark.xdist_group("plans")

LOCATIONS = 1_000
PAGE = 20
WHO = ["lead", "scoped-lead", "customer", "customer-of-10", "customer-of-1000"]
CHILDREN = [
    tables.section.c.location_id,
    tables.contact.c.location_id,
    tables.device.c.location_id,
    tables.person.c.location_id,
    tables.extension.c.location_id,
    tables.working_hours.c.location_id,
    tables.extension.c.device_id,
]


@pytest.fixture(scope="module")
async def pool(empty_database: harness.TestDatabase) -> AsyncIterator[Database]:
    """A database of 1,000 locations of one account and as many of another, a lead, and customers of the first."""
    await seed_many(empty_database.owner_url, LOCATIONS)
    await seed_many(empty_database.owner_url, LOCATIONS)
    owner = await asyncpg.connect(empty_database.owner_url)
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await unaudited(owner)
        account = await owner.fetchval("SELECT min(id) FROM turnup.account")
        await put(owner, "user", a_user("lead", "IMPLEMENTATION_LEAD", None))
        await put(owner, "user", a_user("scoped-lead", "IMPLEMENTATION_LEAD", None))
        granted = {"id": "scoped", "user_id": "scoped-lead", "account_id": account, "all_locations": True}
        await put(owner, "grant", granted)
        for who, listed in (("customer", 0), ("customer-of-10", 10), ("customer-of-1000", 1000)):
            await put(owner, "user", a_user(who, "CUSTOMER", account))
            grant = {"id": who, "user_id": who, "account_id": account, "all_locations": not listed}
            await put(owner, "grant", grant)
            await owner.execute(
                """INSERT INTO turnup.grant_location (grant_id, account_id, location_id)
                   SELECT $1, account_id, id FROM turnup.location WHERE account_id = $2 ORDER BY name LIMIT $3""",
                who,
                account,
                listed,
            )
    await owner.execute("ANALYZE")
    await owner.close()
    database = await Database.open(empty_database.app_url, size=1)
    yield database
    await database.close()


def a_user(name: str, role: str, account: str | None) -> dict[str, Any]:
    return {
        "id": name,
        "subject": name,
        "name": name,
        "email": f"{name}@x.example",
        "role": role,
        "account_id": account,
        "all_accounts": role == "IMPLEMENTATION_LEAD" and name != "scoped-lead",
    }


@pytest.fixture(params=["custom", "generic"])
def plans(request: pytest.FixtureRequest) -> str:
    """PostgreSQL plans a prepared statement for its values a few times, then perhaps for any values; both must do."""
    return f"force_{request.param}_plan"


@pytest.fixture(scope="module")
async def visible(pool: Database) -> dict[str, list[Any]]:
    """The locations that each of them sees, by name."""
    found = {}
    for who in WHO:
        async with pool.snapshot(harness.by_token(who), timeout_ms=10_000) as transaction:
            reading = Reading(transaction, transaction._observe)
            found[who] = (await page_of(reading, LOCATIONS_BY_NAME, Page(LOCATIONS), {})).rows
    return found


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("column", CHILDREN, ids=str)
async def test_children_of_a_page_come_by_an_index(
    pool: Database, visible: dict[str, list[Any]], plans: str, column: Column[Any], who: str
) -> None:
    ids = [location.id for location in visible[who][:PAGE]]
    keys = ids if column.name == "location_id" else [id_.replace("location", "device") + "-1" for id_ in ids]
    plan = await plan_of(pool, who, plans, lambda reading: reading.fetch(many_statement(column), keys=joined(keys)))
    assert "Seq Scan" not in plan.kinds
    assert plan.rows_read >= len(ids)


@pytest.mark.parametrize("who", ["lead", "scoped-lead", "customer"])
@pytest.mark.parametrize("order", [LOCATIONS_BY_NAME, LOCATIONS_BY_NAME.reverse], ids=lambda order: order.mark)
@pytest.mark.parametrize("place", ["first", "middle"])
async def test_a_page_of_locations_is_read_in_the_order_of_an_index(
    pool: Database, visible: dict[str, list[Any]], plans: str, who: str, place: str, order: Order
) -> None:
    row = visible[who][LOCATIONS // 2]
    page = Page(PAGE, None if place == "first" else (row.name, row.id))
    plan = await plan_of(pool, who, plans, lambda reading: page_of(reading, order, page, {}))
    assert plan.indexes == {"ix_location_name_id" if who == "lead" else "ix_location_account_id_name_id"}
    assert "Seq Scan" not in plan.kinds
    assert plan.rows_read <= PAGE + 1


@pytest.mark.parametrize("place", ["first", "middle"])
@pytest.mark.parametrize("order", [LOCATIONS_BY_UPDATED, LOCATIONS_BY_UPDATED.reverse], ids=lambda order: order.mark)
async def test_locations_by_their_last_change_are_read_in_the_order_of_an_index(
    pool: Database, visible: dict[str, list[Any]], plans: str, place: str, order: Order
) -> None:
    row = visible["lead"][LOCATIONS // 2]
    page = Page(PAGE, None if place == "first" else (row.updated_at, row.id))
    plan = await plan_of(pool, "lead", plans, lambda reading: page_of(reading, order, page, {}))
    assert "ix_location_updated_at_id" in plan.indexes
    assert not plan.kinds & {"Seq Scan", "Sort"}
    assert plan.rows_read <= PAGE + 1


@pytest.mark.parametrize(("who", "listed"), [("customer-of-10", 10), ("customer-of-1000", 1000)])
@pytest.mark.parametrize("place", ["first", "middle"])
async def test_listed_locations_are_read_without_those_that_are_not(
    pool: Database, visible: dict[str, list[Any]], plans: str, who: str, listed: int, place: str
) -> None:
    row = visible[who][listed // 2]
    page = Page(PAGE, None if place == "first" else (row.name, row.id))
    plan = await plan_of(pool, who, plans, lambda reading: page_of(reading, LOCATIONS_BY_NAME, page, {}))
    assert plan.rows_read <= listed


@pytest.fixture(scope="module")
async def accounts(pool: Database) -> list[str]:
    async with pool.snapshot(harness.by_token("lead"), timeout_ms=10_000) as transaction:
        reading = Reading(transaction, transaction._observe)
        return [account.id for account in (await page_of(reading, ACCOUNTS_BY_NAME, Page(2), {})).rows]


@pytest.mark.parametrize("who", ["lead", "scoped-lead", "customer"])
@pytest.mark.parametrize(
    "order",
    [each for order in (LOCATIONS_BY_NAME, LOCATIONS_BY_UPDATED) for each in (order, order.reverse)],
    ids=lambda order: order.mark,
)
@pytest.mark.parametrize("place", ["first", "middle"])
async def test_the_pages_of_the_locations_of_accounts_are_read_in_the_order_of_an_index(
    pool: Database,
    visible: dict[str, list[Any]],
    accounts: list[str],
    plans: str,
    who: str,
    order: Order,
    place: str,
) -> None:
    row = visible["lead"][LOCATIONS // 2]
    page = Page(PAGE, None if place == "first" else tuple(order.values(row)))
    listed = NestedList(LOCATIONS_OF_ACCOUNT, order, {})
    plan = await plan_of(
        pool, who, plans, lambda reading: pages_of(reading._turns.transaction, accounts, listed=listed, page=page)
    )
    assert not plan.kinds & {"Seq Scan", "Sort", "Incremental Sort"}
    if order.name == LOCATIONS_BY_NAME.name:
        assert plan.indexes == {"ix_location_account_id_name_id"}
        assert plan.rows_read <= len(accounts) * (PAGE + 1)


@pytest.mark.parametrize("place", ["first", "middle"])
async def test_a_page_of_the_locations_of_a_grant_is_read_without_those_that_it_does_not_list(
    pool: Database, visible: dict[str, list[Any]], plans: str, place: str
) -> None:
    page = Page(PAGE, None if place == "first" else (visible["customer-of-1000"][500].id,))
    listed = NestedList(LOCATIONS_OF_GRANT, LOCATIONS_BY_ID, {})
    keys = ["customer", "customer-of-10", "customer-of-1000"]
    plan = await plan_of(
        pool, "lead", plans, lambda reading: pages_of(reading._turns.transaction, keys, listed=listed, page=page)
    )
    locations = Plan([node for node in plan.nodes if node.get("Relation Name") == "location"])
    assert "Seq Scan" not in locations.kinds
    assert 0 < locations.rows_read < 1010 + len(keys)  # before version 18, PostgreSQL rounds the rows of each loop


def test_a_plan_tells_a_sequential_scan() -> None:
    root = json.loads('{"Node Type": "Limit", "Plans": [{"Node Type": "Seq Scan", "Relation Name": "location"}]}')
    assert Plan(list(nodes_of(root))).kinds == {"Limit", "Seq Scan"}
