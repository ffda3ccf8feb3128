"""A lock covers the location and everything in it on every path that the schema has."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from app.domain.vocabulary import LOCKED_STATUSES, LocationStatus, Section
from app.operations.registry import EDITS as COUNTED_AS_EDITS

from .edits import CONTENT_EDITS, EDITS, SECTIONS
from .inputs import OF_A_LOCATION, arranged, good_input
from .scenario import Rollout, Scenario, Sent, input_fields

S = LocationStatus
LOCKED = sorted(LOCKED_STATUSES)
UNLOCKED = sorted(set(S) - LOCKED_STATUSES)


async def content_of(scenario: Scenario, *locations: Rollout) -> list[object]:
    """All that an edit could have changed of the locations."""
    records = [await scenario.record(each.id) for each in locations]
    return [(each.content, each.row_revisions, each.sections) for each in records]


async def tried(scenario: Scenario, who: str, mutation: str, here: Rollout) -> tuple[Sent, bool]:
    """What a mutation answers, and whether the content of either location that it may name is another one since."""
    other = await scenario.a_location(S.IN_PROGRESS) if "toLocationId" in input_fields(mutation) else here
    before = await content_of(scenario, here, other)
    sent = await scenario.send(who, mutation, **good_input(mutation, here, other))
    return sent, await content_of(scenario, here, other) != before


async def test_the_mutations_that_edit_are_found_by_trying_every_one_that_the_schema_has(scenario: Scenario) -> None:
    """A mutation that is new is tried as well; if it edits, it has to be one of those that are tried below."""
    edits = set()
    for mutation in OF_A_LOCATION:
        who, location = await arranged(scenario, mutation)
        sent, edited = await tried(scenario, who, mutation, location)
        assert (mutation, sent.outcome, sent.problem) == (mutation, "DONE", {})
        if edited:
            edits.add(mutation)
    assert edits == {*CONTENT_EDITS, *OTHER_EDITS} == set(COUNTED_AS_EDITS)
    assert set(EDITS) == set(SECTIONS) == edits - OTHER_EDITS | {"setCurrentStep"}


async def test_only_leads_replace_a_device_of_a_locked_location_which_opens_an_override(scenario: Scenario) -> None:
    for status in sorted(LOCKED):
        location = await scenario.a_location(status)
        for who in (scenario.customer, scenario.partner):
            sent, edited = await tried(scenario, who, "replaceDevice", location)
            assert (sent.outcome, edited) == ("FORBIDDEN", False)
        sent, edited = await tried(scenario, scenario.lead, "replaceDevice", location)
        assert (sent.outcome, edited) == ("DONE", True)
        *_, entry = await scenario.entries(location.id)
        assert entry["is_override"]


OTHER_EDITS = frozenset({"moveDevice", "replaceDevice"})
WITHOUT_OVERRIDE = [each for each in OF_A_LOCATION if each != "replaceDevice"]


@pytest.mark.parametrize(("mutation", "status"), list(product(WITHOUT_OVERRIDE, LOCKED)))
async def test_no_mutation_by_any_role_changes_the_content_of_a_locked_location(
    scenario: Scenario, mutation: str, status: LocationStatus
) -> None:
    location: Rollout | None = None  # one that refused a mutation serves for the next who sends it
    for who in (scenario.lead, scenario.customer, scenario.partner):
        location = location or (await arranged(scenario, mutation, status))[1]
        sent, edited = await tried(scenario, who, mutation, location)
        location = None if sent.outcome == "DONE" else location
        assert not edited
        if mutation in COUNTED_AS_EDITS:
            assert sent.outcome == ("FORBIDDEN" if who == scenario.partner else "LOCKED")


@pytest.mark.parametrize(("mutation", "status"), list(product(sorted(EDITS), LOCKED)))
async def test_an_edit_of_a_locked_location_is_refused_to_everybody_without_an_override_of_their_own_in_force(
    scenario: Scenario, mutation: str, status: LocationStatus
) -> None:
    bare = await scenario.a_location(status)
    others = await scenario.a_location(status, override_of=scenario.lead_2)
    expired = await scenario.a_location(status, override_of=scenario.lead)
    await scenario.expire(expired.override or "")
    for location, people in (
        (bare, (scenario.customer, scenario.lead)),
        (others, (scenario.customer, scenario.lead)),
        (expired, (scenario.lead,)),
    ):
        before = await scenario.state_of(location.id)
        record = await scenario.record(location.id)
        for who in people:
            sent = await scenario.send(who, mutation, **EDITS[mutation](location))
            assert (sent.outcome, sent.problem["status"], sent.problem["path"]) == ("LOCKED", status, [])
        assert await scenario.state_of(location.id) == replace(before, entries=before.entries + len(people))
        assert replace_now(await scenario.record(location.id)) == replace_now(record)
        assert {(each["outcome"], each["code"]) for each in await scenario.entries(location.id)} == {
            ("REFUSED", "LOCKED")
        }


@pytest.mark.parametrize(("mutation", "status"), list(product(CONTENT_EDITS, LOCKED)))
async def test_an_override_opens_its_own_sections_to_its_opener_and_no_others(
    scenario: Scenario, mutation: str, status: LocationStatus
) -> None:
    wanted = SECTIONS[mutation]
    others = sorted(set(Section) - wanted)
    closed = await scenario.a_location(status, override_of=scenario.lead, sections=others)
    refused = await scenario.send(scenario.lead, mutation, **EDITS[mutation](closed))
    assert (refused.outcome, sorted(refused.problem["sections"])) == ("OVERRIDE_SCOPE", others)
    assert (await scenario.state_of(closed.id)).digest == closed.digest
    opened = await scenario.a_location(status, override_of=scenario.lead, sections=sorted(wanted))
    assert (await scenario.send(scenario.lead, mutation, **EDITS[mutation](opened))).outcome == "DONE"
    after = await scenario.state_of(opened.id)
    assert (after.status, after.digest != opened.digest) == (status, True)
    (entry,) = await scenario.entries(opened.id)
    assert (entry["action"], entry["override_id"], entry["actor_id"]) == (mutation, opened.override, scenario.lead)


@pytest.mark.parametrize("mutation", [each for each in CONTENT_EDITS if len(SECTIONS[each]) > 1])
async def test_an_edit_that_reaches_into_a_second_section_needs_both(scenario: Scenario, mutation: str) -> None:
    for section in sorted(SECTIONS[mutation]):
        location = await scenario.a_location(S.APPROVED, override_of=scenario.lead, sections=[section])
        assert (await scenario.send(scenario.lead, mutation, **EDITS[mutation](location))).outcome == "OVERRIDE_SCOPE"


@pytest.mark.parametrize(("mutation", "status"), list(product(CONTENT_EDITS, UNLOCKED)))
async def test_an_unlocked_location_is_edited_by_customers_and_leads_alike(
    scenario: Scenario, mutation: str, status: LocationStatus
) -> None:
    for who in (scenario.customer, scenario.lead):
        location = await scenario.a_location(status)
        assert (await scenario.send(who, mutation, **EDITS[mutation](location))).outcome == "DONE"
        after = await scenario.state_of(location.id)
        assert after.status == (S.IN_PROGRESS if status is S.NOT_STARTED else status)
        assert after.digest != location.digest
        assert await scenario.digest_of_rows(location.id) == after.digest


@pytest.mark.parametrize("mutation", sorted(EDITS))
async def test_nobody_edits_what_is_out_of_their_reach(scenario: Scenario, mutation: str) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    for who in (scenario.listed, scenario.away_customer):
        assert (await scenario.send(who, mutation, **EDITS[mutation](location))).outcome == "NOT_FOUND"
    assert (await scenario.send(scenario.partner, mutation, **EDITS[mutation](location))).outcome == "FORBIDDEN"
    assert (await scenario.state_of(location.id)).digest == location.digest


@pytest.mark.parametrize(("status", "way"), list(product(LOCKED, ["out", "in"])))
async def test_a_device_moves_neither_out_of_a_locked_location_nor_into_one(
    scenario: Scenario, status: LocationStatus, way: str
) -> None:
    locked, open_ = await scenario.a_location(status), await scenario.a_location(S.IN_PROGRESS)
    source, target = (locked, open_) if way == "out" else (open_, locked)
    given: dict[str, Any] = {"deviceId": source.device, "toLocationId": target.id, "expectedRevision": 1}
    for who in (scenario.customer, scenario.lead):
        sent = await scenario.send(who, "moveDevice", **given)
        assert (sent.outcome, sent.problem["status"]) == ("LOCKED", status)
    for location in (locked, open_):
        assert (await scenario.state_of(location.id)).digest == location.digest


def replace_now(record: object) -> object:
    """An aggregate without the time at which it was read."""
    return {name: getattr(record, name) for name in record.__struct_fields__ if name != "now"}  # type: ignore[attr-defined]
