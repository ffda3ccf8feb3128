"""A page of a list reads about as many rows as it has, however many there are, for every viewer, order and filter."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from app.db.database import Database
from app.db.nested import LOCATIONS_OF_ACCOUNT, NestedList, pages_of
from app.db.paging import Order, Page
from app.db.queries import (
    APPROVALS_BY_REQUESTED,
    COUNT_CAP,
    LOCATIONS_BY_NAME,
    LOCATIONS_BY_UPDATED,
    page_of,
    status_counts,
)
from app.domain.vocabulary import LocationStatus
from tests import harness

from .explaining import Plan, plan_of
from .lists_world import BEGAN, GRANTS, OTHERS_WORK, filled

# One worker runs them all: each would have to make the database anew.
pytestmark = pytest.mark.xdist_group("list-plans")

LOCATIONS, PAGE = 20_000, 20
VIEWERS = sorted(GRANTS)
ORDERS = [order for each in (LOCATIONS_BY_NAME, LOCATIONS_BY_UPDATED) for order in (each, each.reverse)]
QUEUES = [APPROVALS_BY_REQUESTED, APPROVALS_BY_REQUESTED.reverse]
LATE = BEGAN + timedelta(minutes=LOCATIONS - 1_000)
APPROVABLE: dict[str, Any] = {"pending": True, "ready": True, "work_of_others": OTHERS_WORK}
# Filters, and the number of the values of which a page is merged.
OF_LOCATIONS: dict[str, tuple[dict[str, Any], int]] = {
    "all": ({}, 1),
    "a rare status": ({"status": ["BLOCKED"]}, 1),
    "no location": ({"status": ["CANCELLED"]}, 1),
    "three statuses": ({"status": ["BLOCKED", "COMPLETED", "PENDING_APPROVAL"]}, 3),
    "those for tests": ({"tests": True}, 1),
}
OF_APPROVALS: dict[str, tuple[dict[str, Any], int]] = {
    "all": ({}, 1),
    "those to decide": ({"status": ["PENDING"]}, 1),
    "those of an account": ({"account_id": "account-0"}, 1),
    "those that wait": ({"status": ["PENDING"], "requested_before": LATE}, 1),
}


@pytest.fixture(scope="module")
async def pool(empty_database: harness.TestDatabase) -> AsyncIterator[Database]:
    async with filled(empty_database, LOCATIONS) as made:
        yield made


@pytest.fixture(params=["custom", "generic"])
def plans(request: pytest.FixtureRequest) -> str:
    """PostgreSQL plans a prepared statement for its values a few times, then perhaps for any values; both must do."""
    return f"force_{request.param}_plan"


async def page(pool: Database, who: str, plans: str, order: Order, filters: dict[str, Any], place: str) -> Plan:
    wanted = Page(PAGE, None if place == "first" else MIDDLE[order.name])
    return await plan_of(pool, who.replace(" ", "-"), plans, lambda reading: page_of(reading, order, wanted, filters))


def check(plan: Plan, plans: str, most: int, largest: int = LOCATIONS // 10) -> None:
    """Check that hardly a row of another list was read, and as few rows of the list as there are on the page.

    An account that has half of the rows is also found in the index of the order alone, past the rows of others. An
    account that is much larger than the average, which a plan for its values assumes, can be read to its end: its rows
    with the status, `largest` at most, are then sorted.
    """
    assert "Seq Scan" not in plan.kinds
    assert plan.rows_in_vain <= 3 * (PAGE + 1)
    assert plan.rows_read <= (most if "generic" in plans else max(most, largest))


MIDDLE: dict[str, tuple[Any, ...]] = {
    LOCATIONS_BY_NAME.name: ("Location 025 1000", "location-1000"),
    LOCATIONS_BY_UPDATED.name: (BEGAN + timedelta(minutes=LOCATIONS // 2), "location-1000"),
    APPROVALS_BY_REQUESTED.name: (BEGAN, "approval-1000"),
}


@pytest.mark.parametrize("place", ["first", "middle"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.mark)
@pytest.mark.parametrize("which", OF_LOCATIONS)
@pytest.mark.parametrize("who", VIEWERS)
async def test_a_page_of_locations_reads_no_more_rows_than_a_page_of_each_account_and_status(
    pool: Database, plans: str, who: str, which: str, order: Order, place: str
) -> None:
    filters, values = OF_LOCATIONS[which]
    plan = await page(pool, who, plans, order, filters, place)
    check(plan, plans, GRANTS[who] * values * (PAGE + 1))


@pytest.mark.parametrize("place", ["first", "middle"])
@pytest.mark.parametrize("order", QUEUES, ids=lambda order: order.mark)
@pytest.mark.parametrize("which", OF_APPROVALS)
@pytest.mark.parametrize("who", VIEWERS)
async def test_a_page_of_requests_reads_no_more_rows_than_a_page_of_each_account_and_status(
    pool: Database, plans: str, who: str, which: str, order: Order, place: str
) -> None:
    filters, values = OF_APPROVALS[which]
    plan = await page(pool, who, plans, order, filters, place)
    check(plan, plans, GRANTS[who] * values * (PAGE + 1))


@pytest.mark.parametrize("place", ["first", "middle"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.mark)
@pytest.mark.parametrize("which", OF_LOCATIONS)
@pytest.mark.parametrize("who", VIEWERS)
async def test_a_page_of_the_locations_of_accounts_reads_no_more_rows_than_a_page_of_each_account_and_status(
    pool: Database, plans: str, who: str, which: str, order: Order, place: str
) -> None:
    filters, values = OF_LOCATIONS[which]
    accounts, listed = ["account-0", "account-49"], NestedList(LOCATIONS_OF_ACCOUNT, order, filters)
    wanted = Page(PAGE, None if place == "first" else MIDDLE[order.name])
    plan = await plan_of(
        pool,
        who.replace(" ", "-"),
        plans,
        lambda reading: pages_of(reading._turns.transaction, accounts, listed=listed, page=wanted),
    )
    check(plan, plans, len(accounts) * values * (PAGE + 1), largest=LOCATIONS // 5)


@pytest.mark.parametrize("order", [*ORDERS, *QUEUES], ids=lambda order: order.mark)
@pytest.mark.parametrize("who", [each for each in VIEWERS if each.startswith("lead")])
async def test_a_page_of_what_a_lead_can_approve_reads_only_what_is_submitted(
    pool: Database, plans: str, who: str, order: Order
) -> None:
    # One in three is the lead's own work, and each has 18 rows that decide.
    plan = await page(pool, who, plans, order, APPROVABLE, "first")
    assert "Seq Scan" not in plan.kinds
    assert plan.rows_read <= GRANTS[who] * 2 * (PAGE + 1) * 40


@pytest.mark.parametrize("who", VIEWERS)
@pytest.mark.parametrize("accounts", [None, ["account-0", "account-1"]], ids=["all", "of accounts"])
async def test_counts_by_status_read_each_status_up_to_the_cap(
    pool: Database, plans: str, who: str, accounts: list[str] | None
) -> None:
    async def counted(reading: Any) -> None:
        with suppress(KeyError):  # an explained statement has no rows
            await status_counts(reading, accounts)

    plan = await plan_of(pool, who.replace(" ", "-"), plans, counted)
    assert "Seq Scan" not in plan.kinds
    assert plan.rows_in_vain == 0
    assert plan.rows_read <= len(LocationStatus) * (COUNT_CAP + 1)
