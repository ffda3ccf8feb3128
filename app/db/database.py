"""The connection pool and the two kinds of transactions: reading and writing.

A reading transaction is REPEATABLE READ, READ ONLY: everything that a query returns belongs to one snapshot. Each
transaction signs its user in first, so that row-level security knows the viewer before anything is read.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import starmap
from operator import itemgetter
from time import monotonic
from types import TracebackType
from typing import Any, TypeVar

import asyncpg

from app.db.bulkheads import Bulkhead
from app.db.connecting import app_options, connect, convert_json
from app.db.credential_uses import CredentialUses
from app.db.failures import (
    CommitUnknown,
    DatabaseReadOnly,
    DatabaseUnavailable,
    LockTimeout,
    MigrationsMissing,
    Overloaded,
    StatementTimeout,
    WritesOfOlderCode,
    translated,
    translation,
)
from app.db.migrate import newest_revision
from app.db.statements import Statement
from app.db.user_keys import UserKeys
from app.db.writers import BEGIN_WRITING, WRITES_SINCE, may_write
from app.domain.credential import REFUSED, Credential, CredentialKind
from app.domain.viewer import Scope, Viewer
from app.domain.vocabulary import Role, UserStatus
from app.observing import Observer, note_statement, unobserved
from app.session_settings import LOCK_SECONDS
from permissions.policy import actions_of_token, viewer_of

T = TypeVar("T")

WAIT_SECONDS = 5.0
"""Seconds that a caller waits for a connection of the pool."""
RETRY_SECONDS = 0.02
"""Seconds between two attempts to open another connection when PostgreSQL has none to spare."""
IDLE_SECONDS = 60.0
"""Seconds after which an idle connection is closed, so that PostgreSQL can give it to others."""

MOST_STATEMENTS = 256
"""The maximum number of statements that a connection keeps prepared.

Filters combine to more statements than any client uses. A statement takes up to 40 kB in PostgreSQL, per connection.
"""

CLOSING_SECONDS = 2.0
"""Seconds that connections in use may continue when the pool is closed."""

LOCK_LEEWAY_SECONDS = 0.1
LOCK_ROW_SECONDS = 0.001
"""The time that the work of a statement that waits for locks may take: at least, and per row."""

POOL_CONNECT_SECONDS = 3.0
"""Seconds within which PostgreSQL must accept a connection. Less than the wait for a connection of the pool."""
END_SECONDS = 0.4
"""Seconds within which PostgreSQL must answer a rollback, and after it a cancelled statement.

