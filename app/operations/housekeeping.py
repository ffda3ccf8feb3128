"""Periodic tasks of a running server.

They record the incidents that the audit log counted, delete old idempotency keys, and erase documents that were in use
when a person in them was erased.
"""

import asyncio
import logging

from app import audit
from app.db.database import Database
from app.db.failures import translated

EVERY_SECONDS = 30.0
MOST_SECONDS = 60.0
"""The maximum time of one run. A statement that does not answer is cancelled then."""
MOST_KEYS = 1_000
MOST_LOCATIONS = 20
MOST_BATCHES = 20

log = logging.getLogger("turnup.housekeeping")


async def run_housekeeping(database: Database) -> None:
    """Run the tasks every 30 seconds until cancelled. A failed run is logged, and the next run tries again."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await audit.settle(database)
                await forget_old_keys(database)
                await erase_what_is_due(database)
        except Exception:
            log.exception("housekeeping failed")


async def forget_old_keys(database: Database) -> int:
    """Delete idempotency keys older than a day, in batches; returns the number of deleted keys.

    A batch is one transaction of at most MOST_KEYS keys. After MOST_BATCHES, the rest is left to the next run.
    """
    gone = 0
    for _ in range(MOST_BATCHES):
        batch = await _forget_batch(database)
        gone += batch
        if batch < MOST_KEYS:
            break
    return gone


async def _forget_batch(database: Database) -> int:
    async with database.connection() as connection:
        with translated():
            return int(await connection.fetchval("SELECT turnup.forget_old_keys($1)", MOST_KEYS))


async def erase_what_is_due(database: Database) -> int:
    """Erase payload documents that were in use when a person in them was erased, and are no longer in use.

    Handles at most MOST_LOCATIONS locations; returns the number of erased documents.
    """
    async with database.connection() as connection:
        with translated():
            return int(await connection.fetchval("SELECT turnup.audit_erase_due($1)", MOST_LOCATIONS))
