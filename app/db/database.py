"""The pool of connections and the two kinds of transaction: reading and writing.

A reading is one REPEATABLE READ, READ ONLY transaction: everything a query returns belongs to one snapshot.
Each transaction signs its user in first, so that row-level security knows who asks before anything is read.
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
"""How long to wait before asking PostgreSQL for one more connection again."""
IDLE_SECONDS = 60.0
"""After how long a connection that a crowd needed goes back to PostgreSQL, for others to have."""

CLOSING_SECONDS = 5.0
"""How long connections that are in use may go on when the pool is closed."""

# Told before each round trip: what kind ("sql", "batch"), the statement's name, and facts; wraps the work.
Observer = Callable[[str, str, Mapping[str, Any]], AbstractContextManager[Any]]

_WHOLE = itemgetter(slice(None))
"""A record as a tuple, which the driver makes faster than Python does from its values one by one."""

_RELEASE = "RELEASE SAVEPOINT attempt"
_CHECKED_RELEASE = f"SET CONSTRAINTS ALL IMMEDIATE; {_RELEASE}"
SIGN_IN = "SELECT id, name, email, role, status, accounts, locations FROM turnup.sign_in($1, $2)"


class UnknownUser(Exception):  # noqa: N818 - reads as what happened
    """The token is genuine but no active user stands behind it."""


class SuspendedUser(UnknownUser):
    """The user behind the token is suspended."""

    def __init__(self, user_id: str) -> None:
        super().__init__()
        self.user_id = user_id


class DatabaseUnavailable(Exception):  # noqa: N818 - the code's own name
    """The server cannot be reached, or went away."""


class CommitUnknown(DatabaseUnavailable):
    """The connection failed after COMMIT was sent and before it was answered."""


class Overloaded(Exception):  # noqa: N818 - the code's own name
    """No connection came free for as long as a caller may wait, or a write had to give way to others."""


class StatementTimeout(Exception):  # noqa: N818 - reads as what happened
    """A statement ran into its transaction's statement timeout."""


