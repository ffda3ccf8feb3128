"""What a running server does now and then.

It enters what the audit trail counted, forgets old idempotency keys, and erases documents that were in use when a
person in them was erased.
"""

import asyncio
import logging

from app import audit
from app.db.database import Database, translated

EVERY_SECONDS = 30.0
MOST_KEYS = 1_000
MOST_LOCATIONS = 20
MOST_BATCHES = 20

log = logging.getLogger("turnup.housekeeping")


async def run_housekeeping(database: Database) -> None:
    """Go round every half minute until cancelled; a round that fails is logged and the next one tries again."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await audit.settle(database)
            await forget_old_keys(database)
            await erase_what_is_due(database)
        except Exception:
            log.exception("housekeeping failed")


async def forget_old_keys(database: Database) -> int:
    """Delete idempotency keys older than a day, batch by batch while they are full; returns how many went.

    A batch is at most MOST_KEYS in a transaction of its own; after MOST_BATCHES the rest is left to the next round.
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
    """Blank payload documents that were in use when somebody in them was erased and are not any more.

    Of at most MOST_LOCATIONS locations; returns how many documents went.
    """
    async with database.connection() as connection:
        with translated():
            return int(await connection.fetchval("SELECT turnup.audit_erase_due($1)", MOST_LOCATIONS))
