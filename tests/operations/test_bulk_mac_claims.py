"""Many locations that want each other's hardware addresses: who is refused misses one that somebody has in the end."""

import random
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from app.domain.mac_address import show_mac
from app.domain.vocabulary import LocationStatus
from app.observing import Observer
from app.operations.bulk import perform_bulk
from app.operations.bulk_mutations import BULK_UPDATE_STATUS, BulkUpdateStatus
from app.operations.context import MutationCall
from tests.builders_db import fresh
from tests.harness import TestDatabase
from tests.lanes import scaled

from .scenario import Rollout, Scenario, a_key, a_mac
from .test_bulk_in_turns import a_write_context

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
ITEMS = "results { locationId outcome problem { code ... on MacInUse { macAddresses } } }"
ROUNDS = [8, pytest.param(scaled(50), marks=pytest.mark.slow)]


async def wanting(scenario: Scenario, *addresses: list[str], status: S = S.IN_PROGRESS, **more: Any) -> list[Rollout]:
    """Locations that want these addresses, in the order of their ids."""
    names = sorted(fresh("location") for _ in addresses)
    return [
        await scenario.a_location(status, name=name, macs=macs, **more)
        for name, macs in zip(names, addresses, strict=True)
    ]


async def submitted(scenario: Scenario, locations: list[Rollout], **more: Any) -> list[dict[str, Any]]:
    """What a bulk call tells of each location; the call names them in another order than that of their ids."""
    ids = [each.id for each in reversed(locations)]
    given = {"locationIds": ids, "status": "PENDING_APPROVAL", "idempotencyKey": a_key(), **more}
    sent = await scenario.send(scenario.lead, "bulkUpdateStatus", ITEMS, **given)
    return list(reversed(sent.payload["results"]))


def outcomes(results: list[dict[str, Any]]) -> list[str]:
    return [each["outcome"] for each in results]


@pytest.mark.parametrize("dry", [True, False])
async def test_who_is_refused_keeps_no_address_from_the_others(scenario: Scenario, dry: bool) -> None:
    mac_1, mac_2 = a_mac(), a_mac()
    locations = await wanting(scenario, [mac_1], [mac_1, mac_2], [mac_2])
    results = await submitted(scenario, locations, dryRun=dry)
    assert outcomes(results) == ["APPLIED", "REFUSED", "APPLIED"]
    assert results[1]["problem"] == {"code": "MAC_IN_USE", "macAddresses": [show_mac(mac_1)]}
    held = [(await scenario.state_of(each.id)).claims for each in locations]
    assert held == ([(), (), ()] if dry else [(mac_1,), (), (mac_2,)])


@pytest.mark.parametrize("dry", [True, False])
async def test_all_or_nothing_tells_only_of_who_misses_an_address_and_claims_none(
    scenario: Scenario, dry: bool
) -> None:
    mac_1, mac_2 = a_mac(), a_mac()
    locations = await wanting(scenario, [mac_1], [mac_1, mac_2], [mac_2])
    results = await submitted(scenario, locations, policy="ALL_OR_NOTHING", dryRun=dry)
    assert outcomes(results) == ["UNCHANGED", "REFUSED", "UNCHANGED"]
    assert [(await scenario.state_of(each.id)).claims for each in locations] == [(), (), ()]


async def test_one_that_misses_an_address_held_elsewhere_leaves_the_others_what_they_share_with_it(
    scenario: Scenario,
) -> None:
    held, shared = a_mac(), a_mac()
    locations = await wanting(scenario, [held, shared], [shared])
    owner = await scenario.a_location(S.APPROVED, account=scenario.away, macs=[held])
    results = await submitted(scenario, locations)
    assert outcomes(results) == ["REFUSED", "APPLIED"]
    assert results[0]["problem"]["code"] == "NOT_READY"
    claims = [(await scenario.state_of(each.id)).claims for each in (owner, *locations)]
    assert claims == [(held,), (), (shared,)]


async def test_rivals_cost_one_more_try_however_many_they_are(scenario: Scenario, own_database: TestDatabase) -> None:
    counted: list[Counter[str]] = []
    for triples in (1, 4, 12):
        locations = await wanting(scenario, *(each for _ in range(triples) for each in three_rivals()))
        names: list[str] = []
        async with a_write_context(own_database, scenario.lead, noting(names)) as context:
            ids = tuple(each.id for each in locations)
            command = BulkUpdateStatus(location_ids=ids, status=S.PENDING_APPROVAL)
            call = MutationCall(mutation=BULK_UPDATE_STATUS.name, command=command)
            done = await perform_bulk(context, BULK_UPDATE_STATUS, call)
        assert Counter(each.outcome for each in done.items) == {"APPLIED": 2 * triples, "REFUSED": triples}
        counted.append(Counter(names))
    assert counted == [counted[0]] * 3
    assert counted[0]["claim macs"] == 2


def three_rivals() -> list[list[str]]:
    """What three locations want of which one has to go without."""
    mac_1, mac_2 = a_mac(), a_mac()
    return [[mac_1], [mac_1, mac_2], [mac_2]]


def noting(names: list[str]) -> Observer:
    """An observer that notes the name of each statement."""

    def note(_kind: str, name: str, _facts: Mapping[str, Any]) -> AbstractContextManager[Any]:
        names.append(name)
        return nullcontext()

    return note


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_bulk_call_and_its_rehearsal_apply_what_single_submissions_in_the_order_of_ids_would(
    scenario: Scenario, rounds: int
) -> None:
    seeded = random.Random(20)
    for _ in range(rounds):
        count = seeded.randint(2, 7)
        wanted = [seeded.sample(range(count), seeded.randint(1, min(3, count))) for _ in range(count)]
        outside = seeded.sample(range(count), seeded.randint(0, 1))
        singly, together = [await arranged(scenario, wanted, outside) for _ in range(2)]
        expected = []
        for location in singly:
            sent = await scenario.send(scenario.lead, "submitOnboarding", locationId=location.id)
            expected.append("APPLIED" if sent.outcome == "DONE" else "REFUSED")
        foretold = await submitted(scenario, together, dryRun=True)
        done = await submitted(scenario, together)
        assert outcomes(done) == expected, (wanted, outside)
        assert foretold == done


async def arranged(scenario: Scenario, wanted: list[list[int]], outside: list[int]) -> list[Rollout]:
    """Drafts that want the addresses of these numbers, of which some are held outside the call."""
    macs = [a_mac() for _ in wanted]
    if outside:
        await scenario.a_location(S.APPROVED, account=scenario.away, macs=[macs[number] for number in outside])
    return await wanting(scenario, *([macs[number] for number in each] for each in wanted))
