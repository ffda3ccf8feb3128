"""The commands beside `serve`, on a database of their own."""

import signal
from pathlib import Path

import asyncpg
import pytest

from app import cli
from app.db.migrate import MIGRATIONS, is_current, known, migrate, newest_revision, position
from app.serving import STOP_SIGNALS
from tests import harness
from tests.cli.turnup import free_port
from tests.db.later import OLDER_MAY_ONLY_READ, OLDER_MAY_WRITE, later, revision_after
from tests.harness import Ended, Turnup


async def told(url: str, query: str, *, role: str = "turnup_definer") -> object:
    """One value from a database, as a role sees it."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {role}")
            return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_migrate_makes_everything_in_a_bare_database(bare_database: harness.TestDatabase, turnup: Turnup) -> None:
    missing = await turnup(bare_database, "migrate", "--check")
    migrated = await turnup(bare_database, "migrate")
    assert (missing.status, migrated.status, migrated.error) == (1, 0, "")
    listed = [line.removeprefix("missing: ") for line in missing.out.splitlines()[1:]]
    assert [line[:4] for line in listed] == [each.revision for each in known(MIGRATIONS)]
    assert [line for line in migrated.out.splitlines() if line in listed] == listed
    connection = await asyncpg.connect(bare_database.app_url)
    current = await is_current(connection)
    await connection.close()
    assert current


async def test_a_migrated_database_lacks_nothing_and_is_left_alone(
    empty_database: harness.TestDatabase, turnup: Turnup
) -> None:
    newest = newest_revision()
    here = f"the database is at revision {newest}; the newest of this version is {newest}\n"
    assert await turnup(empty_database, "migrate", "--check") == Ended(0, here, "")
    assert await turnup(empty_database, "migrate") == Ended(0, here, "")
    assert await turnup(empty_database, "migrate", "--sql") == Ended(0, f"-- Nothing is missing: {here}", "")


async def test_checking_and_printing_change_nothing(turnup: Turnup) -> None:
    async with harness.own_database("template1") as bare:
        assert (await turnup(bare, "migrate", "--check")).status == 1
        assert (await turnup(bare, "migrate", "--sql")).status == 1
        assert await told(bare.owner_url, "SELECT to_regnamespace('turnup')", role="turnup_owner") is None


async def test_what_is_missing_is_printed_as_sql(turnup: Turnup) -> None:
    async with harness.own_database("template1") as older:
        await _migrated_to(older, "0010")
        printed = await turnup(older, "migrate", "--sql")
        assert (printed.status, printed.error) == (0, "")
        assert "CREATE TABLE turnup.schema_state" in printed.out
        assert (await position(older.owner_url)).revision == "0010"


@pytest.mark.parametrize("says", [OLDER_MAY_WRITE, OLDER_MAY_ONLY_READ])
async def test_older_code_says_in_one_line_that_the_database_is_newer(
    turnup: Turnup, tmp_path: Path, says: str
) -> None:
    words = "may still write" if says == OLDER_MAY_WRITE else f"only reads: writes need revision {revision_after()}"
    newer = (
        f"the database is at revision {revision_after()}, newer than {newest_revision()}, the newest of this version"
    )
    line = f"{newer}, which {words}"
    async with harness.own_database() as further:
        await migrate(further.owner_url, folder=later(tmp_path, "pass", says=says))
        assert await turnup(further, "migrate") == Ended(1, "", f"turnup: {line}; nothing was migrated")
        assert await turnup(further, "seed") == Ended(1, "", f"turnup: {line}; nothing was migrated")
        assert await turnup(further, "migrate", "--check") == Ended(0, f"{line}\n", "")
        assert await turnup(further, "migrate", "--sql") == Ended(1, "", f"turnup: {line}; nothing was migrated")


async def _migrated_to(place: harness.TestDatabase, revision: str) -> None:
    """Migrate a bare database with the code of an earlier revision."""
    with pytest.MonkeyPatch.context() as patched:
        everything = known(MIGRATIONS)
        patched.setattr("app.db.migrate.known", lambda _: tuple(e for e in everything if e.revision <= revision))
        await migrate(place.owner_url)


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
    assert (await turnup(empty_database, "seed")).out == "The database already has data; --reset replaces it.\n"
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
    assert ended.value.code == "turnup: TURNUP_OWNER_DATABASE_URL is required: the role that owns the tables"


def test_serving_as_the_owner_is_refused_by_name(
    database: harness.TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.owner_url)
    monkeypatch.setenv("PORT", str(free_port()))
    handled = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main(["serve"])
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
    said = str(ended.value.code)
    assert said.startswith("turnup: DATABASE_URL signs in as turnup_owner, which ")
    assert "\n" not in said


def test_the_printed_schema_is_the_one_in_the_checkout(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["schema"])
    assert capsys.readouterr().out == cli.SCHEMA_FILE.read_text(encoding="utf-8")


def test_an_interrupted_command_ends_without_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(cli, "print_schema", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a test of serve left here
    with pytest.raises(SystemExit) as ended:
        cli.main(["schema"])
    signal.signal(signal.SIGINT, before)
    assert ended.value.code == 128 + signal.SIGINT


def test_a_schema_that_drifted_fails_the_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "schema.graphql"
    old.write_text(cli.SCHEMA_FILE.read_text(encoding="utf-8").replace("type Query", "type Quarry"), encoding="utf-8")
    monkeypatch.setattr(cli, "SCHEMA_FILE", old)
    with pytest.raises(SystemExit, match="make schema"):
        cli.main(["schema", "--check"])


def test_a_schema_that_breaks_clients_of_the_newest_release_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    schema = cli.SCHEMA_FILE.read_text(encoding="utf-8")
    monkeypatch.setattr(cli, "RELEASED_SCHEMAS", tmp_path)
    with pytest.raises(SystemExit, match="docs/released has no schema of a release"):
        cli.main(["schema", "--check"])
    (tmp_path / "0.9.0.graphql").write_text(schema.replace("type PageInfo {", "type PageInfo { page: Int"))
    with pytest.raises(SystemExit) as failed:
        cli.main(["schema", "--check"])
    assert str(failed.value.code).splitlines() == [
        "turnup: the schema would break clients of 0.9.0; see docs/evolution.md",
        "- Field PageInfo.page was removed.",
    ]
    (tmp_path / "0.10.0.graphql").write_text(schema)
    cli.main(["schema", "--check"])


def test_the_roles_script_holds_no_password_and_tells_how_it_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["roles", "--sql"])
    script = capsys.readouterr().out
    assert "PASSWORD :'owner_password'" in script
    assert "PASSWORD :'app_password'" in script
    assert "--   psql -d postgres -v owner_password=... -v app_password=... -f roles.sql" in script.splitlines()
