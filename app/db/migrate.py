"""Migrates a database to the newest revision as its owner; any role can check whether it is current."""

from functools import cache
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.db.tables import SCHEMA

MIGRATIONS = Path(__file__).parent / "migrations"
# Serialises the migrations of servers that start at the same time; the number is arbitrary and used for nothing else.
MIGRATION_LOCK = 7_264_915


async def migrate(owner_url: str) -> None:
    """Run every missing migration in one transaction, as the role of `owner_url`.

    Raises PostgreSQL's exceptions; on failure nothing is changed.
    """
    engine = create_async_engine(make_url(owner_url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def is_current(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Return whether the database has the newest revision that this code knows; the app's role may check."""
    try:
        found = await connection.fetchval(f"SELECT version_num FROM {SCHEMA}.alembic_version")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError):
        return False
    return bool(found == newest_revision())


@cache
def newest_revision() -> str:
    """Return the newest revision among this code's migrations."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "there is at least one migration"  # noqa: S101 - the migrations are part of the package
    return head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.execute(text(f"GRANT USAGE ON SCHEMA {SCHEMA} TO turnup_app"))
    connection.execute(text(f"GRANT SELECT ON {SCHEMA}.alembic_version TO turnup_app"))
