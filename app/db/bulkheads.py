"""Bulkheads: the bound of how much of a shared resource each key, such as a user or a location, holds at one time.

Holders beyond the bound wait in order and hold nothing meanwhile, so that a key whose work is slow leaves the rest of
the resource to the others.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Hashable


class Bulkhead:
    """Bounds the holders of each key. A holder of several keys counts for each, and gets all of them or none."""

    def __init__(self, most: int) -> None:
        """`most` is the maximum number of holders of a key, at least 1."""
        self.most = most
        self._held: Counter[Hashable] = Counter()
        # The waiting callers in their order, with their keys.
        self._queue: dict[asyncio.Future[None], frozenset[Hashable]] = {}

    @property
    def waiting(self) -> int:
        """The number of waiting callers."""
        return len(self._queue)

    def try_enter(self, keys: Collection[Hashable]) -> bool:
        """Become a holder if that needs no waiting. Returns whether the caller is a holder now."""
        wanted = frozenset(keys)
        if any(self._held[key] >= self.most for key in wanted):
            return False
        if self._queue and any(wanted & waited for waited in self._queue.values()):
            return False
        self._held.update(wanted)
        return True

    async def enter(self, keys: Collection[Hashable]) -> None:
        """Become a holder, after the callers that wait for one of the keys already. The caller bounds the wait."""
        if self.try_enter(keys):
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue[turn] = frozenset(keys)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(keys)  # the turn came at the moment of the cancellation
            else:
                del self._queue[turn]
                self._admit()  # those behind may have waited for this one's other keys
            raise

    def leave(self, keys: Collection[Hashable]) -> None:
        """Stop being a holder."""
        for key in frozenset(keys):
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
        if self._queue:
            self._admit()

    def _admit(self) -> None:
        """Give turns, in order, to all callers that need not wait longer. None overtakes one that waits for its key."""
        blocked: set[Hashable] = set()
        for turn, wanted in list(self._queue.items()):
            if turn.done():
                continue  # cancelled, and about to leave the queue
            if wanted & blocked or any(self._held[key] >= self.most for key in wanted):
                blocked |= wanted
                continue
            del self._queue[turn]
            self._held.update(wanted)
            turn.set_result(None)


class Share:
    """What one caller holds of a bulkhead."""

    __slots__ = ("_bulkhead", "_keys")

    def __init__(self, bulkhead: Bulkhead) -> None:
        self._bulkhead = bulkhead
        self._keys: frozenset[Hashable] = frozenset()

    def try_hold(self, keys: Collection[Hashable]) -> bool:
        """Hold these keys instead of what is held. Returns False, holding nothing, if the caller would have to wait."""
        if self._keys >= frozenset(keys):
            return True
        self.release()
        held = self._bulkhead.try_enter(keys)
        if held:
            self._keys = frozenset(keys)
        return held

    async def hold(self, keys: Collection[Hashable]) -> None:
        """Hold these keys instead of what is held, when it is the caller's turn."""
        self.release()
        await self._bulkhead.enter(keys)
        self._keys = frozenset(keys)

    def release(self) -> None:
        """Hold nothing."""
        keys, self._keys = self._keys, frozenset()
        if keys:
            self._bulkhead.leave(keys)
