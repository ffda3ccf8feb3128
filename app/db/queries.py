"""The SELECT statements behind the root fields, by name; each is restricted to the scope of its reading.

A statement is compiled once per shape of the request (scope, filters, order, first or later page). There are few
shapes, and the compiled statements are kept. Relations between rows are loaded by app.db.loaders.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Integer,
    Select,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    collate,
    exists,
    false,
    func,
    literal_column,
    not_,
    null,
    select,
    true,
)
from sqlalchemy import column as sql_column

from app.db import approving, tables
from app.db.database import Transaction
from app.db.paging import Order, Page, Slice, slice_of
from app.db.reading import Reading
from app.db.rows import ROW_OF_TABLE, columns_of
from app.db.scoping import UNSCOPED, Shape, scope_accounts, scope_on, scope_values, shape_of, within
from app.db.statements import Statement, compiled, joined, many_ids
from app.domain.vocabulary import ApprovalStatus, LocationStatus, PayloadState

COUNT_CAP = 10_000

Values = Mapping[Column[Any], ColumnElement[Any]]
"""Columns, each with an array of values."""


@dataclass(frozen=True, slots=True)
class StatusCount:
    """The number of locations in a status, counted up to COUNT_CAP + 1."""

    status: LocationStatus
    found: int

    @property
    def count(self) -> int:
        """The number, at most COUNT_CAP."""
        return min(self.found, COUNT_CAP)

    @property
    def count_is_capped(self) -> bool:
        """Whether there are more than COUNT_CAP."""
        return self.found > COUNT_CAP


# The orders of the lists, ascending; a cursor contains the name of its order and the direction.
ACCOUNTS_BY_NAME = Order("account.name", (tables.account.c.name, tables.account.c.id))
LOCATIONS_BY_NAME = Order("location.name", (tables.location.c.name, tables.location.c.id))
LOCATIONS_BY_ID = Order("location.id", (tables.location.c.id,))
LOCATIONS_BY_UPDATED = Order("location.updated", (tables.location.c.updated_at, tables.location.c.id))
PAYLOADS_BY_GENERATED = Order(
    "payload.generated", (tables.provisioning_payload.c.generated_at, tables.provisioning_payload.c.id)
)
PAYLOADS_BY_UPDATED = Order(
    "payload.updated", (tables.provisioning_payload.c.updated_at, tables.provisioning_payload.c.id)
)
APPROVALS_BY_REQUESTED = Order("approval.requested", (tables.approval.c.requested_at, tables.approval.c.id))
ENTRIES_BY_TIME = Order("entry.time", (tables.audit_entry.c.occurred_at, tables.audit_entry.c.id))
USERS_BY_ID = Order("user.id", (tables.user.c.id,))
INVITATIONS_BY_ID = Order("invitation.id", (tables.invitation.c.id,))
CHANGES_BY_ID = Order("change.id", (tables.field_change.c.id,))
TOKENS_BY_CREATED = Order("token.created", (tables.service_token.c.created_at, tables.service_token.c.id))
MODELS_BY_ID = Order("model.id", (tables.device_model.c.id,))
SESSIONS_BY_CREATED = Order("session.created", (tables.user_session.c.created_at, tables.user_session.c.id))


def _equals(column: Column[Any]) -> Callable[[str], ColumnElement[bool]]:
    return lambda parameter: column == bindparam(parameter, type_=column.type)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A filter by several values of a column. A page is merged from the pages of each value (see `page_from`)."""

    column: Column[Any]

    def __call__(self, parameter: str) -> ColumnElement[bool]:
        """Return the condition that the column has one of the values."""
        return self.column == any_(self.values(parameter))

    def values(self, parameter: str) -> ColumnElement[Any]:
        """Return the array of the values."""
        return bindparam(parameter, type_=ARRAY(Text))


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


def _without(condition: ColumnElement[bool]) -> Callable[[str], ColumnElement[bool]]:
    """Return a filter without a parameter of its own name."""
    return lambda _parameter: condition


_LOCATION, _APPROVAL = tables.location.c, tables.approval.c
_SESSION, _TOKEN = tables.user_session.c, tables.service_token.c
_IS_OPEN = and_(_SESSION.ended_at.is_(None), _SESSION.idle_until > func.now(), _SESSION.expires_at > func.now())
_IS_VALID = and_(_TOKEN.revoked_at.is_(None), _TOKEN.expires_at > func.now())
_IS_ANSWERABLE = and_(literal_column(tables.UNANSWERED, Boolean), tables.invitation.c.expires_at > func.now())

