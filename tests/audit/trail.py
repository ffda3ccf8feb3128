"""Builders of audited writes, on the real database and by the roles that make them in production."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg

from app import audit
from app.db.database import Database, Transaction
from app.db.statements import Statement
from tests.harness import LEAD, by_token

ACCOUNT, LOCATION, DEVICE = "account-1", "location-1", "phone-1"


def an_id(kind: str = "entry") -> str:
    """An id that nothing else has."""
    return f"{kind}_{uuid4().hex}"


def sql(text: str, places: int) -> Statement:
    """A statement whose rows are tuples; its parameters are named p1, p2, ..."""
    return Statement("test", text, tuple(f"p{n}" for n in range(1, places + 1)), lambda *record: record)


async def run(tx: Transaction, text: str, *values: Any) -> list[Any]:
    """Every row of a statement as a tuple."""
    return await tx.fetch(sql(text, len(values)), **{f"p{n}": value for n, value in enumerate(values, start=1)})


async def enter(tx: Transaction, chain: str = ACCOUNT, location_id: str | None = None, **more: Any) -> str:
    """Open an entry; returns its id."""
    entry_id = an_id()
    facts = {"action": "editDevice", "request_id": "request-1", **more}
    await audit.open_entry(tx, entry_id=entry_id, chain=chain, location_id=location_id, **facts)
    return entry_id


@asynccontextmanager
async def operation(
    database: Database, chain: str = ACCOUNT, location_id: str | None = LOCATION, *, who: str = LEAD, **more: Any
) -> AsyncIterator[tuple[Transaction, str]]:
    """A write as operations make it: entry, changes, seal, commit."""
    async with database.writing(by_token(who), timeout_ms=20_000) as tx:
        entry_id = await enter(tx, chain, location_id, **more)
        yield tx, entry_id
        await audit.seal(tx)


@asynccontextmanager
async def definer(owner_url: str, *, system: str = "", commit: bool = True) -> AsyncIterator[asyncpg.Connection]:
    """The definer role in a transaction of its own; what it writes as `system` is entered under that action."""
    connection = await asyncpg.connect(owner_url, server_settings={"timezone": "UTC"})
    transaction = connection.transaction()
    try:
        await transaction.start()
        await connection.execute("SET LOCAL ROLE turnup_definer")
        await connection.execute("SELECT set_config('turnup.system_action', $1, true)", system)
        yield connection
        if system:
            await connection.execute("SELECT turnup.audit_seal()")
        if commit:
            await transaction.commit()
    finally:
        await connection.close()


async def changes_of(database: Database, entry_id: str) -> list[Any]:
    """(table, row, field, before, after) of an entry, in order, as a lead reads them."""
    async with database.snapshot(by_token(LEAD), timeout_ms=5_000) as tx:
        return await run(
            tx,
            "SELECT table_name, row_id, field, before, after FROM turnup.field_change WHERE entry_id = $1 ORDER BY id",
            entry_id,
        )


async def entry_of(database: Database, entry_id: str) -> Any:
    """An entry's row, as a lead reads it; None when there is none."""
    async with database.connection() as connection, connection.transaction():
        await connection.execute("SELECT turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, 5000)", LEAD)
        return await connection.fetchrow("SELECT * FROM turnup.audit_entry WHERE id = $1", entry_id)
