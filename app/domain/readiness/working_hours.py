"""Working hours: there must be some, each a valid interval, without overlap."""

from collections.abc import Iterator
from datetime import time

from app.domain.content import LocationContent, WorkingHours
from app.domain.content_document import hours_in_order, with_places
from app.domain.issue import Issue
from app.domain.readiness.findings import issue
from app.domain.readiness.outside import Outside
from app.domain.vocabulary import IssueCode

_DAY = 24 * 60
_WEEK = 7 * _DAY


def present(content: LocationContent, _: Outside) -> Iterator[Issue]:
    if not content.working_hours:
        yield issue(IssueCode.HOURS_MISSING, "/workingHours")


def direction(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for place, interval in _placed(content):
        if not _is_interval(interval):
            yield _at(IssueCode.HOURS_INVERTED, place, interval)


def overlap(content: LocationContent, _: Outside) -> Iterator[Issue]:
    earlier: list[WorkingHours] = []
    for place, interval in _placed(content):
        if not _is_interval(interval):
            continue
        if any(_overlaps(interval, other) for other in earlier):
            yield _at(IssueCode.HOURS_OVERLAP, place, interval)
        earlier.append(interval)


RULES = (present, direction, overlap)


def _placed(content: LocationContent) -> Iterator[tuple[str, WorkingHours]]:
    return with_places(hours_in_order(content.working_hours), lambda interval: str(interval.weekday))


def _at(code: IssueCode, place: str, interval: WorkingHours) -> Issue:
    return issue(code, f"/workingHours/{place}", opens=f"{interval.opens:%H:%M}", closes=f"{interval.closes:%H:%M}")


def _is_interval(interval: WorkingHours) -> bool:
    return 0 < _length(interval) <= _DAY


def _overlaps(one: WorkingHours, other: WorkingHours) -> bool:
    """Return whether two intervals share a minute. The week wraps around: Sunday's interval may extend into Monday."""
    ahead = (_start(other) - _start(one)) % _WEEK
    behind = (_start(one) - _start(other)) % _WEEK
    return ahead < _length(one) or behind < _length(other)


def _start(interval: WorkingHours) -> int:
    return (interval.weekday - 1) * _DAY + _minute(interval.opens)


def _length(interval: WorkingHours) -> int:
    return _minute(interval.closes) - _minute(interval.opens) + interval.passes_midnight * _DAY


def _minute(moment: time) -> int:
    return moment.hour * 60 + moment.minute
