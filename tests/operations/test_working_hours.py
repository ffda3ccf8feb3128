"""Working hours keep their ids while they stay the same, whether or not the ids are sent, and where they are sent."""

from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus

from .scenario import Rollout, Scenario, Sent, a_key

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
SELECT = "location { workingHours { id weekday opens closes passesMidnight } }"
CHANGES = """SELECT c.row_id, c.field FROM turnup.field_change c JOIN turnup.audit_entry e ON e.id = c.entry_id
WHERE e.location_id = $1 AND e.action = 'setWorkingHours' AND c.table_name = 'working_hours'"""


def an_interval(weekday: int, opens: str = "08:30:00", closes: str = "17:00:00", **more: Any) -> dict[str, Any]:
    return {"weekday": weekday, "opens": opens, "closes": closes, **more}


async def send(scenario: Scenario, location: Rollout, *intervals: dict[str, Any], **more: Any) -> Sent:
    revision = (await scenario.revisions(location.id))["WORKING_HOURS"]
    given = {"locationId": location.id, "expectedRevision": revision, "intervals": intervals, **more}
    return await scenario.send(scenario.customer, "setWorkingHours", SELECT, **given)


def ids_of(sent: Sent) -> list[str]:
    assert sent.outcome == "DONE", sent
    return [each["id"] for each in sent.payload["location"]["workingHours"]]


def stored(location: Rollout) -> list[str]:
    return [each.id for each in location.content.working_hours]


async def changes(scenario: Scenario, location: Rollout) -> set[tuple[str, str]]:
    return {tuple(row) for row in await scenario.connection.fetch(CHANGES, location.id)}


@pytest.mark.parametrize("named", [False, True], ids=["without ids", "with ids"])
async def test_hours_that_are_sent_as_they_are_keep_their_ids_and_change_nothing(
    scenario: Scenario, named: bool
) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    ids = stored(location)
    week = [an_interval(day, **{"id": ids[day - 1]} if named else {}) for day in range(5, 0, -1)]
    assert ids_of(await send(scenario, location, *week)) == ids
    assert await changes(scenario, location) == set()
    assert await scenario.digest_of_rows(location.id) == location.digest


async def test_only_what_changed_is_in_the_audit_log(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    monday, tuesday, *rest = stored(location)
    week = [an_interval(1, "09:00:00", id=monday), an_interval(2, closes="16:00:00"), *map(an_interval, (3, 4, 5))]
    kept, new, *others = ids_of(await send(scenario, location, *week))
    assert (kept, others) == (monday, rest)
    assert new not in stored(location)
    found = await changes(scenario, location)
    assert {field for row, field in found if row == monday} == {"opens"}
    assert {row for row, _ in found} == {monday, tuesday, new}


async def test_an_interval_takes_the_id_of_one_that_it_equals_and_that_nothing_else_names(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    monday, tuesday, *_ = stored(location)
    moved = ids_of(await send(scenario, location, an_interval(1, id=tuesday), an_interval(1), an_interval(1)))
    assert {monday, tuesday} < set(moved)
    assert len(set(moved)) == 3
    night = ids_of(await send(scenario, location, an_interval(1, passesMidnight=True)))
    assert not set(night) & set(moved)


async def test_an_id_that_is_sent_twice_is_refused(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    sent = await send(scenario, location, an_interval(1, id=location.hours), an_interval(2, id=location.hours))
    assert (sent.outcome, sent.problem["path"]) == ("INVALID_INPUT", ["intervals"])
    assert (await scenario.state_of(location.id)).revision == 1


async def test_an_id_that_was_removed_is_gone(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    await send(scenario, location)
    sent = await send(scenario, location, an_interval(1, id=location.hours))
    assert (sent.outcome, sent.problem["path"]) == ("NOT_FOUND", ["intervals", "0", "id"])


async def test_a_replay_returns_the_ids_of_the_first_call(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    given = {"intervals": [an_interval(6), an_interval(7)], "expectedRevision": 1, "idempotencyKey": a_key()}
    first, again = [await send(scenario, location, **given) for _ in range(2)]
    assert (first.replayed, again.replayed) == (False, True)
    assert ids_of(first) == ids_of(again)
