"""What leads administer while others write: nobody has to give way, and somebody is always left to administer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from app.domain.vocabulary import LocationStatus, Role
from app.operations import transactions
from tests.builders_db import a_user
from tests.harness import TestDatabase, granting, served, until_waiting

from .scenario import Rollout, Scenario, Sent, a_key

pytestmark = pytest.mark.usefixtures("replayed")

GRANTED = 40
ROUNDS = 12


@pytest.fixture
async def crowded_scenario(scenario: Scenario, own_database: TestDatabase, home: Path) -> AsyncIterator[Scenario]:
    """The same scenario on a server without rate limits. PostgreSQL must abort none of its transactions."""
    before = await deadlocks(scenario, connections := await servers_connections(scenario))
    async with served(own_database, home, limit_bulk_calls=1_000, limit_bulk_items=100_000) as client:
        crowded = Scenario(client, scenario.connection)
        crowded.__dict__.update({**scenario.__dict__, "client": client})
        yield crowded
    assert await deadlocks(scenario, connections) == before


async def deadlocks(scenario: Scenario, connections: int) -> int:
    """Return the number of deadlocks in the scenario's database. Connections report them when they end."""
    async with asyncio.timeout(30):
        while await servers_connections(scenario) > connections:  # noqa: ASYNC110 - it is others' processes that end
            await asyncio.sleep(0.05)
    found: int = await scenario.connection.fetchval(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return found


async def servers_connections(scenario: Scenario) -> int:
    found: int = await scenario.connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'turnup'"
    )
    return found


async def in_bulk(scenario: Scenario, who: str, status: str, locations: Sequence[Rollout]) -> Sent:
    ids = [each.id for each in locations]
    given = {"locationIds": ids, "status": status, "reason": "The carrier is late", "idempotencyKey": a_key()}
    return await scenario.send(who, "bulkUpdateStatus", "summary { refused }", **given)


async def granted(scenario: Scenario, user: str, revision: int, locations: Sequence[Rollout]) -> Sent:
    grants = [granting(scenario.account, *(each.id for each in locations))]
    return await scenario.send(scenario.lead, "setGrants", userId=user, expectedRevision=revision, grants=grants)


async def test_grants_of_locations_never_make_a_bulk_call_on_them_give_way_nor_give_way_to_one(
    crowded_scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is tried a second time here, so that a single deadlock would be told as OVERLOADED."""
    scenario = crowded_scenario
    monkeypatch.setattr(transactions, "MOST_TRIES", 1)
    locations = [await scenario.a_location(LocationStatus.IN_PROGRESS) for _ in range(GRANTED)]
    async with scenario.arranging():
        users = [await a_user(scenario.connection, Role.CUSTOMER, scenario.account) for _ in range(4)]
    for turn in range(ROUNDS):
        status = "BLOCKED" if turn % 2 == 0 else "IN_PROGRESS"
        sent = await asyncio.gather(
            in_bulk(scenario, scenario.lead, status, locations[: GRANTED // 2]),
            *(granted(scenario, user, turn + 1, locations[::-1]) for user in users),
            in_bulk(scenario, scenario.lead_2, status, locations[GRANTED // 2 :]),
        )
        assert [each.outcome for each in sent] == ["DONE"] * len(sent)


async def test_of_two_leads_who_suspend_each_other_at_once_one_is_left(crowded_scenario: Scenario) -> None:
    scenario = crowded_scenario
    for _ in range(20):
        async with scenario.arranging():
            leads = [await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD) for _ in range(2)]
        sent = await asyncio.gather(
            *(scenario.send(who, "suspendUser", userId=other) for who, other in zip(leads, leads[::-1], strict=True))
        )
        assert sorted(each.outcome for each in sent) == ["DONE", "UNAUTHENTICATED"]
        assert await active_of(scenario, leads) == [leads[place] for place in (0, 1) if sent[place].outcome == "DONE"]


async def test_a_lead_who_was_suspended_meanwhile_suspends_nobody(crowded_scenario: Scenario) -> None:
    scenario = crowded_scenario
    async with scenario.arranging():
        first, second = [await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD) for _ in range(2)]
    async with scenario.connection.transaction():
        await scenario.connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('turnup.user', 0))")
        late = asyncio.ensure_future(scenario.send(first, "suspendUser", userId=second))
        await until_waiting(scenario.connection, late)
        await scenario.connection.execute("SELECT set_config('turnup.system_action', 'ARRANGE', true)")
        await scenario.connection.execute('UPDATE turnup."user" SET status = $2 WHERE id = $1', first, "SUSPENDED")
        await scenario.connection.execute("SELECT turnup.audit_seal()")
    assert (await late).outcome == "UNAUTHENTICATED"
    assert await active_of(scenario, [first, second]) == [second]


async def test_of_two_leads_who_limit_or_suspend_each_other_at_once_one_is_left_to_administer(
    crowded_scenario: Scenario,
) -> None:
    scenario = crowded_scenario
    for turn in range(20):
        async with scenario.arranging():
            leads = [await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD) for _ in range(2)]
        first, second = leads
        sent = await asyncio.gather(
            scenario.send(first, "editUser", userId=second, expectedRevision=1, allAccounts=False),
            scenario.send(second, "suspendUser", userId=first)
            if turn % 2
            else scenario.send(second, "setGrants", userId=first, expectedRevision=1, grants=[], allAccounts=False),
        )
        assert sorted(each.outcome for each in sent) in (["DONE", "FORBIDDEN"], ["DONE", "UNAUTHENTICATED"])
        left = await scenario.connection.fetch(
            "SELECT id FROM turnup.\"user\" WHERE id = ANY ($1) AND status = 'ACTIVE' AND all_accounts", leads
        )
        assert [each["id"] for each in left] == [leads[place] for place in (0, 1) if sent[place].outcome == "DONE"]


async def active_of(scenario: Scenario, users: Sequence[str]) -> list[str]:
    """Those of the users who may act, in the order given."""
    active = await scenario.connection.fetch(
        'SELECT id FROM turnup."user" WHERE status = $2 AND id = ANY ($1)', users, "ACTIVE"
    )
    return [each for each in users if each in {record["id"] for record in active}]
