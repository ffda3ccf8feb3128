"""The periodic task of each server process that measures the gauges of the business, or reads what another measured."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

from app.db.database import Database
from app.db.failures import StatementTimeout
from app.db.gauges import GaugeReading, measure_gauges, read_gauges

FIRST_SECONDS = 5.0
"""Seconds after the start until the gauges are read first, and between two attempts until they were read once."""
EVERY_SECONDS = 60.0
AFTER_TIMEOUT_SECONDS = 300.0
"""Seconds for which a process leaves the measuring to others after it took too long: the next one would, too."""
MOST_SECONDS = 15.0
"""The maximum time of one attempt, with the wait for a connection."""

T = TypeVar("T")

log = logging.getLogger("turnup.gauges")


async def run_gauges(
    database: Database,
    took: Callable[[GaugeReading], None],
    *,
    first_seconds: float = FIRST_SECONDS,
    every_seconds: float = EVERY_SECONDS,
) -> None:
    """Pass the gauges to `took` once a minute until cancelled, measured here or by another process.

    Of failures in a row, the first one is logged. A failure leaves the gauges as they are, and they age.
    """
    pause, measure_at, failed = first_seconds, 0.0, False
    while True:
        await asyncio.sleep(pause)
        unmeasured: Exception | None = None
        if monotonic() >= measure_at:
            _, unmeasured = await _attempted(measure_gauges(database))
            if isinstance(unmeasured, StatementTimeout | TimeoutError):
                measure_at = monotonic() + AFTER_TIMEOUT_SECONDS
        reading, unread = await _attempted(read_gauges(database))
        if reading is not None:
            took(reading)
            pause = every_seconds
        failure = unmeasured or unread
        if failure is not None and not failed:
            log.error("the gauges could not be measured or read: %s", type(failure).__name__, exc_info=failure)
        failed = failure is not None


async def _attempted(act: Awaitable[T]) -> tuple[T | None, Exception | None]:
    """Return the result, or the exception."""
    try:
        async with asyncio.timeout(MOST_SECONDS):
            return await act, None
    except Exception as error:  # noqa: BLE001 - whatever it was, the task goes on
        return None, error
