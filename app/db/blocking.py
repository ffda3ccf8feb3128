"""Names the sessions that a migration waits for, while it waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from app.db.connecting import connect

EVERY_SECONDS = 0.2
ANSWER_SECONDS = 5.0

# State and age are shown to members of pg_read_all_stats. The text of queries, which contains values, is never read.
_BLOCKERS = """
SELECT a.pid, a.usename, a.state, extract(epoch FROM clock_timestamp() - a.xact_start)::int AS age,
       (SELECT l.relation::regclass::text FROM pg_locks l WHERE l.pid = $1 AND NOT l.granted LIMIT 1) AS wanted
FROM pg_stat_activity a WHERE a.pid = ANY (pg_blocking_pids($1)) ORDER BY a.xact_start NULLS LAST, a.pid LIMIT 3
"""


class Blocking:
    """Watches, from a connection of its own, what blocks the session with a process id."""

    def __init__(self, url: str, pid: int) -> None:
        self._url = url
        self._pid = pid
        self._seen = ""

    def seen(self, prefix: str) -> str:
        """Return the sessions that blocked last, after `prefix`; empty if none was seen."""
        return f"{prefix}{self._seen}" if self._seen else ""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch while the block runs."""
        self._seen = ""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _watch(self) -> None:
        await asyncio.sleep(EVERY_SECONDS)  # most migrations end before
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await connect(self._url)
            try:
                while True:
                    rows = await connection.fetch(_BLOCKERS, self._pid, timeout=ANSWER_SECONDS)
                    if rows:
                        self._seen = "waiting for " + " and ".join(map(_shown, rows))
                    await asyncio.sleep(EVERY_SECONDS)
            finally:
                connection.terminate()


def _shown(row: Any) -> str:
    facts = [row["usename"], row["state"], None if row["age"] is None else f"for {row['age']} s"]
    place = f" on {row['wanted']}" if row["wanted"] else ""
    return f"process {row['pid']} ({', '.join(fact for fact in facts if fact)}){place}"
