"""Keyset pages: the order of a list, the page asked for, and the slice of rows that answers it.

An order is a tuple of NOT NULL columns that ends in the id. A page starts behind the values of its last row,
so that page 10,000 costs what page 1 does.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Select, Table, bindparam, tuple_


@dataclass(frozen=True, slots=True)
class Order:
    """A list's order: its name in cursors, its columns (all NOT NULL, the id last) and its direction."""

    name: str
    columns: tuple[Column[Any], ...]
    descending: bool = False

    @property
    def table(self) -> Table:
        """The table that the list is of."""
        table = self.columns[0].table
        assert isinstance(table, Table)  # noqa: S101 - orders are written on tables
        return table

    def values(self, row: msgspec.Struct) -> list[Any]:
        """The values of the order's columns in a row, which a cursor holds."""
        return [getattr(row, column.key) for column in self.columns]

    def behind(self) -> ColumnElement[bool]:
        """The predicate that keeps the rows behind parameters `after_0`, `after_1`, ..."""
        left = tuple_(*self.columns)
        right = tuple_(*(bindparam(f"after_{i}", type_=column.type) for i, column in enumerate(self.columns)))
        return left < right if self.descending else left > right

    def apply(self, statement: Select[Any]) -> Select[Any]:
        """The statement with this order."""
        return statement.order_by(*(column.desc() if self.descending else column for column in self.columns))


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for: at most `first` rows behind the order values `after` (None: from the start)."""

    first: int
    after: tuple[Any, ...] | None = None

    def parameters(self) -> dict[str, Any]:
        """The values of the page's parameters; one row more than asked for tells whether another page follows."""
        behind = {f"after_{i}": value for i, value in enumerate(self.after or ())}
        return {"limit": self.first + 1, **behind}


@dataclass(frozen=True, slots=True)
class Slice:
    """A page's rows in order, and whether more follow."""

    rows: list[Any]
    has_next: bool


def slice_of(page: Page, rows: list[Any]) -> Slice:
    """Cut the extra row off."""
    return Slice(rows[: page.first], len(rows) > page.first)
