"""Relay connections with keyset pagination.

A cursor is opaque to clients: the base64url encoding of the order and its direction, a mark of the filters, and the
order values of its row. A cursor of another order or direction, or of other filters, is refused, because its position
would differ.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2s
from typing import Any, Generic, TypeVar

import msgspec
import orjson

from app.db import nested, queries
from app.db.nested import NestedList
from app.db.paging import Order, Page, Slice
from app.db.reading import Reading
from app.domain.refusals import InvalidInput

R = TypeVar("R")

LARGEST_PAGE = 100
DEFAULT_PAGE = 20
_LONGEST_CURSOR = 2_048


class PlaceInList(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The content of a cursor."""

    order: str
    filters: str
    values: list[Any]


@dataclass(frozen=True, slots=True)
class Edge:
    """A row and its cursor."""

    cursor: str
    node: Any


@dataclass(frozen=True, slots=True)
class PageInfo:
    """The position of a page in its list."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class Connection(Generic[R]):
    """A page of rows, with the data to make its cursors and to count the whole list."""

    order: Order
    filters: Mapping[str, Any]
    slice: Slice
    continued: bool
    count: Callable[[], Awaitable[int]]
    """Counts the whole list, up to COUNT_CAP + 1."""

    @property
    def nodes(self) -> list[R]:
        """The rows."""
        return self.slice.rows

    @property
    def edges(self) -> list[Edge]:
        """The rows with their cursors."""
        return [Edge(self._cursor(row), row) for row in self.slice.rows]

    @property
    def page_info(self) -> PageInfo:
        """The ends of the page."""
        rows = self.slice.rows
        ends = (self._cursor(rows[0]), self._cursor(rows[-1])) if rows else (None, None)
        return PageInfo(self.slice.has_next, self.continued, *ends)

    def _cursor(self, row: Any) -> str:
        place = PlaceInList(self.order.mark, mark_of(self.filters), self.order.values(row))
        return base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()


async def connection(
    reading: Reading, order: Order, filters: Mapping[str, Any], first: int, after: str | None
) -> Connection[Any]:
    """The requested page. Raises InvalidInput for `first` outside of 1..100 and for cursors of other lists."""
    page = _page(order, filters, first, after)
    found = await queries.page_of(reading, order, page, filters)
    count = partial(queries.count_of, reading, order, filters)
    return Connection(order, filters, found, continued=page.after is not None, count=count)


async def nested_connection(
    reading: Reading, listed: NestedList, key: str, first: int, after: str | None
) -> Connection[Any]:
    """The requested page of the list of one parent, read in one batch with those of its level. Raises as `connection`.

    A cursor of the list of another parent is refused.
    """
    filters = {**listed.filters, f"of {listed.nested.name}": key}
    page = _page(listed.order, filters, first, after)
    name = (listed.nested, listed.order, mark_of(listed.filters))
    pages = reading.loader((*name, page), partial(nested.pages_of, listed=listed, page=page))
    counts = reading.loader(name, partial(nested.counts_of, listed=listed))
    found = await pages.load(key)
    return Connection(listed.order, filters, found, continued=page.after is not None, count=partial(counts.load, key))


def _page(order: Order, filters: Mapping[str, Any], first: int, after: str | None) -> Page:
    if not 1 <= first <= LARGEST_PAGE:
        raise InvalidInput(field="first", rule=f"must be between 1 and {LARGEST_PAGE}", path=("first",))
    return Page(first, None if after is None else read_cursor(after, order, filters))


def read_cursor(cursor: str, order: Order, filters: Mapping[str, Any]) -> tuple[Any, ...]:
    """The order values of a cursor of this order and these filters. Raises InvalidInput for any other cursor."""
    place = _decoded(cursor)
    if place is None or len(place.values) != len(order.columns):
        raise _refused("must be a cursor from this API")
    if place.order != order.mark or place.filters != mark_of(filters):
        raise _refused("the cursor belongs to a list with another order or other filters")
    try:
        return tuple(
            _as_type(value, column.type.python_type) for value, column in zip(place.values, order.columns, strict=True)
        )
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise _refused("must be a cursor from this API") from error


def mark_of(filters: Mapping[str, Any]) -> str:
    """A short mark that differs for different sets of filters."""
    encoded = orjson.dumps(dict(filters), option=orjson.OPT_SORT_KEYS)
    return blake2s(encoded, digest_size=8).hexdigest() if filters else ""


def _decoded(cursor: str) -> PlaceInList | None:
    if len(cursor) > _LONGEST_CURSOR or not cursor.isascii():
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(raw, type=PlaceInList)
    except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError):
        return None


def _as_type(value: Any, kind: type) -> Any:
    converted: Any = msgspec.convert(value, kind)
    if isinstance(converted, str) and "\0" in converted:
        raise ValueError
    if isinstance(converted, datetime):
        if converted.tzinfo is None:
            raise ValueError
        return converted.astimezone(UTC)
    return converted


def _refused(rule: str) -> InvalidInput:
    return InvalidInput(field="after", rule=rule, path=("after",))
