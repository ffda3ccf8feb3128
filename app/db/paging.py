"""Keyset pagination: the order of a list, the requested page, and the resulting slice of rows.

An order is a tuple of NOT NULL columns that ends with the id, in one direction. A page starts after the values of the
previous page's last row, so that page 10,000 costs the same as page 1.
"""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Select, Table, bindparam, tuple_
from sqlalchemy.sql.base import ColumnCollection


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list: its name, its columns (all NOT NULL, the id last) and its direction, the same for all."""

    name: str
    columns: tuple[Column[Any], ...]
    descending: bool = False

    @property
    def table(self) -> Table:
        """The table of the list."""
        table = self.columns[0].table
        assert isinstance(table, Table)  # noqa: S101 - orders are declared on tables
        return table

    @property
    def mark(self) -> str:
        """The order and its direction, as stored in a cursor."""
        return f"{self.name} {'DESC' if self.descending else 'ASC'}"

    @property
    def reverse(self) -> "Order":
        """The same order in the other direction."""
        return replace(self, descending=not self.descending)

    def values(self, row: msgspec.Struct) -> list[Any]:
        """Return the values of the order's columns in a row, as stored in a cursor."""
        return [getattr(row, column.key) for column in self.columns]

    def behind(self) -> ColumnElement[bool]:
        """Return the predicate for the rows after the parameters `after_0`, `after_1`, ..."""
        left = tuple_(*self.columns)
        right = tuple_(*(bindparam(f"after_{i}", type_=column.type) for i, column in enumerate(self.columns)))
        return left < right if self.descending else left > right

    def apply(self, statement: Select[Any], columns: ColumnCollection[str, Any] | None = None) -> Select[Any]:
        """Return the statement with this order; `columns` are those of a subquery that has the rows of the table."""
        own = self.columns if columns is None else [columns[column.key] for column in self.columns]
        return statement.order_by(*(column.desc() if self.descending else column for column in own))


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

    def shown_as(self, rows: list[Any]) -> "Slice":
        """Return the slice with other rows in place of its own."""
        return replace(self, rows=rows)


def slice_of(page: Page, rows: list[Any]) -> Slice:
    """Remove the extra row."""
    return Slice(rows[: page.first], len(rows) > page.first)
