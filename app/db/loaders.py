"""The generic loaders behind every relation: `one` row per key, `many` rows per key, or whether there are `more`.

Each loads the keys of a whole level of a query in one statement, on aiodataloader. Lists that belong to a location are
capped when they are written. A history that only grows (approvals, payloads, audit entries) is limited here to its
newest rows per key.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from aiodataloader import DataLoader
from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    Select,
    Table,
    TableValuedAlias,
    Text,
    and_,
    any_,
    column,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from app.db import tables
from app.db.rows import ROW_OF_TABLE, columns_of
from app.db.statements import Statement, compiled, many_ids
from app.domain.vocabulary import Section

Fetch = Callable[[Statement, Collection[str]], Awaitable[list[Any]]]

# The number of newest rows of a history that a relation returns; the root field pages through the rest.
NEWEST = 100

# The number of rows that one statement of a to-many relation returns at most, for all keys together. An operation that
# needs more is refused: it would return more objects than any price allows, and its rows would not fit in memory.
MOST_ROWS = 100_000

# The defined order of each list. A descending order marks a history.
_ASCENDING: dict[Table, tuple[Column[Any], ...]] = {
    tables.section: (tables.section.c.section,),
    tables.contact: (tables.contact.c.position,),
    tables.device: (tables.device.c.id,),
    tables.person: (tables.person.c.id,),
    tables.extension: (tables.extension.c.number, tables.extension.c.id),
    tables.working_hours: (tables.working_hours.c.weekday, tables.working_hours.c.opens, tables.working_hours.c.id),
    tables.call_flow_option: (tables.call_flow_option.c.position,),
    tables.location_partner: (tables.location_partner.c.user_id, tables.location_partner.c.id),
    tables.payload_recipient: (tables.payload_recipient.c.user_id, tables.payload_recipient.c.id),
    tables.receipt: (tables.receipt.c.received_at, tables.receipt.c.id),
    tables.grant: (tables.grant.c.account_id,),
    tables.accepted_version: (tables.accepted_version.c.version,),
    tables.location: (tables.location.c.name, tables.location.c.id),
}
_NEWEST_FIRST: dict[Table, tuple[Column[Any], ...]] = {
    tables.onboarding_session: (tables.onboarding_session.c.started_at, tables.onboarding_session.c.id),
    tables.approval: (tables.approval.c.requested_at, tables.approval.c.id),
    tables.override: (tables.override.c.opened_at, tables.override.c.id),
    tables.provisioning_payload: (tables.provisioning_payload.c.sequence, tables.provisioning_payload.c.id),
    tables.audit_entry: (tables.audit_entry.c.occurred_at, tables.audit_entry.c.id),
}

_KEYS = many_ids("keys")
# The stored flag of a section says whether its own content is complete. Claims of other locations change without a
# write to this location, so whether a device's address is in use elsewhere is checked on reading: once for all keys.
_IN_USE_ELSEWHERE = tables.section.c.location_id.in_(
    select(column("location_id", Text)).select_from(func.turnup.claimed_elsewhere(_KEYS))
)
_READ_AS: dict[ColumnElement[Any], ColumnElement[Any]] = {
    tables.section.c.complete: and_(
        tables.section.c.complete,
        or_(tables.section.c.section != literal_column(f"'{Section.DEVICES}'"), not_(_IN_USE_ELSEWHERE)),
    )
}

_BEYOND = literal_column(str(MOST_ROWS + 1), Integer)


class TooManyRows(Exception):  # noqa: N818 - named after the problem
    """The lists of one level of a query contain more than MOST_ROWS rows."""


class _Loader:
    """Adds loading by single key to `each`: keys requested at the same time are loaded together."""

    _gathering: DataLoader[str, Any] | None = None

    def load(self, key: str) -> Awaitable[Any]:
        """Return the result for one key."""
        return self._gathered().load(key)

    def load_many(self, keys: list[str]) -> Awaitable[list[Any]]:
        """Return the result for each key."""
        return self._gathered().load_many(keys)

    async def each(self, keys: Sequence[Any]) -> list[Any]:
        """Return the result for each key, in the order of `keys`."""
        raise NotImplementedError

    def _gathered(self) -> DataLoader[str, Any]:
        """Create the DataLoader on first use: loading levels needs none, and it costs as much as a small statement."""
        if self._gathering is None:
            self._gathering = DataLoader(self.each)
        return self._gathering


class OneLoader(_Loader):
    """Loads the row whose `column` equals the key, or None: many keys with `each`, single keys with `load`."""

    def __init__(self, column: Column[Any], fetch: Fetch) -> None:
        self._statement = one_statement(column)
        self._key = _key_of(column)
        self._fetch = fetch
        self._found: dict[str | None, Any] = {}

    async def each(self, keys: Sequence[str | None]) -> list[Any]:
        """Return the row of each key, loading the unknown keys in one statement; the key None has no row."""
        found = self._found
        missing: dict[Any, None] = dict.fromkeys(keys)
        missing.pop(None, None)
        if found:
            missing = {key: None for key in missing if key not in found}
        if missing:
            rows = await self._fetch(self._statement, missing)
            found |= missing
            found |= zip(map(self._key, rows), rows, strict=True)
        return list(map(found.get, keys))


class ManyLoader(_Loader):
    """Loads the rows whose `column` equals the key, in the table's order: `each` for many keys, `load` for one."""

    def __init__(self, column: Column[Any], fetch: Fetch) -> None:
        self._statement = many_statement(column)
        self._key = _key_of(column)
        self._fetch = fetch
        self._found: dict[str, list[Any]] = {}

    async def each(self, keys: Sequence[str]) -> list[list[Any]]:
        """Return the rows of each key, loading the unknown keys in one statement. Raises TooManyRows."""
        found = self._found
        missing = dict.fromkeys(keys)
        if found:
            missing = {key: None for key in missing if key not in found}
        if missing:
            rows = await self._fetch(self._statement, missing)
            if len(rows) > MOST_ROWS:
                raise TooManyRows
            for key in missing:
                found[key] = []
            key_of = self._key
            for row in rows:
                found[key_of(row)].append(row)
        return list(map(found.__getitem__, keys))


