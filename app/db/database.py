"""The connection pool and the two kinds of transactions: reading and writing.

A reading transaction is REPEATABLE READ, READ ONLY: everything that a query returns belongs to one snapshot. Each
transaction signs its user in first, so that row-level security knows the viewer before anything is read.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext, suppress
from itertools import starmap
from operator import itemgetter
from types import TracebackType
from typing import Any

import asyncpg
import orjson

from app.db.connecting import app_options, connect
from app.db.statements import Statement
from app.domain.viewer import Scope, Viewer
from app.domain.vocabulary import Role, UserStatus
from permissions.policy import viewer_of

_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)

RETRY_SECONDS = 0.02
"""Seconds between two attempts to open another connection when PostgreSQL has none to spare."""
IDLE_SECONDS = 60.0
"""Seconds after which an idle connection is closed, so that PostgreSQL can give it to others."""

MOST_STATEMENTS = 256
"""The maximum number of statements that a connection keeps prepared.

Filters combine to more statements than any client uses. A statement takes up to 40 kB in PostgreSQL, per connection.
"""

CLOSING_SECONDS = 5.0
"""Seconds that connections in use may continue when the pool is closed."""

# Called around each round trip with its kind ("sql", "batch"), the statement's name and facts; returns a context.
Observer = Callable[[str, str, Mapping[str, Any]], AbstractContextManager[Any]]

_WHOLE = itemgetter(slice(None))
"""Converts a record to a tuple; the driver does this faster than Python converts the single values."""

_RELEASE = "RELEASE SAVEPOINT attempt"
_CHECKED_RELEASE = f"SET CONSTRAINTS ALL IMMEDIATE; {_RELEASE}"
SIGN_IN = "SELECT id, name, email, role, status, accounts, locations FROM turnup.sign_in($1, $2)"


class UnknownUser(Exception):  # noqa: N818 - names what happened
    """The token is valid but belongs to no active user."""


class SuspendedUser(UnknownUser):
    """The token's user is suspended."""

    def __init__(self, user_id: str) -> None:
        super().__init__()
        self.user_id = user_id


class DatabaseUnavailable(Exception):  # noqa: N818 - named like the error code
    """The database server cannot be reached, or the connection was lost."""


class CommitUnknown(DatabaseUnavailable):
    """The connection was lost after COMMIT was sent and before it was answered."""


class Overloaded(Exception):  # noqa: N818 - named like the error code
    """No connection became free within the wait limit, or a write lost a conflict with concurrent ones."""


class StatementTimeout(Exception):  # noqa: N818 - names what happened
    """A statement exceeded its transaction's statement timeout."""


