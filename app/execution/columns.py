"""Columns: the completed values of one field for all objects of a level.

A column is a list of finished values, a `ListColumn` or an `ObjectColumn`. The last two are assembled into lists once
the levels below have their rows.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from app.execution.model import Failure, Level


class ListColumn:
    """A column of lists, whose items form a column themselves."""

    def __init__(self, template: list[Any] | None, lengths: list[int], items: Any) -> None:
        self._template = template
        self._lengths = lengths
        self._items = items

    def assemble(self) -> list[Any]:
        """Return the lists with their items."""
        items = iter(assemble(self._items))
        return _fill(self._template, [list(islice(items, length)) for length in self._lengths])


class ObjectColumn:
    """A column of objects, with a level per object type."""

    def __init__(self, template: list[Any] | None, count: int) -> None:
        self._template = template
        self._count = count
        self.levels: list[tuple[Sequence[int], Level]] = []
        self.failures: dict[int, Failure] = {}

    def assemble(self) -> list[Any]:
        """Return the rows of the objects."""
        if len(self.levels) == 1 and len(self.levels[0][0]) == self._count:
            return _fill(self._template, self.levels[0][1].rows)
        rows: list[Any] = [None] * self._count
        for indices, level in self.levels:
            for index, row in zip(indices, level.rows, strict=True):
                rows[index] = row
        for index, failure in self.failures.items():
            rows[index] = failure
        return _fill(self._template, rows)


def assemble(column: Any) -> list[Any]:
    """Return the values of a column. The levels below must have their rows."""
    return column if isinstance(column, list) else column.assemble()


PENDING = object()
"""Marks the positions of a template to fill when the column is assembled. The others hold nulls and failures."""


def _fill(template: list[Any] | None, values: list[Any]) -> list[Any]:
    if template is None:
        return values
    remaining = iter(values)
    return [next(remaining) if each is PENDING else each for each in template]
