"""The SELECT statements behind the root fields, by name; each is restricted to the scope of its reading.

A statement is compiled once per shape of the request (scope, filters, order, first or later page). There are few
shapes, and the compiled statements are kept. Relations between rows are loaded by app.db.loaders.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    collate,
    exists,
    func,
    literal_column,
    not_,
    select,
)

from app.db import tables
from app.db.paging import Order, Page, Slice, slice_of
from app.db.reading import Reading
from app.db.rows import ROW_OF_TABLE, columns_of
from app.db.scoping import Shape, scope_on, scope_values, shape_of, within
from app.db.statements import Statement, compiled
from app.domain.vocabulary import LocationStatus, PayloadState

COUNT_CAP = 10_000

# The orders of the lists; a cursor contains the name of its order.
ACCOUNTS_BY_NAME = Order("account.name", (tables.account.c.name, tables.account.c.id))
LOCATIONS_BY_NAME = Order("location.name", (tables.location.c.name, tables.location.c.id))
LOCATIONS_BY_UPDATED = Order("location.updated", (tables.location.c.updated_at, tables.location.c.id), descending=True)
PAYLOADS_BY_GENERATED = Order(
    "payload.generated", (tables.provisioning_payload.c.generated_at, tables.provisioning_payload.c.id)
)
PAYLOADS_BY_UPDATED = Order(
    "payload.updated", (tables.provisioning_payload.c.updated_at, tables.provisioning_payload.c.id)
)
APPROVALS_BY_REQUESTED = Order(
    "approval.requested", (tables.approval.c.requested_at, tables.approval.c.id), descending=True
)
ENTRIES_BY_TIME = Order("entry.time", (tables.audit_entry.c.occurred_at, tables.audit_entry.c.id), descending=True)
USERS_BY_ID = Order("user.id", (tables.user.c.id,))
MODELS_BY_ID = Order("model.id", (tables.device_model.c.id,))

_UNSCOPED = frozenset({tables.device_model, tables.user})


def _equals(column: Column[Any]) -> Callable[[str], ColumnElement[bool]]:
    return lambda parameter: column == bindparam(parameter, type_=column.type)


def _is_one_of(column: Column[Any]) -> Callable[[str], ColumnElement[bool]]:
    return lambda parameter: column == any_(bindparam(parameter, type_=ARRAY(Text)))


def _at_least(column: Column[Any]) -> Callable[[str], ColumnElement[bool]]:
    return lambda parameter: column >= bindparam(parameter, type_=column.type)


def _before(column: Column[Any]) -> Callable[[str], ColumnElement[bool]]:
    return lambda parameter: column < bindparam(parameter, type_=column.type)


def _holds(condition: str) -> Callable[[str], ColumnElement[bool]]:
    """Return a filter without a parameter; an index created for the condition matches it."""
    return lambda _parameter: literal_column(condition, Boolean)


def _contains(column: Column[Any]) -> Callable[[str], ColumnElement[bool]]:
    """Return a case-insensitive filter; the parameter is a pattern from `containing`.

    It uses the database's own collation, which knows the letters of every script; the column's collation ("C") knows
    only ASCII.
    """
    return lambda parameter: collate(column, "default").ilike(bindparam(parameter, type_=Text))


_PAYLOAD = tables.provisioning_payload.c
_RECIPIENT = tables.payload_recipient.c
# A recipient of the payload that can still answer, and that was not released from answering.
_UNANSWERED = and_(
    _RECIPIENT.payload_id == _PAYLOAD.id,
    _RECIPIENT.waived_at.is_(None),
    _RECIPIENT.decommissioned_at.is_(None),
    ~exists().where(
        tables.receipt.c.payload_id == _RECIPIENT.payload_id, tables.receipt.c.received_by == _RECIPIENT.user_id
    ),
)
_AWAITS_REQUIRED = and_(
    _PAYLOAD.state == literal_column(f"'{PayloadState.RELEASED}'"), exists().where(_UNANSWERED, _RECIPIENT.required)
)


def _awaits_own(parameter: str) -> ColumnElement[bool]:
    """Whether the user with this id can still answer. Optional recipients can after the required ones have.

    After that, a location that was reopened or cancelled takes no further answers, and neither does a payload whose
    document was erased.
    """
    answerable = _PAYLOAD.state.in_(
        [literal_column(f"'{state}'") for state in (PayloadState.RELEASED, PayloadState.ACKNOWLEDGED)]
    )
    own = exists().where(_UNANSWERED, _RECIPIENT.user_id == bindparam(parameter, type_=Text))
    handed_off = exists().where(
        tables.location.c.id == _PAYLOAD.location_id,
        tables.location.c.status.in_(
            [literal_column(f"'{status}'") for status in (LocationStatus.PROVISIONING, LocationStatus.COMPLETED)]
        ),
    )
    among = _PAYLOAD.id == any_(func.array(_answerable(parameter).scalar_subquery(), type_=ARRAY(Text)))
    kept = _PAYLOAD.document != literal_column(f"'{tables.ERASED_DOCUMENT}'")
    return and_(among, answerable, _PAYLOAD.superseded_by.is_(None), own, handed_off, kept)


def _answerable(parameter: str) -> CompoundSelect[Any]:
    """The payloads among which are all those that the user can still answer; few, however many it has answered.

    Only optional receipts are missing once a payload is ACKNOWLEDGED. They are read once, as an array: PostgreSQL then
    looks these payloads up, instead of joining them in the order that its estimates suggest.
    """
    payload, recipient = tables.provisioning_payload.alias("answerable").c, tables.payload_recipient.alias("optional").c
    released = select(payload.id).where(payload.state == literal_column(f"'{PayloadState.RELEASED}'"))
    optional = select(recipient.payload_id).where(
        recipient.user_id == bindparam(parameter, type_=Text), not_(recipient.required)
    )
    return released.union_all(optional)


# The filters of each list; a filter's parameter has the filter's name.
FILTERS: Mapping[Table, Mapping[str, Callable[[str], ColumnElement[bool]]]] = {
    tables.account: {},
    tables.user: {},
    tables.location: {
        "status": _is_one_of(tables.location.c.status),
        "account_id": _equals(tables.location.c.account_id),
        "name": _contains(tables.location.c.name),
        "test": _equals(tables.location.c.test),
        "updated_since": _at_least(tables.location.c.updated_at),
    },
    tables.provisioning_payload: {
        "state": _is_one_of(tables.provisioning_payload.c.state),
        "location_id": _equals(tables.provisioning_payload.c.location_id),
        "updated_since": _at_least(tables.provisioning_payload.c.updated_at),
        "awaits_required": lambda _: _AWAITS_REQUIRED,
        "awaits_no_required": lambda _: not_(_AWAITS_REQUIRED),
        "awaits_own": _awaits_own,
        "awaits_not_own": lambda parameter: not_(_awaits_own(parameter)),
    },
    tables.approval: {
        "status": _is_one_of(tables.approval.c.status),
        "location_id": _equals(tables.approval.c.location_id),
    },
    tables.audit_entry: {
        "location_id": _equals(tables.audit_entry.c.location_id),
        "account_id": _equals(tables.audit_entry.c.account_id),
        "actor_id": _equals(tables.audit_entry.c.actor_id),
        "action": _equals(tables.audit_entry.c.action),
        "request_id": _equals(tables.audit_entry.c.request_id),
        "client_request_id": _equals(tables.audit_entry.c.client_request_id),
        "override_id": _equals(tables.audit_entry.c.override_id),
        "overrides": _holds(tables.OVERRIDES),
        "no_overrides": _holds(f"NOT {tables.OVERRIDES}"),
        "since": _at_least(tables.audit_entry.c.occurred_at),
        "until": _before(tables.audit_entry.c.occurred_at),
    },
    tables.device_model: {"brand": _equals(tables.device_model.c.brand)},
}


async def page_of(reading: Reading, order: Order, page: Page, filters: Mapping[str, Any]) -> Slice:
    """Return a page of the rows in scope, in an order; `filters` are values by the names in FILTERS."""
    scope = scope_on(reading.viewer, order.table)
    statement = _page(order, shape_of(scope), frozenset(filters), page.after is not None)
    rows = await reading.fetch(statement, **scope_values(scope), **filters, **page.parameters())
    return slice_of(page, rows)


async def count_of(reading: Reading, order: Order, filters: Mapping[str, Any]) -> int:
    """Return the number of rows in scope that match the filters, counted up to COUNT_CAP + 1."""
    scope = scope_on(reading.viewer, order.table)
    found = await reading.fetch(
        _count(order.table, shape_of(scope), frozenset(filters)), **scope_values(scope), **filters
    )
    return int(found[0])


async def find(reading: Reading, table: Table, identifier: str) -> Any | None:
    """Return the row of a table with this id, or None when it is missing or out of scope."""
    scope = scope_on(reading.viewer, table)
    rows = await reading.fetch(_find(table, shape_of(scope)), **scope_values(scope), id=identifier)
    return rows[0] if rows else None


def containing(fragment: str) -> str:
    """Return the LIKE pattern for text that contains the fragment, with special characters escaped."""
    escaped = fragment.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


@lru_cache(maxsize=1024)
def _page(order: Order, shape: Shape, filters: frozenset[str], continued: bool) -> Statement:
    table = order.table
    statement = order.apply(_restricted(select(*columns_of(table)), table, shape, filters))
    if continued:
        statement = statement.where(order.behind())
    statement = statement.limit(bindparam("limit", type_=Integer))
    return compiled(f"page {table.name}", statement, ROW_OF_TABLE[table])


@lru_cache(maxsize=256)
def _count(table: Table, shape: Shape, filters: frozenset[str]) -> Statement:
    some = (
        _restricted(select(literal_column("1")).select_from(table), table, shape, filters)
        .limit(literal_column(str(COUNT_CAP + 1), Integer))
        .subquery()
    )
    return compiled(f"count {table.name}", select(func.count()).select_from(some), int)


@lru_cache(maxsize=256)
def _find(table: Table, shape: Shape) -> Statement:
    statement = _restricted(select(*columns_of(table)), table, shape, frozenset())
    return compiled(f"find {table.name}", statement.where(_equals(table.c.id)("id")), ROW_OF_TABLE[table])


def _restricted(statement: Select[Any], table: Table, shape: Shape, filters: frozenset[str]) -> Select[Any]:
    if table not in _UNSCOPED:
        statement = statement.where(within(shape, table))
    for name in sorted(filters):
        statement = statement.where(FILTERS[table][name](name))
    return statement
