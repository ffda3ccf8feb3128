"""A dry run is a call that is cut off on purpose: it tells exactly what the real one does, and leaves no trace."""

from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus
from tests.operations.scenario import PROBLEMS, Sent, a_key, a_mac

from .cases import CASES, Sending
from .ground import Ground

ITEMS = 3
# An item's problem with every fact of it.
PROBLEM = PROBLEMS.replace("problems", "problem", 1)
FORETOLD = f"results {{ index locationId outcome {PROBLEM} }} summary {{ applied unchanged refused }}"
LEFT = "{ rateLimits { budget remaining } }"
BULK = sorted(case for case in CASES if case.startswith("bulk"))


async def left(ground: Ground, who: str) -> dict[str, int]:
    """What is left of the budgets that mutations are counted by."""
    found = (await ground.client.ask(LEFT, who)).data["rateLimits"]
    return {each["budget"]: each["remaining"] for each in found if each["budget"] != "OBJECTS"}


async def rehearsed(ground: Ground, sending: Sending, policy: str) -> Sent:
    """The real call's answer, once its rehearsal was seen to foretell it and to leave no trace."""

    async def send(*, dry: bool) -> Sent:
        given = {**sending.given, "policy": policy, "dryRun": dry}
        return await ground.send(sending.who, sending.mutation, FORETOLD, **given)

    tables, budgets = await ground.image(), await left(ground, sending.who)
    foretold = await send(dry=True)
    assert await ground.image() == tables
    after = await left(ground, sending.who)
    assert spent_of(budgets, after) == {"DRY_RUNS": items_of(sending)}
    done = await send(dry=False)
    assert (foretold.outcome, done.outcome, done.replayed) == ("DONE", "DONE", False)
    assert done.payload == foretold.payload
    spent = spent_of(after, await left(ground, sending.who))
    assert spent == {"BULK_CALLS": 1, "BULK_ITEMS": items_of(sending)}
    return done


def spent_of(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: before[name] - after[name] for name in before if before[name] != after[name]}


def items_of(sending: Sending) -> int:
    return len(sending.given.get("items") or sending.given["locationIds"])


def outcomes(sent: Sent) -> list[tuple[str, Any]]:
    return [(item["outcome"], item["problem"] and item["problem"]["code"]) for item in sent.payload["results"]]


@pytest.mark.parametrize("policy", ["PER_ITEM", "ALL_OR_NOTHING"])
@pytest.mark.parametrize("case", BULK)
async def test_a_dry_run_foretells_the_real_run_and_leaves_tables_numbers_keys_and_budgets_of_writes_as_they_were(
    ground: Ground, case: str, policy: str
) -> None:
    sending = await CASES[case](ground, ITEMS)
    done = await rehearsed(ground, sending, policy)
    assert done.payload["summary"]["applied"] == (ITEMS if policy == "PER_ITEM" else 0)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("PER_ITEM", [("APPLIED", None), ("REFUSED", "MAC_IN_USE")]),
        ("ALL_OR_NOTHING", [("UNCHANGED", None), ("REFUSED", "MAC_IN_USE")]),
    ],
)
async def test_a_dry_run_foretells_which_of_two_gets_an_address_that_both_want(
    ground: Ground, policy: str, expected: list[tuple[str, Any]]
) -> None:
    mac = a_mac()
    rivals = sorted([(await ground.a_location(LocationStatus.IN_PROGRESS, macs=[mac])).id for _ in range(2)])
    given = {"locationIds": rivals, "status": "PENDING_APPROVAL", "idempotencyKey": a_key()}
    sending = Sending(who=ground.lead, mutation="bulkUpdateStatus", given=given, touched=tuple(rivals))
    assert outcomes(await rehearsed(ground, sending, policy)) == expected


async def test_a_replay_tells_what_was_done_when_it_was_done_and_shows_the_locations_as_they_are_now(
    ground: Ground,
) -> None:
    sending = await CASES["bulkUpdateStatus"](ground, ITEMS)
    first = await ground.send(sending.who, sending.mutation, FORETOLD, **sending.given)
    moved = sending.touched[0]
    await ground.send(ground.lead, "cancel", locationId=moved, reason="The landlord changed the locks.")
    shown = "results { locationId outcome location { status } } summary { applied unchanged refused }"
    again = await ground.send(sending.who, sending.mutation, shown, **sending.given)
    assert again.replayed
    told = {item["locationId"]: item["outcome"] for item in first.payload["results"]}
    assert {item["locationId"]: item["outcome"] for item in again.payload["results"]} == told
    assert again.payload["summary"] == first.payload["summary"]
    now = {item["locationId"]: item["location"] and item["location"]["status"] for item in again.payload["results"]}
    assert (now[moved], now[sending.touched[1]]) == ("CANCELLED", "PENDING_APPROVAL")
