"""Records the result of a verification, for the metrics of the servers.

The row is no part of the audit log: a verification changes nothing of what it verifies.
"""

from datetime import datetime

import asyncpg

from app.audit.objects import PINNED
from app.db.connecting import connect_as_owner

_RECORD = """
INSERT INTO turnup.audit_verification (verified_at, ok) VALUES ($1, $2)
ON CONFLICT (single) DO UPDATE SET verified_at = EXCLUDED.verified_at, ok = EXCLUDED.ok
"""


async def record_verification(owner_url: str, *, verified_at: datetime, ok: bool) -> str | None:
    """Record the result of a verification in a database, for the metrics of its servers.

    Returns why it could not be recorded, or None.
    """
    try:
        connection = await connect_as_owner(owner_url)
        try:
            async with connection.transaction():
                await connection.execute(PINNED)
                await connection.execute("SET LOCAL ROLE turnup_definer")
                await connection.execute(_RECORD, verified_at, ok)
        finally:
            await connection.close()
    except asyncpg.UndefinedTableError:
        return "the database has no table for it yet"
    except asyncpg.ReadOnlySQLTransactionError:
        return "the database is read-only"
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return f"the database failed ({type(error).__name__})"
    return None