def unobserved(_kind: str, _name: str, _facts: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Observe nothing: the default observer."""
    return nullcontext()


class _Translated:
    """The context behind `translated`. One shared instance: contextlib would create one per statement."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is None:
            return
        if isinstance(error, asyncpg.QueryCanceledError):
            raise StatementTimeout from error
        if isinstance(error, asyncpg.exceptions.DataError):
            return  # a value of the wrong type is a bug in this code, not a connection error
        if isinstance(error, (OSError, asyncpg.InterfaceError, *_GONE)):
            raise DatabaseUnavailable from error


_TRANSLATED = _Translated()


def translated() -> AbstractContextManager[None]:
    """Translate the driver's exceptions about timeouts and connections into those of this module; others pass."""
    return _TRANSLATED


class Transaction:
    """An open transaction on one connection with its signed-in viewer. Statements run one at a time."""

    __slots__ = ("_connection", "_observe", "viewer")

    def __init__(self, connection: Any, viewer: Viewer, observe: Observer) -> None:
        self._connection = connection
        self._observe = observe
        self.viewer = viewer

    async def fetch(self, statement: Statement, **values: Any) -> list[Any]:
        """Return every row of a statement as a struct."""
        with self._observe("sql", statement.name, {}), translated():
            records = await self._connection.fetch(statement.sql, *statement.arguments(values))
        return list(starmap(statement.build, map(_WHOLE, records)))

    @asynccontextmanager
    async def savepoint(self, *, final: bool = False) -> AsyncIterator[None]:
        """Roll back to the start of the block when it raises; the transaction continues.

        With `final`, nothing may be written after the block: its end checks the deferred constraints, so that a
        violation is raised here, where it can be named, rolled back and retried.
        """
        with translated():
            await self._connection.execute("SAVEPOINT attempt")
        try:
            yield
            with translated():
                await self._connection.execute(_CHECKED_RELEASE if final else _RELEASE)
        except BaseException:
            await _undone(self._connection, "ROLLBACK TO SAVEPOINT attempt")
            raise

    @asynccontextmanager
    async def undone(self) -> AsyncIterator[None]:
        """Roll back to the start of the block, however it ends."""
        with translated():
            await self._connection.execute("SAVEPOINT trial")
        try:
            yield
        finally:
            await _undone(self._connection, "ROLLBACK TO SAVEPOINT trial")

    async def fetch_one(self, statement: Statement, **values: Any) -> Any | None:
        """Return the first row of a statement, or None."""
        rows = await self.fetch(statement, **values)
        return rows[0] if rows else None


class Database:
    """A bounded pool of connections of the app's role."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, wait_seconds: float, observe: Observer) -> None:
        self._pool = pool
        self._wait_seconds = wait_seconds
        self._observe = observe
        self._waiting = 0

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        size: int,
        wait_seconds: float = 5.0,
        observe: Observer = unobserved,
        transaction_pooling: bool = False,
    ) -> "Database":
        """Open a pool of at most `size` connections; a caller waits at most `wait_seconds` for one.

        `transaction_pooling`: the URL may lead to a pooler in transaction mode. Raises Unfit if it does without this.
        """
        kept = {"statement_cache_size": MOST_STATEMENTS, "max_cached_statement_lifetime": 0}
        options = {**kept, **await app_options(url, transaction_pooling=transaction_pooling)}
        opening: Any = connect  # its options are asyncpg's; the type of the parameter lists them all
        pool = await asyncpg.create_pool(
            url,
            connect=opening,
            min_size=1,
            max_size=size,
            max_inactive_connection_lifetime=IDLE_SECONDS,
            init=_prepare,
            # Settings are local to the transaction and no session state is created, so there is nothing to reset.
            reset=_nothing_to_reset,
            timeout=wait_seconds,
            **options,
        )
        return cls(pool, wait_seconds=wait_seconds, observe=observe)

    def usage(self) -> tuple[int, int]:
        """Return the number of connections in use, and the number of callers waiting for one."""
        return self._pool.get_size() - self._pool.get_idle_size(), self._waiting

    async def close(self) -> None:
        """Close every connection; those in use get CLOSING_SECONDS to finish, then they are terminated."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._pool.close()  # on cancellation this terminates the remaining connections

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Yield a connection for health checks. Raises DatabaseUnavailable, or Overloaded when none is free in time."""
        connection = await self.acquire()
        try:
            yield connection
        finally:
            await self.release(connection)

    async def release(self, connection: Any) -> None:
        """Return a connection to the pool."""
        await self._pool.release(connection)

    async def acquire(self) -> Any:
        """Return a connection, which the caller must release.

        Raises DatabaseUnavailable, or Overloaded when none is free in time.
        """
        with translated():
            self._waiting += 1
            try:
                if self._pool.get_idle_size():  # an idle connection is available: no wait, so no timer
                    with suppress(asyncpg.TooManyConnectionsError):
                        return await self._pool.acquire()
                async with asyncio.timeout(self._wait_seconds):
                    return await self._acquired()
            except TimeoutError as error:
                raise Overloaded from error
            finally:
                self._waiting -= 1

    async def _acquired(self) -> Any:
        """Return a connection of the pool.

        When the pool cannot grow because PostgreSQL, which others use too, has no connection to spare, this waits for
        one of the pool's own connections to become free.
        """
        while True:
            with suppress(asyncpg.TooManyConnectionsError):
                return await self._pool.acquire()
            await asyncio.sleep(RETRY_SECONDS)

    def snapshot(self, subject: str, *, timeout_ms: int) -> "TransactionScope":
        """Return a signed-in read-only transaction: one consistent snapshot of what the user may see.

        `timeout_ms` becomes the statement timeout. Raises UnknownUser, SuspendedUser or DatabaseUnavailable.
        """
        return TransactionScope(self, "REPEATABLE READ, READ ONLY", subject, timeout_ms)

    def writing(self, subject: str, *, timeout_ms: int) -> "TransactionScope":
        """Return a signed-in READ COMMITTED transaction, committed when the block succeeds, else rolled back.

        Raises CommitUnknown when the result of the commit is unknown; after any other exception nothing was committed.
        """
        return TransactionScope(self, "READ COMMITTED, READ WRITE", subject, timeout_ms)

    async def _sign_in(self, connection: Any, subject: str, timeout_ms: int) -> Viewer:
        with self._observe("sql", "sign_in", {}), translated():
            record = await connection.fetchrow(SIGN_IN, subject, timeout_ms)
        if record is None:
            raise UnknownUser
        if record["status"] != UserStatus.ACTIVE:
            raise SuspendedUser(record["id"])
        role = Role(record["role"])
        listed = record["locations"]
        granted = Scope(accounts=frozenset(record["accounts"]), locations=None if listed is None else frozenset(listed))
        return viewer_of(
            identifier=record["id"], name=record["name"], email=record["email"], role=role, granted=granted
        )


class TransactionScope(AbstractAsyncContextManager[Transaction]):
    """A transaction from its BEGIN to its end. A class, because nested generators cost every request more.

    `begin` starts it ahead of the block. A started transaction must be entered once or rolled back.
    """

    __slots__ = ("_begun", "_connection", "_database", "_mode", "_subject", "_timeout_ms")

    def __init__(self, database: Database, mode: str, subject: str, timeout_ms: int) -> None:
        self._database = database
        self._mode = mode
        self._subject = subject
        self._timeout_ms = timeout_ms
        self._begun: Transaction | None = None

    async def begin(self) -> Transaction:
        """Take a connection, begin and sign in; on failure the connection is released."""
        database = self._database
        connection = self._connection = await database.acquire()
        try:
            with translated():
                await connection.execute(f"BEGIN ISOLATION LEVEL {self._mode}")
            viewer = await database._sign_in(connection, self._subject, self._timeout_ms)
        except BaseException:
            await self.roll_back()
            raise
        self._begun = Transaction(connection, viewer, database._observe)
        return self._begun

    async def roll_back(self) -> None:
        """Roll back and release the connection; a lost connection raises nothing."""
        try:
            await _undone(self._connection, "ROLLBACK")
        finally:
            await self._database.release(self._connection)

    async def __aenter__(self) -> Transaction:
        return self._begun or await self.begin()

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is not None:
            await self.roll_back()
            return
        try:
            await _commit(self._connection)
        finally:
            await self._database.release(self._connection)


async def _commit(connection: Any) -> None:
    """Commit. An error that PostgreSQL reports on a working connection means that it rolled back; it is not retried."""
    try:
        with translated():
            await connection.execute("COMMIT")
    except StatementTimeout:
        raise
    except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
        raise Overloaded from error
    except Exception as error:
        if isinstance(error, asyncpg.PostgresError) and getattr(error, "severity_en", None) == "ERROR":
            raise
        raise CommitUnknown from error


async def _undone(connection: Any, statement: str) -> None:
    """Roll back because of an exception, without replacing that exception.

    On a lost connection there is nothing to roll back; the pool resets or closes one that cannot be used. A savepoint
    no longer exists when the caller was cancelled while waiting for its release.
    """
    with suppress(OSError, asyncpg.InterfaceError, asyncpg.InvalidSavepointSpecificationError, *_GONE):
        await connection.execute(statement)


async def _prepare(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
        )


async def _nothing_to_reset(_connection: Any) -> None:
    pass
