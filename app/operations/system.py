"""Changes by the command line: decisions of administrative mutations, made by the system instead of by a user.

The transaction runs as the definer role, to which row-level security does not apply. Its audit entry has no actor.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app import audit
from app.db import writing
from app.db.connecting import connect_as_owner, convert_json
from app.db.database import Transaction, commit
from app.db.failures import translated
from app.db.kind import kind_of
from app.db.migrate import newest_revision, position
from app.db.statements import Statement
from app.db.steps import MigrationRefused
from app.db.writers import BEGIN_WRITING, WRITES_SINCE, may_write
from app.domain.viewer import EVERYTHING, Viewer
from app.domain.vocabulary import Role, SystemAction
from app.observing import unobserved
from app.operations.administration import AdministrationContext
from app.session_settings import LOCK_SECONDS

STATEMENT_SECONDS = 60.0
"""The time limit of a statement of such a transaction."""

SYSTEM = Viewer(
    id=audit.SYSTEM,
    name="the command line",
    email="",
    role=Role.IMPLEMENTATION_LEAD,
    scope=EVERYTHING,
    accounts=EVERYTHING,
    editing=EVERYTHING,
    provisioning=EVERYTHING,
    auditing=EVERYTHING,
    all_accounts=True,
    confirmed=True,
)
"""The viewer of the system's transactions. No row has its id."""


@asynccontextmanager
async def as_system(
    owner_url: str,
    action: SystemAction,
    *,
    configured_issuer: str | None = None,
    sign_in_url: str | None = None,
) -> AsyncIterator[AdministrationContext]:
    """Yield the context of decisions of the system. Their changes are committed if the block succeeds.

    `action` is the action of the audit entry; without changes there is no entry. `owner_url` connects as the owner, who
    can become the definer. An empty database becomes a production database. Raises MigrationRefused for a database that
    lacks migrations or is closed to writes of this code, DatabaseRefused while it is filled, and the exceptions of
    `app.db.failures`.
    """
    async with _definer_transaction(owner_url, BEGIN_WRITING) as connection:
        transaction = Transaction(connection, SYSTEM, unobserved)
        await transaction.fetch(_SET_ACTION, action=action.value)
        if not may_write(await transaction.fetch_one(_WRITES_SINCE), newest_revision()):
            raise MigrationRefused(f"{await position(owner_url)}; nothing was changed")
        await kind_of(connection, as_production=True)
        yield AdministrationContext(
            SYSTEM,
            await writing.clock(transaction),
            transaction,
            configured_issuer=configured_issuer,
            sign_in_url=sign_in_url,
        )
        await audit.seal(transaction)


@asynccontextmanager
async def reading_as_system(owner_url: str) -> AsyncIterator[Transaction]:
    """Yield a transaction that reads everything, for the command line. Raises what `as_system` raises."""
    async with _definer_transaction(owner_url, _BEGIN_READING) as connection:
        yield Transaction(connection, SYSTEM, unobserved)


@asynccontextmanager
async def _definer_transaction(owner_url: str, begin: str) -> AsyncIterator[Any]:
    found = await position(owner_url)
    if found.missing:
        raise MigrationRefused(f"{found}; run turnup migrate first")
    connection = await connect_as_owner(owner_url)
    try:
        await convert_json(connection)
        with translated():
            await connection.execute(f"{begin}; {_AS_DEFINER}")
        yield connection
        await commit(connection)
    finally:
        await connection.close(timeout=1)


_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_AS_DEFINER = f"""
SET LOCAL ROLE turnup_definer;
SET LOCAL lock_timeout = {int(LOCK_SECONDS * 1_000)};
SET LOCAL statement_timeout = {int(STATEMENT_SECONDS * 1_000)};
"""
_SET_ACTION = Statement("set action", "SELECT set_config('turnup.system_action', $1, true)", ("action",), str)
_WRITES_SINCE = Statement("writes since", f"SELECT {WRITES_SINCE}", (), lambda revision: revision)
