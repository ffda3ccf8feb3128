"""The locks and writes of operations: rows are inserted, updated and deleted by their keys.

Statements are composed of names from app.db.tables; all values are parameters.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

import msgspec
from sqlalchemy import ARRAY, ColumnElement, Table, Text, any_, bindparam, select, true

from app.db import approving, tables
from app.db.aggregates import AGGREGATES, PREVIEWED, AggregateRecord
from app.db.database import Transaction
from app.db.rows import ROW_OF_TABLE, columns_of
from app.db.scoping import UNSCOPED, Shape, scope_on, scope_values, shape_of, within
from app.db.statements import Statement, compiled, joined, many_ids
from app.domain.ids import is_well_formed
from app.domain.mac_holder import MacHolder
from app.domain.viewer import Scope
from app.domain.vocabulary import Role, UserStatus


@dataclass(frozen=True, slots=True)
class Insert:
    """A row to insert."""

    table: Table
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """New values for columns of the row with this key."""

    table: Table
    key: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delete:
    """The key of the rows to delete."""

    table: Table
    key: Mapping[str, Any]


Write = Insert | Update | Delete


@dataclass(frozen=True, slots=True)
class UserNow:
    """What a user may do: the role, the status, the access to all accounts, and whether the user is confirmed."""

    role: Role
    status: UserStatus
    all_accounts: bool
    confirmed: bool

    @classmethod
    def of(cls, role: str, status: str, all_accounts: bool, confirmed: bool) -> "UserNow":
        """Return the value of a statement's row."""
        return cls(Role(role), UserStatus(status), all_accounts, confirmed)


async def lock_locations(tx: Transaction, location_ids: Iterable[str], scope: Scope) -> set[str]:
    """Lock the locations that are in the scope, in id order. Returns the ids of the locked locations.

    Raises LockTimeout.
    """
    possible = sorted(each for each in location_ids if is_well_formed(each))
    async with tx.locking(len(possible)):
        return set(await tx.fetch(_lock(shape_of(scope)), ids=possible, **scope_values(scope)))


async def location_of(tx: Transaction, table: Table, identifier: str) -> str | None:
    """Return the id of the location that a row belongs to, or None if the row is not in scope."""
    if not is_well_formed(identifier):
        return None
    scope = scope_on(tx.viewer, table)
    values = scope_values(scope)
    found: str | None = await tx.fetch_one(_location_of(table, shape_of(scope)), id=identifier, **values)
    return found


async def locked_row(tx: Transaction, table: Table, row_id: str) -> Any | None:
    """Lock a row until the end of the transaction. Returns None if it is not in scope.

    Other transactions can still write rows that reference it.
    """
    if not is_well_formed(row_id):
        return None
    scope = scope_on(tx.viewer, table)
    return await tx.fetch_one(_locked_row(table, shape_of(scope)), id=row_id, **scope_values(scope))


async def kept_rows(tx: Transaction, table: Table, row_ids: Iterable[str]) -> dict[str, Any]:
    """Return the rows in scope with these ids, by id. They cannot be deleted until the end of the transaction.

    The lock is that of a foreign key check. It is taken in id order, as all writers do.
    """
    scope = scope_on(tx.viewer, table)
    possible = sorted({each for each in row_ids if is_well_formed(each)})
    if not possible:
        return {}
    rows = await tx.fetch(_kept_rows(table, shape_of(scope)), ids=joined(possible), **scope_values(scope))
    return {row.id: row for row in rows}


async def granted_users(tx: Transaction, account_id: str, user_ids: Iterable[str]) -> set[str]:
    """Return those of the users who have access to an account."""
    return set(await tx.fetch(_GRANTED, account_id=account_id, ids=sorted(user_ids)))


async def granted_accounts(tx: Transaction, user_id: str) -> set[str]:
    """Return the accounts of which a user has access to all locations, as of now."""
    return set(await tx.fetch(_GRANTED_ACCOUNTS, user_id=user_id))


async def catalogue(tx: Transaction) -> list[Any]:
    """Return all device models. Lock the catalogue, so that only one transaction changes it at a time."""
    await tx.fetch(_LOCK_CATALOGUE)
    return await tx.fetch(_CATALOGUE)


