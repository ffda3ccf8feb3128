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
from tests.harness import TestDatabase

from .conftest import served
from .edits import CONTENT_EDITS, EDITS, SECTIONS
from .house import House, Rollout

S = LocationStatus
PAST = "asOf(revision: $revision) { revision digest content erased }"
AS_OF = f"query($id: ID!, $revision: Int!) {{ location(id: $id) {{ name {PAST} }} }}"
GROWING = ("addDevice", "addPerson", "updateLocation", "setContacts", "setPhoneSystem", "setWorkingHours")


@pytest.fixture(params=Executor)
async def either_house(
    house: House, own_database: TestDatabase, home: Path, request: pytest.FixtureRequest
) -> AsyncIterator[House]:
    """The house, read through each of the executors."""
    async with served(own_database, home, executor=request.param) as client:
        read = House(client, house.connection)
        read.__dict__.update({**house.__dict__, "client": client})
        yield read


async def lived(house: House, random: Random, edits: int) -> tuple[Rollout, dict[int, str]]:
    """A location after some edits at random, and the digest that its content had at each revision."""
    location = await house.a_location(S.IN_PROGRESS)
    history = {1: location.digest}
    for number in range(edits):
        mutation = random.choice(CONTENT_EDITS if number == 0 else GROWING)
        given = EDITS[mutation](location)
        if "expectedRevision" in given:
            named = given.get("deviceId") or given.get("personId") or min(SECTIONS[mutation])
            given["expectedRevision"] = (await house.revisions(location.id))[named]
        if mutation == "updateLocation":
            given["name"] = f"Pier {random.random()} e\u0301 名"
        sent = await house.send(house.customer, mutation, "location { revision contentDigest }", **given)
        assert sent.outcome == "DONE"
        history[sent.payload["location"]["revision"]] = sent.payload["location"]["contentDigest"]
    return location, history


def digest_of(document: Any) -> str:
    """What the schema says of a content and its digest."""
    return sha256(unicodedata.normalize("NFC", canonical(document).decode()).encode()).hexdigest()


async def check(house: House, location: Rollout, history: dict[int, str]) -> None:
    """At each revision stood the digest of that time, and the content has it."""
    fields = " ".join(f"r{revision}: {PAST.replace('$revision', str(revision))}" for revision in history)
    told = (await house.client.ask(f'{{ location(id: "{location.id}") {{ {fields} }} }}', house.lead)).data["location"]
    for revision, digest in history.items():
        past = told[f"r{revision}"]
        assert (past["revision"], past["digest"], past["erased"]) == (revision, digest, [])
        assert digest_of(past["content"]) == digest


@pytest.mark.parametrize("histories", [12, pytest.param(100, marks=pytest.mark.slow)])
async def test_the_content_as_of_every_revision_has_the_digest_of_that_time(house: House, histories: int) -> None:
    random = Random(histories)
    for _ in range(histories):
        location, history = await lived(house, random, random.randrange(1, 6))
        await check(house, location, history)


async def test_both_executors_tell_the_same_past(either_house: House) -> None:
    location, history = await lived(either_house, Random(3), 3)
    await check(either_house, location, history)
    assert sorted(history) == [1, 2, 3, 4]


@pytest.mark.parametrize("revision", [0, -1, 2, 2**31 - 1])
async def test_a_revision_that_the_location_never_had_is_not_found_and_the_rest_stands(
    either_house: House, revision: int
) -> None:
    location = await either_house.a_location(S.IN_PROGRESS)
    answer = await either_house.client.ask(AS_OF, either_house.lead, id=location.id, revision=revision)
    assert answer.body["data"] == {"location": {"name": location.content.name, "asOf": None}}
    [error] = answer.body["errors"]
    assert (error["extensions"]["code"], error["path"]) == ("NOT_FOUND", ["location", "asOf"])


async def test_what_is_missing_at_one_location_of_a_page_is_told_at_the_others(either_house: House) -> None:
    house = either_house
    (old, _), young = await lived(house, Random(5), 1), await house.a_location(S.IN_PROGRESS)
    query = f"""query($revision: Int!) {{ old: location(id: "{old.id}") {{ {PAST} }}
                                          young: location(id: "{young.id}") {{ {PAST} }} }}"""
    answer = await house.client.ask(query, house.lead, revision=2)
    assert (answer.body["data"]["old"]["asOf"]["revision"], answer.body["data"]["young"]) == (2, {"asOf": None})
    assert answer.codes == ["NOT_FOUND"]


@pytest.mark.parametrize("who", ["customer", "partner"])
async def test_the_past_is_for_leads_alone(house: House, who: str) -> None:
    location = await house.a_location(S.IN_PROGRESS)
    answer = await house.client.ask(AS_OF, getattr(house, who), id=location.id, revision=1)
    told = {"customer": {"location": {"name": location.content.name, "asOf": None}}, "partner": {"location": None}}
    assert (answer.body["data"], answer.codes) == (told[who], ["FORBIDDEN"])


async def test_a_device_that_moved_is_there_before_and_here_after(house: House) -> None:
    there, here = [await house.a_location(S.IN_PROGRESS) for _ in range(2)]
    move = {"deviceId": there.device, "toLocationId": here.id, "expectedRevision": 1}
    assert (await house.send(house.lead, "moveDevice", **move)).outcome == "DONE"
    found = {}
    for location in (there, here):
        for revision in (1, 2):
            answer = await house.client.ask(AS_OF, house.lead, id=location.id, revision=revision)
            content = answer.data["location"]["asOf"]["content"]
            found[location.id, revision] = there.device in content["devices"]
    assert found == {(there.id, 1): True, (there.id, 2): False, (here.id, 1): False, (here.id, 2): True}
