"""The arrivals of the load test follow the model of the day, and wait for nobody."""

import statistics
from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from bench.load import day
from bench.load.day import HOUR_SECONDS, PARTNERS, PEOPLE, POLL_INTERVAL, POLL_REQUESTS, SHARES, Arrival, Visit

DAYS = [day.schedule(Random(seed)) for seed in range(30)]


def requests(arrivals: list[Arrival], hour: int, hour_seconds: float = HOUR_SECONDS) -> float:
    """The requests of the visits that begin in an hour."""
    found = [each.visit for each in arrivals if each.at // hour_seconds == hour]
    return sum(POLL_REQUESTS if visit is Visit.POLL else PEOPLE[visit].requests for visit in found)


@pytest.mark.parametrize("hour", range(len(SHARES)))
def test_each_hour_has_its_share_of_the_peak(hour: int) -> None:
    per_second = statistics.mean(requests(arrivals, hour) for arrivals in DAYS) / HOUR_SECONDS
    assert per_second == pytest.approx(SHARES[hour] * day.peak_rate(), rel=0.05)


@pytest.mark.parametrize("visit", PEOPLE)
def test_a_compressed_day_has_all_visits_of_the_day(visit: Visit) -> None:
    number = statistics.mean(sum(each.visit is visit for each in arrivals) for arrivals in DAYS)
    expected = PEOPLE[visit].per_day
    assert number == pytest.approx(expected, abs=4 * (expected / len(DAYS)) ** 0.5)


def test_shorter_hours_leave_out_visits_and_keep_the_rates() -> None:
    shorter = [day.schedule(Random(seed), HOUR_SECONDS / 6) for seed in range(60)]
    peak = SHARES.index(day.PEAK)
    per_second = statistics.mean(requests(each, peak, HOUR_SECONDS / 6) for each in shorter) / (HOUR_SECONDS / 6)
    assert per_second == pytest.approx(day.peak_rate(), rel=0.06)
    assert max(each.at for each in shorter[0]) < len(SHARES) * HOUR_SECONDS / 6


def test_people_arrive_at_random_and_partners_at_intervals() -> None:
    peak = SHARES.index(day.PEAK) * HOUR_SECONDS
    gaps = [
        after.at - before.at
        for arrivals in DAYS
        for before, after in pairwise(
            [each for each in arrivals if each.visit is Visit.BROWSE and peak <= each.at < peak + HOUR_SECONDS]
        )
    ]
    assert statistics.stdev(gaps) / statistics.mean(gaps) == pytest.approx(1, rel=0.1)  # exponential gaps
    polls = [each.at for each in DAYS[0] if each.visit is Visit.POLL]
    assert max(after - before for before, after in pairwise(polls)) == pytest.approx(POLL_INTERVAL / PARTNERS)


def test_partners_poll_as_often_at_noon_as_at_the_peak() -> None:
    polls = Counter(int(each.at // HOUR_SECONDS) for each in DAYS[0] if each.visit is Visit.POLL)
    assert max(polls.values()) - min(polls.values()) <= PARTNERS


def test_even_the_shortest_day_has_each_kind_of_visit() -> None:
    assert {each.visit for each in day.schedule(Random(1), 0.01)} >= set(PEOPLE)


def test_the_visits_of_a_kind_are_numbered_without_gaps() -> None:
    numbers = [each.number for each in DAYS[0] if each.visit is Visit.HAND_OFF]
    assert numbers == list(range(len(numbers)))