A connection that does not answer is terminated: PostgreSQL rolls back when it notices. An answer to the client does not
wait longer for it.
"""
PROBE_SECONDS = 0.8
"""Seconds within which PostgreSQL must answer a health check."""

WAIT = "wait for connection"
"""The step of a request in which it waits for the turn of its user and for a connection of the pool."""

log = logging.getLogger("turnup.database")

_WHOLE = itemgetter(slice(None))
"""Converts a record to a tuple; the driver does this faster than Python converts the single values."""

_RELEASE = "RELEASE SAVEPOINT attempt"
_CHECKED_RELEASE = f"SET CONSTRAINTS ALL IMMEDIATE; {_RELEASE}"
_SIGN_IN = (
    "SELECT id, name, email, role, status, accounts, locations, all_accounts, confirmed, credential_id, actions,"
    " expires_at{more} FROM turnup.sign_in($1, $2, $3, $4, $5)"
)
SIGN_IN = _SIGN_IN.format(more="")
SIGN_IN_TO_WRITE = _SIGN_IN.format(more=f", {WRITES_SINCE} AS writes_since")
# What sign-in meets in a database that lacks migrations of this code.
_LACKING = (
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedTableError,
)
# The first two statements of a transaction, each a round trip.
READING = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", SIGN_IN
WRITING = BEGIN_WRITING, SIGN_IN_TO_WRITE


class UnknownUser(Exception):  # noqa: N818 - names what happened
    """The credential signs no active user in. The message is for clients."""

    def __init__(self, kind: CredentialKind) -> None:
        super().__init__(REFUSED[kind])


class SuspendedUser(UnknownUser):
    """The user of the credential is suspended."""

    def __init__(self, user_id: str, role: Role, kind: CredentialKind) -> None:
        super().__init__(kind)
        self.user_id = user_id
        self.role = role


class SentStatements:
    """The number of statements that were sent to PostgreSQL, with those that begin and end transactions."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Transaction:
    """An open transaction on one connection with its signed-in viewer. Statements run one at a time."""

    __slots__ = ("_connection", "_lock_seconds", "_observe", "_sent", "viewer")

    def __init__(self, connection: Any, viewer: Viewer, observe: Observer, sent: SentStatements | None = None) -> None:
        """`sent` counts the statements."""
        self._connection = connection
        self._observe = observe
        self._sent = sent or SentStatements()
        self._lock_seconds = LOCK_SECONDS
        self.viewer = viewer

    async def fetch(self, statement: Statement, **values: Any) -> list[Any]:
        """Return every row of a statement as a struct."""
        self._sent.count += 1
        try:
            with self._observe("sql", statement.name, {}), translated():
                records = await self._connection.fetch(statement.sql, *statement.arguments(values))
            return list(starmap(statement.build, map(_WHOLE, records)))
        except Exception as error:
            note_statement(error, statement.name)
            raise

    @asynccontextmanager
    async def savepoint(self, *, final: bool = False) -> AsyncIterator[None]:
        """Roll back to the start of the block when it raises; the transaction continues.

        With `final`, nothing may be written after the block: its end checks the deferred constraints, so that a
        violation is raised here, where it can be named, rolled back and retried.
        """
        self._sent.count += 2
        with self._observe("command", "SAVEPOINT", {}), translated():
            await self._connection.execute("SAVEPOINT attempt")
        try:
            yield
            with self._observe("command", "RELEASE SAVEPOINT", {}), translated():
                await self._connection.execute(_CHECKED_RELEASE if final else _RELEASE)
        except BaseException:
            with self._observe("command", "ROLLBACK TO SAVEPOINT", {}):
                await _undone(self._connection, "ROLLBACK TO SAVEPOINT attempt")
            raise

    @asynccontextmanager
    async def undone(self) -> AsyncIterator[None]:
        """Roll back to the start of the block, however it ends."""
        self._sent.count += 2
        with self._observe("command", "SAVEPOINT", {}), translated():
            await self._connection.execute("SAVEPOINT trial")
        try:
            yield
        finally:
            with self._observe("command", "ROLLBACK TO SAVEPOINT", {}):
                await _undone(self._connection, "ROLLBACK TO SAVEPOINT trial")

    @asynccontextmanager
    async def locking(self, rows: int) -> AsyncIterator[None]:
        """Bound the wait for locks in the block, which locks about this many rows.

        PostgreSQL bounds the wait for each single lock, and a statement can wait for many. All such blocks of the
        transaction have LOCK_SECONDS together, besides the time that their work may take. Raises LockTimeout.
        """
        work = LOCK_LEEWAY_SECONDS + rows * LOCK_ROW_SECONDS
        began = monotonic()
        try:
            async with asyncio.timeout(self._lock_seconds + work):
                yield
        except TimeoutError as error:
            raise LockTimeout from error
        finally:
            waited = monotonic() - began - work
            self._lock_seconds -= min(max(0.0, waited), self._lock_seconds)

    async def fetch_one(self, statement: Statement, **values: Any) -> Any | None:
        """Return the first row of a statement, or None."""
        rows = await self.fetch(statement, **values)
        return rows[0] if rows else None


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """The connections that a pool may open and those in use, and the callers that wait for one or waited in vain."""

    size: int
    in_use: int
    waiting: int
    refused: int


