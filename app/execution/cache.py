"""A bounded cache that a flood of keys used once cannot empty of those used often."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class FloodProofCache(Generic[Key, Value]):
    """Keeps at most `size` values, least recently used first to go.

    A new value waits in a probation of an eighth of the size; only being asked for again moves it among those kept,
    so keys that come once push out one another and nothing else.
    """

    def __init__(self, size: int) -> None:
        self._probation_size = max(1, size // 8)
        self._kept_size = max(1, size - self._probation_size)
        self._probation: dict[Key, Value] = {}
        self._kept: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self._probation) + len(self._kept)

    def get(self, key: Key) -> Value | None:
        """The value put under this key if it is still held."""
        value = self._kept.pop(key, None)
        if value is None:
            value = self._probation.pop(key, None)
            if value is None:
                return None
            _make_room(self._kept, self._kept_size)
        self._kept[key] = value
        return value

    def put(self, key: Key, value: Value) -> None:
        """Hold a value; the least recently used of the newcomers goes if there is no room."""
        _make_room(self._probation, self._probation_size)
        self._probation[key] = value


def _make_room(values: dict[Key, Value], size: int) -> None:
    while len(values) >= size:
        del values[next(iter(values))]
