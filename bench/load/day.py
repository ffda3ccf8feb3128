"""The model of a working day, and its schedule. Values and pure functions: no clock, no I/O.

The numbers are our assumptions; docs/performance.md explains them. All times of the day are divided by COMPRESSION:
the hours, the pauses of people and the intervals of pollers. The rates are therefore COMPRESSION times those of the
day. Shorter hours leave out visits, and change no rate.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from random import Random

COMPRESSION = 240
HOUR = 3_600.0
HOUR_SECONDS = HOUR / COMPRESSION
"""The length of an hour in a run that leaves nothing out."""
SHARES = (0.4, 0.7, 1.0, 0.9, 0.5, 0.7, 1.0, 0.9, 0.5, 0.4)
"""The arrivals of each hour from 8 to 18 o'clock, as shares of those of the busiest hours."""
PEAK, HALF = 1.0, 0.5
"""The shares to which the pass marks apply."""
AFTER = 0.0
"""The share after the last hour, in which visits end."""

LOCATIONS = 20_000
ACCOUNTS, CUSTOMERS_PER_ACCOUNT = 40, 3
"""The accounts that are rolled out at present, and the people of each who use the product."""
LEADS, PARTNERS = 16, 3
PAUSE = 40 / COMPRESSION
"""The mean seconds between two steps of a person."""
POLL_INTERVAL = 30 / COMPRESSION
"""The seconds between two polls of a partner, 30 in docs/examples/poller.py."""
POLL_OVERLAP = 60 / COMPRESSION
REVIEW_DELAY = 600 / COMPRESSION
"""The seconds from a submission to its review."""
WAVE_SIZE = 20
"""The locations of a bulk mutation."""
EDITS_PER_VISIT = 5
STALE, CHANGES_REQUESTED, EDITED_IN_REVIEW = 0.05, 0.25, 0.1
"""The shares of edits with an old revision, of submissions sent back, and of submissions edited while in review."""


class Visit(StrEnum):
    """What somebody does in one go."""

    BROWSE = "a customer browses"
    EDIT = "a customer edits a location"
    CONTEST = "two customers edit one location"
    HAND_OFF = "a location passes from submission to release"
    LOOK = "a lead browses"
    WAVE = "leads move locations in bulk"
    POLL = "a partner polls"


@dataclass(frozen=True, slots=True)
class Frequency:
    """The visits of a kind per day, and the mean number of their requests."""

    per_day: float
    requests: float


PEOPLE = {
    Visit.BROWSE: Frequency(600, 8),
    Visit.EDIT: Frequency(216, 2 + EDITS_PER_VISIT),
    Visit.CONTEST: Frequency(24, 10),
    Visit.HAND_OFF: Frequency(40, 9),
    Visit.LOOK: Frequency(400, 7),
    Visit.WAVE: Frequency(8, 10),
}
POLL_REQUESTS = 2


@dataclass(frozen=True, slots=True)
class Arrival:
    """The start of a visit, in seconds from the start of the day. `number` counts the visits of its kind."""

    at: float
    visit: Visit
    number: int


def polls_per_second() -> float:
    """Return the requests per second of all pollers, at any hour."""
    return PARTNERS * POLL_REQUESTS / POLL_INTERVAL


def people_per_day() -> float:
    """Return the requests of all people per day."""
    return sum(each.per_day * each.requests for each in PEOPLE.values())


def peak_rate() -> float:
    """Return the requests per second of the busiest hours of a run."""
    people = people_per_day() / HOUR * COMPRESSION
    return (people + polls_per_second() * len(SHARES)) / sum(SHARES)


def visits_per_second(visit: Visit, share: float) -> float:
    """Return the visits of people of a kind per second, in an hour with this share of the peak.

    Pollers do not follow the hours, so people make up the rest of the share.
    """
    requests = max(0.0, share * peak_rate() - polls_per_second())
    return requests * PEOPLE[visit].per_day / people_per_day()


def schedule(random: Random, hour_seconds: float = HOUR_SECONDS) -> list[Arrival]:
    """Return the visits of a day in the order of time: people at random (Poisson), pollers at their intervals.

    Each kind of visit occurs at least once, in the first of the busiest hours if chance leaves it out.
    """
    moments: list[tuple[float, Visit]] = []
    for visit in PEOPLE:
        found = [
            at
            for hour, share in enumerate(SHARES)
            for at in poisson(random, visits_per_second(visit, share), hour * hour_seconds, (hour + 1) * hour_seconds)
        ]
        moments += [(at, visit) for at in found or [SHARES.index(PEAK) * hour_seconds]]
    day = len(SHARES) * hour_seconds
    for partner in range(PARTNERS):
        first = POLL_INTERVAL * partner / PARTNERS
        moments += [(first + turn * POLL_INTERVAL, Visit.POLL) for turn in range(int((day - first) / POLL_INTERVAL))]
    numbers = {visit: count() for visit in Visit}
    return [Arrival(at, visit, next(numbers[visit])) for at, visit in sorted(moments)]


def poisson(random: Random, rate: float, begin: float, end: float) -> Iterator[float]:
    """Yield random moments of a period, independent of each other, with a mean `rate` per second."""
    if rate <= 0:
        return
    at = begin + random.expovariate(rate)
    while at < end:
        yield at
        at += random.expovariate(rate)