def unobserved(_kind: str, _name: str, _facts: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """The observer of a database nobody watches."""
    return nullcontext()


class _Translated:
    """One for all: a context of contextlib's own would be made anew around each of a request's statements."""

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
            return  # a value of the wrong type is a bug of ours, though the driver counts it as misuse of a connection
        if isinstance(error, (OSError, asyncpg.InterfaceError, *_GONE)):
            raise DatabaseUnavailable from error


_TRANSLATED = _Translated()


def translated() -> AbstractContextManager[None]:
    """Turn the driver's exceptions about time and connections into ours; the others pass."""
    return _TRANSLATED


class Transaction:
    """One open transaction on one connection, with its signed-in viewer; statements run one after another."""

    __slots__ = ("_connection", "_observe", "viewer")

    def __init__(self, connection: Any, viewer: Viewer, observe: Observer) -> None:
        self._connection = connection
        self._observe = observe
        self.viewer = viewer

    async def fetch(self, statement: Statement, **values: Any) -> list[Any]:
        """Every row of a statement, as its structs."""
        with self._observe("sql", statement.name, {}), translated():
            records = await self._connection.fetch(statement.sql, *statement.arguments(values))
        return list(starmap(statement.build, map(_WHOLE, records)))

    @asynccontextmanager
    async def savepoint(self, *, final: bool = False) -> AsyncIterator[None]:
        """Undo what the block wrote when it raises; the transaction goes on.

        With `final` nothing is written after the block: its end checks what constraints defer to the COMMIT, so that
        what they refuse is raised here, where it can be named, undone and tried again.
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
        """Undo what the block wrote, however it ends."""
        with translated():
            await self._connection.execute("SAVEPOINT trial")
        try:
            yield
        finally:
            await _undone(self._connection, "ROLLBACK TO SAVEPOINT trial")

    async def fetch_one(self, statement: Statement, **values: Any) -> Any | None:
        """The first row of a statement, or None."""
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
        cls, url: str, *, size: int, wait_seconds: float = 5.0, observe: Observer = unobserved
    ) -> "Database":
        """Open a pool of at most `size` connections; a caller waits `wait_seconds` for one before it is refused."""
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            statement_cache_size=512,
            max_cached_statement_lifetime=0,
            max_inactive_connection_lifetime=IDLE_SECONDS,
            init=_prepare,
            # Settings live and end with the transaction, and no session state is made: nothing to reset.
            reset=_nothing_to_reset,
            server_settings={"application_name": "turnup", "timezone": "UTC"},
            timeout=wait_seconds,
        )
        return cls(pool, wait_seconds=wait_seconds, observe=observe)

    def usage(self) -> tuple[int, int]:
        """How many connections are in use, and how many callers wait for one."""
        return self._pool.get_size() - self._pool.get_idle_size(), self._waiting

    async def close(self) -> None:
        """Close every connection; those in use get CLOSING_SECONDS to finish, then they are ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._pool.close()  # which ends what is left when it is cancelled

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A bare connection, for health checks. Raises DatabaseUnavailable, or Overloaded when none is free in time."""
        connection = await self.acquire()
        try:
            yield connection
        finally:
            await self.release(connection)

    async def release(self, connection: Any) -> None:
        """Give a connection back."""
        await self._pool.release(connection)

    async def acquire(self) -> Any:
        """A connection, to be released. Raises DatabaseUnavailable, or Overloaded when none is free in time."""
        with translated():
            self._waiting += 1
            try:
                if self._pool.get_idle_size():  # one is at hand: nothing to wait for, and no timer to set
                    with suppress(asyncpg.TooManyConnectionsError):
                        return await self._pool.acquire()
                async with asyncio.timeout(self._wait_seconds):
                    return await self._acquired()
            except TimeoutError as error:
                raise Overloaded from error
            finally:
                self._waiting -= 1

    async def _acquired(self) -> Any:
        """A connection of the pool.

        When the pool wants to grow and PostgreSQL, which others use too, has no connection to spare, one of ours that
        comes free will do: whoever asks waits for it as for any other.
        """
        while True:
            with suppress(asyncpg.TooManyConnectionsError):
                return await self._pool.acquire()
            await asyncio.sleep(RETRY_SECONDS)

    def snapshot(self, subject: str, *, timeout_ms: int) -> "TransactionScope":
        """A signed-in read-only transaction: one consistent snapshot of what the user may see.

        `timeout_ms` becomes the statement timeout. Raises UnknownUser, SuspendedUser or DatabaseUnavailable.
        """
        return TransactionScope(self, "REPEATABLE READ, READ ONLY", subject, timeout_ms)

    def writing(self, subject: str, *, timeout_ms: int) -> "TransactionScope":
        """A signed-in READ COMMITTED transaction, committed when the block ends well, else rolled back.

        Raises CommitUnknown when nobody can tell whether it was committed; after anything else it was not.
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
    """A transaction from its BEGIN to its end. A class, since generators one in another cost every request more.

    `begin` opens it ahead of the block. A transaction that is begun has to be entered once, or rolled back.
    """

    __slots__ = ("_begun", "_connection", "_database", "_mode", "_subject", "_timeout_ms")

    def __init__(self, database: Database, mode: str, subject: str, timeout_ms: int) -> None:
        self._database = database
        self._mode = mode
        self._subject = subject
        self._timeout_ms = timeout_ms
        self._begun: Transaction | None = None

    async def begin(self) -> Transaction:
        """Take a connection, begin and sign in; on failure the connection is given back."""
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
        """Undo the transaction and give its connection back; never raises because the connection is gone."""
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
    """Commit; an error that PostgreSQL reports, and lives on, means that it rolled back. It is not to be repeated."""
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
    """Roll back because of an exception, and never hide it.

    On a connection that is gone nothing is left to roll back; one that cannot be used is reset or ended by the pool. A
    savepoint is gone when whoever waited for its release was cancelled before the answer came.
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
