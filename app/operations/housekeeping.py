"""Periodic tasks of a running server.

They record the incidents that the audit log counted, delete old idempotency keys and credentials, erase documents that
were in use when a person in them was erased, and write when credentials were last used.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from app import audit
from app.db.database import Database
from app.db.failures import translated
from app.domain.events import CREDENTIALS_FORGOTTEN, DOCUMENTS_ERASED
from app.domain.vocabulary import SystemAction
from app.observing import note_statement
from app.operations.event_log import emit_by_system

EVERY_SECONDS = 30.0
MOST_SECONDS = 60.0
"""The maximum time of one run. A statement that does not answer is cancelled then."""
MOST_KEYS = 1_000
MOST_LOCATIONS = 20
MOST_BATCHES = 20
MOST_CREDENTIALS = 1_000
CLOSING_SECONDS = 2.0
"""Seconds within which the last uses of credentials must be written when the server stops."""

log = logging.getLogger("turnup.housekeeping")


async def run_housekeeping(database: Database) -> None:
    """Run the tasks every 30 seconds until cancelled. A failed run is logged, and the next run tries again."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await audit.settle(database)
                await forget_old_keys(database)
                await forget_old_credentials(database)
                await erase_what_is_due(database)
                if database.uses.are_due():
                    await write_uses(database)
        except Exception:
            log.exception("housekeeping failed")


async def forget_old_keys(database: Database) -> int:
    """Delete idempotency keys older than a day, in batches; returns the number of deleted keys.

    A batch is one transaction of at most MOST_KEYS keys. After MOST_BATCHES, the rest is left to the next run.
    """
    batches = _batches(database, "forget old keys", "SELECT turnup.forget_old_keys($1)", MOST_KEYS)
    return sum([gone async for gone in batches])


async def forget_old_credentials(database: Database) -> None:
    """Delete attempts to sign in, sessions and service tokens that are over for long, in batches.

    A batch is one transaction of at most MOST_CREDENTIALS of each. After MOST_BATCHES, the rest is left to the next
    run.
    """
    statement = "SELECT turnup.forget_credentials($1)"
    async for gone in _batches(database, "forget credentials", statement, MOST_CREDENTIALS):
        if gone:  # before the next batch, which may fail: this one is committed
            emit_by_system(CREDENTIALS_FORGOTTEN, SystemAction.TOKENS_FORGOTTEN, count=gone)


async def _batches(database: Database, name: str, statement: str, most: int) -> AsyncIterator[int]:
    """Run a statement in batches; yields the number of deleted rows of each batch when it is committed."""
    for _ in range(MOST_BATCHES):
        gone = await _batch(database, name, statement, most)
        yield gone
        if gone < most:
            return


async def _batch(database: Database, name: str, statement: str, most: int) -> int:
    async with database.connection() as connection:
        try:
            with translated():
                return int(await connection.fetchval(statement, most))
        except Exception as error:
            note_statement(error, name)
            raise


async def write_uses(database: Database) -> None:
    """Write when sessions and service tokens were last used."""
    async with database.connection() as connection:
        await database.uses.write(connection)


async def write_last_uses(database: Database) -> None:
    """Write the uses that are left when the server stops. A failure is logged."""
    if not database.uses:
        return
    try:
        async with asyncio.timeout(CLOSING_SECONDS):
            await write_uses(database)
    except Exception:
        log.exception("the last uses of credentials could not be written")


async def erase_what_is_due(database: Database) -> int:
    """Erase payload documents that were in use when a person in them was erased, and are no longer in use.

    Handles at most MOST_LOCATIONS locations; returns the number of erased documents.
    """
    async with database.connection() as connection:
        with translated():
            erased = int(await connection.fetchval("SELECT turnup.audit_erase_due($1)", MOST_LOCATIONS))
    if erased:
        emit_by_system(DOCUMENTS_ERASED, SystemAction.ERASE, count=erased)
    return erased
