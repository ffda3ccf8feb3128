"""A poll that finds little reads little, among many payloads that the partner sees or does not see."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.db.database import Database
from app.db.paging import Order, Page
from app.db.queries import PAYLOADS_BY_GENERATED, PAYLOADS_BY_UPDATED, page_of
from tests import harness

from .explaining import Plan, plan_of
from .scenario import put, unaudited
from .test_plans import a_user

# One worker runs them all: each would have to make the database anew.
pytestmark = pytest.mark.xdist_group("payload plans")

PAYLOADS = 10_000
FEW = 20
"""The payloads of the partner who has few. The other partner of the account has all of them."""
PAGE = 50
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
CHANGED = 4
LATELY = BEGINNING + timedelta(minutes=PAYLOADS - CHANGED + 1)
# Payload n changed n minutes after the beginning; its recipients have acknowledged it.
FILL = (
    """INSERT INTO turnup.location (id, account_id, name, status)
       SELECT 'location-' || n, 'account-' || n % 2, 'Location ' || n, 'COMPLETED'
       FROM generate_series(1, :payloads) n""",
    """INSERT INTO turnup.provisioning_payload
           (id, account_id, location_id, sequence, version, state, document, document_digest, content_digest,
            location_revision, generated_by, generated_at, released_by, released_at, updated_at)
       SELECT 'payload-' || n, 'account-' || n % 2, 'location-' || n, 1, '1.0.0', 'ACKNOWLEDGED', '{"devices": []}',
              repeat('0', 64), repeat('0', 64), 1, 'lead', t, 'lead', t, t
       FROM generate_series(1, :payloads) n, LATERAL (SELECT ':beginning'::timestamptz + n * interval '1 minute') m (t)
    """,
    """INSERT INTO turnup.payload_recipient (id, account_id, location_id, payload_id, user_id, purpose, required)
       SELECT 'recipient-' || w || '-' || n, 'account-' || n % 2, 'location-' || n, 'payload-' || n, w, 'OTHER', true
       FROM generate_series(1, :payloads) n, unnest(ARRAY['few', 'many']) w
       WHERE w = 'many' OR n % (:payloads / :few) = 0""",
    """INSERT INTO turnup.receipt
           (id, account_id, location_id, payload_id, kind, document_digest, received_by, received_at)
       SELECT 'receipt-' || substr(id, 11), account_id, location_id, payload_id, 'ACKNOWLEDGED', repeat('0', 64),
              user_id, ':beginning'
       FROM turnup.payload_recipient""",
)


@pytest.fixture(scope="module")
async def pool(empty_database: harness.TestDatabase) -> AsyncIterator[Database]:
    """A database of many payloads, all of them of one partner and few of another, in two accounts."""
    owner = await asyncpg.connect(empty_database.owner_url)
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await unaudited(owner)
        for account in ("account-0", "account-1"):
            await put(owner, "account", {"id": account, "name": account})
        await put(owner, "user", a_user("lead", "IMPLEMENTATION_LEAD", None))
        for who in ("few", "many"):
            await put(owner, "user", a_user(who, "PARTNER", None))
            for account in ("account-0", "account-1"):
                grant = {"id": f"{who}-{account}", "user_id": who, "account_id": account, "all_locations": True}
                await put(owner, "grant", grant)
        values = {":payloads": str(PAYLOADS), ":few": str(FEW), ":beginning": BEGINNING.isoformat()}
        for statement in FILL:
            filled = statement
            for name, value in values.items():
                filled = filled.replace(name, value)
            await owner.execute(filled)
    await owner.execute("ANALYZE")
    await owner.close()
    database = await Database.open(empty_database.app_url, size=1)
    yield database
    await database.close()


@pytest.fixture(params=["custom", "generic"])
def plans(request: pytest.FixtureRequest) -> str:
    """PostgreSQL plans a prepared statement for its values a few times, then perhaps for any values; both must do."""
    return f"force_{request.param}_plan"


async def polled(pool: Database, who: str, plans: str, filters: dict[str, Any], order: Order) -> Plan:
    return await plan_of(pool, who, plans, lambda reading: page_of(reading, order, Page(PAGE), filters))


@pytest.mark.parametrize("who", ["few", "many", "lead"])
async def test_a_poll_for_changes_reads_only_the_payloads_that_changed(pool: Database, plans: str, who: str) -> None:
    plan = await polled(pool, who, plans, {"updated_since": LATELY}, PAYLOADS_BY_UPDATED)
    assert "Seq Scan" not in plan.kinds
    assert plan.rows_read <= CHANGED * 3
    nothing = await polled(pool, who, plans, {"updated_since": LATELY + timedelta(days=1)}, PAYLOADS_BY_UPDATED)
    assert nothing.rows_read == 0


@pytest.mark.parametrize("who", ["few", "many"])
@pytest.mark.parametrize("order", [PAYLOADS_BY_UPDATED, PAYLOADS_BY_GENERATED], ids=lambda order: order.name)
async def test_a_poll_for_what_awaits_a_receipt_does_not_read_what_was_answered(
    pool: Database, plans: str, who: str, order: Order
) -> None:
    plan = await polled(pool, who, plans, {"awaits_own": who}, order)
    assert "Seq Scan" not in plan.kinds
    assert plan.rows_read == 0


@pytest.mark.parametrize("order", [PAYLOADS_BY_UPDATED, PAYLOADS_BY_UPDATED.reverse], ids=lambda order: order.mark)
async def test_the_first_page_of_many_payloads_is_read_in_the_order_of_an_index(
    pool: Database, plans: str, order: Order
) -> None:
    plan = await polled(pool, "many", plans, {}, order)
    assert not plan.kinds & {"Seq Scan", "Sort"}
    assert plan.rows_read <= (PAGE + 1) * 3


async def test_few_payloads_are_found_by_their_recipient(pool: Database) -> None:
    plan = await polled(pool, "few", "force_custom_plan", {"updated_since": BEGINNING}, PAYLOADS_BY_UPDATED)
    assert plan.rows_read <= FEW * 3
