"""A database that the release before digest versions made: migrated, it keeps every digest, approval and answer.

`older_database.json.gz` was made at revision 0007 by that release's own code: the demo data of `location-1` to `-6` and
`-8`, walked along the path by its API, then `generatePayload` on `location-4` (APPROVED), overrides on `location-5`
(PROVISIONING, its payload released) and `location-6` (COMPLETED, its payload acknowledged; one of its devices was
edited under the override). Both overrides were moved to 2099, as an audited change, so that they are in force. The file
holds the rows of every table, each value as PostgreSQL's text, a query, and what a lead was answered for each location.
"""

import gzip
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from alembic import command
from alembic.config import Config
from pydantic import SecretStr
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app.auth.development import DevelopmentIssuer
from app.db import tables
from app.db.aggregates import AGGREGATES, AggregateRecord
from app.db.migrate import MIGRATIONS, migrate
from app.domain.canonical import canonical
from app.domain.digest import content_digest, digest_of, digest_version
from app.domain.payload import payload_document
from app.main import create_app
from app.settings import Settings
from tests.harness import LEAD, LEAD_2, Client, TestDatabase, first_row
from tests.oracle import audit_log_is_complete

BEFORE = "0007"
MADE = json.loads(gzip.decompress(Path(__file__).with_name("older_database.json.gz").read_bytes()))
LOCATIONS = sorted(MADE["answers"])


@pytest.fixture(scope="module")
async def older(bare_database: TestDatabase) -> TestDatabase:
    """The older database, migrated to the newest revision."""
    engine = create_async_engine(make_url(bare_database.owner_url).set(drivername="postgresql+asyncpg"))
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"CREATE SCHEMA {tables.SCHEMA}")
        await connection.run_sync(_migrate_to_before)
    await engine.dispose()
    owner = await asyncpg.connect(bare_database.owner_url)
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await owner.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        for table, rows in MADE["rows"].items():
            await _insert(owner, table, rows)
    for table, column in (("audit_entry", "ordinal"), ("field_change", "id")):
        last = max(int(row[column]) for row in MADE["rows"][table])
        await owner.execute(f"ALTER TABLE turnup.{table} ALTER COLUMN {column} RESTART WITH {last + 1}")
    await owner.close()
    await migrate(bare_database.owner_url)
    return bare_database


def _migrate_to_before(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, BEFORE)


async def _insert(owner: asyncpg.Connection, table: str, rows: list[dict[str, str | None]]) -> None:
    name = f'{tables.SCHEMA}."{table}"'
    types = await owner.fetch(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = $1::text::regclass", name
    )
    type_of = {row["attname"]: row["format_type"] for row in types}
    values = ", ".join(f"(r ->> '{column}')::{type_of[column]}" for column in rows[0])
    columns = ", ".join(f'"{column}"' for column in rows[0])
    await owner.execute(
        f"INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM jsonb_array_elements($1) r",
        json.dumps(rows),
    )


@pytest.fixture(scope="module")
async def definer(older: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection that sees every row."""
    connection = await asyncpg.connect(older.owner_url)
    await connection.execute("SET ROLE turnup_definer")
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def client(older: TestDatabase, home: Path) -> AsyncIterator[Client]:
    """A client of the real app on the migrated database."""
    app = create_app(Settings(database_url=SecretStr(older.app_url), home=home))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http,
    ):
        yield Client(http, DevelopmentIssuer.load_or_create(home), older)


async def test_every_stored_digest_is_that_of_the_content(definer: asyncpg.Connection) -> None:
    found = await definer.fetch("SELECT id, content_digest, digest_version FROM turnup.location ORDER BY id")
    assert [row["id"] for row in found] == LOCATIONS
    for row in found:
        record: AggregateRecord = AGGREGATES.build(*await first_row(definer, AGGREGATES.sql, [row["id"]]))
        content = record.content
        assert (row["content_digest"], row["digest_version"]) == (content_digest(content), digest_version(content))
        assert row["digest_version"] == 1


async def test_every_approved_digest_is_that_of_the_approved_content(definer: asyncpg.Connection) -> None:
    found = await definer.fetch("SELECT digest, digest_version, content::text FROM turnup.approval")
    assert len(found) == len(MADE["rows"]["approval"])
    assert all((row["digest"], row["digest_version"]) == (digest_of(json.loads(row["content"])), 1) for row in found)


async def test_every_payload_has_the_digest_of_its_document(definer: asyncpg.Connection) -> None:
    found = await definer.fetch("SELECT content_digest, digest_version, document FROM turnup.provisioning_payload")
    assert len(found) == len(MADE["rows"]["provisioning_payload"])
    for row in found:
        assert row["content_digest"] == json.loads(row["document"])["metadata"]["contentDigest"]
        assert row["digest_version"] == 1


async def test_content_that_was_handed_over_makes_the_same_document_byte_for_byte(
    definer: asyncpg.Connection,
) -> None:
    made = 0
    for row in await definer.fetch("SELECT location_id, version, content_digest, document FROM turnup.provisioning_payload"):
        record: AggregateRecord = AGGREGATES.build(*await first_row(definer, AGGREGATES.sql, [row["location_id"]]))
        if content_digest(record.content) != row["content_digest"]:
            continue  # it was edited under an override since
        before = json.loads(row["document"])
        metadata = before["metadata"]
        document = payload_document(
            record.content,
            version=row["version"],
            account_name=before["accountName"],
            now=datetime.fromisoformat(before["timestamp"]),
            sequence=metadata["sequence"],
            generated_by=metadata["generatedBy"],
            location_revision=metadata["locationRevision"],
            supersedes=metadata["supersedes"],
        )
        assert canonical(document).decode() == row["document"]
        made += 1
    assert made == 2


@pytest.mark.parametrize("location", LOCATIONS)
async def test_review_viewer_actions_approvals_and_history_answer_as_before(client: Client, location: str) -> None:
    answer = await client.ask(MADE["question"], LEAD_2, id=location)
    assert answer.data == MADE["answers"][location]


async def test_generating_again_returns_the_payload_that_is_there(client: Client) -> None:
    made = """mutation ($input: ProvisioningInput!) {
        generatePayload(input: $input) { problems { message } payload { id version documentDigest } } }"""
    given = {"locationId": "location-4", "idempotencyKey": "again"}
    answer: Any = (await client.ask(made, LEAD, input=given)).data["generatePayload"]
    (before,) = MADE["answers"]["location-4"]["location"]["payloads"]
    assert answer == {
        "problems": [],
        "payload": {"id": before["id"], "version": "1.0.0", "documentDigest": before["documentDigest"]},
    }


async def test_the_trail_verifies_and_replays_without_a_difference(older: TestDatabase) -> None:
    await audit_log_is_complete(older)
