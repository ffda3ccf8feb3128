"""Relations between types, one line each: `devices: list[Device] = many(tables.device.c.location_id, "...")`.

Each has two resolvers that use the same loader: one for all objects of a level, and one for a single object.
"""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import strawberry
from sqlalchemy import Column, Table

from app.db import rows
from app.db.loaders import NEWEST, is_history
from app.execution import BATCH_RESOLVER
from app.query_cost.price import PRICE
from permissions.guards import can, guarded
from permissions.matrix import Action
from resolvers.context import Info
from resolvers.list_bounds import HISTORY, bounded, bounds

LINK = "link"
"""Key in a field's `metadata`: the rows that the field returns, as a Relation, a Part, a Named or Pages."""


@dataclass(frozen=True, slots=True)
class Relation:
    """The rows whose `column` equals the parent's attribute `key`: a list of them, or at most one."""

    column: Column[Any]
    key: str
    to_many: bool


@dataclass(frozen=True, slots=True)
class Part:
    """The parent itself, shown as another type."""


@dataclass(frozen=True, slots=True)
class Named:
    """The row of `table` that a mutation's result names, if any."""

    table: Table


@dataclass(frozen=True, slots=True)
class Pages:
    """The rows of `table` that the parent has, a page at a time."""

    table: Table


def many(
    column: Column[Any],
    description: str,
    *,
    key: str = "id",
    needs: Action | None = None,
    most: int | None = None,
) -> Any:
    """A field that returns the rows whose `column` equals this row's `key`, in the defined order of the table.

    There are at most `most` of them, unless the table is a history: the field returns its newest rows.
    """
    key_of = attrgetter(key)

    async def rows(root: strawberry.Parent[Any], info: Info) -> Any:
        return await info.context.reading.many(column).load(key_of(root))

    async def of_all(parents: list[Any], info: Info) -> list[Any]:
        found: list[Any] = await info.context.reading.many(column).each(list(map(key_of, parents)))
        return found

    bound = {HISTORY: True} if is_history(column) else bounds(most)
    return strawberry.field(
        resolver=rows,
        description=bounded(description, most),
        extensions=_guards(needs),
        metadata={BATCH_RESOLVER: of_all, LINK: Relation(column, key, to_many=True), **bound},
    )


def has_more(column: Column[Any], history: str, *, needs: Action | None = None) -> Any:
    """A field that says whether a location has more of the rows whose `column` is its id than their list returns."""

    async def more(root: strawberry.Parent[rows.LocationRow], info: Info) -> bool:
        found: bool = await info.context.reading.more(column).load(root.id)
        return found

    async def of_all(parents: list[rows.LocationRow], info: Info) -> list[bool]:
        return await info.context.reading.more(column).each([each.id for each in parents])

    return strawberry.field(
        resolver=more,
        description=f"Whether the location has more than the newest {NEWEST} {history}. Visible as the list itself.",
        extensions=_guards(needs),
        metadata={BATCH_RESOLVER: of_all, PRICE: 1},
    )


def one_of_location(column: Column[Any], description: str, *, key: str) -> Any:
    """Like `one`, for a key that no foreign key guards: a row of another location is not there."""
    key_of = attrgetter(key)

    async def of_all(parents: list[Any], info: Info) -> list[Any]:
        return list(
            map(if_of_location, await info.context.reading.one(column).each(list(map(key_of, parents))), parents)
        )

    async def row(root: strawberry.Parent[Any], info: Info) -> Any:
        wanted = key_of(root)
        return None if wanted is None else if_of_location(await info.context.reading.one(column).load(wanted), root)

    batch = {BATCH_RESOLVER: of_all, LINK: Relation(column, key, to_many=False)}
    return strawberry.field(resolver=row, description=description, metadata=batch)


def if_of_location(row: Any, parent: Any) -> Any:
    """The row if it belongs to the location of its parent, else None."""
    return row if row is not None and row.location_id == parent.location_id else None


def one(column: Column[Any], description: str, *, key: str, needs: Action | None = None) -> Any:
    """A field that returns the row whose `column` equals this row's `key`, or null."""
    key_of = attrgetter(key)

    async def row(root: strawberry.Parent[Any], info: Info) -> Any:
        wanted = key_of(root)
        return None if wanted is None else await info.context.reading.one(column).load(wanted)

    async def of_all(parents: list[Any], info: Info) -> list[Any]:
        return await info.context.reading.one(column).each(list(map(key_of, parents)))

    batch = {BATCH_RESOLVER: of_all, LINK: Relation(column, key, to_many=False)}
    return strawberry.field(resolver=row, description=description, extensions=_guards(needs), metadata=batch)


def part(description: str) -> Any:
    """A field whose object shows the same row, such as the address of a location."""

    def same(root: strawberry.Parent[Any]) -> Any:
        return root

    def of_all(parents: list[Any], _info: Info) -> list[Any]:
        return parents

    return strawberry.field(resolver=same, description=description, metadata={BATCH_RESOLVER: of_all, LINK: Part()})


def _guards(needs: Action | None) -> list[Any]:
    return guarded(can(needs)) if needs else []


def named(table: Table, key: str, description: str) -> Any:
    """A field of a mutation's payload: the object of this table that the mutation's result names by `key`, or null."""

    async def row(root: strawberry.Parent[Any], info: Info) -> Any:
        wanted = root.ids.get(key)
        return None if wanted is None else await info.context.reading.one(table.c.id).load(wanted)

    return strawberry.field(resolver=row, description=description, metadata={LINK: Named(table)})
