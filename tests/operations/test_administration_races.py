"""What leads administer while others write: nobody has to give way, and somebody is always left to administer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from builders_db import a_user
from harness import TestDatabase

from app.domain.vocabulary import LocationStatus, Role
from app.operations import frame

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
