"""A lock covers the location and everything in it on every path that the schema has."""

from dataclasses import replace
from itertools import product

import pytest

from app.domain.vocabulary import LOCKED_STATUSES, LocationStatus, Section
from app.operations.frame import EDITS as COUNTED_AS_EDITS

from .edits import CONTENT_EDITS, EDITS, SECTIONS
from .house import House, Rollout, Sent, input_fields
from .inputs import OF_A_LOCATION, arranged, good_input

S = LocationStatus
LOCKED = sorted(LOCKED_STATUSES)
UNLOCKED = sorted(set(S) - LOCKED_STATUSES)


async def content_of(house: House, *locations: Rollout) -> list[object]:
    """All that an edit could have changed of the locations."""
    dossiers = [await house.dossier(each.id) for each in locations]
    return [(each.content, each.row_revisions, each.sections) for each in dossiers]


async def tried(house: House, who: str, mutation: str, here: Rollout) -> tuple[Sent, bool]:
    """What a mutation answers, and whether the content of either location that it may name is another one since."""
    other = await house.a_location(S.IN_PROGRESS) if "toLocationId" in input_fields(mutation) else here
    before = await content_of(house, here, other)
    sent = await house.send(who, mutation, **good_input(mutation, here, other))
    return sent, await content_of(house, here, other) != before


async def test_the_mutations_that_edit_are_found_by_trying_every_one_that_the_schema_has(house: House) -> None:
    """A mutation that is new is tried as well; if it edits, it has to be one of those that are tried below."""
    edits = set()
    for mutation in OF_A_LOCATION:
        who, location = await arranged(house, mutation)
        sent, edited = await tried(house, who, mutation, location)
        assert (mutation, sent.outcome, sent.problem) == (mutation, "DONE", {})
        if edited:
            edits.add(mutation)
    assert edits == {*CONTENT_EDITS, "moveDevice"} == set(COUNTED_AS_EDITS)
    assert set(EDITS) == set(SECTIONS) == edits - {"moveDevice"} | {"setCurrentStep"}


@pytest.mark.parametrize(("mutation", "status"), list(product(OF_A_LOCATION, LOCKED)))
async def test_whatever_mutation_anybody_sends_a_locked_location_keeps_its_content(
    house: House, mutation: str, status: LocationStatus
) -> None:
    for who in (house.lead, house.customer, house.partner):
        _, location = await arranged(house, mutation, status)
        sent, edited = await tried(house, who, mutation, location)
        assert not edited
        if mutation in COUNTED_AS_EDITS:
            assert sent.outcome == ("FORBIDDEN" if who == house.partner else "LOCKED")


@pytest.mark.parametrize(("mutation", "status"), list(product(sorted(EDITS), LOCKED)))
async def test_an_edit_of_a_locked_location_is_refused_to_everybody_without_an_override_of_their_own_in_force(
    house: House, mutation: str, status: LocationStatus
) -> None:
    bare = await house.a_location(status)
    others = await house.a_location(status, override_of=house.lead_2)
    expired = await house.a_location(status, override_of=house.lead)
    await house.expire(expired.override or "")
    for location, people in (
        (bare, (house.customer, house.lead)),
        (others, (house.customer, house.lead)),
        (expired, (house.lead,)),
    ):
        before = await house.standing(location.id)
        dossier = await house.dossier(location.id)
        for who in people:
            sent = await house.send(who, mutation, **EDITS[mutation](location))
            assert (sent.outcome, sent.problem["status"], sent.problem["path"]) == ("LOCKED", status, [])
        assert await house.standing(location.id) == replace(before, entries=before.entries + len(people))
        assert replace_now(await house.dossier(location.id)) == replace_now(dossier)
        assert {(each["outcome"], each["code"]) for each in await house.entries(location.id)} == {("REFUSED", "LOCKED")}


@pytest.mark.parametrize(("mutation", "status"), list(product(CONTENT_EDITS, LOCKED)))
async def test_an_override_opens_its_own_sections_to_its_opener_and_no_others(
    house: House, mutation: str, status: LocationStatus
) -> None:
    wanted = SECTIONS[mutation]
    others = sorted(set(Section) - wanted)
    closed = await house.a_location(status, override_of=house.lead, sections=others)
    refused = await house.send(house.lead, mutation, **EDITS[mutation](closed))
    assert (refused.outcome, sorted(refused.problem["sections"])) == ("OVERRIDE_SCOPE", others)
    assert (await house.standing(closed.id)).digest == closed.digest
    opened = await house.a_location(status, override_of=house.lead, sections=sorted(wanted))
    assert (await house.send(house.lead, mutation, **EDITS[mutation](opened))).outcome == "DONE"
    after = await house.standing(opened.id)
    assert (after.status, after.digest != opened.digest) == (status, True)
    (entry,) = await house.entries(opened.id)
    assert (entry["action"], entry["override_id"], entry["actor_id"]) == (mutation, opened.override, house.lead)


@pytest.mark.parametrize("mutation", [each for each in CONTENT_EDITS if len(SECTIONS[each]) > 1])
async def test_an_edit_that_reaches_into_a_second_section_needs_both(house: House, mutation: str) -> None:
    for section in sorted(SECTIONS[mutation]):
        location = await house.a_location(S.APPROVED, override_of=house.lead, sections=[section])
        assert (await house.send(house.lead, mutation, **EDITS[mutation](location))).outcome == "OVERRIDE_SCOPE"


@pytest.mark.parametrize(("mutation", "status"), list(product(CONTENT_EDITS, UNLOCKED)))
async def test_an_unlocked_location_is_edited_by_customers_and_leads_alike(
    house: House, mutation: str, status: LocationStatus
) -> None:
    for who in (house.customer, house.lead):
        location = await house.a_location(status)
        assert (await house.send(who, mutation, **EDITS[mutation](location))).outcome == "DONE"
        after = await house.standing(location.id)
        assert after.status == (S.IN_PROGRESS if status is S.NOT_STARTED else status)
        assert after.digest != location.digest
        assert await house.digest_of_rows(location.id) == after.digest


@pytest.mark.parametrize("mutation", sorted(EDITS))
async def test_nobody_edits_what_is_out_of_their_reach(house: House, mutation: str) -> None:
    location = await house.a_location(S.IN_PROGRESS)
    for who in (house.listed, house.away_customer):
        assert (await house.send(who, mutation, **EDITS[mutation](location))).outcome == "NOT_FOUND"
    assert (await house.send(house.partner, mutation, **EDITS[mutation](location))).outcome == "FORBIDDEN"
    assert (await house.standing(location.id)).digest == location.digest


@pytest.mark.parametrize(("status", "way"), list(product(LOCKED, ["out", "in"])))
async def test_a_device_moves_neither_out_of_a_locked_location_nor_into_one(
    house: House, status: LocationStatus, way: str
) -> None:
    locked, open_ = await house.a_location(status), await house.a_location(S.IN_PROGRESS)
    source, target = (locked, open_) if way == "out" else (open_, locked)
    given = {"deviceId": source.device, "toLocationId": target.id, "expectedRevision": 1}
    for who in (house.customer, house.lead):
        sent = await house.send(who, "moveDevice", **given)
        assert (sent.outcome, sent.problem["status"]) == ("LOCKED", status)
    for location in (locked, open_):
        assert (await house.standing(location.id)).digest == location.digest


def replace_now(dossier: object) -> object:
    """A dossier without the moment at which it was read."""
    return {name: getattr(dossier, name) for name in dossier.__struct_fields__ if name != "now"}  # type: ignore[attr-defined]
