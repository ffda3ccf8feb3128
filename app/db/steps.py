"""Steps of migrations that keep the servers serving: none of them blocks reads or writes while it reads a table.

Alembic runs a migration in one transaction, and PostgreSQL holds every lock until the end of it. A step that takes long
is therefore refused in a transaction that holds a lock that excludes the servers: give it a migration of its own, or
put it first. Each step prints one line.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from alembic import op
from sqlalchemy import Column, text
from sqlalchemy.sql.elements import TextClause

from app.db.tables import SCHEMA

LOCK_TIMEOUT_MS = 1_000
"""Milliseconds for which a migration waits for a lock, and every session that needs the table waits behind it.

Less than the two seconds after which a write is answered OVERLOADED, so that writes survive a migration that gives up.
"""
MOST_WAIT_SECONDS = 60
"""Seconds for which an index that is made concurrently waits for older transactions. No session waits behind it."""

_IS_VALID = "SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass('{name}')"
_WRITTEN = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"
_EXCLUDES = """SELECT EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'
               AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))"""


class MigrationRefused(Exception):  # noqa: N818 - says what happened
    """A migration breaks a rule, or cannot run on this database. The message is one line."""


def index(name: str, table: str, columns: Sequence[str | TextClause], *, unique: bool = False, **options: Any) -> None:
    """Make an index concurrently, outside the transaction; must be the first step of a migration.

    `options` are those of alembic's `create_index`, such as `postgresql_where`. What an interrupted attempt left is
    dropped first; an index that is whole is kept.
    """
    if _found(_WRITTEN):
        raise MigrationRefused(
            f"the index {name} is made outside the transaction: make it first, and let older code write"
        )
    with _said(f"index {name} on {table}, concurrently"), op.get_context().autocommit_block():
        valid = _found(_IS_VALID.format(name=f"{SCHEMA}.{name}"))
        if valid:
            return
        op.execute(f"SET lock_timeout = '{MOST_WAIT_SECONDS}s'")
        try:
            if valid is False or op.get_context().as_sql:
                op.drop_index(name, schema=SCHEMA, postgresql_concurrently=True, if_exists=True)
            op.create_index(
                name, table, list(columns), schema=SCHEMA, unique=unique, postgresql_concurrently=True, **options
            )
        finally:
            op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_MS}ms'")


def check(table: str, name: str, condition: str) -> None:
    """Add a CHECK that holds for rows that are written from now on. `validate` it in a later migration.

    `name` is the whole name, such as `ck_device_label_given`.
    """
    with _said(f"constraint {name} on {table}, not validated"):
        op.create_check_constraint(op.f(name), table, text(condition), schema=SCHEMA, postgresql_not_valid=True)


def foreign_key(table: str, name: str, columns: Sequence[str], to: str, referred: Sequence[str]) -> None:
    """Add a deferred foreign key that holds for rows that are written from now on. `validate` it in a later migration.

    Both tables are locked against writes for a moment.
    """
    with _said(f"constraint {name} on {table}, not validated"):
        op.create_foreign_key(
            op.f(name),
            table,
            to,
            list(columns),
            list(referred),
            source_schema=SCHEMA,
            referent_schema=SCHEMA,
            deferrable=True,
            initially="DEFERRED",
            postgresql_not_valid=True,
        )


def validate(table: str, name: str) -> None:
    """Check the rows that were there before a constraint. Reads and writes go on meanwhile."""
    if _found(_EXCLUDES):
        raise MigrationRefused(
            f"validating {name} would hold the locks of earlier steps: give it a migration of its own"
        )
    with _said(f"constraint {name} on {table}, validated"):
        op.execute(f'ALTER TABLE {SCHEMA}."{table}" VALIDATE CONSTRAINT {name}')


def column(table: str, added: Column[Any]) -> None:
    """Add a column without rewriting the table: empty, or with a constant as the default.

    Constraints of the column are added by `check` and `foreign_key`.
    """
    default = added.server_default
    constant = default is not None and isinstance(getattr(default, "arg", None), str)
    if default is not None and not constant:
        raise MigrationRefused(f"the column {table}.{added.name} needs a constant default: another rewrites the table")
    if not added.nullable and default is None:
        raise MigrationRefused(f"the column {table}.{added.name} needs a default for the rows that are there")
    if added.primary_key or added.unique or added.index or added.constraints or added.foreign_keys:
        raise MigrationRefused(f"the column {table}.{added.name} has a constraint or an index: give it its own step")
    with _said(f"column {added.name} of {table}"):
        op.add_column(table, added, schema=SCHEMA)


def _found(query: str) -> Any:
    """The first value of a query; None when the migrations are only printed."""
    return None if op.get_context().as_sql else op.get_bind().scalar(text(query))


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Print a step with its duration once it is done, or as a comment above its SQL."""
    context = op.get_context()
    began = perf_counter()
    if context.as_sql:
        context.impl.static_output(f"-- {what}")
    yield
    assert context.config is not None  # noqa: S101 - for mypy: migrations run from a configuration
    say = context.config.attributes.get("say")
    if say is not None:
        say(f"  {what} ({perf_counter() - began:.1f} s)")
