"""A page of the sessions of a user reads as many rows as it has, for every viewer and any number of other sessions."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.db.database import Database
from app.db.paging import Page
from app.db.queries import SESSIONS_BY_CREATED, page_of
from tests import harness

from .explaining import plan_of
from .scenario import put, unaudited

# One worker runs them all: each would have to make the database anew.
pytestmark = pytest.mark.xdist_group("session-plans")

SESSIONS, PAGE = 20_000, 20
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
MIDDLE = BEGAN + timedelta(minutes=SESSIONS // 2), f"usersession-{SESSIONS // 2}"
# Half of the sessions are the customer's, the others are the lead's.
FILL = f"""
    INSERT INTO turnup.user_session (id, user_id, secret_sha256, created_at, last_used_at, idle_until, expires_at)
    SELECT 'usersession-' || n, CASE n % 2 WHEN 0 THEN 'customer' ELSE 'lead' END, sha256(n::text::bytea), t, t, t, t
    FROM generate_series(1, {SESSIONS}) n,
         LATERAL (SELECT '{BEGAN.isoformat()}'::timestamptz + n * interval '1 minute') m (t)"""


@pytest.fixture(scope="module")
async def pool(empty_database: harness.TestDatabase) -> AsyncIterator[Database]:
    owner = await asyncpg.connect(empty_database.owner_url)
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await unaudited(owner)
        await owner.execute("INSERT INTO turnup.account (id, name) VALUES ('account-0', 'Acme')")
        for name, role, account in (("lead", "IMPLEMENTATION_LEAD", None), ("customer", "CUSTOMER", "account-0")):
            row = {"id": name, "subject": name, "name": name, "email": f"{name}@x.example", "role": role}
            await put(owner, "user", {**row, "account_id": account, "all_accounts": name == "lead"})
        await owner.execute(FILL)
    await owner.execute("VACUUM ANALYZE turnup.user_session")
    await owner.close()
    pool = await Database.open(empty_database.app_url, size=1)
    yield pool
    await pool.close()


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("place", ["first", "middle"])
@pytest.mark.parametrize("who", ["lead", "customer"])
async def test_a_page_of_sessions_reads_no_more_rows_than_it_has(
    pool: Database, who: str, place: str, plans: str
) -> None:
    page = Page(PAGE, None if place == "first" else MIDDLE)
    order, filters = SESSIONS_BY_CREATED.reverse, {"user_id": "customer"}
    plan = await plan_of(pool, who, plans, lambda reading: page_of(reading, order, page, filters))
    assert plan.indexes == {"ix_user_session_user_id_created_at_id"}
    assert plan.rows_read <= PAGE + 1
