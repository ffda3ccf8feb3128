"""Two hundred calls at once with one key: one effect, nobody waits for it, and the server goes on serving others."""

import asyncio

import httpx
import pytest

from app.domain.vocabulary import LocationStatus
from tests.operations.edits import EDITS
from tests.operations.scenario import Sent, a_key

from .ground import Ground

pytestmark = pytest.mark.usefixtures("replayed")

CALLS = 200
MOST_BEFORE_LOCK_TIMEOUT = 40
"""Calls that are answered while another one waits for a lock, which it does for two seconds."""


async def devices(ground: Ground, location: str) -> int:
    return int(await ground.connection.fetchval("SELECT count(*) FROM turnup.device WHERE location_id = $1", location))


async def is_ready(http: httpx.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 200


async def test_while_one_call_waits_the_others_with_its_key_are_told_so_and_the_pool_is_free(ground: Ground) -> None:
    location, elsewhere = [await ground.a_location(LocationStatus.IN_PROGRESS) for _ in range(2)]
    given = {**EDITS["addDevice"](location), "idempotencyKey": a_key()}
    async with ground.connection.transaction():
        await ground.connection.execute("SELECT FROM turnup.location WHERE id = $1 FOR UPDATE", location.id)
        calls = [
            asyncio.create_task(ground.send(ground.customer, "addDevice", "device { id }", **given))
            for _ in range(MOST_BEFORE_LOCK_TIMEOUT)
        ]
        done, (waiting,) = await all_but_one(calls)
        told = [task.result() for task in done]
        assert {each.outcome for each in told} == {"IDEMPOTENCY_IN_PROGRESS"}
        assert all(each.problem["retryAfterMs"] > 0 for each in told)
        assert await is_ready(ground.client.http)
        other = await ground.send(ground.clerk, "addDevice", **EDITS["addDevice"](elsewhere))
        assert other.outcome == "DONE"
        assert not waiting.done()
    first = await waiting
    again = await ground.send(ground.customer, "addDevice", "device { id }", **given)
    assert (first.outcome, first.replayed, again.payload) == ("DONE", False, {**first.payload, "replayed": True})
    assert await devices(ground, location.id) == 2


async def all_but_one(calls: list["asyncio.Task[Sent]"]) -> tuple[set["asyncio.Task[Sent]"], set["asyncio.Task[Sent]"]]:
    """The calls that have ended, and the one that has not."""
    waiting = set(calls)
    async with asyncio.timeout(30):
        while len(waiting) > 1:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    return set(calls) - waiting, waiting


@pytest.mark.parametrize("mutation", ["addDevice", "block"])
async def test_two_hundred_calls_at_once_have_one_effect_and_readiness_is_answered_meanwhile(
    ground: Ground, mutation: str
) -> None:
    location = await ground.a_location(LocationStatus.IN_PROGRESS)
    block = {"locationId": location.id, "reason": "No cabling yet"}
    given = {**(EDITS["addDevice"](location) if mutation == "addDevice" else block), "idempotencyKey": a_key()}
    calls = [asyncio.create_task(ground.send(ground.lead, mutation, **given)) for _ in range(CALLS)]
    looks = 0
    while not all(task.done() for task in calls):
        assert await is_ready(ground.client.http)
        looks += 1
    sent = [task.result() for task in calls]
    assert looks > 0
    assert {each.outcome for each in sent} <= {"DONE", "IDEMPOTENCY_IN_PROGRESS"}
    assert [each.replayed for each in sent if each.outcome == "DONE"].count(False) == 1
    made = await ground.connection.fetchval(
        "SELECT count(*) FROM turnup.audit_entry WHERE location_id = $1 AND action = $2", location.id, mutation
    )
    assert (made, await devices(ground, location.id)) == (1, 2 if mutation == "addDevice" else 1)
