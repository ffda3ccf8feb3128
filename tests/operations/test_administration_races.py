"""What leads administer while others write: nobody has to give way, and somebody is always left to administer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from app.domain.vocabulary import LocationStatus, Role
from app.operations import frame
from tests.builders_db import a_user
from tests.harness import TestDatabase, until_waiting

from .conftest import served
from .house import House, Rollout, Sent, a_key

pytestmark = pytest.mark.usefixtures("replayed")

GRANTED = 40
ROUNDS = 12


@pytest.fixture
async def crowded_house(house: House, own_database: TestDatabase, home: Path) -> AsyncIterator[House]:
    """The same house, served by itself to as many as come; PostgreSQL had to end none of their transactions."""
    before = await deadlocks(house, connections := await servers_connections(house))
    async with served(own_database, home, limit_bulk_calls=1_000, limit_bulk_items=100_000) as client:
        crowded = House(client, house.connection)
        crowded.__dict__.update({**house.__dict__, "client": client})
        yield crowded
    assert await deadlocks(house, connections) == before


async def deadlocks(house: House, connections: int) -> int:
    """How many there have been in the house's database; connections that end say what they met, so they have to."""
    async with asyncio.timeout(30):
        while await servers_connections(house) > connections:  # noqa: ASYNC110 - it is others' processes that end
            await asyncio.sleep(0.05)
    found: int = await house.connection.fetchval(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return found


async def servers_connections(house: House) -> int:
    found: int = await house.connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'turnup'"
    )
    return found


async def in_bulk(house: House, who: str, status: str, locations: Sequence[Rollout]) -> Sent:
    ids = [each.id for each in locations]
    given = {"locationIds": ids, "status": status, "reason": "The carrier is late", "idempotencyKey": a_key()}
    return await house.send(who, "bulkUpdateStatus", "summary { failed }", **given)


async def granted(house: House, user: str, revision: int, locations: Sequence[Rollout]) -> Sent:
    grants = [{"accountId": house.account, "locationIds": [each.id for each in locations]}]
    return await house.send(house.lead, "setGrants", userId=user, expectedRevision=revision, grants=grants)


async def test_grants_of_locations_never_make_a_bulk_call_on_them_give_way_nor_give_way_to_one(
    crowded_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is tried a second time here, so that a single deadlock would be told as OVERLOADED."""
    house = crowded_house
    monkeypatch.setattr(frame, "MOST_TRIES", 1)
    locations = [await house.a_location(LocationStatus.IN_PROGRESS) for _ in range(GRANTED)]
    async with house.arranging():
        users = [await a_user(house.connection, Role.CUSTOMER, house.account) for _ in range(4)]
    for turn in range(ROUNDS):
        status = "BLOCKED" if turn % 2 == 0 else "IN_PROGRESS"
        sent = await asyncio.gather(
            in_bulk(house, house.lead, status, locations[: GRANTED // 2]),
            *(granted(house, user, turn + 1, locations[::-1]) for user in users),
            in_bulk(house, house.lead_2, status, locations[GRANTED // 2 :]),
        )
        assert [each.outcome for each in sent] == ["DONE"] * len(sent)


async def test_of_two_leads_who_suspend_each_other_at_once_one_is_left(crowded_house: House) -> None:
    house = crowded_house
    for _ in range(20):
        async with house.arranging():
            leads = [await a_user(house.connection, Role.IMPLEMENTATION_LEAD) for _ in range(2)]
        sent = await asyncio.gather(
            *(house.send(who, "suspendUser", userId=other) for who, other in zip(leads, leads[::-1], strict=True))
        )
        assert sorted(each.outcome for each in sent) == ["DONE", "UNAUTHENTICATED"]
        assert await active_of(house, leads) == [leads[place] for place in (0, 1) if sent[place].outcome == "DONE"]


async def test_a_lead_who_was_suspended_meanwhile_suspends_nobody(crowded_house: House) -> None:
    house = crowded_house
    async with house.arranging():
        first, second = [await a_user(house.connection, Role.IMPLEMENTATION_LEAD) for _ in range(2)]
    async with house.connection.transaction():
        await house.connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('turnup.user', 0))")
        late = asyncio.ensure_future(house.send(first, "suspendUser", userId=second))
        await until_waiting(house.connection, late)  # type: ignore[arg-type] - any task will do
        await house.connection.execute("SELECT set_config('turnup.system_action', 'ARRANGE', true)")
        await house.connection.execute('UPDATE turnup."user" SET status = $2 WHERE id = $1', first, "SUSPENDED")
        await house.connection.execute("SELECT turnup.audit_seal()")
    assert (await late).outcome == "UNAUTHENTICATED"
    assert await active_of(house, [first, second]) == [second]


async def active_of(house: House, users: Sequence[str]) -> list[str]:
    """Those of the users who may act, in the order given."""
    active = await house.connection.fetch(
        'SELECT id FROM turnup."user" WHERE status = $2 AND id = ANY ($1)', users, "ACTIVE"
    )
    return [each for each in users if each in {record["id"] for record in active}]
