"""Keyset pagination: the order of a list, the requested page, and the resulting slice of rows.

An order is a tuple of NOT NULL columns that ends with the id. A page starts after the values of the previous page's
last row, so that page 10,000 costs the same as page 1.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Select, Table, bindparam, tuple_


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list: its name in cursors, its columns (all NOT NULL, the id last) and its direction."""

    name: str
    columns: tuple[Column[Any], ...]
    descending: bool = False

    @property
    def table(self) -> Table:
        """The table of the list."""
        table = self.columns[0].table
        assert isinstance(table, Table)  # noqa: S101 - orders are declared on tables
        return table

    def values(self, row: msgspec.Struct) -> list[Any]:
        """Return the values of the order's columns in a row, as stored in a cursor."""
        return [getattr(row, column.key) for column in self.columns]

    def behind(self) -> ColumnElement[bool]:
        """Return the predicate for the rows after the parameters `after_0`, `after_1`, ..."""
        left = tuple_(*self.columns)
        right = tuple_(*(bindparam(f"after_{i}", type_=column.type) for i, column in enumerate(self.columns)))
        return left < right if self.descending else left > right

    def apply(self, statement: Select[Any]) -> Select[Any]:
        """Return the statement with this order."""
        return statement.order_by(*(column.desc() if self.descending else column for column in self.columns))


@dataclass(frozen=True, slots=True)
class Page:
    """The requested page: at most `first` rows after the order values `after` (None: from the start)."""

    first: int
    after: tuple[Any, ...] | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the values of the page's parameters; one extra row shows whether another page follows."""
        behind = {f"after_{i}": value for i, value in enumerate(self.after or ())}
        return {"limit": self.first + 1, **behind}


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows of a page in order, and whether more follow."""

    rows: list[Any]
    has_next: bool


def slice_of(page: Page, rows: list[Any]) -> Slice:
    """Remove the extra row."""
    return Slice(rows[: page.first], len(rows) > page.first)
