"""Write app/audit/expected_objects.json: the objects that the migrations make in an empty database.

Starts a temporary PostgreSQL, runs all migrations, and deletes it. Review the difference: it shows what a migration
does to triggers, policies, functions and grants.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from app.audit.objects import EXPECTED_FILE, Facts, objects_of, written
from app.db.connecting import connect
from app.db.migrate import migrate
from app.postgres import embedded


def main() -> None:
    """Write the file and print what it contains."""
    with tempfile.TemporaryDirectory(prefix="turnup-objects-") as name:
        home = Path(name) / "home"
        try:
            with embedded.start(home) as postgres:
                objects = asyncio.run(_objects(postgres.cluster.dsn("turnup_owner", "turnup")))
        finally:
            embedded.erase(home)
    EXPECTED_FILE.write_text(written(objects), encoding="utf-8")
    print(f"{EXPECTED_FILE.name}: {len(objects)} objects")


async def _objects(url: str) -> Mapping[str, Facts]:
    await migrate(url)
    connection = await connect(url)
    try:
        return await objects_of(connection)
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