async def accepted_versions(tx: Transaction, user_id: str) -> set[str]:
    """Return the versions of the payload document that a partner stated. Empty if it stated none.

    Take a lock, so that only one transaction changes them at a time: a partner cannot lock its own user.
    """
    await tx.fetch(_LOCK_VERSIONS, user_id=user_id)
    return set(await tx.fetch(_VERSIONS, user_id=user_id))


async def open_sessions(tx: Transaction, user_id: str) -> list[Any]:
    """Return the sessions of a user that were not ended, locked until the end of the transaction."""
    return await tx.fetch(_OPEN_SESSIONS, user_id=user_id)


async def valid_service_tokens(tx: Transaction, user_id: str) -> int:
    """Return the number of a user's service tokens that have neither been revoked nor expired."""
    return int(await tx.fetch_one(_VALID_SERVICE_TOKENS, user_id=user_id) or 0)


async def lock_users(tx: Transaction) -> None:
    """Take a lock, so that only one transaction changes users at a time."""
    await tx.fetch(_LOCK_USERS)


async def user_now(tx: Transaction, user_id: str) -> UserNow | None:
    """Return what a user may do as of now, not as of the start of the transaction."""
    found: UserNow | None = await tx.fetch_one(_USER_NOW, user_id=user_id)
    return found


async def has_user(tx: Transaction, email: str) -> bool:
    """Return whether a user has this email address, ignoring case."""
    return bool(await tx.fetch_one(_HAS_USER, email=email))


async def unanswered_invitation(tx: Transaction, email: str) -> tuple[str, datetime] | None:
    """Return the id and the expiry of the invitation of this address that was neither accepted nor revoked."""
    found: tuple[str, datetime] | None = await tx.fetch_one(_UNANSWERED, email=email)
    return found


async def hold_approval_users(tx: Transaction, location_ids: Iterable[str]) -> UserNow | None:
    """Return what the viewer, a lead, may do as of now.

    Nobody changes the viewer, or the users who submitted the locations, until the end of the transaction.
    """
    found: UserNow | None = await tx.fetch_one(_HOLD_APPROVAL_USERS, ids=sorted(location_ids))
    return found


async def is_account_named(tx: Transaction, name: str, *, besides: str | None = None) -> bool:
    """Return whether an account other than `besides` has this name or looks the same.

    Take a lock, so that only one transaction names accounts at a time.
    """
    await tx.fetch(_LOCK_ACCOUNT_NAMES)
    return bool(await tx.fetch_one(_IS_ACCOUNT_NAMED, name=name, besides=besides))


async def is_location_named(tx: Transaction, account_id: str, name: str, *, besides: str | None = None) -> bool:
    """Return whether a location of the account other than `besides` has this name or looks the same.

    Locations that the viewer cannot see count. Take a lock, so that only one transaction names locations of the account
    at a time.
    """
    await tx.fetch(_LOCK_LOCATION_NAMES, account_id=account_id)
    return bool(await tx.fetch_one(_IS_LOCATION_NAMED, account_id=account_id, name=name, besides=besides))


async def two_managing_leads(tx: Transaction) -> set[str]:
    """Return the ids of two leads who can manage users, or of all if there are fewer. Take the lock of `lock_users`."""
    await lock_users(tx)
    return set(await tx.fetch(_TWO_MANAGING_LEADS))


async def clock(tx: Transaction) -> datetime:
    """Return the current time of the database's clock."""
    (now,) = await tx.fetch(_CLOCK)
    return cast(datetime, now)


async def aggregate_records_of(tx: Transaction, location_ids: Iterable[str]) -> dict[str, AggregateRecord]:
    """Return the aggregate records of locations by id, for a write. The locations are locked."""
    return await _records_of(tx, AGGREGATES, location_ids)


async def previewed_records_of(tx: Transaction, location_ids: Iterable[str]) -> dict[str, AggregateRecord]:
    """Return the aggregate records of locations by id, in a snapshot, without what only a write needs."""
    return await _records_of(tx, PREVIEWED, location_ids)


