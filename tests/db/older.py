"""Databases that earlier releases made: their rows, put into a database of that revision, and then migrated.

A file holds the rows of every table, each value as PostgreSQL's text, a query, and what a lead was answered for each
location. Each was made by the release's own code, through its API.
"""

import gzip
import json
import lzma
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app.db import tables
from app.db.migrate import MIGRATIONS

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class OlderDatabase:
    """A database of an earlier release: its revision, and the file with its rows and answers."""

    revision: str
    file: str

    @cached_property
    def made(self) -> dict[str, Any]:
        """What the file holds."""
        packed = (_FOLDER / self.file).read_bytes()
        found: dict[str, Any] = json.loads((lzma if self.file.endswith("xz") else gzip).decompress(packed))
        return found

    @property
    def rows(self) -> dict[str, list[dict[str, str | None]]]:
        """The rows of each table."""
        rows: dict[str, list[dict[str, str | None]]] = self.made["rows"]
        return rows

    @property
    def answers(self) -> dict[str, Any]:
        """What a lead was answered, by location."""
        answers: dict[str, Any] = self.made["answers"]
        return answers

    def location(self, title: str) -> str | None:
        """The location to which this happened, or None if there is none."""
        found: str | None = self.made.get("names", {}).get(title)
        return found

    def title(self, location: str) -> str:
        """What happened to a location, or its id."""
        return next((name for name, each in self.made.get("names", {}).items() if each == location), location)

    async def restore(self, owner_url: str) -> None:
        """Make the database of that release in an empty one."""
        engine = create_async_engine(make_url(owner_url).set(drivername="postgresql+asyncpg"))
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"CREATE SCHEMA {tables.SCHEMA}")
            await connection.run_sync(self._migrate)
        await engine.dispose()
        owner = await asyncpg.connect(owner_url)
        async with owner.transaction():
            await owner.execute("SET LOCAL ROLE turnup_definer")
            await owner.execute("SELECT set_config('turnup.unaudited', 'on', true)")
            for table, rows in self.rows.items():
                await _insert(owner, table, rows)
            # The keys of calls are a moment old, whenever the test runs.
            await owner.execute("UPDATE turnup.idempotency_key SET created_at = now()")
        for table, column in (("audit_entry", "ordinal"), ("field_change", "id")):
            last = max(int(row[column] or 0) for row in self.rows[table])
            await owner.execute(f"ALTER TABLE turnup.{table} ALTER COLUMN {column} RESTART WITH {last + 1}")
        await owner.close()

    def _migrate(self, connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, self.revision)


async def _insert(owner: asyncpg.Connection, table: str, rows: list[dict[str, str | None]]) -> None:
    name = f'{tables.SCHEMA}."{table}"'
    types = await owner.fetch(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = $1::text::regclass AND attnum > 0 AND attgenerated = ''",
        name,
    )
    type_of = {row["attname"]: row["format_type"] for row in types if row["attname"] in rows[0]}
    values = ", ".join(f"(r ->> '{column}')::{type_of[column]}" for column in type_of)
    columns = ", ".join(f'"{column}"' for column in type_of)
    await owner.execute(
        f"INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM jsonb_array_elements($1) r",
        json.dumps(rows),
    )


# Made at revision 0007: the demo data of `location-1` to `-6` and `-8`, walked along the path, `generatePayload` on
# `location-4` (APPROVED), overrides on `location-5` (PROVISIONING, its payload released) and `location-6` (COMPLETED,
# its payload acknowledged; one of its devices was edited under the override). Both overrides were moved to 2099, as an
# audited change, so that they are in force.
BEFORE_DIGEST_VERSIONS = OlderDatabase("0007", "older_database.json.gz")

# Made at revision 0009: the demo data, and further locations in `made["names"]`, by what happened to them. Beside
# Carrier One, three partners have or had access to the first two accounts: `made["users"]`. `third` was suspended at
# the end, and the access of `former` was taken away.
BEFORE_RECIPIENTS = OlderDatabase("0009", "older_hand_offs.json.xz")
OLDER_DATABASES = (BEFORE_DIGEST_VERSIONS, BEFORE_RECIPIENTS)