class MoreLoader(_Loader):
    """Loads whether more than NEWEST rows have a `column` that equals the key: `each` for many keys, `load` for one."""

    def __init__(self, column: Column[Any], fetch: Fetch) -> None:
        self._statement = more_statement(column)
        self._fetch = fetch

    async def each(self, keys: Sequence[str]) -> list[bool]:
        """Return the result for each key, in one statement."""
        longer = set(await self._fetch(self._statement, dict.fromkeys(keys)))
        return [key in longer for key in keys]


@cache
def _key_of(column: Column[Any]) -> Callable[[Any], str]:
    return attrgetter(column.key)


def is_history(key: Column[Any]) -> bool:
    """Return whether a to-many relation by this column returns only the newest rows."""
    return key.table in _NEWEST_FIRST


@cache
def one_statement(key: Column[Any]) -> Statement:
    """Return the statement of a to-one relation; the key column is unique, at least among the open rows."""
    table = _table_of(key)
    statement = select(*columns_of(table)).where(key == any_(_KEYS))
    if table is tables.onboarding_session and key.key != "id":
        statement = statement.where(table.c.closed_at.is_(None))
    return compiled(f"one {table.name} by {key.key}", statement, ROW_OF_TABLE[table])


@cache
def many_statement(key: Column[Any]) -> Statement:
    """Return the statement of a to-many relation: the whole list, or the newest rows per key of a history."""
    table = _table_of(key)
    name = f"many {table.name} by {key.key}"
    if table in _ASCENDING:
        read = [_READ_AS.get(each, each) for each in columns_of(table)]
        whole = select(*read).where(key == any_(_KEYS)).order_by(*_ASCENDING[table]).limit(_BEYOND)
        return compiled(name, whole, ROW_OF_TABLE[table])
    keys = _wanted()
    newest = (
        select(*columns_of(table))
        .where(key == keys.c.key)
        .order_by(*(each.desc() for each in _NEWEST_FIRST[table]))
        .limit(literal_column(str(NEWEST), Integer))
        .lateral("newest")
    )
    each_newest = select(newest).select_from(keys.join(newest, true())).limit(_BEYOND)
    return compiled(name, each_newest, ROW_OF_TABLE[table])


@cache
def more_statement(key: Column[Any]) -> Statement:
    """Return the statement for the keys that more than NEWEST rows have; it reads one row more at most of each."""
    keys = _wanted()
    newest = literal_column(str(NEWEST), Integer)
    beyond: Select[Any] = select(literal_column("1")).where(key == keys.c.key).offset(newest)
    statement = select(keys.c.key).where(beyond.exists())
    return compiled(f"more {key.table.name} by {key.key}", statement, str)


def _wanted() -> TableValuedAlias:
    return func.unnest(_KEYS).table_valued(column("key", Text)).render_derived(name="wanted")


def _table_of(key: Column[Any]) -> Table:
    table = key.table
    assert isinstance(table, Table)  # noqa: S101 - relations are declared on tables
    return table
