"""Migrating: what the migrations make is what app.db.tables says, once, whoever migrates and however often."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app.db import tables
from app.db.migrate import is_current, migrate, newest_revision
from tests import harness

# One worker runs them all: each would have to make the database anew.
pytestmark = pytest.mark.xdist_group("migrations")

# Everything that a table is made of, as PostgreSQL prints it; NOT NULL is told with the column.
PRINTED = """
SELECT c.relname || '.' || a.attname AS name,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                 'COLLATE ' || l.collname, 'IDENTITY ' || nullif(a.attidentity::text, ''),
                 'GENERATED ' || nullif(a.attgenerated::text, ''),
                 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'turnup'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
  AND c.relname <> 'alembic_version'
UNION ALL
SELECT c.relname || ' ' || k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.connamespace = 'turnup'::regnamespace AND k.contype IN ('c', 'f', 'p', 'u') AND c.relname <> 'alembic_version'
UNION ALL
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'turnup' AND tablename <> 'alembic_version'
"""


async def printed(connection: asyncpg.Connection) -> dict[str, str]:
    """Every column, constraint and index by name."""
    return {row["name"]: row["definition"] for row in await connection.fetch(PRINTED)}


@pytest.fixture(scope="module")
async def from_metadata() -> dict[str, str]:
    """What app.db.tables makes of an empty database of its own, which no test has migrated before."""
    async with harness.own_database("template1") as empty:
        return await made_by_metadata(empty)


async def made_by_metadata(empty: harness.TestDatabase) -> dict[str, str]:
    """What app.db.tables makes of an empty database. It is rolled back."""
    engine = create_async_engine(make_url(empty.owner_url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"CREATE SCHEMA {tables.SCHEMA}")
        await connection.run_sync(tables.metadata.create_all)
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        made = await printed(raw.driver_connection)
        await connection.rollback()
    await engine.dispose()
    return made


@pytest.fixture
async def owner(database: harness.TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to a migrated database; what it does is rolled back."""
    connection = await asyncpg.connect(database.owner_url)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def test_migrations_make_what_the_tables_say(owner: asyncpg.Connection, from_metadata: dict[str, str]) -> None:
    assert await printed(owner) == from_metadata


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("ALTER TABLE turnup.device ADD COLUMN colour text", "device.colour"),
        ("ALTER TABLE turnup.account ALTER COLUMN name DROP NOT NULL", "account.name"),
        ("ALTER TABLE turnup.device ALTER COLUMN label TYPE varchar(9999)", "device.label"),
        ("ALTER TABLE turnup.device ALTER COLUMN revision SET DEFAULT 2", "device.revision"),
        ('ALTER TABLE turnup.account ALTER COLUMN name TYPE text COLLATE "POSIX"', "account.name"),
        ("ALTER TABLE turnup.device DROP CONSTRAINT ck_device_brand_known", "device ck_device_brand_known"),
        ("DROP INDEX turnup.ix_device_mac_address", "ix_device_mac_address"),
        (
            "DROP INDEX turnup.uq_override_open; CREATE UNIQUE INDEX uq_override_open ON turnup.override (location_id)",
            "uq_override_open",
        ),
    ],
)
async def test_the_comparison_notices_a_difference(
    owner: asyncpg.Connection, from_metadata: dict[str, str], change: str, what: str
) -> None:
    await owner.execute(change)
    found = await printed(owner)
    assert what in {name for name, _ in set(found.items()) ^ set(from_metadata.items())}


async def test_two_who_migrate_at_once_both_succeed(bare_database: harness.TestDatabase) -> None:
    await asyncio.gather(migrate(bare_database.owner_url), migrate(bare_database.owner_url))
    connection = await asyncpg.connect(bare_database.app_url)
    current = await is_current(connection)
    await connection.close()
    assert current


async def test_migrating_again_changes_nothing(database: harness.TestDatabase, owner: asyncpg.Connection) -> None:
    before = await printed(owner)
    await migrate(database.owner_url)
    assert await printed(owner) == before


async def test_an_older_database_is_not_current(owner: asyncpg.Connection) -> None:
    await owner.execute("UPDATE turnup.alembic_version SET version_num = '0000'")
    assert not await is_current(owner)


async def test_a_database_without_the_schema_is_not_current(owner: asyncpg.Connection) -> None:
    await owner.execute("ALTER SCHEMA turnup RENAME TO elsewhere")
    assert not await is_current(owner)


async def test_the_app_may_ask_whether_the_database_is_current(database: harness.TestDatabase) -> None:
    connection = await asyncpg.connect(database.app_url)
    current = await is_current(connection)
    await connection.close()
    assert current


async def test_the_newest_revision_is_where_a_migrated_database_stands(owner: asyncpg.Connection) -> None:
    assert await owner.fetchval("SELECT version_num FROM turnup.alembic_version") == newest_revision()


async def test_the_app_cannot_migrate(database: harness.TestDatabase) -> None:
    with pytest.raises(Exception, match="permission denied"):
        await migrate(database.app_url)