class Database:
    """A bounded pool of connections of the app's role, and one more connection for health checks."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        connect: Callable[[], Awaitable[Any]],
        *,
        wait_seconds: float,
        observe: Observer,
        per_user: int,
        per_location: int,
    ) -> None:
        self._pool = pool
        self._connect = connect
        self._wait_seconds = wait_seconds
        self.observe = observe
        self._waiting = 0
        self._refused = 0
        self._writes_closed = False
        self._probing: Any = None
        self._opening: asyncio.Task[Any] | None = None
        self.users = Bulkhead(per_user)
        """The transactions of each user, by the keys of `user_keys`."""
        self.user_keys = UserKeys()
        self.uses = CredentialUses()
        self.locations = Bulkhead(per_location)
        """The transactions that lock, or wait to lock, each location."""

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        size: int,
        wait_seconds: float = WAIT_SECONDS,
        observe: Observer = unobserved,
        per_user: int | None = None,
        per_location: int | None = None,
        transaction_pooling: bool = False,
    ) -> "Database":
        """Open a pool of at most `size` connections; a caller waits at most `wait_seconds` for one.

        `per_user` bounds the connections that a user holds, by default half of the pool; `per_location` those that
        write to a location or wait for its lock, by default a fifth. Each is at least one. `transaction_pooling`: the
        URL may lead to a pooler in transaction mode. Raises Unfit if it does without this.
        """
        options: dict[str, Any] = {
            "statement_cache_size": MOST_STATEMENTS,
            "max_cached_statement_lifetime": 0,
            "timeout": POOL_CONNECT_SECONDS,
            **await app_options(url, transaction_pooling=transaction_pooling),
        }
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
            **options,
        )
        return cls(
            pool,
            lambda: connect(url, **options),
            wait_seconds=wait_seconds,
            observe=observe,
            per_user=per_user or max(1, size // 2),
            per_location=per_location or max(1, size // 5),
        )

    def usage(self) -> "PoolUsage":
        """Return how much of the pool is in use now."""
        return PoolUsage(
            size=self._pool.get_max_size(),
            in_use=self._pool.get_size() - self._pool.get_idle_size(),
            waiting=self._waiting,
            refused=self._refused,
        )

    def waiting_in_bulkheads(self) -> int:
        """Return the number of callers that wait for other work of their user or location; they hold no connection."""
        return self.users.waiting + self.locations.waiting

    async def close(self) -> None:
        """Close every connection; those in use get CLOSING_SECONDS to finish, then they are terminated."""
        self._forget_probe()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._pool.close()  # on cancellation this terminates the remaining connections

    async def probe(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """Return what `ask` returns for a connection that serves nothing else; one caller at a time.

        The answer does not depend on how busy the pool is. Raises DatabaseUnavailable, after PROBE_SECONDS at the
        latest.
        """
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                with translated():
                    if self._probing is None or self._probing.is_closed():
                        await self._open_probe()
                    return await ask(self._probing)
        except (TimeoutError, Overloaded, StatementTimeout) as error:
            self._end_probe()
            raise DatabaseUnavailable from error
        except BaseException:
            self._end_probe()
            raise

    async def _open_probe(self) -> None:
        """Open the connection. The attempt continues after a probe that it took too long: another one will use it."""
        if self._opening is None:
            self._opening = asyncio.create_task(_opened(self._connect()))
            self._opening.add_done_callback(self._probe_opened)
        await asyncio.shield(self._opening)

    def _probe_opened(self, opening: asyncio.Task[Any]) -> None:
        self._opening = None
        if not opening.cancelled() and opening.exception() is None:
            self._probing = opening.result()

    def _forget_probe(self) -> None:
        self._end_probe()
        if self._opening is not None:
            self._opening.cancel()

    def _end_probe(self) -> None:
        connection, self._probing = self._probing, None
        if connection is not None:
            connection.terminate()

    async def forget_connections(self) -> None:
        """Replace each connection when it is free: another server may have taken over the writes."""
        self._forget_probe()
        await self._pool.expire_connections()

    async def name(self) -> str:
        """Return the name of the database. Raises as `connection`."""
        async with self.connection() as connection:
            name: str = await connection.fetchval("SELECT current_database()")
        return name

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Yield a connection for work without a user.

        Raises DatabaseUnavailable, or Overloaded when none is free in time.
        """
        with self.observe("step", WAIT, {}):
            connection = await self.acquire()
        try:
            yield connection
        except BaseException:
            # A cancelled statement may be prepared but not executed: a pooler keeps its server connection until then.
            await _undone(connection, "ROLLBACK")
            raise
        finally:
            await self.release(connection)

    async def release(self, connection: Any) -> None:
        """Return a connection to the pool. One that does not answer a cancelled statement in time is terminated."""
        try:
            await self._pool.release(connection, timeout=END_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it was, the driver has terminated the connection
            log.warning("a connection to the database was terminated: %s", type(error).__name__)

    async def acquire(self) -> Any:
        """Return a connection, which the caller must release.

        Raises DatabaseUnavailable, or Overloaded when none is free in time.
        """
        with translated():
            self._waiting += 1
            try:
                if self._pool.get_idle_size():  # an idle connection is available: no wait, so no timer
                    with suppress(asyncpg.TooManyConnectionsError):
                        return await self._taken()
                async with asyncio.timeout(self._wait_seconds):
                    return await self._taken_in_turn()
            except TimeoutError as error:
                self._refused += 1
                raise Overloaded from error
            finally:
                self._waiting -= 1

    async def _taken_in_turn(self) -> Any:
        """Return a connection of the pool.

        When the pool cannot grow because PostgreSQL, which others use too, has no connection to spare, this waits for
        one of the pool's own connections to become free.
        """
        while True:
            with suppress(asyncpg.TooManyConnectionsError):
                return await self._taken()
            await asyncio.sleep(RETRY_SECONDS)

    async def _taken(self) -> Any:
        return await _opened(self._pool.acquire())

    def snapshot(
        self, credential: Credential, *, timeout_ms: int, sent: SentStatements | None = None
    ) -> "TransactionScope":
        """Return a signed-in read-only transaction: one consistent snapshot of what the user may see.

        `timeout_ms` becomes the statement timeout. `sent` counts the statements. Waits while the user holds as many
        connections as allowed. Raises UnknownUser, SuspendedUser, Overloaded or DatabaseUnavailable.
        """
        return TransactionScope(self, READING, credential, timeout_ms, sent)

    def writing(
        self, credential: Credential, *, timeout_ms: int, sent: SentStatements | None = None
    ) -> "TransactionScope":
        """Return a signed-in READ COMMITTED transaction, committed when the block succeeds, else rolled back.

        Raises CommitUnknown when the result of the commit is unknown; after any other exception nothing was committed.
        A database that is read-only refuses the first write: the transaction does not ask to be READ WRITE. Raises
        WritesOfOlderCode when the database was migrated further than this code may write.
        """
        return TransactionScope(self, WRITING, credential, timeout_ms, sent)

    async def _sign_in(
        self, connection: Any, credential: Credential, timeout_ms: int, statement: str = SIGN_IN
    ) -> Viewer:
        kind, secret = credential.kind, credential.secret_sha256
        with self.observe("sql", "sign_in", {}), translated():
            try:
                record = await connection.fetchrow(
                    statement, kind.value, credential.subject, credential.issuer, secret, timeout_ms
                )
            except _LACKING as error:
                raise MigrationsMissing from error
        if record is None:
            raise UnknownUser(kind)
        if record["status"] != UserStatus.ACTIVE:
            raise SuspendedUser(record["id"], Role(record["role"]), kind)
        self.user_keys.learn(credential, record["id"])
        credential_id = record["credential_id"]
        if credential_id is not None:
            self.uses.note(kind, credential_id)
        if statement is SIGN_IN_TO_WRITE and not may_write(record["writes_since"], newest_revision()):
            if not self._writes_closed:  # once per process: from now on every write is refused
                log.warning("writes need code of revision %s; this process only reads", record["writes_since"])
            self._writes_closed = True
            raise WritesOfOlderCode
        role = Role(record["role"])
        listed = record["locations"]
        granted = Scope(accounts=frozenset(record["accounts"]), locations=None if listed is None else frozenset(listed))
        return viewer_of(
            identifier=record["id"],
            name=record["name"],
            email=record["email"],
            role=role,
            granted=granted,
            all_accounts=record["all_accounts"],
            confirmed=record["confirmed"],
            credential_kind=kind,
            credential_id=credential_id,
            credential_expires_at=record["expires_at"],
            actions=_actions(kind, record["actions"]),
        )


class TransactionScope(AbstractAsyncContextManager[Transaction]):
    """A transaction from its BEGIN to its end. A class, because nested generators cost every request more.

    `begin` starts it ahead of the block. A started transaction must be entered once or rolled back.
    """

    __slots__ = (
        "_begin", "_begun", "_connection", "_credential", "_database", "_sent", "_sign_in", "_timeout_ms", "_user",
    )  # fmt: skip

    def __init__(
        self,
        database: Database,
        statements: tuple[str, str],
        credential: Credential,
        timeout_ms: int,
        sent: SentStatements | None = None,
    ) -> None:
        self._database = database
        self._begin, self._sign_in = statements
        self._credential = credential
        self._timeout_ms = timeout_ms
        self._sent = sent or SentStatements()
        self._begun: Transaction | None = None

    async def begin(self) -> Transaction:
        """Wait for the user's turn, take a connection, begin and sign in; on failure all of it is given back."""
        database = self._database
        self._user = (database.user_keys.of(self._credential),)
        with database.observe("step", WAIT, {}):
            await database.users.enter(self._user)
            try:
                connection = self._connection = await database.acquire()
            except BaseException:
                database.users.leave(self._user)
                raise
        try:
            self._sent.count += 2
            with database.observe("command", "BEGIN", {}), translated():
                await connection.execute(self._begin)
            viewer = await database._sign_in(connection, self._credential, self._timeout_ms, self._sign_in)
        except BaseException:
            await self.roll_back()
            raise
        self._begun = Transaction(connection, viewer, database.observe, self._sent)
        return self._begun

    async def roll_back(self) -> None:
        """Roll back and release the connection; a lost connection raises nothing."""
        self._sent.count += 1
        try:
            with self._database.observe("command", "ROLLBACK", {}):
                await _undone(self._connection, "ROLLBACK")
        finally:
            await self._release()

    async def _release(self) -> None:
        try:
            await self._database.release(self._connection)
        finally:
            self._database.users.leave(self._user)

    async def __aenter__(self) -> Transaction:
        return self._begun or await self.begin()

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is not None:
            if isinstance(error, DatabaseReadOnly):
                await self._database.forget_connections()
            await self.roll_back()
            return
        self._sent.count += 1
        try:
            with self._database.observe("command", "COMMIT", {}):
                await commit(self._connection)
        finally:
            await self._release()


def _actions(kind: CredentialKind, stated: list[str] | None) -> frozenset[str] | None:
    """The actions to which a credential narrows the role, of those that it states; None narrows nothing."""
    if kind is not CredentialKind.SERVICE_TOKEN:
        return None
    return actions_of_token(None if stated is None else frozenset(stated))


async def _opened(connection: Awaitable[Any]) -> Any:
    """Return an awaited connection. Raises TooManyConnectionsError, or DatabaseUnavailable for every other failure.

    No request causes one: the server starts, is closed to this role or database, has another certificate, or did not
    accept the connection in time.
    """
    try:
        return await connection
    except asyncpg.TooManyConnectionsError:
        raise
    except Exception as error:
        if translation(error) is None:
            log.warning("no connection to the database could be opened: %s", type(error).__name__)
        raise DatabaseUnavailable from error


async def commit(connection: Any) -> None:
    """Commit. An error that PostgreSQL reports on a working connection means that it rolled back; it is not retried.

    Raises CommitUnknown when the result is unknown.
    """
    try:
        await connection.execute("COMMIT")
    except Exception as error:
        if not isinstance(error, asyncpg.PostgresError) or getattr(error, "severity_en", None) != "ERROR":
            raise CommitUnknown from error
        known = translation(error)
        if known is None:
            raise
        raise known from error


async def _undone(connection: Any, statement: str) -> None:
    """Roll back because of an exception, without replacing that exception.

    A connection that does not answer in time is terminated, and so is one in an unknown state. A savepoint no longer
    exists when the caller was cancelled while waiting for its release.
    """
    try:
        async with asyncio.timeout(END_SECONDS):
            await connection.execute(statement)
    except asyncpg.InvalidSavepointSpecificationError:
        return
    except BaseException as error:
        with suppress(asyncpg.InterfaceError):  # it was terminated before
            connection.terminate()
        if not isinstance(error, Exception):
            raise


async def _prepare(connection: Any) -> None:
    await convert_json(connection)


async def _nothing_to_reset(_connection: Any) -> None:
    pass
