"""The writes that operations make: rows inserted, changed and deleted by their keys, keys looked up and stored.

Every statement is composed of names from app.db.tables; values travel as parameters.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Table, bindparam, delete, insert, select, update

from app.db import tables
from app.db.database import Transaction
from app.db.dossiers import DOSSIER, Dossier
from app.db.scoping import Shape, scope_values, shape_of, within
from app.db.statements import Statement, compiled


async def lock_location(tx: Transaction, location_id: str) -> bool:
    """Take the row lock of a location in scope; False when there is none in reach."""
    scope = tx.viewer.scope
    found = await tx.fetch(_lock(shape_of(scope)), id=location_id, **scope_values(scope))
    return bool(found)


async def location_of(tx: Transaction, table: Table, identifier: str) -> str | None:
    """The location that a row in scope belongs to, or None when there is none in reach."""
    scope = tx.viewer.scope
    values = scope_values(scope)
    found: str | None = await tx.fetch_one(_location_of(table, shape_of(scope)), id=identifier, **values)
    return found


async def dossier_of(tx: Transaction, location_id: str) -> Dossier:
    """The dossier of a location that was locked, or is read in a snapshot."""
    (found,) = await tx.fetch(DOSSIER, id=location_id)
    return cast(Dossier, found)


async def insert_row(tx: Transaction, table: Table, row: Mapping[str, Any]) -> None:
    """Add a row."""
    await tx.fetch(_insert(table, tuple(row)), **row)


async def update_row(tx: Transaction, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Change columns of the row with this key; its revision, where it has one, counts up."""
    statement = _update(table, tuple(key), tuple(values))
    await tx.fetch(statement, **{f"key_{name}": value for name, value in key.items()}, **values)


async def delete_row(tx: Transaction, table: Table, key: Mapping[str, Any]) -> None:
    """Remove the rows with this key."""
    await tx.fetch(_delete(table, tuple(key)), **{f"key_{name}": value for name, value in key.items()})


async def claim_macs(tx: Transaction, location: Mapping[str, str], macs: Iterable[str]) -> list[str]:
    """Claim hardware addresses for a location, in their order; returns those that another location holds."""
    wanted = sorted(macs)
    if not wanted:
        return []
    got = await tx.fetch(_CLAIM, macs=wanted, **location)
    return sorted(set(wanted) - set(got))


async def release_macs(tx: Transaction, location_id: str, macs: Iterable[str]) -> None:
    """Give up claims of a location."""
    await tx.fetch(_RELEASE, location_id=location_id, macs=sorted(macs))


async def editors_since(tx: Transaction, location_id: str, *, edits: Sequence[str], marks: Sequence[str]) -> set[str]:
    """Who edited a location since the last entry with one of the actions `marks`, by the account's own numbering."""
    return set(await tx.fetch(_EDITORS, location_id=location_id, edits=list(edits), marks=list(marks)))


_CLAIM = Statement(
    "claim macs",
    "INSERT INTO turnup.mac_claim (mac, account_id, location_id) SELECT m, $2, $3 FROM unnest($1::text[]) m ORDER BY m"
    " ON CONFLICT DO NOTHING RETURNING mac",
    ("macs", "account_id", "location_id"),
    str,
)
_RELEASE = Statement(
    "release macs",
    "DELETE FROM turnup.mac_claim WHERE location_id = $1 AND mac = ANY ($2::text[])",
    ("location_id", "macs"),
    str,
)
_EDITORS = Statement(
    "editors since",
    """SELECT DISTINCT actor_id FROM turnup.audit_entry
       WHERE location_id = $1 AND outcome = 'APPLIED' AND actor_id IS NOT NULL AND action = ANY ($2::text[])
         AND number > coalesce((SELECT max(number) FROM turnup.audit_entry
                                WHERE location_id = $1 AND outcome = 'APPLIED' AND action = ANY ($3::text[])), 0)""",
    ("location_id", "edits", "marks"),
    str,
)


@lru_cache(maxsize=16)
def _lock(shape: Shape) -> Statement:
    table = tables.location
    statement = select(table.c.id).where(table.c.id == bindparam("id", type_=table.c.id.type), within(shape, table))
    return compiled("lock location", statement.with_for_update(), str)


@lru_cache(maxsize=64)
def _location_of(table: Table, shape: Shape) -> Statement:
    column = table.c.id if table is tables.location else table.c.location_id
    statement = select(column).where(table.c.id == bindparam("id", type_=table.c.id.type), within(shape, table))
    return compiled(f"location of {table.name}", statement, str)


@lru_cache(maxsize=256)
def _insert(table: Table, names: tuple[str, ...]) -> Statement:
    values = {name: bindparam(name, type_=table.c[name].type) for name in names}
    return compiled(f"insert {table.name}", insert(table).values(values), str)


@lru_cache(maxsize=512)
def _update(table: Table, key: tuple[str, ...], names: tuple[str, ...]) -> Statement:
    values: dict[str, Any] = {name: bindparam(name, type_=table.c[name].type) for name in names}
    statement = update(table).values(values)
    for name in key:
        statement = statement.where(table.c[name] == bindparam(f"key_{name}", type_=table.c[name].type))
    return compiled(f"update {table.name}", statement, str)


@lru_cache(maxsize=128)
def _delete(table: Table, key: tuple[str, ...]) -> Statement:
    statement = delete(table)
    for name in key:
        statement = statement.where(table.c[name] == bindparam(f"key_{name}", type_=table.c[name].type))
    return compiled(f"delete {table.name}", statement, str)
