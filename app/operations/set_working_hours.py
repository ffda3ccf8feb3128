"""Replace a location's working hours."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.domain.content import WorkingHours
from app.domain.limits import check_cap, check_range, check_whole_minutes
from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import edited, permitted


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """The intervals become what is given."""
    override_id = permitted(aggregate, Section.WORKING_HOURS)
    aggregate.check_section_revision(Section.WORKING_HOURS, given["expected_revision"])
    check_cap("workingHours", given["intervals"], path=("intervals",))
    intervals = tuple(_interval(each, place) for place, each in enumerate(given["intervals"]))
    return edited(aggregate, Section.WORKING_HOURS, override_id, replace(aggregate.content, working_hours=intervals))


def _interval(given: Mapping[str, Any], place: int) -> WorkingHours:
    path = ("intervals", str(place))
    check_range("weekday", given["weekday"], path=(*path, "weekday"))
    for name in ("opens", "closes"):
        check_whole_minutes(name, given[name], path=(*path, name))
    return WorkingHours(
        weekday=given["weekday"],
        opens=given["opens"],
        closes=given["closes"],
        passes_midnight=bool(given.get("passes_midnight")),
    )


SET_WORKING_HOURS = UseCase(mutation="setWorkingHours", decide=decide)
