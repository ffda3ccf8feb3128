"""A second account with the name of another, or a second location of an account, is refused when it is named."""

import asyncio
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus
from tests.builders_db import fresh

from .scenario import Scenario, Sent

pytestmark = pytest.mark.usefixtures("replayed")


async def an_account(scenario: Scenario, name: str) -> Sent:
    return await scenario.send(scenario.lead, "createAccount", "account { id revision }", name=name)


async def a_location(scenario: Scenario, name: str, account: str | None = None) -> Sent:
    given = {"accountId": account or scenario.account, "name": name}
    return await scenario.send(scenario.lead, "createLocation", "location { id }", **given)


async def renamed(scenario: Scenario, location: str, name: str, who: str | None = None) -> Sent:
    revision = (await scenario.revisions(location))["LOCATION"]
    given: dict[str, Any] = {"locationId": location, "expectedRevision": revision, "name": name}
    return await scenario.send(who or scenario.lead, "updateLocation", **given)


def is_told(sent: Sent) -> None:
    assert (sent.outcome, sent.problem["path"], sent.problem["field"]) == ("INVALID_INPUT", ["name"], "name")
    assert sent.problem["rule"] in {"another account has this name", "another location of the account has this name"}


def spellings(name: str) -> tuple[str, ...]:
    wide, hidden = name.replace(" ", " \u00a0 "), f"{name[:2]}\u200b{name[2:]}\ufeff"
    return (name, name.upper(), name.lower(), f"  {name} ", wide, hidden, f"{chr(ord(name[0]) + 0xFEE0)}{name[1:]}")


async def test_a_second_account_is_told_whose_name_looks_the_same(scenario: Scenario) -> None:
    name = fresh("Zürich Dental")
    assert (await an_account(scenario, name)).outcome == "DONE"
    for each in spellings(name):
        is_told(await an_account(scenario, each))
    other = (await an_account(scenario, fresh("Other"))).payload["account"]
    given = {"accountId": other["id"], "expectedRevision": 1}
    is_told(await scenario.send(scenario.lead, "updateAccount", **given, name=name.upper()))


async def test_an_account_may_be_spelt_anew(scenario: Scenario) -> None:
    name = fresh("Elm Dental")
    account = (await an_account(scenario, name)).payload["account"]
    for revision, each in enumerate((name.upper(), name.upper(), name), 1):
        given = {"accountId": account["id"], "expectedRevision": revision, "name": each}
        assert (await scenario.send(scenario.lead, "updateAccount", **given)).outcome == "DONE"


async def test_a_second_location_of_a_name_is_told_within_the_account_only(scenario: Scenario) -> None:
    name = fresh("Straße")
    first = await a_location(scenario, name)
    assert first.outcome == "DONE"
    for each in (name, name.upper().replace("SS", "ß"), *spellings(name)[2:]):
        is_told(await a_location(scenario, each))
    assert (await a_location(scenario, name, scenario.away)).outcome == "DONE"
    other = await a_location(scenario, fresh("Other"))
    is_told(await renamed(scenario, other.payload["location"]["id"], name.upper().replace("SS", "ß")))


async def test_a_location_may_be_spelt_anew_and_edited_otherwise(scenario: Scenario) -> None:
    name = fresh("Quay")
    location = (await a_location(scenario, name)).payload["location"]["id"]
    for each in (name.upper(), name):
        assert (await renamed(scenario, location, each)).outcome == "DONE"


async def test_locations_that_have_one_name_already_keep_it(scenario: Scenario) -> None:
    """Those that the scenario makes all have the name of the example."""
    first, second = [await scenario.a_location(LocationStatus.IN_PROGRESS) for _ in range(2)]
    assert first.content.name == second.content.name
    given: dict[str, Any] = {"locationId": first.id, "expectedRevision": 1, "timezone": "America/Chicago"}
    assert (await scenario.send(scenario.lead, "updateLocation", **given)).outcome == "DONE"
    assert (await renamed(scenario, first.id, first.content.name)).outcome == "DONE"
    assert (await renamed(scenario, first.id, fresh("Own"))).outcome == "DONE"
    is_told(await renamed(scenario, first.id, second.content.name))


async def test_a_customer_is_told_of_a_location_that_it_does_not_see(scenario: Scenario) -> None:
    """As with site codes: the account is the customer's own."""
    name, location = fresh("Hidden"), await scenario.a_location(LocationStatus.IN_PROGRESS)
    assert (await a_location(scenario, name)).outcome == "DONE"
    await scenario.grant_listed(location.id)
    is_told(await renamed(scenario, location.id, name, scenario.listed))


async def test_of_two_that_are_named_at_once_one_is_told(scenario: Scenario) -> None:
    for _ in range(6):
        accounts, locations, mixed = fresh("Fir"), fresh("Fir"), fresh("Fir")
        other = (await a_location(scenario, fresh("Other"))).payload["location"]["id"]
        for sent in (
            await asyncio.gather(an_account(scenario, accounts), an_account(scenario, accounts.upper())),
            await asyncio.gather(a_location(scenario, locations), a_location(scenario, locations.upper())),
            await asyncio.gather(a_location(scenario, mixed), renamed(scenario, other, mixed)),
        ):
            assert sorted(each.outcome for each in sent) == ["DONE", "INVALID_INPUT"]
