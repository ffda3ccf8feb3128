"""Readiness checks are shared: one at a time, ten per second, whoever asks."""

import asyncio

import pytest

from app.http.health import CHECKS_PER_SECOND, SharedChecks


class Database:
    """Counts the checks, of which each ends when the test lets it."""

    def __init__(self) -> None:
        self.checks = 0
        self.up = True
        self.open = asyncio.Event()
        self.open.set()

    async def check(self) -> dict[str, bool]:
        self.checks += 1
        await self.open.wait()
        return {"database": self.up}


class Seconds:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_thousand_callers_at_once_share_one_check() -> None:
    database = Database()
    database.open.clear()
    shared = SharedChecks(database.check, clock=Seconds())
    callers = [asyncio.create_task(shared()) for _ in range(1000)]
    await asyncio.sleep(0)
    database.open.set()
    assert await asyncio.gather(*callers) == [{"database": True}] * 1000
    assert database.checks == 1


async def test_callers_one_after_another_cause_ten_checks_per_second() -> None:
    database, clock = Database(), Seconds()
    shared = SharedChecks(database.check, clock=clock)
    for second in range(1, 4):
        for _ in range(500):
            await shared()
        assert database.checks == 1 + CHECKS_PER_SECOND * second
        clock.now += 1


async def test_a_result_is_older_than_a_second_for_no_caller() -> None:
    database, clock = Database(), Seconds()
    shared = SharedChecks(database.check, clock=clock)
    for _ in range(500):
        assert await shared() == {"database": True}
    database.up = False
    clock.now += 1
    assert await shared() == {"database": False}


async def test_a_caller_that_leaves_does_not_end_the_check_of_the_others() -> None:
    database = Database()
    database.open.clear()
    shared = SharedChecks(database.check, clock=Seconds())
    first, second = asyncio.create_task(shared()), asyncio.create_task(shared())
    await asyncio.sleep(0)
    first.cancel()
    database.open.set()
    assert await second == {"database": True}
    assert database.checks == 1


async def test_a_check_that_fails_is_made_again() -> None:
    async def check() -> dict[str, bool]:
        failures.append(1)
        raise RuntimeError

    failures: list[int] = []
    shared = SharedChecks(check, clock=Seconds())
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await shared()
    assert len(failures) == 3
