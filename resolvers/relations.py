"""Relations between types, one line each: `devices: list[Device] = many(tables.device.c.location_id, "...")`.

Each has two resolvers that use the same loader: one for all objects of a level, and one for a single object.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import strawberry
from sqlalchemy import Column, Table

from app.db import tables
from app.domain.viewer import Viewer
from app.execution import BATCH_RESOLVER
from permissions.guards import can, guarded
from permissions.matrix import Action
from resolvers.context import Info

LINK = "link"
"""Key in a field's `metadata`: the rows that the field returns, as a Relation, a Part or a Named."""


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


def many(
    column: Column[Any],
    description: str,
    *,
    key: str = "id",
    needs: Action | None = None,
    shown: Callable[[Viewer, list[list[Any]]], list[list[Any]]] | None = None,
) -> Any:
    """A field that returns the rows whose `column` equals this row's `key`, in the defined order of the table.

    `shown` returns the rows of each parent as the viewer sees them.
    """
    key_of = attrgetter(key)

    async def rows(root: strawberry.Parent[Any], info: Info) -> Any:
        found = await info.context.reading.many(column).load(key_of(root))
        return shown(info.context.viewer, [found])[0] if shown else found

    async def of_all(parents: list[Any], info: Info) -> list[Any]:
        found = await info.context.reading.many(column).each(list(map(key_of, parents)))
        return shown(info.context.viewer, found) if shown else found

    batch = {BATCH_RESOLVER: of_all, LINK: Relation(column, key, to_many=True)}
    return strawberry.field(resolver=rows, description=description, extensions=_guards(needs), metadata=batch)


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


def named(table: Table, description: str) -> Any:
    """A field of a mutation's payload: the object of this table that the mutation's result names, or null."""
    kind = _NAMES.get(table, table.name)

    async def row(root: strawberry.Parent[Any], info: Info) -> Any:
        wanted = root.ids.get(kind)
        return None if wanted is None else await info.context.reading.one(table.c.id).load(wanted)

    return strawberry.field(resolver=row, description=description, metadata={LINK: Named(table)})


_NAMES = {tables.provisioning_payload: "payload"}
