"""`turnup serve` of an older version on a database that a later release has migrated."""

from pathlib import Path

import httpx
import pytest

from app.db.migrate import migrate, newest_revision
from tests.db.later import OLDER_MAY_ONLY_READ, content_fields, later, revision_after
from tests.harness import own_database

from .turnup import Server, serving

LOCATIONS = "{ locations(first: 100) { totalCount } }"
STEP = 'mutation { setCurrentStep(input: {locationId: "location-3", step: PEOPLE}) { problems { code } } }'


def _written(server: Server) -> list[tuple[str, str]]:
    answer = httpx.post(
        f"http://127.0.0.1:{server.port}/graphql",
        json={"query": STEP},
        headers={"Authorization": f"Bearer {server.token('lead')}"},
        timeout=20,
        trust_env=False,
    )
    errors = answer.json().get("errors", [])
    return [(each["extensions"]["code"], each["extensions"]["outcome"]) for each in errors]


@pytest.mark.parametrize("with_owner", [True, False])
async def test_it_starts_says_so_in_one_line_and_only_reads(tmp_path: Path, with_owner: bool) -> None:
    async with own_database() as database:
        folder = later(tmp_path, content_fields(), says=OLDER_MAY_ONLY_READ)
        await migrate(database.owner_url, folder=folder)
        urls = {"DATABASE_URL": database.app_url}
        if with_owner:
            urls["TURNUP_OWNER_DATABASE_URL"] = database.owner_url
        with serving(tmp_path / "home", **urls) as server:  # returns once it is ready
            assert server.ask(LOCATIONS)["locations"]["totalCount"] > 0
            assert _written(server) == [("UNAVAILABLE", "NONE")]
            lines = [line for line in server.printed.splitlines() if line.startswith("turnup: ")]
    assert lines == [
        f"turnup: the database is at revision {revision_after()}, newer than {newest_revision()}, the newest of this"
        f" version, which only reads: writes need revision {revision_after()}"
    ]
