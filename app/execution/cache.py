"""A bounded cache that a flood of keys used once cannot empty of those used often."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_MOST_USES = 3


class FloodProofCache(Generic[Key, Value]):
    """Keeps at most `size` values, by S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", 2023).

    A new value waits in a probation. If there is no room and nobody asked for it again, it goes, and only its key's
    hash is remembered for a while; if that comes back, it was in use after all and is kept at once. What is kept stays
    for as many rounds as it was asked for, three at most. As long as there is room, nothing goes.
    """

    def __init__(self, size: int, weigh: Callable[[Value], int] | None = None, most_weight: int = 0) -> None:
        """With `weigh`, values are also let go before another is put when they weigh more than `most_weight`."""
        self._weigh = weigh
        self._most_weight = most_weight
        self._size = max(1, size)
        self._most_kept = self._size - max(1, self._size // 8)
        self._probation: OrderedDict[Key, _Held[Value]] = OrderedDict()
        self._kept: OrderedDict[Key, _Held[Value]] = OrderedDict()
        self._gone: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._probation) + len(self._kept)

    def get(self, key: Key) -> Value | None:
        """The value put under this key if it is still held."""
        held = self._kept.get(key) or self._probation.get(key)
        if held is None:
            return None
        if held.uses < _MOST_USES:
            held.uses += 1
        return held.value

    def put(self, key: Key, value: Value, known_as: Hashable = None) -> None:
        """Hold a value; what is used least goes if there is no room.

        `known_as` is what it is recognised by when it comes back, for keys that may come to mean something else.
        """
        self._kept.pop(key, None)
        self._probation.pop(key, None)
        excess = self._excess()
        while len(self) >= self._size or (excess > 0 and len(self)):
            gone = self._let_go()
            if gone is not None and self._weigh is not None:
                excess -= self._weigh(gone)
        mark = hash(key if known_as is None else known_as)
        was_here = self._gone.pop(mark, self) is None
        (self._kept if was_here else self._probation)[key] = _Held(value, mark)

    def _excess(self) -> int:
        if self._weigh is None:
            return 0
        held = [*self._kept.values(), *self._probation.values()]
        return sum([self._weigh(each.value) for each in held]) - self._most_weight

    def _let_go(self) -> Value | None:
        """Let one value go and give it, or give the oldest another round among the kept."""
        from_kept = len(self._kept) > self._most_kept or not self._probation
        key, held = (self._kept if from_kept else self._probation).popitem(last=False)
        if held.uses:
            held.uses -= 1
            self._kept[key] = held
            return None
        if not from_kept:
            self._gone[held.mark] = None
            if len(self._gone) > self._size:
                self._gone.popitem(last=False)
        return held.value


class _Held(Generic[Value]):
    __slots__ = ("mark", "uses", "value")

    def __init__(self, value: Value, mark: int) -> None:
        self.value = value
        self.mark = mark
        self.uses = 0
