"""A reading: the connection, snapshot and loaders of one response."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable
from typing import Any, TypeVar

from aiodataloader import DataLoader
from sqlalchemy import Column

from app.db.database import Transaction
from app.db.failures import DatabaseUnavailable, StatementTimeout
from app.db.loaders import ManyLoader, MoreLoader, OneLoader
from app.db.statements import Statement, joined
from app.domain.viewer import Viewer
from app.observing import Observer

Result = TypeVar("Result")


class Reading:
    """The source that resolvers read from. Statements run one at a time, however many resolvers wait."""

    __slots__ = ("_many", "_more", "_one", "_others", "_turns")

    def __init__(self, transaction: Transaction, observe: Observer) -> None:
        self._turns = _Turns(transaction, observe)
        self._others: dict[Hashable, DataLoader[str, Any]] = {}
        self._one: dict[Column[Any], OneLoader] = {}
        self._many: dict[Column[Any], ManyLoader] = {}
        self._more: dict[Column[Any], MoreLoader] = {}

    @property
    def viewer(self) -> Viewer:
        """The viewer of this reading."""
        return self._turns.transaction.viewer

    def fetch(self, statement: Statement, **values: Any) -> Awaitable[list[Any]]:
        """Return every row of a statement."""
        return self._turns.fetch(statement, **values)

    def one(self, column: Column[Any]) -> OneLoader:
        """Return this reading's loader of the row whose column equals a key."""
        loader = self._one.get(column)
        if loader is None:
            loader = self._one[column] = OneLoader(column, self._turns.batch)
        return loader

    def many(self, column: Column[Any]) -> ManyLoader:
        """Return this reading's loader of the rows whose column equals a key."""
        loader = self._many.get(column)
        if loader is None:
            loader = self._many[column] = ManyLoader(column, self._turns.batch)
        return loader

    def more(self, column: Column[Any]) -> MoreLoader:
        """Return this reading's loader of whether a history is longer than its newest rows."""
        loader = self._more.get(column)
        if loader is None:
            loader = self._more[column] = MoreLoader(column, self._turns.batch)
        return loader

    def loader(self, name: Hashable, read: Callable[[Transaction, list[str]], Awaitable[list[Any]]]) -> Any:
        """Return this reading's loader of that name; `read` returns the results of a level's keys in their order."""
        turns = self._turns

        async def gathered(keys: list[str]) -> list[Any]:
            return await turns.take(lambda transaction: read(transaction, keys))

        if name not in self._others:
            self._others[name] = DataLoader(gathered)
        return self._others[name]


class _Turns:
    """Serialises the use of the transaction; after a failure every later reader gets the same exception.

    It has no reference to the loaders that use it, so that a reading and its rows are freed with the last reference.
    """

    __slots__ = ("_failure", "_lock", "_observe", "transaction")

    def __init__(self, transaction: Transaction, observe: Observer) -> None:
        self.transaction = transaction
        self._observe = observe
        self._lock = asyncio.Lock()
        self._failure: StatementTimeout | DatabaseUnavailable | None = None

    async def take(self, read: Callable[[Transaction], Awaitable[Result]]) -> Result:
        """Read when it is this reader's turn."""
        await self._lock.acquire()
        try:
            if self._failure is not None:
                raise self._failure
            return await read(self.transaction)
        except (StatementTimeout, DatabaseUnavailable) as error:
            self._failure = error
            raise
        finally:
            self._lock.release()

    def fetch(self, statement: Statement, **values: Any) -> Awaitable[list[Any]]:
        """Return every row of a statement."""
        return self.take(lambda transaction: transaction.fetch(statement, **values))

    async def batch(self, statement: Statement, keys: Collection[str]) -> list[Any]:
        """Return every row of a loader's statement for these keys."""
        with self._observe("batch", statement.name, {"batch.size": len(keys)}):
            return await self.fetch(statement, keys=joined(keys))
