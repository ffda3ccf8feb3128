"""Duplicates from before addresses of live payloads were held: both locations are told, and each can get out of it.

The check of the suite itself is tested here too: it fails where the rule of the product is broken.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus
from app.operations import bulk, unit_of_work
from app.operations.persistence import MacClaims
from tests.oracle import phones_in_two_places

from .hand_off import Account, Payload, an_account_with
from .scenario import Rollout, Scenario, a_mac

S = LocationStatus
FINDINGS = '{ readiness(locationId: "%s") { code path message blocks } }'


@asynccontextmanager
async def duplicates(scenario: Scenario, *statuses: LocationStatus) -> AsyncIterator[list[tuple[Account, Rollout]]]:
    """Locations of two accounts whose partners run one phone, as a migration leaves them: the first one claims it."""
    mac, made = a_mac(), []
    for status in statuses:
        account = await an_account_with(scenario, 1)
        location, _ = await account.running(macs=[mac])
        if status is not S.COMPLETED:
            await account.back("reopen", location)
        made.append((account, location))
        async with scenario.arranging():
            await scenario.connection.execute("DELETE FROM turnup.mac_claim WHERE mac = $1", mac)
            for table, row, key in _AWAY:
                await scenario.connection.execute(f"UPDATE turnup.{table} SET {row} WHERE {key} = $1", location.id)
    async with scenario.arranging():
        for _, location in made:
            for table, row, key in _BACK:
                await scenario.connection.execute(f"UPDATE turnup.{table} SET {row} WHERE {key} = $1", location.id)
        first, location = made[0]
        await scenario.connection.execute(
            "INSERT INTO turnup.mac_claim (mac, account_id, location_id) VALUES ($1, $2, $3)",
            mac,
            first.id,
            location.id,
        )
    yield made
    for _, location in made:
        await scenario.retire(location)


_AWAY = (("provisioning_payload", "live = false", "location_id"),)
_BACK = (("provisioning_payload", "live = true", "location_id"),)


async def found(scenario: Scenario, who: str, location: Rollout) -> dict[str, Any]:
    issues = (await scenario.client.ask(FINDINGS % location.id, who)).data["readiness"]
    return {each["code"]: each for each in issues if each["code"].startswith("MAC_")}


async def test_both_locations_are_told_and_the_one_without_the_claim_is_stopped(scenario: Scenario) -> None:
    async with duplicates(scenario, S.COMPLETED, S.COMPLETED) as ((first, older), (second, newer)):
        assert "MAC_LIVE_TWICE" in await found(scenario, first.customer, older)
        assert "MAC_IN_USE" not in await found(scenario, first.customer, older)
        told = await found(scenario, second.customer, newer)
        assert {"MAC_LIVE_TWICE", "MAC_IN_USE"} <= set(told)
        assert older.id not in told["MAC_LIVE_TWICE"]["message"] + told["MAC_IN_USE"]["message"]
        for who, location, other in ((scenario.lead, newer, older), (scenario.lead, older, newer)):
            assert other.id in (await found(scenario, who, location))["MAC_LIVE_TWICE"]["message"]
        wrong = await phones_in_two_places(scenario.connection)
        assert any(each.startswith("a MAC address is in operation at two locations") for each in wrong)


@pytest.mark.parametrize("which", [0, 1])
async def test_each_of_two_locations_with_one_phone_can_be_cancelled_and_decommissioned(
    scenario: Scenario, which: int
) -> None:
    async with duplicates(scenario, S.COMPLETED, S.COMPLETED) as made:
        account, location = made[which]
        for verb in ("reopen", "block", "unblock", "cancel"):
            given = {} if verb == "unblock" else {"reason": "The phone is at two sites."}
            assert (await account.lead(verb, locationId=location.id, **given)).outcome == "DONE"
        assert (await decommissioned(account, location)).outcome == "DONE"
        other = made[1 - which]
        assert "MAC_LIVE_TWICE" not in await found(scenario, scenario.lead, other[1])
        # What is in operation at one location only is held, whether or not a claim says so.
        rival = await (await an_account_with(scenario, 0)).rival(location.mac)
        refused = await account.lead("submitOnboarding", locationId=rival.id)
        assert (refused.outcome, refused.problem["issues"][0]["code"]) == ("NOT_READY", "MAC_IN_USE")
        # The next write of the location that is left claims the phone again.
        assert (await other[0].override(other[1])).outcome == "DONE"
        await other[0].edit(other[1], a_mac())
        assert other[1].mac in await other[0].claims(other[1])


async def decommissioned(account: Account, location: Rollout) -> Any:
    payload = (await account.scenario.state_of(location.id)).live or ""
    return await account.decommission(account.partners[0], Payload(payload, ""))


@pytest.mark.parametrize("which", [0, 1])
async def test_each_of_two_locations_with_one_phone_can_be_given_another(scenario: Scenario, which: int) -> None:
    async with duplicates(scenario, S.COMPLETED, S.COMPLETED) as made:
        account, location = made[which]
        new = a_mac()
        later = await account.change_order(location, new)
        assert (await account.acknowledge(account.partners[0], later)).outcome == "DONE"
        assert await account.claims(location) == {new}
        for each, place in made:
            assert set(await found(scenario, each.customer, place)) & {"MAC_LIVE_TWICE", "MAC_IN_USE"} == set()


async def test_the_location_without_the_claim_is_not_handed_off_again_with_that_phone(scenario: Scenario) -> None:
    async with duplicates(scenario, S.COMPLETED, S.IN_PROGRESS) as (_, (account, location)):
        refused = await account.submit(location)
        assert refused.outcome == "NOT_READY"
        blocking = {each["code"] for each in refused.problem["issues"] if each["severity"] == "BLOCKER"}
        assert "MAC_IN_USE" in blocking


# The check of the suite


def claims_of_the_content_alone(aggregate: Any, change: Any) -> MacClaims:
    """The rule of the versions before: what is in the content of a submitted location, and nothing else."""
    held = frozenset(aggregate.record.claims)
    status = change.transition.to if change.transition else aggregate.status
    wanted = aggregate.content_macs
    if change.content is not None:
        wanted = frozenset(each.mac_address for each in change.content.devices if each.mac_address)
    if status not in {S.PENDING_APPROVAL, S.APPROVED, S.PROVISIONING, S.COMPLETED}:
        wanted = frozenset()
    return MacClaims(take=wanted - held, release=held - wanted)


@pytest.mark.parametrize("way", ["override", "reopen and edit", "reopen and cancel"])
async def test_the_check_fails_where_claims_follow_the_content_alone(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    account = await an_account_with(scenario, 1)
    location, _ = await account.running()
    for module in (unit_of_work, bulk):
        monkeypatch.setattr(module, "claims_of", claims_of_the_content_alone)
    if way == "override":
        await account.override(location)
    else:
        await account.back("reopen", location)
    if way == "reopen and cancel":
        await account.back("cancel", location)
    else:
        assert (await account.edit(location, a_mac())).outcome == "DONE"
    wrong = await phones_in_two_places(scenario.connection)
    assert [each.split(":")[0] for each in wrong] == ["a location does not claim what it holds"]
    monkeypatch.undo()
    await scenario.retire(location)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ("UPDATE turnup.payload_recipient SET live = false WHERE location_id = $1", "a recipient is marked live"),
        ("UPDATE turnup.provisioning_payload SET live = false WHERE location_id = $1", "a payload is marked live"),
        ("DELETE FROM turnup.mac_claim WHERE location_id = $1", "a location does not claim"),
        ("UPDATE turnup.location SET status = 'CANCELLED' WHERE id = $1 AND NOT test", None),
        ("UPDATE turnup.receipt SET kind = 'REJECTED' WHERE location_id = $1", "a recipient is marked live"),
        (
            "UPDATE turnup.payload_recipient SET live = false, decommissioned_at = now(), decommissioned_by = user_id"
            " WHERE location_id = $1",
            "a payload is marked live",
        ),
    ],
)
async def test_the_check_compares_flags_and_claims_with_what_people_said(
    scenario: Scenario, change: str, wrong: str | None
) -> None:
    account = await an_account_with(scenario, 1)
    location, _ = await account.running()
    transaction = scenario.connection.transaction()
    await transaction.start()
    try:
        await scenario.connection.execute("SELECT set_config('turnup.system_action', 'ARRANGE', true)")
        await scenario.connection.execute(change, location.id)
        found = await phones_in_two_places(scenario.connection)
    finally:
        await transaction.rollback()
    assert [each for each in found if wrong is not None and each.startswith(wrong)] or (wrong is None and found == [])
