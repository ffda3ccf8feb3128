"""The transactions of one request: every one signs its user in, and no two are open at the same time.

A request therefore holds at most one connection, and requests cannot wait for each other's second one.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType

from app.db.database import Database, SentStatements, Transaction, TransactionScope
from app.db.reading import Reading
from app.domain.credential import Credential
from app.domain.viewer import Viewer
from app.observing import Observer


class RequestTransactions(AbstractAsyncContextManager["RequestTransactions"]):
    """Opens transactions for one user; the end of the block ends the one that is open."""

    __slots__ = (
        "_credential", "_database", "_observe", "_reading", "_timeout_ms", "_writing", "commit_sent", "sent", "viewer",
    )  # fmt: skip

    def __init__(self, database: Database, credential: Credential, *, timeout_ms: int, observe: Observer) -> None:
        """`credential` is the user's; `timeout_ms` becomes the timeout of each statement."""
        self._database = database
        self._credential = credential
        self._timeout_ms = timeout_ms
        self._observe = observe
        self._reading: TransactionScope | None = None
        self._writing: TransactionScope | None = None
        self.commit_sent = False
        """Whether the COMMIT of a write was sent, so that the write may have taken effect."""
        self.sent = SentStatements()
        self.viewer: Viewer | None = None
        """The user, who was signed in by the first transaction; None before that."""

    async def begin_write(self) -> Viewer:
        """Begin the transaction of the first write ahead of it; returns its signed-in user.

        It is rolled back if no write uses it. Raises as `Database.writing`.
        """
        scope = self._write_scope()
        viewer = self.viewer = (await scope.begin()).viewer
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
            scope = self._write_scope()
        async with scope as transaction:
            yield transaction
            self.commit_sent = True

    async def read(self) -> Reading:
        """A reading of a new snapshot, which replaces the open transaction. Raises as `Database.snapshot`."""
        await self._roll_back()
        scope = self._database.snapshot(self._credential, timeout_ms=self._timeout_ms, sent=self.sent)
        transaction = await scope.begin()
        self.viewer = transaction.viewer
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

    def _write_scope(self) -> TransactionScope:
        return self._database.writing(self._credential, timeout_ms=self._timeout_ms, sent=self.sent)

    async def _roll_back(self) -> None:
        """End what is open, of which nothing is to be kept."""
        scope = self._reading or self._writing
        self._reading = self._writing = None
        if scope is not None:
            await scope.roll_back()
