"""Migrates a database to the newest revision as its owner; any role can check whether it is current.

Each migration is a transaction of its own, which waits for a lock only briefly, because every session that needs the
table waits behind it. A migration that does not get its lock is rolled back and tried again. A database can be newer
than this code: a release is migrated before all of its servers are replaced.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import Any

import asyncpg
from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from app.db.blocking import Blocking
from app.db.connecting import connect, connect_as_owner
from app.db.content_columns import content_tables
from app.db.steps import LOCK_TIMEOUT_MS, MigrationRefused
from app.db.tables import SCHEMA
from app.db.writers import WRITES_LOCK, WRITES_SINCE, may_write

MIGRATIONS = Path(__file__).parent / "migrations"
# Serialises the migrations of servers that start at the same time; the number is arbitrary and used for nothing else.
MIGRATION_LOCK = 7_264_915
FIRST_WITH_STATE = "0011"
"""The first revision whose migrations say whether older code may write. Earlier ones cannot be printed either."""

TRIES = 20
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between two tries to get a lock; the last one repeats."""
ALONE_SECONDS = 600.0
"""Seconds for which one process waits while another one migrates."""

_MAY_BECOME_DEFINER = "SELECT pg_has_role(current_user, 'turnup_definer', 'MEMBER')"
_NO_LOCK = {"55P03", "40P01"}  # lock_not_available, deadlock_detected

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration of this code. `older_code_may_write` says whether servers of the revision before may still write."""

    revision: str
    title: str
    older_code_may_write: bool

    def __str__(self) -> str:
        return f"{self.revision} {self.title}"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a database is: its revision (None before the first), and the migrations of this code that it lacks."""

    revision: str | None
    newest: str
    missing: tuple[Migration, ...]
    writes_since: str | None = None
    """The oldest revision of the code that may write, if the database says so."""

    @property
    def is_newer(self) -> bool:
        """Whether the database has a migration that this code does not know."""
        return self.revision is not None and self.revision > self.newest

    def __str__(self) -> str:
        where = f"the database is at revision {self.revision or 'none'}"
        if not self.is_newer:
            return f"{where}; the newest of this version is {self.newest}"
        return f"{where}, newer than {self.newest}, the newest of this version, which " + (
            "may still write"
            if may_write(self.writes_since, self.newest)
            else f"only reads: writes need revision {self.writes_since}"
        )


class DatabaseIsNewer(MigrationRefused):
    """The database has a migration that this code does not know."""

    def __init__(self, position: Position) -> None:
        super().__init__(f"{position}; nothing was migrated")


def unsaid(_line: str) -> None:
    """Print nothing."""


async def migrate(owner_url: str, *, folder: Path = MIGRATIONS, say: Say = unsaid) -> tuple[Migration, ...]:
    """Run every missing migration, each in its own transaction, as the role of `owner_url`. Returns them.

    `say` gets a line per migration and per step. Raises MigrationRefused, also for a superuser, to whom the tables
    would belong. The migrations before the one that failed stay applied, and the one that failed is undone.
    """
    async with _connected(owner_url) as connection:
        if await connection.scalar(text("SELECT current_setting('is_superuser') = 'on'")):
            raise MigrationRefused("TURNUP_OWNER_DATABASE_URL: connect as turnup_owner, not as a superuser")
        await connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT_MS}ms'"))
        await _alone(connection, say)
        with _failing("TURNUP_OWNER_DATABASE_URL: the schema was not created"):
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            await connection.commit()
        found = await position(owner_url, folder=folder)
        if found.is_newer:
            raise DatabaseIsNewer(found)
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
        await connection.commit()
        for migration in found.missing:
            began = perf_counter()
            say(str(migration))
            await _applied(connection, migration, folder, say, Blocking(owner_url, pid))
            say(f"{migration.revision} applied ({perf_counter() - began:.1f} s)")
        return found.missing


