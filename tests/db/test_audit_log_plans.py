"""Whatever the audit log is asked for, a page is read from an index and nothing beside it. So is the past."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.audit.history import as_of
from app.db import writing
from app.db.database import Database
from app.db.paging import Order, Page
from app.db.queries import ENTRIES_BY_TIME, page_of
from tests import harness

from .explaining import Plan, plan_of

# One worker runs them all: each would have to make the database anew.
pytestmark = pytest.mark.xdist_group("audit-log-plans")

ENTRIES, PAGE = 20_000, 20
CHANGES = 3 * ENTRIES // 10
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
MIDDLE = BEGAN + timedelta(seconds=ENTRIES // 2)
# Filters, and the index that answers them.
FILTERS: dict[str, tuple[dict[str, Any], str]] = {
    "all": ({}, "ix_audit_entry_occurred_at_id"),
    "a time": ({"since": MIDDLE, "until": MIDDLE + timedelta(seconds=500)}, "ix_audit_entry_occurred_at_id"),
    "before a time": ({"until": MIDDLE}, "ix_audit_entry_occurred_at_id"),
    "an account": ({"account_id": "account-7"}, "ix_audit_entry_account_id_occurred_at_id"),
    "a location": ({"location_id": "location-7"}, "ix_audit_entry_location_id_occurred_at_id"),
    "an actor": ({"actor_id": "user-7"}, "ix_audit_entry_actor_id_occurred_at_id"),
    "an action": ({"action": "action7"}, "ix_audit_entry_action_occurred_at_id"),
    "a request": ({"request_id": "request-7"}, "ix_audit_entry_request_id_occurred_at_id"),
    "a client's request": ({"client_request_id": "client-7"}, "ix_audit_entry_client_request_id_occurred_at_id"),
    "an override": ({"override_id": "override-7"}, "ix_audit_entry_override_id_occurred_at_id"),
    "overrides": ({"overrides": True}, "ix_audit_entry_overrides"),
}


@pytest.fixture(scope="module")
async def pool(empty_database: harness.TestDatabase) -> AsyncIterator[Database]:
    """A lead, and an audit log of 20,000 entries, a second apart: 100 accounts and as many users and actions, 1,000
    locations, three entries a request, and one in 500 under an override."""
    owner = await asyncpg.connect(empty_database.owner_url)
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await owner.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await owner.execute(
            """INSERT INTO turnup."user" (id, subject, name, email, role, all_accounts)
               VALUES ('lead', 'lead', 'Lena', 'l@x.example', 'IMPLEMENTATION_LEAD', true)"""
        )
        await owner.execute(
            """INSERT INTO turnup.audit_entry (id, chain, number, account_id, location_id, action, outcome, actor_id,
                                               actor_role, request_id, client_request_id, override_id, is_override,
                                               occurred_at, hash)
               SELECT 'entry_' || n, 'account-' || n % 100, n, 'account-' || n % 100, 'location-' || n % 1000,
                      'action' || n % 97, 'APPLIED', 'user-' || n % 101, 'IMPLEMENTATION_LEAD', 'request-' || n / 3,
                      CASE WHEN n % 2 = 0 THEN 'client-' || n / 9 END,
                      CASE WHEN n % 500 = 0 THEN 'override-' || n / 2000 END, n % 500 = 0,
                      $1::timestamptz + n * interval '1 second', '\\x00'
               FROM generate_series(1, $2) n""",
            BEGAN,
            ENTRIES,
        )
        # One location's life: each entry of an account counts its revision up and changes two values.
        await owner.execute(
            """INSERT INTO turnup.field_change (entry_id, location_id, table_name, row_id, field,
                                                after, after_salt, after_hash)
               SELECT 'entry_' || n, 'location-7', 'location', 'location-7', f.field, to_jsonb(n / 10),
                      decode(repeat('00', 16), 'hex'), '\\x00'
               FROM generate_series(10, $1, 10) n, unnest(ARRAY['revision', 'line1', 'line2']) AS f (field)""",
            ENTRIES,
        )
    await owner.execute("ANALYZE turnup.audit_entry, turnup.field_change")
    await owner.close()
    database = await Database.open(empty_database.app_url, size=1)
    yield database
    await database.close()


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("place", ["first", "later"])
@pytest.mark.parametrize("which", FILTERS)
@pytest.mark.parametrize("order", [ENTRIES_BY_TIME, ENTRIES_BY_TIME.reverse], ids=lambda order: order.mark)
async def test_a_page_of_the_audit_log_is_read_from_the_index_of_its_filter(
    pool: Database, which: str, place: str, plans: str, order: Order
) -> None:
    filters, index = FILTERS[which]
    page = Page(PAGE, None if place == "first" else (MIDDLE, "entry_zzz"))
    plan: Plan = await plan_of(pool, "lead", plans, lambda reading: page_of(reading, order, page, filters))
    assert index in plan.indexes
    assert "Seq Scan" not in plan.kinds
    assert plan.rows_read <= PAGE + 1


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
async def test_content_as_of_a_revision_reads_a_location_s_history_a_few_times_however_long_it_is(
    pool: Database, plans: str
) -> None:
    plan: Plan = await plan_of(pool, "lead", plans, lambda reading: as_of(reading, ["location-7"], ENTRIES // 20))
    assert plan.rows_read <= 6 * CHANGES


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
async def test_the_editors_of_locations_are_read_from_the_entries_of_these_locations(
    pool: Database, plans: str
) -> None:
    """Those who made a submitter included: PostgreSQL does not take them for many."""
    locations = [f"location-{number}" for number in range(20)]
    marks: dict[str, list[str]] = {"edits": ["action1"], "submits": ["action2"], "approves": ["action3"]}

    async def asked(reading: Any) -> None:
        await writing.editors_since(reading._turns.transaction, locations, **marks)

    plan: Plan = await plan_of(pool, "lead", plans, asked)
    assert "ix_audit_entry_location_id_occurred_at_id" in plan.indexes
    assert "Seq Scan" not in plan.kinds
    assert plan.rows_read <= 2 * len(locations) * ENTRIES // 1_000
