"""The transactions of one request: every one signs its user in, and no two are open at the same time.

A request therefore holds at most one connection, and requests cannot wait for each other's second one.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType

from app.db.database import Database, Observer, Transaction, TransactionScope
from app.db.reading import Reading
from app.domain.viewer import Viewer


class RequestTransactions(AbstractAsyncContextManager["RequestTransactions"]):
    """Opens transactions for one user; the end of the block ends the one that is open."""

    __slots__ = ("_database", "_observe", "_reading", "_subject", "_timeout_ms", "_writing", "commit_sent")

    def __init__(self, database: Database, subject: str, *, timeout_ms: int, observe: Observer) -> None:
        """`subject` is that of the user's token; `timeout_ms` becomes the timeout of each statement."""
        self._database = database
        self._subject = subject
        self._timeout_ms = timeout_ms
        self._observe = observe
        self._reading: TransactionScope | None = None
        self._writing: TransactionScope | None = None
        self.commit_sent = False
        """Whether the COMMIT of a write was sent, so that the write may have taken effect."""

    async def begin_write(self) -> Viewer:
        """Begin the transaction of the first write ahead of it; returns its signed-in user.

        It is rolled back if no write uses it. Raises as `Database.writing`.
        """
        scope = self._database.writing(self._subject, timeout_ms=self._timeout_ms)
        viewer = (await scope.begin()).viewer
        self._writing = scope
        return viewer

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """The transaction of one attempt to write, committed when the block ends well, else rolled back.

        The first attempt gets the transaction that `begin_write` began, a later one a new transaction. The reading of
        an earlier write's answer ends before that. Raises as `Database.writing`.
        """
        scope, self._writing = self._writing, None
        if scope is None:
            await self._roll_back()
            scope = self._database.writing(self._subject, timeout_ms=self._timeout_ms)
        async with scope as transaction:
            yield transaction
            self.commit_sent = True

    async def read(self) -> Reading:
        """A reading of a new snapshot, which replaces the open transaction. Raises as `Database.snapshot`."""
        await self._roll_back()
        scope = self._database.snapshot(self._subject, timeout_ms=self._timeout_ms)
        transaction = await scope.begin()
        self._reading = scope
        return Reading(transaction, self._observe)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        reading = self._reading
        if reading is None:
            await self._roll_back()
        else:
            self._reading = None
            await reading.__aexit__(kind, error, traceback)

    async def _roll_back(self) -> None:
        """End what is open, of which nothing is to be kept."""
        scope = self._reading or self._writing
        self._reading = self._writing = None
        if scope is not None:
            await scope.roll_back()
