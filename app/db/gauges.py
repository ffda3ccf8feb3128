"""The gauges of the business: counts and ages over all accounts, which one server of all measures for the others.

They are measured and read by two functions of the database, because the app's role sees no rows without a user.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.db.database import Database
from app.db.failures import translated

MEASURE_MS = 5_000
"""Milliseconds after which a measurement is cancelled. With 200,000 locations it takes a fortieth of that."""

# One round trip and one transaction: PostgreSQL starts the timeout of a statement before its function could set it.
MEASURE = f"SET LOCAL statement_timeout = {MEASURE_MS}; SELECT turnup.measure_gauges()"
READ = "SELECT readings, age_seconds FROM turnup.read_gauges()"


@dataclass(frozen=True, slots=True)
class GaugeReading:
    """The gauges by name, as they were measured this many seconds ago."""

    values: Mapping[str, Any]
    age_seconds: float


async def measure_gauges(database: Database) -> None:
    """Measure the gauges, unless they were measured a moment ago or another server measures them now.

    Raises StatementTimeout after MEASURE_MS, and what `connection` raises.
    """
    async with database.connection() as connection:
        with translated():
            await connection.execute(MEASURE)


async def read_gauges(database: Database) -> GaugeReading | None:
    """Return the gauges as they were measured last, or None if they never were. Raises what `connection` raises."""
    async with database.connection() as connection:
        with translated():
            row = await connection.fetchrow(READ)
    return None if row is None else GaugeReading(row["readings"], row["age_seconds"])
