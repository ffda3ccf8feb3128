"""Whether a database is for demos or for production, and the accounts that a reset of a demo would delete.

The only row of `turnup.installation` says it. A database is marked when it is first filled, or first served in
production. One that has accounts and no mark is older than the table: an embedded one is for demos, and another one if
`turnup seed` made all of its accounts. A mark does not change; a reset of a demo database makes a new one.
"""

import secrets
from collections.abc import Sequence
from typing import Any

import asyncpg

from app.db.connecting import as_definer
from app.domain.installation import DatabaseKind, Installation
from app.domain.vocabulary import SystemAction

MOST_LISTED = 20
"""The number of accounts that a refusal lists."""

# Held by a transaction that marks a database or fills it; turnup.mark_database takes it too.
_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('turnup.installation', 0))"
_HAS_TABLES = "SELECT to_regclass('turnup.audit_entry') IS NOT NULL"
_HAS_MARKS = "SELECT to_regclass('turnup.installation') IS NOT NULL"
_MARKED = "SELECT id, kind FROM turnup.installation"
_MARK = "INSERT INTO turnup.installation (id, kind) VALUES ($1, $2)"
_OTHER_ACCOUNTS = """
SELECT a.id, a.name FROM turnup.account a WHERE NOT EXISTS (
    SELECT FROM turnup.audit_entry e WHERE e.chain = a.id AND e.number = 1 AND e.action = ANY ($1)
) ORDER BY a.name, a.id
"""
_USERS_ALONE = 'SELECT EXISTS (SELECT FROM turnup."user") AND NOT EXISTS (SELECT FROM turnup.account)'
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'turnup_app'"


class DatabaseRefused(Exception):  # noqa: N818 - says what happened
    """A command is refused for this database. The message says the way out."""


async def installation(connection: Any) -> Installation | None:
    """Return the mark of a database, or None. The roles of the app and of the definer may ask."""
    if not await connection.fetchval(_HAS_MARKS):
        return None
    row = await connection.fetchrow(_MARKED)
    return None if row is None else Installation(row["id"], DatabaseKind(row["kind"]))


async def kind_of(connection: Any, *, as_production: bool = False) -> DatabaseKind | None:
    """Return the kind of a database. A filled one without a mark gets one; with `as_production` an empty one, too.

    The roles of the app and of the definer may ask. None: the database is empty, is older than its mark, or cannot be
    written. A command that fills an empty database with other than demo data calls this with `as_production` in the
    same transaction, before the first change. Raises DatabaseRefused while another process fills the database.
    """
    try:
        found = await connection.fetchval("SELECT turnup.mark_database($1)", as_production)
    except (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError, asyncpg.ReadOnlySQLTransactionError):
        return None
    except asyncpg.LockNotAvailableError:
        raise DatabaseRefused("another process is filling the database: repeat the command when it is done") from None
    return None if found is None else DatabaseKind(found)


async def mark_demo(connection: Any) -> None:
    """Mark an empty database as a demo; one that is a demo stays one. Raises DatabaseRefused for one in production.

    The connection acts as the definer, in a transaction that has a `turnup.system_action` and is sealed later. No other
    transaction marks or fills the database until it ends.
    """
    await connection.execute(_ALONE)
    kind = await kind_of(connection)
    refuse_production(kind)
    if kind is None:
        await _mark(connection, DatabaseKind.DEMO)


async def settle(owner_url: str, *, embedded: bool) -> None:
    """Mark a database that is filled and older than its mark. An embedded one is for demos, whatever it contains.

    A database that lacks the table of marks is left as it is.
    """
    async with as_definer(owner_url) as connection:
        if not await connection.fetchval(_HAS_MARKS) or await installation(connection) is not None:
            return
        if not embedded:
            await kind_of(connection)
            return
        await connection.execute(_ALONE)
        if await installation(connection) is None:
            await connection.execute("SELECT set_config('turnup.system_action', $1, true)", SystemAction.MARK_DATABASE)
            await _mark(connection, DatabaseKind.DEMO)
            await connection.execute("SELECT turnup.audit_seal()")


async def check_not_production(owner_url: str, *, embedded: bool) -> None:
    """Raise DatabaseRefused for a production database, before it is migrated by a command that is refused for it."""
    async with as_definer(owner_url) as connection:
        if not await connection.fetchval(_HAS_TABLES):
            return
        found = await installation(connection)
        if found is not None:
            refuse_production(found.kind)
        elif not embedded and (await other_accounts(connection) or await connection.fetchval(_USERS_ALONE)):
            refuse_production(DatabaseKind.PRODUCTION)


def refuse_production(kind: DatabaseKind | None) -> None:
    """Raise DatabaseRefused for a production database."""
    if kind is DatabaseKind.PRODUCTION:
        raise DatabaseRefused(
            "this is a production database, which seeds, resets and development mode refuse: unset DATABASE_URL and"
            " TURNUP_OWNER_DATABASE_URL to use the embedded database, or set TURNUP_ENV=production to serve this one"
        )


async def check_reset(connection: Any, expected: int | None) -> None:
    """Raise DatabaseRefused for a production database, and unless `expected` accounts exist that seeds did not make.

    The connection acts as the definer. Until its transaction ends, no account is added and the mark does not change.
    None expects no such accounts.
    """
    await connection.execute(_ALONE)
    found = await installation(connection)
    refuse_production(None if found is None else found.kind)
    await connection.execute("LOCK TABLE turnup.account")
    others = await other_accounts(connection)
    if len(others) != (expected or 0):
        raise OtherAccounts(others, expected, await connection.fetchval(_SESSIONS))


class OtherAccounts(DatabaseRefused):
    """A reset would delete accounts that `turnup seed` did not make, and their number was not given."""

    def __init__(self, accounts: Sequence[str], expected: int | None, sessions: int) -> None:
        self.number = len(accounts)
        listed = [f"  {each}" for each in accounts[:MOST_LISTED]]
        if self.number > MOST_LISTED:
            listed.append(f"  and {self.number - MOST_LISTED} more")
        if sessions:
            listed.append(f"A server is connected to the database ({sessions} sessions).")
        self.listing = "\n".join(listed)
        given = "" if expected is None else f", not {expected}"
        super().__init__(f"a reset deletes {self.number} accounts that are no demo data{given}")


async def other_accounts(connection: Any) -> list[str]:
    """Return the accounts that `turnup seed` did not make, each with its name and id. As the definer."""
    rows = await connection.fetch(_OTHER_ACCOUNTS, [SystemAction.SEED_DEMO, SystemAction.LOAD_UNAUDITED])
    return [f"{row['name']} ({row['id']})" for row in rows]


async def _mark(connection: Any, kind: DatabaseKind) -> None:
    await connection.execute(_MARK, f"installation_{secrets.token_hex(16)}", kind.value)
