"""The scenario in which writes are interrupted, with an image of all rows and the traces of a write."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from app.auth.development import DevelopmentIssuer
from app.db import demo, tables
from app.db.kind import mark_demo
from tests.builders_db import insert_all
from tests.harness import Client, TestDatabase
from tests.operations.scenario import Scenario, Sent, as_definer

from .cases import NOWHERE, Sending

# A row that was written anew has another place, or another transaction made it, though it may read the same.
IMAGE = " UNION ALL ".join(
    f"SELECT '{table.name}', count(*), sum(hashtextextended(concat(ctid, xmin), 0)) FROM turnup.\"{table.name}\""
    for table in tables.metadata.sorted_tables
    if table is not tables.gauge_reading  # what a server measures once a minute
)
ENTRIES = """
SELECT location_id, count(*) FROM turnup.audit_entry
WHERE location_id = ANY ($1) AND action = $2 AND outcome = 'APPLIED' AND number IS NOT NULL GROUP BY 1
"""
ENTRIES_SINCE = """
SELECT count(*) FROM turnup.audit_entry
WHERE ordinal > $1 AND action = $2 AND outcome = 'APPLIED' AND number IS NOT NULL
"""
# Calls are retried until they succeed, so no call may be rate limited.
BUDGETS = dict.fromkeys(
    (
        "limit_objects",
        "limit_edits",
        "limit_submits",
        "limit_approvals",
        "limit_payloads",
        "limit_bulk_calls",
        "limit_bulk_items",
        "limit_dry_runs",
    ),
    1_000_000_000,
)
Image = dict[str, tuple[int, Decimal | None]]


class Ground(Scenario):
    """The scenario, with its complete state as seen from outside."""

    async def image(self) -> Image:
        """How many rows every table has, and the hash of their places and of the transactions that wrote them."""
        return {name: (count, digest) for name, count, digest in await self.connection.fetch(IMAGE)}

    async def is_kept(self, sending: Sending) -> bool:
        """Whether the database remembers the call by its key."""
        key = sending.given["idempotencyKey"]
        return bool(await self.connection.fetchval("SELECT count(*) FROM turnup.idempotency_key WHERE key = $1", key))

    async def entries_made(self, sending: Sending) -> dict[str, int]:
        """The number of sealed entries that say the mutation was applied, by location."""
        if sending.touched:
            rows = await self.connection.fetch(ENTRIES, list(sending.touched), sending.mutation)
            return {row["location_id"]: row["count"] for row in rows}
        made = await self.connection.fetchval(ENTRIES_SINCE, sending.since, sending.mutation)
        return {NOWHERE: made} if made else {}

    async def last_entry(self) -> int:
        """Return the number of the last audit entry; later entries have higher numbers."""
        return int(await self.connection.fetchval("SELECT max(ordinal) FROM turnup.audit_entry"))

    async def left(self, sending: Sending) -> list[dict[str, Any]]:
        """Return the stored state of every location concerned, without the ids that differ between runs."""
        return [await self._without_ids(location) for location in sending.concerned]

    async def _without_ids(self, location: str) -> dict[str, Any]:
        state = await self.state_of(location)
        held = {name: getattr(state, name) for name in state.__slots__ if name != "digest"}
        for name in ("approvals", "payloads", "receipts"):
            held[name] = sorted(held[name].values())
        devices = await self.connection.fetchval("SELECT count(*) FROM turnup.device WHERE location_id = $1", location)
        revisions = await self.connection.fetch(
            "SELECT section, revision FROM turnup.section WHERE location_id = $1", location
        )
        people = {self.customer: "customer", self.lead: "lead"}
        held["submitted_by"] = people.get(state.submitted_by or "", state.submitted_by)
        held |= {"claims": len(state.claims), "live": state.live is not None, "devices": devices}
        return held | {"sections": sorted(tuple(row) for row in revisions)}

    async def send_it(self, sending: Sending) -> Sent:
        """Send the call, or send it again."""
        return await self.send(sending.who, sending.mutation, sending.select, **sending.given)

    async def gone(self, pid: int) -> None:
        """Wait until PostgreSQL has ended the session of a client that died."""
        while await self.connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):
            await self.connection.execute("SELECT pg_sleep(0.002)")


@asynccontextmanager
async def ground_on(database: TestDatabase, home: Path) -> AsyncIterator[Ground]:
    """The scenario in a database without rows; it is not served."""
    connection = await as_definer(database.owner_url)
    async with httpx.AsyncClient() as nobody:
        ground = Ground(Client(nobody, DevelopmentIssuer.load_or_create(home), database), connection)
        async with ground.arranging():
            await mark_demo(connection)  # servers in development mode refuse a production database
        await ground.open()
        async with ground.arranging():
            rows = [
                (tables.device_model, {"id": f"model-{number}", "brand": brand, "model": model, "lines": lines})
                for number, (brand, model, lines) in enumerate(demo.DEVICE_MODELS)
            ]
            await insert_all(connection, rows)
        try:
            yield ground
        finally:
            await ground.connection.close()


def connection_lost(sent: Sent) -> str:
    """What a caller whose connection was lost was told became of the write."""
    assert sent.outcome == "UNAVAILABLE", sent
    return str(sent.error["extensions"]["outcome"])
