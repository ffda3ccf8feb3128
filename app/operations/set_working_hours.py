"""Replace a location's working hours."""

from dataclasses import dataclass, replace
from datetime import time

from app.domain.content import WorkingHours
from app.domain.limits import check_cap, check_range, check_whole_minutes
from app.domain.vocabulary import Budget, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.editing import check_known, check_once, edited, permitted
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingInterval:
    """An interval in which the location is open, in its local time. `id` identifies an existing interval."""

    id: str | None = None
    weekday: int
    opens: time
    closes: time
    passes_midnight: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWorkingHours(Command):
    """The complete working hours."""

    location_id: str
    expected_revision: int
    intervals: tuple[WorkingInterval, ...]


def decide(aggregate: Aggregate, command: SetWorkingHours) -> LocationChange:
    """Replace the working hours. An interval with an id keeps it; one without takes that of an equal interval.

    Raises Locked, OverrideScope, Conflict, LimitReached, NotFound, InvalidInput.
    """
    override_id = permitted(aggregate, Section.WORKING_HOURS)
    aggregate.check_section_revision(Section.WORKING_HOURS, command.expected_revision)
    check_cap("workingHours", command.intervals, path=("intervals",))
    stored = aggregate.content.working_hours
    known = {each.id for each in stored}
    for place, each in enumerate(command.intervals):
        check_known(each.id, known, ("intervals", str(place), "id"))
    named = [each.id for each in command.intervals if each.id is not None]
    check_once("id", named, path=("intervals",))
    unnamed = [each for each in stored if each.id not in named]
    intervals = tuple(_interval(aggregate, each, unnamed, place) for place, each in enumerate(command.intervals))
    return edited(aggregate, Section.WORKING_HOURS, override_id, replace(aggregate.content, working_hours=intervals))


def _interval(aggregate: Aggregate, given: WorkingInterval, unnamed: list[WorkingHours], place: int) -> WorkingHours:
    """The interval with its id. One without takes an equal interval out of `unnamed`, those that no id names."""
    path = ("intervals", str(place))
    check_range("weekday", given.weekday, path=(*path, "weekday"))
    check_whole_minutes("opens", given.opens, path=(*path, "opens"))
    check_whole_minutes("closes", given.closes, path=(*path, "closes"))
    interval = WorkingHours(
        id=given.id or aggregate.new_id("WorkingHours"),
        weekday=given.weekday,
        opens=given.opens,
        closes=given.closes,
        passes_midnight=bool(given.passes_midnight),
    )
    if given.id is None:
        for each in unnamed:
            if replace(interval, id=each.id) == each:
                unnamed.remove(each)
                return each
    return interval


SET_WORKING_HOURS = LocationMutation(
    name="setWorkingHours",
    command=SetWorkingHours,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
