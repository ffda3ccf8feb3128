"""The infos that resolvers receive, with a response path that is computed only if it is read."""

from collections.abc import Callable
from typing import Any

from graphql import GraphQLResolveInfo
from graphql.pyutils import Path

from app.execution.model import Place


def infos(base: Any, place: Place) -> Callable[[int], Any]:
    """Return a function from the index of a value to the info for its parent. The path is computed on first use."""
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
            place: Place
            place, index = tuple.__getitem__(info, _PATH)
            parent, _ = place.parent_of(index)
            return place.level.field_path(parent, place.field)

        lazy = _LAZY[class_] = type(class_.__name__, (class_,), {"__slots__": (), "path": property(path)})
    return lazy