async def _records_of(tx: Transaction, statement: Statement, ids: Iterable[str]) -> dict[str, AggregateRecord]:
    found: list[AggregateRecord] = await tx.fetch(statement, ids=sorted(ids))
    return {record.location.id: record for record in found}


async def write(tx: Transaction, writes: Iterable[Write]) -> None:
    """Execute the writes. Updates of the same row are merged.

    One statement executes all writes of the same kind to the same columns of a table. Statements run in the order of
    the first write of each.
    """
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for each in _merged(writes):
        match each:
            case Insert(table, row):
                groups.setdefault((_insert, table, tuple(row)), []).append(row)
            case Update(table, key, values):
                groups.setdefault((_update, table, tuple(key), tuple(values)), []).append({"k": key, "v": values})
            case Delete(table, key):
                groups.setdefault((_delete, table, tuple(key)), []).append(key)
    for (statement, *shape), rows in groups.items():
        await tx.fetch(statement(*shape), rows=rows)


async def document_of(tx: Transaction, payload_id: str) -> dict[str, Any] | None:
    """Return the document of a payload, or None if the viewer does not see the payload."""
    document: dict[str, Any] | None = await tx.fetch_one(_DOCUMENT, payload_id=payload_id)
    return document


async def claim_macs(tx: Transaction, wanted: Iterable[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """Claim MAC addresses in sorted order. Each item is (mac, account id, location id).

    Returns the (mac, location id) of each claim that failed because another location holds the address.
    """
    claims = sorted(wanted)
    if not claims:
        return set()
    macs, accounts, locations = (list(column) for column in zip(*claims, strict=True))
    got = set(await tx.fetch(_CLAIM, macs=macs, accounts=accounts, locations=locations))
    return {(mac, location) for mac, _, location in claims} - got


async def release_macs(tx: Transaction, given_up: Iterable[tuple[str, str]]) -> None:
    """Release claims. Each item is (mac, location id)."""
    claims = sorted(given_up)
    if claims:
        macs, locations = (list(column) for column in zip(*claims, strict=True))
        await tx.fetch(_RELEASE, macs=macs, locations=locations)


async def holders_of(tx: Transaction, macs: Iterable[str]) -> dict[str, MacHolder]:
    """Return the locations that hold MAC addresses, by address. Empty except for leads."""
    found = await tx.fetch(_HOLDERS, macs=sorted(macs))
    return {mac: msgspec.convert(holder, MacHolder) for mac, holder in found}


async def editors_since(
    tx: Transaction,
    location_ids: Iterable[str],
    *,
    edits: Sequence[str],
    submits: Sequence[str],
    approves: Sequence[str],
) -> dict[str, frozenset[str]]:
    """Return the ids of the users who edited each location, as in `app.db.approving.editors`.

    The arguments are the actions of the audit log that count as edits, submissions and approvals. The numbers of the
    audit entries decide the order.
    """
    marks = [*submits, *approves]
    values = {"edits": list(edits), "marks": marks, "approvals": list(approves)}
    pairs = await tx.fetch(_EDITORS, ids=sorted(location_ids), **values)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for location_id, actor_id in pairs:
        found[location_id].add(actor_id)
    return {location_id: frozenset(actors) for location_id, actors in found.items()}


def _merged(writes: Iterable[Write]) -> Iterable[Write]:
    merged: dict[Any, Write] = {}
    for each in writes:
        place: Any = (each.table, *each.key.items()) if isinstance(each, Update) else len(merged)
        before = merged.get(place)
        if isinstance(before, Update) and isinstance(each, Update):
            merged[place] = Update(each.table, each.key, {**before.values, **each.values})
        else:
            merged[place] = each
    return merged.values()


def _pair(first: str, second: Any) -> tuple[str, Any]:
    return first, second


_CLAIM = Statement(
    "claim macs",
    # A live payload of another location holds its addresses, even if that location could not claim them.
    "INSERT INTO turnup.mac_claim (mac, account_id, location_id)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS c (m, a, l)"
    " WHERE (m, l) NOT IN (SELECT e.mac, e.location_id FROM turnup.live_elsewhere($1, $3) e) ORDER BY m, l"
    " ON CONFLICT DO NOTHING RETURNING mac, location_id",
    ("macs", "accounts", "locations"),
    _pair,
)
_RELEASE = Statement(
    "release macs",
    "DELETE FROM turnup.mac_claim c USING unnest($1::text[], $2::text[]) AS g (m, l)"
    " WHERE c.mac = g.m AND c.location_id = g.l",
    ("macs", "locations"),
    str,
)
_HOLDERS = Statement("holders of macs", "SELECT mac, holder FROM turnup.mac_holders($1)", ("macs",), _pair)
_DOCUMENT = Statement(
    "document of payload",
    "SELECT document FROM turnup.provisioning_payload WHERE id = $1",
    ("payload_id",),
    msgspec.json.decode,
)
_EDITORS = Statement(
    "editors since",
    approving.editors("$1::text[]", edits="$2::text[]", marks="$3::text[]", approvals="$4::text[]"),
    ("ids", "edits", "marks", "approvals"),
    _pair,
)


_GRANTED = Statement(
    "granted users",
    'SELECT user_id FROM turnup."grant" WHERE account_id = $1 AND user_id = ANY ($2::text[])',
    ("account_id", "ids"),
    str,
)
_GRANTED_ACCOUNTS = Statement(
    "granted accounts",
    'SELECT account_id FROM turnup."grant" WHERE user_id = $1 AND all_locations',
    ("user_id",),
    str,
)
_LOCK_CATALOGUE = Statement(
    "lock catalogue", "SELECT pg_advisory_xact_lock(hashtextextended('turnup.device_model', 0))", (), str
)
_CATALOGUE = compiled(
    "catalogue",
    select(*columns_of(tables.device_model)).order_by(tables.device_model.c.id),
    ROW_OF_TABLE[tables.device_model],
)
_LOCK_VERSIONS = Statement(
    "lock accepted versions",
    "SELECT pg_advisory_xact_lock(hashtextextended('turnup.accepted_version/' || $1::text, 0))",
    ("user_id",),
    str,
)
_VERSIONS = Statement(
    "accepted versions of a partner",
    "SELECT version FROM turnup.accepted_version WHERE user_id = $1",
    ("user_id",),
    str,
)
_OPEN_SESSIONS = compiled(
    "open sessions of user",
    select(*columns_of(tables.user_session))
    .where(tables.user_session.c.user_id == bindparam("user_id", type_=Text), tables.user_session.c.ended_at.is_(None))
    .order_by(tables.user_session.c.id)
    .with_for_update(key_share=True),
    ROW_OF_TABLE[tables.user_session],
)
_VALID_SERVICE_TOKENS = Statement(
    "valid service tokens",
    "SELECT count(*) FROM turnup.service_token WHERE user_id = $1 AND revoked_at IS NULL"
    " AND expires_at > clock_timestamp()",
    ("user_id",),
    int,
)
_LOCK_USERS = Statement("lock users", "SELECT pg_advisory_xact_lock(hashtextextended('turnup.user', 0))", (), str)
_USER_NOW = Statement(
    "user now",
    "SELECT role, status, all_accounts, made_by = '{}' FROM turnup.\"user\" WHERE id = $1",
    ("user_id",),
    UserNow.of,
)
_HAS_USER = Statement(
    "user with email", 'SELECT EXISTS (SELECT FROM turnup."user" WHERE lower(email) = lower($1))', ("email",), bool
)
_UNANSWERED = Statement(
    "unanswered invitation",
    f"SELECT id, expires_at FROM turnup.invitation WHERE lower(email) = lower($1) AND {tables.UNANSWERED}",
    ("email",),
    _pair,
)
_HOLD_APPROVAL_USERS = Statement(
    "hold users of approval",
    "SELECT role, status, all_accounts, confirmed FROM turnup.hold_approval_users($1)",
    ("ids",),
    UserNow.of,
)
_LOCK_ACCOUNT_NAMES = Statement(
    "lock account names", "SELECT pg_advisory_xact_lock(hashtextextended('turnup.account_name', 0))", (), str
)
_IS_ACCOUNT_NAMED = Statement(
    "account named",
    "SELECT EXISTS (SELECT FROM turnup.account a WHERE turnup.name_key(a.name) = turnup.name_key($1)"
    " AND a.id IS DISTINCT FROM $2)",
    ("name", "besides"),
    bool,
)
_LOCK_LOCATION_NAMES = Statement(
    "lock location names",
    "SELECT pg_advisory_xact_lock(hashtextextended('turnup.location_name/' || $1::text, 0))",
    ("account_id",),
    str,
)
_IS_LOCATION_NAMED = Statement(
    "location named", "SELECT turnup.is_location_named($1, $2, $3)", ("account_id", "name", "besides"), bool
)
_TWO_MANAGING_LEADS = Statement(
    "two managing leads",
    f"""SELECT id FROM turnup."user"
        WHERE role = '{Role.IMPLEMENTATION_LEAD}' AND status = '{UserStatus.ACTIVE}' AND all_accounts
          AND made_by = '{{}}'
        LIMIT 2""",
    (),
    str,
)
_CLOCK = Statement("clock", "SELECT clock_timestamp()", (), lambda now: now)


def _inside(shape: Shape, table: Table) -> ColumnElement[bool]:
    """The predicate for rows in scope."""
    return true() if table in UNSCOPED else within(shape, table)


@lru_cache(maxsize=64)
def _locked_row(table: Table, shape: Shape) -> Statement:
    statement = select(*columns_of(table)).where(
        table.c.id == bindparam("id", type_=table.c.id.type), _inside(shape, table)
    )
    return compiled(f"lock {table.name}", statement.with_for_update(key_share=True), ROW_OF_TABLE[table])


@lru_cache(maxsize=16)
def _kept_rows(table: Table, shape: Shape) -> Statement:
    statement = select(*columns_of(table)).where(table.c.id == any_(many_ids("ids")), _inside(shape, table))
    ordered = statement.order_by(table.c.id).with_for_update(read=True, key_share=True)
    return compiled(f"keep {table.name}", ordered, ROW_OF_TABLE[table])


@lru_cache(maxsize=16)
def _lock(shape: Shape) -> Statement:
    table = tables.location
    wanted = table.c.id == any_(bindparam("ids", type_=ARRAY(Text)))
    statement = select(table.c.id).where(wanted, within(shape, table)).order_by(table.c.id)
    return compiled("lock locations", statement.with_for_update(key_share=True), str)


@lru_cache(maxsize=64)
def _location_of(table: Table, shape: Shape) -> Statement:
    column = table.c.id if table is tables.location else table.c.location_id
    statement = select(column).where(table.c.id == bindparam("id", type_=table.c.id.type), within(shape, table))
    return compiled(f"location of {table.name}", statement, str)


@lru_cache(maxsize=256)
def _insert(table: Table, names: tuple[str, ...]) -> Statement:
    columns = ", ".join(names)
    target = _named(table)
    sql = f"INSERT INTO {target} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{target}, $1)"
    return Statement(f"insert {table.name}", sql, ("rows",), str)


@lru_cache(maxsize=512)
def _update(table: Table, key: tuple[str, ...], names: tuple[str, ...]) -> Statement:
    target = _named(table)
    values = ", ".join(f"{name} = v.{name}" for name in names)
    matches = " AND ".join(f"t.{name} = k.{name}" for name in key)
    sql = (
        f"UPDATE {target} t SET {values} FROM jsonb_array_elements($1) e,"
        f" jsonb_populate_record(NULL::{target}, e -> 'k') k, jsonb_populate_record(NULL::{target}, e -> 'v') v"
        f" WHERE {matches}"
    )
    return Statement(f"update {table.name}", sql, ("rows",), str)


@lru_cache(maxsize=128)
def _delete(table: Table, key: tuple[str, ...]) -> Statement:
    target = _named(table)
    matches = " AND ".join(f"t.{name} = k.{name}" for name in key)
    sql = f"DELETE FROM {target} t USING jsonb_populate_recordset(NULL::{target}, $1) k WHERE {matches}"
    return Statement(f"delete {table.name}", sql, ("rows",), str)


def _named(table: Table) -> str:
    return f'{tables.SCHEMA}."{table.name}"'