# The filters of each list; a filter's parameter has the filter's name.
FILTERS: Mapping[Table, Mapping[str, Callable[[str], ColumnElement[bool]]]] = {
    tables.account: {},
    tables.user: {},
    tables.invitation: {"open": _without(_IS_ANSWERABLE), "ended": _without(not_(_IS_ANSWERABLE))},
    tables.location: {
        "nothing": _without(false()),
        "pending": _without(approving.is_pending(_LOCATION.status)),
        "ready": _without(approving.is_ready(_LOCATION.id)),
        "work_of_others": _without(approving.is_work_of_others(_LOCATION.id)),
        "status": OneOf(tables.location.c.status),
        "account_id": _equals(tables.location.c.account_id),
        "name": _contains(tables.location.c.name),
        "tests": _without(_LOCATION.test),
        "no_tests": _without(not_(_LOCATION.test)),
        "updated_since": _at_least(tables.location.c.updated_at),
    },
    tables.provisioning_payload: {
        "state": OneOf(tables.provisioning_payload.c.state),
        "location_id": _equals(tables.provisioning_payload.c.location_id),
        "updated_since": _at_least(tables.provisioning_payload.c.updated_at),
        "awaits_required": _without(_AWAITS_REQUIRED),
        "awaits_no_required": _without(not_(_AWAITS_REQUIRED)),
        "awaits_own": _awaits_own,
        "awaits_not_own": lambda parameter: not_(_awaits_own(parameter)),
    },
    tables.approval: {
        "nothing": _without(false()),
        "pending": _without(
            and_(
                _APPROVAL.status == literal_column(f"'{ApprovalStatus.PENDING}'"),
                approving.has_pending_location(_APPROVAL.location_id),
            )
        ),
        "ready": _without(approving.is_ready(_APPROVAL.location_id)),
        "work_of_others": _without(approving.is_work_of_others(_APPROVAL.location_id)),
        "status": OneOf(_APPROVAL.status),
        "location_id": _equals(_APPROVAL.location_id),
        "account_id": _equals(_APPROVAL.account_id),
        "requested_before": _before(_APPROVAL.requested_at),
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
    tables.user_session: {
        "user_id": _equals(_SESSION.user_id),
        "open": _without(_IS_OPEN),
        "ended": _without(not_(_IS_OPEN)),
    },
    tables.service_token: {
        "user_id": _equals(_TOKEN.user_id),
        "prefix": _equals(_TOKEN.prefix),
        "expires_before": _before(_TOKEN.expires_at),
        "valid": _without(_IS_VALID),
        "ended": _without(not_(_IS_VALID)),
    },
}


async def page_of(reading: Reading, order: Order, page: Page, filters: Mapping[str, Any]) -> Slice:
    """Return a page of the rows in scope, in an order; `filters` are values by the names in FILTERS."""
    scope = scope_on(reading.viewer, order.table)
    statement = _page(order, shape_of(scope), frozenset(filters), page.after is not None)
    rows = await reading.fetch(statement, **scope_values(scope), **parameters_of(filters), **page.parameters())
    return slice_of(page, rows)


async def count_of(reading: Reading, order: Order, filters: Mapping[str, Any]) -> int:
    """Return the number of rows in scope that match the filters, counted up to COUNT_CAP + 1."""
    scope = scope_on(reading.viewer, order.table)
    found = await reading.fetch(
        _count(order.table, shape_of(scope), frozenset(filters)), **scope_values(scope), **parameters_of(filters)
    )
    return int(found[0])


async def status_counts(source: Reading | Transaction, accounts: list[str] | None) -> list[list[StatusCount]]:
    """Return the number of locations in scope by status, for each account or, without accounts, for all together.

    Every status is included, in the order of LocationStatus, and counted up to COUNT_CAP + 1.
    """
    scope = scope_on(source.viewer, tables.location)
    statement = _status_counts(shape_of(scope), of_accounts=accounts is not None)
    statuses = [str(each) for each in LocationStatus]
    found = await source.fetch(statement, **scope_values(scope), accounts=joined(accounts or ()), statuses=statuses)
    counts = {(account, status): count for account, status, count in found}
    keys = [None] if accounts is None else accounts
    return [[StatusCount(status, counts[account, status]) for status in LocationStatus] for account in keys]


async def find(reading: Reading, table: Table, identifiers: Iterable[str]) -> dict[str, Any]:
    """Return the rows of a table with these ids, by id, without those that are missing or out of scope."""
    scope = scope_on(reading.viewer, table)
    found = await reading.fetch(_find(table, shape_of(scope)), **scope_values(scope), ids=joined(identifiers))
    return {row.id: row for row in found}


def containing(fragment: str) -> str:
    """Return the LIKE pattern for text that contains the fragment, with special characters escaped."""
    escaped = fragment.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def parameters_of(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of filters. The value of a filter with several parameters is a mapping of them."""
    found: dict[str, Any] = {}
    for name, value in filters.items():
        found |= value if isinstance(value, Mapping) else {name: value}
    return found


@lru_cache(maxsize=1024)
def _page(order: Order, shape: Shape, filters: frozenset[str], continued: bool) -> Statement:
    table = order.table
    values = {**_values_of_scope(table, shape), **one_of(table, filters)}
    own_shape = Shape.EVERYTHING if _account_of(table) in values else shape
    rows = restricted(select(*columns_of(table)), table, own_shape, without_one_of(table, filters))
    return compiled(f"page {table.name}", page_from(rows, order, values, continued=continued), ROW_OF_TABLE[table])


def page_from(
    rows: Select[Any], order: Order, values: Values, *, continued: bool, of: Iterable[FromClause] = ()
) -> Select[Any]:
    """Return the statement of a page of rows, merged from a page for each of the values of each column.

    An index has the rows of one account, or with one value, in order. For several of them PostgreSQL would sort all of
    their rows, or read past those of others in an index of the order alone. `of` is what else the rows depend on.
    """
    limit = bindparam("limit", type_=Integer)
    each = {column: _each(array, f"each_{column.key}") for column, array in values.items()}
    rows = order.apply(rows.where(*(column == value.c.value for column, value in each.items()))).limit(limit)
    if continued:
        rows = rows.where(order.behind())
    if not each:
        return rows
    page = rows.correlate(*each.values(), *of).lateral("page_of_each")
    pages = reduce(lambda left, right: left.join(right, true()), [*each.values(), page])
    return order.apply(select(*page.c).select_from(pages), page.c).limit(limit)


def one_of(table: Table, filters: Iterable[str]) -> Values:
    """Return the columns that filters by several values are about, with the arrays of these values."""
    conditions = {name: FILTERS[table][name] for name in sorted(filters)}
    return {each.column: each.values(name) for name, each in conditions.items() if isinstance(each, OneOf)}


def without_one_of(table: Table, filters: Iterable[str]) -> AbstractSet[str]:
    """Return the other filters."""
    return {name for name in filters if not isinstance(FILTERS[table][name], OneOf)}


def _values_of_scope(table: Table, shape: Shape) -> Values:
    account = _account_of(table)
    return {account: scope_accounts} if shape is Shape.ACCOUNTS and account is not None else {}


def _account_of(table: Table) -> Column[Any] | None:
    """The column with the account of a row; None for rows that have no scope, and for the accounts themselves."""
    return None if table in UNSCOPED or table is tables.account else table.c.account_id


@lru_cache(maxsize=256)
def _count(table: Table, shape: Shape, filters: frozenset[str]) -> Statement:
    some = (
        restricted(select(literal_column("1")).select_from(table), table, shape, filters)
        .limit(literal_column(str(COUNT_CAP + 1), Integer))
        .subquery()
    )
    return compiled(f"count {table.name}", select(func.count()).select_from(some), int)


@lru_cache(maxsize=8)
def _status_counts(shape: Shape, *, of_accounts: bool) -> Statement:
    status = _each(_STATUSES, "each_status")
    some: Select[Any] = select(literal_column("1")).where(
        _LOCATION.status == status.c.value, within(shape, tables.location)
    )
    some = some.limit(literal_column(str(COUNT_CAP + 1), Integer))
    account: ColumnElement[Any] = null()
    of: FromClause = status
    if of_accounts:
        each = _each(many_ids("accounts"), "each_account")
        account, of = each.c.value, each.join(status, true())
        some = some.where(_LOCATION.account_id == account).correlate(each)
    count = select(func.count()).select_from(some.correlate(status).subquery()).scalar_subquery()
    statement = select(account, status.c.value, count).select_from(of)
    return compiled("count location by status", statement, lambda *row: row)


_STATUSES = bindparam("statuses", type_=ARRAY(Text))


def _each(values: ColumnElement[Any], name: str) -> FromClause:
    """The items of an array as rows, with the column `value`."""
    return func.unnest(values).table_valued(sql_column("value", Text)).render_derived(name=name)


@lru_cache(maxsize=256)
def _find(table: Table, shape: Shape) -> Statement:
    statement = restricted(select(*columns_of(table)), table, shape, frozenset())
    return compiled(f"find {table.name}", statement.where(table.c.id == any_(many_ids("ids"))), ROW_OF_TABLE[table])


def restricted(statement: Select[Any], table: Table, shape: Shape, filters: AbstractSet[str]) -> Select[Any]:
    """Return the statement for the rows within a scope of this shape that match the filters."""
    if table not in UNSCOPED:
        statement = statement.where(within(shape, table))
    for name in sorted(filters):
        statement = statement.where(FILTERS[table][name](name))
    return statement