async def position(url: str, *, folder: Path = MIGRATIONS) -> Position:
    """Return where the database is. The roles of the owner and of the app may ask; nothing is changed."""
    connection = await connect(url, statement_cache_size=0)  # the app's URL may lead to a pooler
    try:
        revision = await revision_of(connection)
        migrations = known(folder)
        if (
            revision is not None
            and revision < migrations[-1].revision
            and revision not in {e.revision for e in migrations}
        ):
            raise MigrationRefused(f"the database is at revision {revision}, which this version does not know")
        missing = tuple(each for each in migrations if revision is None or each.revision > revision)
        writes_since = None
        if revision is not None and revision >= FIRST_WITH_STATE:
            async with connection.transaction(readonly=True):
                if await connection.fetchval(_MAY_BECOME_DEFINER):  # the owner sees no rows
                    await connection.execute("SET LOCAL ROLE turnup_definer")
                writes_since = await connection.fetchval(f"SELECT {WRITES_SINCE}")
        return Position(revision, migrations[-1].revision, missing, writes_since)
    finally:
        await connection.close(timeout=1)


async def is_current(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Return whether the database is at the newest revision that this code knows or beyond; the app's role may ask."""
    found = await revision_of(connection)
    return found is not None and found >= newest_revision()


async def revision_of(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    """Return the revision of the database, or None if it has none that the role can read."""
    try:
        found: str | None = await connection.fetchval(f"SELECT version_num FROM {SCHEMA}.alembic_version")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError):
        return None
    return found


def missing_sql(found: Position, *, folder: Path = MIGRATIONS) -> str:
    """Return the missing migrations as a script for psql, which the owner runs.

    Raises MigrationRefused for migrations that change data as they read it, which only `migrate` can run.
    """
    if found.is_newer:
        raise DatabaseIsNewer(found)
    if not found.missing:
        return f"-- Nothing is missing: {found}\n"
    unprinted = [each.revision for each in found.missing if each.revision < FIRST_WITH_STATE]
    if unprinted:
        raise MigrationRefused(
            f"the migrations {unprinted[0]} to {unprinted[-1]} read the database while they change it and cannot be"
            " printed: apply them with turnup migrate"
        )
    output = StringIO()
    output.write(_SCRIPT_HEAD)
    before = found.revision
    for migration in found.missing:
        config = _config(folder)
        config.attributes |= {"output": output, "around": partial(_guarded, migration)}
        output.write(f"\n-- {migration}\n")
        command.upgrade(config, f"{before}:{migration.revision}", sql=True)
        before = migration.revision
    return output.getvalue()


@cache
def newest_revision() -> str:
    """Return the newest revision among this code's migrations."""
    return known(MIGRATIONS)[-1].revision


_SCRIPT_HEAD = f"""\
-- Run as turnup_owner: psql -v ON_ERROR_STOP=1 -f FILE. A line that fails ends the script; print it again to go on.
SET lock_timeout = '{LOCK_TIMEOUT_MS}ms';
SELECT pg_advisory_lock({MIGRATION_LOCK});
"""


def known(folder: Path) -> tuple[Migration, ...]:
    """The migrations in a folder, in their order. Raises MigrationRefused for one that does not say what it must."""
    scripts = reversed(list(ScriptDirectory.from_config(_config(folder)).walk_revisions()))
    return tuple(
        Migration(script.revision, " ".join(script.doc.split()).rstrip("."), _older_code_may_write(script.module))
        for script in scripts
    )


def _older_code_may_write(module: Any) -> bool:
    found = getattr(module, "older_code_may_write", module.revision < FIRST_WITH_STATE or None)
    if not isinstance(found, bool):
        raise MigrationRefused(f"the migration {module.revision} does not say older_code_may_write: True or False")
    return found


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder))
    return config


