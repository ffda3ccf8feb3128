"""The lists that each of several parents has: the same page of all of them, or their counts, in one statement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Integer,
    Table,
    TableValuedAlias,
    Text,
    any_,
    column,
    func,
    select,
    true,
)
from sqlalchemy import literal_column as literal

from app.db import tables
from app.db.database import Transaction
from app.db.paging import Order, Page, Slice, slice_of
from app.db.queries import COUNT_CAP, one_of, page_from, parameters_of, restricted, without_one_of
from app.db.rows import ROW_OF_TABLE, columns_of
from app.db.scoping import Shape, scope_on, scope_values, shape_of
from app.db.statements import Statement, compiled, joined, many_ids


@dataclass(frozen=True, slots=True)
class Nested:
    """The rows of a table for which `of` holds with the key of the parent, whose kind is `name`."""

    name: str
    table: Table
    of: Callable[[ColumnElement[str]], ColumnElement[bool]]


def _listed_in(key: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a location is one of those of a grant. They are few: the array makes PostgreSQL look them up by id."""
    listed = tables.grant_location.c
    of_grant = select(listed.location_id).where(listed.grant_id == key).correlate_except(tables.grant_location)
    return tables.location.c.id == any_(func.array(of_grant.scalar_subquery(), type_=ARRAY(Text)))


def _listed_by(key: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a location is one of those that an invitation lists."""
    invitation = tables.invitation.c
    listed = select(func.unnest(invitation.granted_location_ids)).where(invitation.id == key)
    among = listed.correlate_except(tables.invitation).scalar_subquery()
    return tables.location.c.id == any_(func.array(among, type_=ARRAY(Text)))


def _equal(column: Column[Any]) -> Callable[[ColumnElement[str]], ColumnElement[bool]]:
    return lambda key: column == key


LOCATIONS_OF_ACCOUNT = Nested("account", tables.location, _equal(tables.location.c.account_id))
CHANGES_OF_ENTRY = Nested("entry", tables.field_change, _equal(tables.field_change.c.entry_id))
LOCATIONS_OF_GRANT = Nested("grant", tables.location, _listed_in)
LOCATIONS_OF_INVITATION = Nested("invitation", tables.location, _listed_by)


@dataclass(frozen=True, slots=True)
class NestedList:
    """A nested list as requested: in an order, with filters as in `queries.page_of`."""

    nested: Nested
    order: Order
    filters: Mapping[str, Any]


async def pages_of(reader: Transaction, keys: Sequence[str], *, listed: NestedList, page: Page) -> list[Slice]:
    """Return the page of each parent's list, in the order of `keys`."""
    scope = scope_on(reader.viewer, listed.nested.table)
    statement = _pages(listed.nested, listed.order, shape_of(scope), frozenset(listed.filters), page.after is not None)
    values = {**scope_values(scope), **parameters_of(listed.filters), **page.parameters()}
    rows: dict[str, list[Any]] = {key: [] for key in keys}
    for key, row in await reader.fetch(statement, **values, keys=joined(keys)):
        rows[key].append(row)
    return [slice_of(page, rows[key]) for key in keys]


async def counts_of(reader: Transaction, keys: Sequence[str], *, listed: NestedList) -> list[int]:
    """Return the number of rows of each parent's list, each counted up to COUNT_CAP + 1."""
    scope = scope_on(reader.viewer, listed.nested.table)
    statement = _counts(listed.nested, shape_of(scope), frozenset(listed.filters))
    counts = dict(
        await reader.fetch(statement, **scope_values(scope), **parameters_of(listed.filters), keys=joined(keys))
    )
    return [counts[key] for key in keys]


@lru_cache(maxsize=1024)
def _pages(nested: Nested, order: Order, shape: Shape, filters: frozenset[str], continued: bool) -> Statement:
    table, parents = nested.table, _parents()
    rows = restricted(select(*columns_of(table)), table, shape, without_one_of(table, filters))
    rows = rows.where(nested.of(parents.c.key))
    values = one_of(table, filters)
    page = page_from(rows, order, values, continued=continued, of=[parents]).lateral("page")
    row = ROW_OF_TABLE[table]
    return compiled(
        f"pages {table.name} of {nested.name}",
        select(parents.c.key, page).select_from(parents.join(page, true())),
        lambda key, *values: (key, row(*values)),
    )


@lru_cache(maxsize=256)
def _counts(nested: Nested, shape: Shape, filters: frozenset[str]) -> Statement:
    table, parents = nested.table, _parents()
    rows = restricted(select(literal("1").label("one")).select_from(table), table, shape, filters)
    some = rows.where(nested.of(parents.c.key)).limit(literal(str(COUNT_CAP + 1), Integer)).lateral("some")
    counted = select(parents.c.key, func.count(some.c.one)).select_from(parents.outerjoin(some, true()))
    return compiled(
        f"counts {table.name} of {nested.name}", counted.group_by(parents.c.key), lambda key, count: (key, count)
    )


def _parents() -> TableValuedAlias:
    return func.unnest(many_ids("keys")).table_valued(column("key", Text)).render_derived(name="parents")
