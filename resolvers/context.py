"""The context of one request, which every resolver receives in addition to its arguments."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from strawberry.types import Info as StrawberryInfo

from app.db.reading import Reading
from app.domain.viewer import Viewer
from app.execution import Allowance
from app.operations.context import WriteContext
from resolvers.budgets import Budgets


@dataclass(slots=True)
class Context:
    """The viewer of one request, their budgets, the snapshot for reads and the context for writes.

    `allowance` is the number of objects that the operation may return.

    A mutation has no snapshot until its first root field has written. Each root field that writes gets a new snapshot
    after its commit, so that no cached row outlives a write.
    """

    viewer: Viewer
    write_context: WriteContext
    budgets: Budgets
    allowance: Allowance
    open_reading: Callable[[], Awaitable[Reading]]
    written: set[str | int]
    """The response keys of the root fields that have begun to write."""
    denied: set[str]
    """The names of the fields that were refused for the viewer's role, as far as the operation has come."""
    current: Reading | None = None
    holds_secret: bool = False
    """Whether a mutation has returned a secret, which the response shows once."""

    @property
    def reading(self) -> Reading:
        """The snapshot to read from."""
        assert self.current is not None, "a mutation reads after it has written"  # noqa: S101 - see renew_reading
        return self.current

    async def renew_reading(self) -> None:
        """Open a new snapshot for all further reads."""
        self.current = await self.open_reading()


Info = StrawberryInfo[Context, Any]
