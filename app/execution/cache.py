"""A bounded cache that keeps frequently used values when many keys are used only once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_MOST_USES = 3


class ScanResistantCache(Generic[Key, Value]):
    """Holds at most `size` values and evicts by S3-FIFO (Yang et al., SOSP 2023).

    The paper is "FIFO queues are all you need for cache eviction". A new value enters the small queue. If the cache
    is full and the value was not read again, it is evicted and only the hash of its key is remembered; if the key
    returns, its value enters the main queue directly. A value in the main queue stays for one more round per read, at
    most three. Nothing is evicted while there is room.
    """

    def __init__(self, size: int, weigh: Callable[[Value], int] | None = None, most_weight: int = 0) -> None:
        """With `weigh`, `put` also evicts while the values together weigh more than `most_weight`."""
        self._weigh = weigh
        self._most_weight = most_weight
        self._size = max(1, size)
        self._most_in_main = self._size - max(1, self._size // 8)
        self._small: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        self._main: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        self._evicted: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    def get(self, key: Key) -> Value | None:
        """Return the value stored under this key, None if there is none."""
        entry = self._main.get(key) or self._small.get(key)
        if entry is None:
            return None
        if entry.uses < _MOST_USES:
            entry.uses += 1
        return entry.value

    def put(self, key: Key, value: Value, known_as: Hashable = None) -> None:
        """Store a value; evict the least used values if there is no room.

        `known_as` identifies the value after its eviction. Pass it if the key may be reused for something else.
        """
        self._main.pop(key, None)
        self._small.pop(key, None)
        excess = self._excess()
        while len(self) >= self._size or (excess > 0 and len(self)):
            evicted = self._evict()
            if evicted is not None and self._weigh is not None:
                excess -= self._weigh(evicted)
        mark = hash(key if known_as is None else known_as)
        returns = self._evicted.pop(mark, self) is None
        (self._main if returns else self._small)[key] = _Entry(value, mark)

    def _excess(self) -> int:
        if self._weigh is None:
            return 0
        entries = [*self._main.values(), *self._small.values()]
        return sum([self._weigh(each.value) for each in entries]) - self._most_weight

    def _evict(self) -> Value | None:
        """Evict and return one value, or move the oldest one to the end of the main queue and return None."""
        from_main = len(self._main) > self._most_in_main or not self._small
        key, entry = (self._main if from_main else self._small).popitem(last=False)
        if entry.uses:
            entry.uses -= 1
            self._main[key] = entry
            return None
        if not from_main:
            self._evicted[entry.mark] = None
            if len(self._evicted) > self._size:
                self._evicted.popitem(last=False)
        return entry.value


class _Entry(Generic[Value]):
    __slots__ = ("mark", "uses", "value")

    def __init__(self, value: Value, mark: int) -> None:
        self.value = value
        self.mark = mark
        self.uses = 0
