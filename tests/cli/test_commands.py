"""The commands beside `serve`, on a database of their own."""

import signal
from pathlib import Path

import asyncpg
import pytest

from app import cli
from app.db.migrate import is_current
from tests import harness
from tests.cli.turnup import free_port
from tests.harness import Ended, Turnup


async def told(url: str, query: str) -> object:
    """One value from a database, as the definer sees it."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE turnup_definer")
            return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_migrate_makes_everything_in_a_bare_database(bare_database: harness.TestDatabase, turnup: Turnup) -> None:
    assert await turnup(bare_database, "migrate") == Ended(0, "", "")
    connection = await asyncpg.connect(bare_database.app_url)
    current = await is_current(connection)
    await connection.close()
    assert current


async def test_seed_adds_as_many_plain_locations_as_asked_for(
    empty_database: harness.TestDatabase, turnup: Turnup
) -> None:
    assert (await turnup(empty_database, "seed", "--locations", "3")).status == 0
    assert (
        await told(empty_database.owner_url, "SELECT count(*) FROM turnup.location WHERE name LIKE 'Load test%'") == 3
    )


async def test_seed_keeps_data_that_is_there(empty_database: harness.TestDatabase, turnup: Turnup) -> None:
    await turnup(empty_database, "seed")
    before = await told(empty_database.owner_url, "SELECT max(created_at) FROM turnup.account")
    assert (await turnup(empty_database, "seed")).out == "The database has data already; --reset replaces it.\n"
    assert await told(empty_database.owner_url, "SELECT max(created_at) FROM turnup.account") == before


@pytest.mark.parametrize("count", ["0", "-1", "1000001", "few"])
def test_seed_refuses_a_number_of_locations_that_makes_no_sense(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["seed", "--locations", count])
    assert ended.value.code == 2
    assert "--locations" in capsys.readouterr().err


def test_migrating_without_the_owners_url_is_refused_by_name(
    database: harness.TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    with pytest.raises(SystemExit) as ended:
        cli.main(["migrate"])
    assert ended.value.code == "turnup: this needs TURNUP_OWNER_DATABASE_URL, the role that owns the tables"


def test_serving_as_the_owner_is_refused_by_name(
    database: harness.TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.owner_url)
    monkeypatch.setenv("PORT", str(free_port()))
    handled = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main(["serve"])
    finally:
        signal.signal(signal.SIGTERM, handled)
    said = str(ended.value.code)
    assert said.startswith("turnup: DATABASE_URL signs in as turnup_owner, which ")
    assert "\n" not in said


def test_the_printed_schema_is_the_one_in_the_checkout(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["schema"])
    assert capsys.readouterr().out == cli.SCHEMA_FILE.read_text(encoding="utf-8")


def test_a_schema_that_drifted_fails_the_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "schema.graphql"
    old.write_text(cli.SCHEMA_FILE.read_text(encoding="utf-8").replace("type Query", "type Quarry"), encoding="utf-8")
    monkeypatch.setattr(cli, "SCHEMA_FILE", old)
    with pytest.raises(SystemExit, match="make schema"):
        cli.main(["schema", "--check"])


def test_the_roles_script_holds_no_password_and_tells_how_it_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["roles", "--sql"])
    script = capsys.readouterr().out
    assert "PASSWORD :'owner_password'" in script
    assert "PASSWORD :'app_password'" in script
    assert "--   psql -d postgres -v owner_password=... -v app_password=... -f roles.sql" in script.splitlines()
