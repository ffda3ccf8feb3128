"""A reading: connection, snapshot and loaders as one value, alive as long as one response is being gathered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any

from aiodataloader import DataLoader
from sqlalchemy import Column

from app.db.database import DatabaseUnavailable, Observer, StatementTimeout, Transaction
from app.db.loaders import ManyLoader, OneLoader
from app.db.statements import Statement
from app.domain.viewer import Scope, Viewer


class Reading:
    """What resolvers read from. Statements run one after another, however many resolvers ask at once."""

    __slots__ = ("_failure", "_lock", "_many", "_observe", "_one", "_others", "_transaction")

    def __init__(self, transaction: Transaction, observe: Observer) -> None:
        self._transaction = transaction
        self._observe = observe
        self._lock = asyncio.Lock()
        self._failure: StatementTimeout | DatabaseUnavailable | None = None
        self._others: dict[Hashable, DataLoader[str, Any]] = {}
        self._one: dict[Column[Any], OneLoader] = {}
        self._many: dict[Column[Any], ManyLoader] = {}

    @property
    def viewer(self) -> Viewer:
        """Who reads."""
        return self._transaction.viewer

    @property
    def scope(self) -> Scope:
        """The rows the viewer may see."""
        return self._transaction.viewer.scope

    async def fetch(self, statement: Statement, **values: Any) -> list[Any]:
        """Every row of a statement."""
        async with self._lock:
            if self._failure is not None:
                raise self._failure
            try:
                return await self._transaction.fetch(statement, **values)
            except (StatementTimeout, DatabaseUnavailable) as error:
                self._failure = error
                raise

    def one(self, column: Column[Any]) -> OneLoader:
        """This reading's loader of the row whose column has a key."""
        loader = self._one.get(column)
        if loader is None:
            loader = self._one[column] = OneLoader(column, self._batch)
        return loader

    def many(self, column: Column[Any]) -> ManyLoader:
        """This reading's loader of the rows whose column has a key."""
        loader = self._many.get(column)
        if loader is None:
            loader = self._many[column] = ManyLoader(column, self._batch)
        return loader

    def loader(self, name: Hashable, read: Callable[[Transaction, list[str]], Awaitable[list[Any]]]) -> Any:
        """This reading's loader of that name: `read` gets the keys of a whole level and answers in their order."""

        async def gathered(keys: list[str]) -> list[Any]:
            async with self._turn() as transaction:
                return await read(transaction, keys)

        if name not in self._others:
            self._others[name] = DataLoader(gathered)
        return self._others[name]

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Transaction]:
        """The transaction, for one reader after the other; once it has failed, it fails everyone the same."""
        async with self._lock:
            if self._failure is not None:
                raise self._failure
            try:
                yield self._transaction
            except (StatementTimeout, DatabaseUnavailable) as error:
                self._failure = error
                raise

    async def _batch(self, statement: Statement, keys: list[str]) -> list[Any]:
        with self._observe("batch", statement.name, {"batch.size": len(keys)}):
            return await self.fetch(statement, keys=keys)
