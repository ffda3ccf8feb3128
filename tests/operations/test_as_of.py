"""A location's content as of any revision that it ever had, whatever was done to it."""

import unicodedata
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest

from app.domain.canonical import canonical
from app.domain.vocabulary import LocationStatus
from app.settings import Executor
from tests.harness import TestDatabase, served
from tests.lanes import scaled

from .edits import CONTENT_EDITS, EDITS, SECTIONS
from .scenario import Rollout, Scenario

S = LocationStatus
PAST = "asOf(revision: $revision) { revision digest content erased }"
AS_OF = f"query($id: ID!, $revision: Int!) {{ location(id: $id) {{ name {PAST} }} }}"
GROWING = ("addDevice", "addPerson", "updateLocation", "setContacts", "setPhoneSystem", "setWorkingHours")


@pytest.fixture(params=Executor)
async def either_scenario(
    scenario: Scenario, own_database: TestDatabase, home: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Scenario]:
    """The scenario, read through each of the executors."""
    async with served(own_database, home, executor=request.param) as client:
        read = Scenario(client, scenario.connection)
        read.__dict__.update({**scenario.__dict__, "client": client})
        yield read


async def lived(scenario: Scenario, random: Random, edits: int) -> tuple[Rollout, dict[int, str]]:
    """A location after some edits at random, and the digest that its content had at each revision."""
    location = await scenario.a_location(S.IN_PROGRESS)
    history = {1: location.digest}
    for number in range(edits):
        mutation = random.choice(CONTENT_EDITS if number == 0 else GROWING)
        given = EDITS[mutation](location)
        if "expectedRevision" in given:
            named = given.get("deviceId") or given.get("personId") or min(SECTIONS[mutation])
            given["expectedRevision"] = (await scenario.revisions(location.id))[named]
        if mutation == "updateLocation":
            given["name"] = f"Pier {random.random()} e\u0301 名"
        sent = await scenario.send(scenario.customer, mutation, "location { revision contentDigest }", **given)
        assert sent.outcome == "DONE"
        history[sent.payload["location"]["revision"]] = sent.payload["location"]["contentDigest"]
    return location, history


def digest_of(document: Any) -> str:
    """What the schema says of a content and its digest."""
    return sha256(unicodedata.normalize("NFC", canonical(document).decode()).encode()).hexdigest()


async def check(scenario: Scenario, location: Rollout, history: dict[int, str]) -> None:
    """At each revision stood the digest of that time, and the content has it."""
    fields = " ".join(f"r{revision}: {PAST.replace('$revision', str(revision))}" for revision in history)
    told = (await scenario.client.ask(f'{{ location(id: "{location.id}") {{ {fields} }} }}', scenario.lead)).data[
        "location"
    ]
    for revision, digest in history.items():
        past = told[f"r{revision}"]
        assert (past["revision"], past["digest"], past["erased"]) == (revision, digest, [])
        assert digest_of(past["content"]) == digest


@pytest.mark.parametrize("histories", [12, pytest.param(scaled(40), marks=pytest.mark.slow)])
async def test_the_content_as_of_every_revision_has_the_digest_of_that_time(scenario: Scenario, histories: int) -> None:
    random = Random(histories)
    for _ in range(histories):
        location, history = await lived(scenario, random, random.randrange(1, 6))
        await check(scenario, location, history)


async def test_both_executors_tell_the_same_past(either_scenario: Scenario) -> None:
    location, history = await lived(either_scenario, Random(3), 3)
    await check(either_scenario, location, history)
    assert sorted(history) == [1, 2, 3, 4]


@pytest.mark.parametrize("revision", [0, -1, 2, 2**31 - 1])
async def test_a_revision_that_the_location_never_had_is_not_found_and_the_rest_stands(
    either_scenario: Scenario, revision: int
) -> None:
    location = await either_scenario.a_location(S.IN_PROGRESS)
    answer = await either_scenario.client.ask(AS_OF, either_scenario.lead, id=location.id, revision=revision)
    assert answer.body["data"] == {"location": {"name": location.content.name, "asOf": None}}
    [error] = answer.body["errors"]
    assert (error["extensions"]["code"], error["path"]) == ("NOT_FOUND", ["location", "asOf"])


async def test_what_is_missing_at_one_location_of_a_page_is_told_at_the_others(either_scenario: Scenario) -> None:
    scenario = either_scenario
    (old, _), young = await lived(scenario, Random(5), 1), await scenario.a_location(S.IN_PROGRESS)
    query = f"""query($revision: Int!) {{ old: location(id: "{old.id}") {{ {PAST} }}
                                          young: location(id: "{young.id}") {{ {PAST} }} }}"""
    answer = await scenario.client.ask(query, scenario.lead, revision=2)
    assert (answer.body["data"]["old"]["asOf"]["revision"], answer.body["data"]["young"]) == (2, {"asOf": None})
    assert answer.codes == ["NOT_FOUND"]


@pytest.mark.parametrize("who", ["customer", "partner"])
async def test_the_past_is_for_leads_alone(scenario: Scenario, who: str) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    answer = await scenario.client.ask(AS_OF, getattr(scenario, who), id=location.id, revision=1)
    told = {"customer": {"location": {"name": location.content.name, "asOf": None}}, "partner": {"location": None}}
    assert (answer.body["data"], answer.codes) == (told[who], ["FORBIDDEN"])


async def test_a_device_that_moved_is_there_before_and_here_after(scenario: Scenario) -> None:
    there, here = [await scenario.a_location(S.IN_PROGRESS) for _ in range(2)]
    move: dict[str, Any] = {"deviceId": there.device, "toLocationId": here.id, "expectedRevision": 1}
    assert (await scenario.send(scenario.lead, "moveDevice", **move)).outcome == "DONE"
    found = {}
    for location in (there, here):
        for revision in (1, 2):
            answer = await scenario.client.ask(AS_OF, scenario.lead, id=location.id, revision=revision)
            content = answer.data["location"]["asOf"]["content"]
            found[location.id, revision] = there.device in content["devices"]
    assert found == {(there.id, 1): True, (there.id, 2): False, (here.id, 1): False, (here.id, 2): True}
