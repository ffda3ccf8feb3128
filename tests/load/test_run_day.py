"""Visits begin at their times, whatever became of the earlier ones, and requests belong to the hour of their time."""

import asyncio
from dataclasses import dataclass, field

from bench.load import day
from bench.load.__main__ import run_day
from bench.load.client import Network, Sample
from bench.load.day import Arrival, Visit
from bench.load.report import Used

HOUR_SECONDS = 0.02
ARRIVALS = [Arrival(number * HOUR_SECONDS / 2, Visit.POLL, number) for number in range(22)]
"""Two per hour, and two after the last one."""


@dataclass
class StalledLoad:
    """Visits that all end when the last one has begun."""

    network: Network
    delays: list[float] = field(default_factory=list)
    all_began: asyncio.Event = field(default_factory=asyncio.Event)

    async def visit(self, arrival: Arrival, began: float) -> None:
        at = began + arrival.at
        self.network.samples.append(Sample("any", at + 1e-6, 0.0, 0.0, None, None))
        self.delays.append(asyncio.get_running_loop().time() - at)
        if len(self.delays) == len(ARRIVALS):
            self.all_began.set()
        await self.all_began.wait()


class Idle:
    """Processes that use nothing."""

    def used(self) -> Used:
        return Used(0.0, 0.0, 0.0, 0, 0)


async def test_visits_begin_while_no_earlier_one_has_ended() -> None:
    load = StalledLoad(Network(1))
    async with asyncio.timeout(30):
        hours = await run_day(load, ARRIVALS, Idle(), HOUR_SECONDS)  # type: ignore[arg-type] # - a stub
    assert min(load.delays) >= 0
    assert [hour.share for hour in hours] == [*day.SHARES, day.AFTER]
    assert [len(hour.samples) for hour in hours] == [2] * 11
