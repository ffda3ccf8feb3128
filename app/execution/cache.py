"""A bounded cache that keeps frequently used values when many keys are used only once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_MOST_USES = 3


class ScanResistantCache(Generic[Key, Value]):
    """Holds at most `size` values that weigh at most `most_weight`, and evicts by S3-FIFO (Yang et al., SOSP 2023).

    The paper is "FIFO queues are all you need for cache eviction". A new value enters the small queue. If the cache
    is full and the value was not read again, it is evicted and only the hash of its key is remembered; if the key
    returns, its value enters the main queue directly. A value in the main queue stays for one more round per read, at
    most three. The main queue may fill seven eighths of the cache, by number and by weight, while the small queue is in
    use. Nothing is evicted while there is room.
    """

    def __init__(
        self,
        size: int,
        weigh: Callable[[Value], int] | None = None,
        most_weight: int = 0,
        heaviest: int | None = None,
    ) -> None:
        """Without `weigh`, only the number of values is limited.

        `weigh` is called once per `put` and per `reweigh`, whatever the number of values. A value above the weight
        `heaviest`, by default `most_weight`, is not kept. Values in use that together weigh at most the difference of
        the two are therefore not evicted by values that are used once, however heavy.
        """
        self._weigh = weigh
        self._size = max(1, size)
        self._most_in_main = self._size - max(1, self._size // 8)
        self._most_weight = most_weight
        self._heaviest = most_weight if heaviest is None else heaviest
        self._most_main_weight = most_weight - most_weight // 8
        self._small: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        self._main: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        self._evicted: OrderedDict[int, None] = OrderedDict()
        self._small_weight = 0
        self._main_weight = 0

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    @property
    def weight(self) -> int:
        """The weight of all values together."""
        return self._small_weight + self._main_weight

    def get(self, key: Key) -> Value | None:
        """Return the value stored under this key, None if there is none."""
        entry = self._main.get(key) or self._small.get(key)
        if entry is None:
            return None
        if entry.uses < _MOST_USES:
            entry.uses += 1
        return entry.value

    def put(self, key: Key, value: Value, known_as: Hashable = None) -> None:
        """Store a value; evict the least used values if there is no room. A value that is too heavy is not kept.

        `known_as` identifies the value after its eviction. Pass it if the key may be reused for something else.
        """
        self._remove(key)
        weight = 0 if self._weigh is None else self._weigh(value)
        if weight > self._heaviest:
            return
        self._make_room(1, weight)
        mark = hash(key if known_as is None else known_as)
        entry = _Entry(value, mark, weight)
        if self._evicted.pop(mark, self) is None:
            self._add_to_main(key, entry)
        else:
            self._small[key] = entry
            self._small_weight += weight

    def reweigh(self, key: Key) -> None:
        """Weigh the value stored under this key again, if any. Call this after the value grew or shrank."""
        entry = self._main.get(key) or self._small.get(key)
        if entry is None or self._weigh is None:
            return
        weight = self._weigh(entry.value)
        if weight > self._heaviest:
            self._remove(key)
            return
        if key in self._main:
            self._main_weight += weight - entry.weight
        else:
            self._small_weight += weight - entry.weight
        entry.weight = weight
        self._make_room(0, 0)

    def _remove(self, key: Key) -> None:
        if key in self._main:
            self._main_weight -= self._main.pop(key).weight
        elif key in self._small:
            self._small_weight -= self._small.pop(key).weight

    def _make_room(self, entries: int, weight: int) -> None:
        while len(self) + entries > self._size or self.weight + weight > self._most_weight:
            self._evict()

    def _evict(self) -> None:
        """Evict one value, or move the oldest one to the end of the main queue."""
        main_is_full = len(self._main) > self._most_in_main or self._main_weight > self._most_main_weight
        if main_is_full or not self._small:
            key, entry = self._main.popitem(last=False)
            self._main_weight -= entry.weight
            if entry.uses:
                entry.uses -= 1
                self._add_to_main(key, entry)
            return
        key, entry = self._small.popitem(last=False)
        self._small_weight -= entry.weight
        if entry.uses:
            entry.uses -= 1
            self._add_to_main(key, entry)
            return
        self._evicted[entry.mark] = None
        if len(self._evicted) > self._size:
            self._evicted.popitem(last=False)

    def _add_to_main(self, key: Key, entry: "_Entry[Value]") -> None:
        self._main[key] = entry
        self._main_weight += entry.weight


class _Entry(Generic[Value]):
    __slots__ = ("mark", "uses", "value", "weight")

    def __init__(self, value: Value, mark: int, weight: int) -> None:
        self.value = value
        self.mark = mark
        self.weight = weight
        self.uses = 0
