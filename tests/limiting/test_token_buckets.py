"""Bounds per key: a minute's amount at once, then evenly; memory is bounded."""

import pytest

from app.limiting.token_buckets import TokenBuckets


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(buckets: TokenBuckets, key: str, times: int) -> int:
    """Return how many of so many events are allowed at this moment."""
    allowed = 0
    for _ in range(times):
        if buckets.wait_seconds(key) == 0:
            buckets.count(key)
            allowed += 1
    return allowed


@pytest.mark.parametrize("per_minute", [1, 7, 60, 600, 90_001])
def test_a_minutes_amount_is_allowed_at_once_and_not_one_more(per_minute: int) -> None:
    buckets = TokenBuckets(per_minute, clock=Seconds())
    assert taken(buckets, "a", per_minute + 10) == per_minute
    assert taken(buckets, "b", 1) == 1


def test_afterwards_one_is_allowed_per_share_of_the_minute() -> None:
    clock = Seconds()
    buckets = TokenBuckets(600, clock=clock)
    taken(buckets, "a", 600)
    assert buckets.wait_seconds("a") == pytest.approx(0.1)
    clock.now += 0.05
    assert buckets.wait_seconds("a") == pytest.approx(0.05)
    clock.now += 0.05
    assert taken(buckets, "a", 10) == 1
    clock.now += 6
    assert taken(buckets, "a", 100) == 60


def test_a_refused_event_delays_nothing() -> None:
    clock = Seconds()
    buckets = TokenBuckets(60, clock=clock)
    taken(buckets, "a", 10_000)
    clock.now += 1
    assert taken(buckets, "a", 10) == 1


def test_a_quiet_minute_allows_a_minutes_amount_again_and_no_more() -> None:
    clock = Seconds()
    buckets = TokenBuckets(60, clock=clock)
    taken(buckets, "a", 60)
    clock.now += 3600
    assert taken(buckets, "a", 1000) == 60


def test_no_more_keys_are_held_than_allowed_and_the_longest_unused_goes_first() -> None:
    buckets = TokenBuckets(1, most_keys=3, clock=Seconds())
    for key in "abcd":
        taken(buckets, key, 1)
    assert [buckets.wait_seconds(key) > 0 for key in "abcd"] == [False, True, True, True]
    assert len(buckets._used) == 3


def test_keys_that_are_full_again_are_forgotten() -> None:
    clock = Seconds()
    buckets = TokenBuckets(60, clock=clock)
    for key in range(100):
        taken(buckets, str(key), 1)
    clock.now += 60
    for _ in range(200):
        taken(buckets, "other", 1)
        clock.now += 1
    assert list(buckets._used) == ["other"]
