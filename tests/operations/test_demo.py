"""The demo data comes whole: a load that is cut off goes on at the next start, unless somebody has written since."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from app.db import demo
from app.operations import demo as loading
from app.operations.demo import WAY_TO, load_demo
from app.operations.unit_of_work import perform
from tests.harness import LEAD
from tests.harness import TestDatabase as Databases
from tests.oracle import database_is_consistent

STEPS = sum(len(WAY_TO[branch.status]) for branch in demo.BRANCHES)
STATUSES = "SELECT id, status FROM turnup.location WHERE id = ANY ($1)"
MADE = {f"location-{branch.number}": branch.status.value for branch in demo.BRANCHES}


class CutOffError(Exception):
    """The process was killed."""


@pytest.fixture
def cut_off_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the load make so many steps and no more."""

    def after(steps: int) -> None:
        left = iter(range(steps))

        async def mortal(*arguments: Any) -> Any:
            if next(left, None) is None:
                raise CutOffError
            return await perform(*arguments)

        monkeypatch.setattr(loading, "perform", mortal)

    return after


async def statuses(database: Databases) -> dict[str, str]:
    connection = await asyncpg.connect(database.owner_url)
    try:
        await connection.execute("SET ROLE turnup_definer")
        rows = await connection.fetch(STATUSES, list(MADE))
        return {row["id"]: row["status"] for row in rows}
    finally:
        await connection.close()


@pytest.mark.parametrize("steps", [0, 1, STEPS // 2, STEPS - 1])
async def test_a_load_that_was_cut_off_goes_on_where_it_was(
    empty_database: Databases, cut_off_after: Callable[[int], None], steps: int
) -> None:
    cut_off_after(steps)
    with pytest.raises(CutOffError):
        await load_demo(empty_database.owner_url, empty_database.app_url, reset=True)
    assert await statuses(empty_database) != MADE
    cut_off_after(STEPS - steps)
    assert await load_demo(empty_database.owner_url, empty_database.app_url)
    assert await statuses(empty_database) == MADE
    assert not await load_demo(empty_database.owner_url, empty_database.app_url)
    await database_is_consistent(empty_database)


async def test_two_who_start_at_once_load_it_once(empty_database: Databases) -> None:
    urls = empty_database.owner_url, empty_database.app_url
    await load_demo(*urls, reset=True)
    connection = await asyncpg.connect(empty_database.owner_url)
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE turnup_definer")
        tables = await connection.fetchval(
            "SELECT string_agg(format('turnup.%I', tablename), ', ') FROM pg_tables"
            " WHERE schemaname = 'turnup' AND tablename NOT IN ('alembic_version', 'schema_state')"
        )
        await connection.execute(f"TRUNCATE {tables}")
    await connection.close()
    assert sorted(await asyncio.gather(load_demo(*urls), load_demo(*urls))) == [False, True]
    assert await statuses(empty_database) == MADE


async def test_where_somebody_has_written_since_a_cut_off_load_is_left_alone(
    empty_database: Databases, cut_off_after: Callable[[int], None]
) -> None:
    urls = empty_database.owner_url, empty_database.app_url
    cut_off_after(1)
    with pytest.raises(CutOffError):
        await load_demo(*urls, reset=True)
    connection = await asyncpg.connect(empty_database.app_url)
    async with connection.transaction():
        await connection.execute("SELECT turnup.sign_in($1, 5000)", LEAD)
        await connection.execute(
            "SELECT turnup.audit_open('entry_by_hand', 'account-1', 'block', NULL, 'r', NULL, NULL, 'APPLIED', NULL)"
        )
        await connection.execute("SELECT turnup.audit_seal()")
    await connection.close()
    before = await statuses(empty_database)
    assert not await load_demo(*urls)
    assert await statuses(empty_database) == before


async def test_a_demo_partner_states_the_versions_that_it_accepts(empty_database: Databases) -> None:
    await load_demo(empty_database.owner_url, empty_database.app_url, reset=True)
    connection = await asyncpg.connect(empty_database.owner_url)
    try:
        await connection.execute("SET ROLE turnup_definer")
        rows = await connection.fetch("SELECT user_id, version FROM turnup.accepted_version ORDER BY 1, 2")
    finally:
        await connection.close()
    assert [tuple(row) for row in rows] == list(demo.ACCEPTED_VERSIONS)


async def test_a_demo_location_has_the_partner_that_a_lead_chose(database: Databases) -> None:
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute("SET ROLE turnup_definer")
    rows = await connection.fetch(
        "SELECT location_id, user_id, purpose FROM turnup.payload_recipient WHERE live = false"
    )
    await connection.close()
    released = {(row["location_id"], row["user_id"], row["purpose"]) for row in rows}
    assert {(place, user, purpose.value) for place, user, purpose in demo.CHOSEN_PARTNERS} <= released
