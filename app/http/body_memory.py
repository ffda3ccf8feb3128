"""Bounds the memory of request bodies: what is held at once, in total and per user.

Counting begins after the first bytes of each body, so that ordinary requests are answered while large ones are refused;
the number of connections bounds what is not counted.
"""

from collections import Counter
from collections.abc import Hashable
from types import TracebackType

from app.http.refusals import TransportRefused

TOTAL_BYTES = 64 * 1024 * 1024
"""Counted bytes of all bodies that a process holds."""
USER_BYTES = 8 * 1024 * 1024
"""Counted bytes of all bodies of one user; at least the maximum size of one body."""
UNCOUNTED_BYTES = 16 * 1024
"""Bytes of each body that are not counted."""


class BodyMemory:
    """The bytes of bodies that this process holds."""

    def __init__(self, largest: int, *, total: int = TOTAL_BYTES, per_user: int = USER_BYTES) -> None:
        """`largest` is the maximum size of one body, which always fits when nothing else is held. All are in bytes."""
        self._total = max(total, largest)
        self._per_user = max(per_user, largest)
        self._held: Counter[Hashable] = Counter()

    @property
    def held(self) -> int:
        """The counted bytes of all bodies."""
        return self._held.total()

    def of(self, user: Hashable) -> "HeldBody":
        """Return the context in which one body of a user is held."""
        return HeldBody(self, user)

    def take(self, user: Hashable, size: int) -> None:
        """Count bytes. Raises TransportRefused when they exceed a maximum."""
        own_share = self._held[user] + size > self._per_user
        if own_share or self.held + size > self._total:
            sentence = "The server is reading too many large request bodies. Retry shortly."
            raise TransportRefused("OVERLOADED", sentence, own_share=own_share)
        self._held[user] += size

    def give_back(self, user: Hashable, size: int) -> None:
        """Stop counting bytes that were taken."""
        self._held[user] -= size
        if not self._held[user]:
            del self._held[user]


class HeldBody:
    """A context manager that counts one body from its first chunk to the end of its request."""

    def __init__(self, memory: BodyMemory, user: Hashable) -> None:
        self._memory = memory
        self._user = user
        self._size = 0
        self._counted = 0

    def __enter__(self) -> "HeldBody":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._counted:
            self._memory.give_back(self._user, self._counted)

    def add(self, size: int) -> None:
        """Count a chunk. Raises TransportRefused when this process holds too many bytes."""
        self._size += size
        more = max(0, self._size - UNCOUNTED_BYTES) - self._counted
        if more:
            self._memory.take(self._user, more)
            self._counted += more