@asynccontextmanager
async def _connected(owner_url: str) -> AsyncIterator[AsyncConnection]:
    # The driver reads the URL, so that it takes what DATABASE_URL takes.
    opening = partial(connect_as_owner, owner_url)
    engine = create_async_engine("postgresql+asyncpg://", async_creator=opening, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def _alone(connection: AsyncConnection, say: Say) -> None:
    """Take the lock of migrations until the connection closes.

    It is asked for again and again, not waited for: an index that is made concurrently would wait for a transaction
    that waits for it.
    """
    began, told = perf_counter(), False
    while True:
        taken = await connection.scalar(text(f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})"))
        await connection.commit()
        if taken:
            return
        if perf_counter() - began > ALONE_SECONDS:
            raise MigrationRefused(f"another process has been migrating this database for {ALONE_SECONDS:.0f} s")
        if not told:
            say("Another process is migrating this database.")
            told = True
        await asyncio.sleep(0.1)


async def _applied(
    connection: AsyncConnection, migration: Migration, folder: Path, say: Say, blocking: Blocking
) -> None:
    """Run a migration; when a lock is not had, try again. Raises MigrationRefused."""
    for tried in range(1, TRIES + 1):
        try:
            async with blocking.watched():
                await connection.run_sync(_upgrade, migration, folder, say)
                return
        except DBAPIError as error:
            if error.connection_invalidated:  # perhaps after its COMMIT
                raise MigrationRefused(
                    f"the connection was lost during the migration {migration.revision}, which is applied as a whole or"
                    f" not at all: run the command again ({_message(error)})"
                ) from error
            await connection.rollback()
            if _sqlstate(error) not in _NO_LOCK or tried == TRIES:
                raise MigrationRefused(
                    f"the migration {migration.revision} failed and is undone: {_message(error)}{blocking.seen('; ')}"
                ) from error
        pause = PAUSES[min(tried, len(PAUSES)) - 1]
        say(f"  no lock within {LOCK_TIMEOUT_MS} ms{blocking.seen(': ')}; try {tried + 1} of {TRIES} in {pause} s")
        await asyncio.sleep(pause)


def _upgrade(connection: Connection, migration: Migration, folder: Path, say: Say) -> None:
    config = _config(folder)
    config.attributes |= {"connection": connection, "say": say, "around": partial(_guarded, migration)}
    command.upgrade(config, migration.revision)
    connection.commit()


@contextmanager
def _guarded(migration: Migration) -> Iterator[None]:
    """What surrounds the statements of a migration, in its transaction."""
    closes = not migration.older_code_may_write
    if closes:
        # Older code that is writing finishes first; what begins to write from now on waits, and then reads the state.
        for statement in (
            f"SELECT pg_advisory_xact_lock({WRITES_LOCK})",
            "SET LOCAL ROLE turnup_definer",
            f"INSERT INTO {SCHEMA}.schema_state (writes_since) VALUES ('{migration.revision}')",
            "RESET ROLE",
        ):
            context.execute(statement)
    before = None if context.is_offline_mode() else content_tables(context.get_bind())
    yield
    if before is not None and not closes and migration.revision >= FIRST_WITH_STATE:
        changed = sorted(set(before) ^ set(content_tables(context.get_bind())))
        if changed:
            raise MigrationRefused(
                f"the migration {migration.revision} changes the content column {changed[0][0]}, whose values would be"
                " lost when older code writes: set older_code_may_write = False"
            )
    if not context.is_offline_mode():
        context.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO turnup_app")
        context.execute(f"GRANT SELECT ON {SCHEMA}.alembic_version TO turnup_app")


@contextmanager
def _failing(what: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise MigrationRefused(f"{what}: {_message(error)}") from error


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _message(error: DBAPIError) -> str:
    """PostgreSQL's message on one line. Its detail, which can contain values, is left out."""
    cause = error.orig.__cause__ if error.orig is not None else None
    return " ".join(str(cause or error.orig).partition("\n")[0].split())
