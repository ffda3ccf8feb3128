"""Where in the response things are: levels, how their objects hang below their parents, and the infos resolvers get."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import GraphQLResolveInfo
from graphql.pyutils import Path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .plan import PlanField, Selection


class Level:
    """All objects of one type at one place of the document, and what became of them."""

    __slots__ = ("class_", "columns", "objects", "place", "rows", "selection")

    def __init__(
        self, selection: Selection, objects: Sequence[Any], place: Place | None, class_: type | None = None
    ) -> None:
        self.selection = selection
        self.objects = objects
        self.class_ = class_
        """The class of all objects, if it is known that they have just one."""
        self.place = place
        """None for the root."""
        self.columns: dict[PlanField, Any] = {}
        self.rows: list[Any] = []

    def path(self, index: int) -> Path | None:
        """The response path of one object, None for the root."""
        if self.place is None:
            return None
        parent, items = self.place.climb(index)
        path = self.place.level.field_path(parent, self.place.field)
        for item in items:
            path = path.add_key(item)
        return path

    def field_path(self, index: int, field: PlanField) -> Path:
        """The response path of one object's field."""
        return Path(self.path(index), field.key, self.selection.type.name)


class Place(NamedTuple):
    """Where values are: below a field of a level, by the steps that led from its objects to them, outermost first."""

    level: Level
    field: PlanField
    steps: tuple[Picked | Items, ...] = ()

    def below(self, step: Picked | Items) -> Place:
        """One step further."""
        return Place(self.level, self.field, (*self.steps, step))

    def climb(self, index: int) -> tuple[int, list[int]]:
        """The index of the parent of a value, and the list places passed on the way down to it."""
        items: list[int] = []
        for step in reversed(self.steps):
            index, item = step.up(index)
            if item is not None:
                items.append(item)
        return index, items[::-1]


class Picked:
    """A step that left some values out: null, failed, or of another type."""

    __slots__ = ("_positions",)

    def __init__(self, positions: Sequence[int]) -> None:
        self._positions = positions

    def up(self, index: int) -> tuple[int, None]:
        """The index before the step."""
        return self._positions[index], None


class Items:
    """A step from lists to their items."""

    __slots__ = ("_ends", "_lengths")

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = lengths
        self._ends: list[int] | None = None

    def up(self, index: int) -> tuple[int, int]:
        """The index of the list, and the item's place in it."""
        if self._ends is None:
            self._ends = list(accumulate(self._lengths))
        outer = bisect_right(self._ends, index)
        return outer, index - (self._ends[outer - 1] if outer else 0)


def infos(base: Any, place: Place) -> Callable[[int], Any]:
    """A function giving the info for the parent of the value at an index, its path computed only if it is read."""
    class_ = _class_with_lazy_path(type(base))
    before, after = tuple(base[:_PATH]), tuple(base[_PATH + 1 :])
    new = tuple.__new__
    return lambda index: new(class_, (*before, (place, index), *after))


_PATH = GraphQLResolveInfo._fields.index("path")

_LAZY: dict[type, type] = {}


def _class_with_lazy_path(class_: type) -> type:
    lazy = _LAZY.get(class_)
    if lazy is None:

        def path(info: Any) -> Path:
            place, index = tuple.__getitem__(info, _PATH)
            parent, _ = place.climb(index)
            return place.level.field_path(parent, place.field)  # type: ignore[no-any-return]

        lazy = _LAZY[class_] = type(class_.__name__, (class_,), {"__slots__": (), "path": property(path)})
    return lazy
