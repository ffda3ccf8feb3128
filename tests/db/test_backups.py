"""Backups: turnup_backup can dump everything and change nothing, and a restored database is whole."""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

import asyncpg
import pytest

from app.audit.replay import replay
from app.audit.verify import snapshot, verify
from app.postgres import embedded
from app.postgres.roles import quoted_identifier, roles_sql
from tests.harness import (
    APP_URL,
    OWNER_URL,
    SUPERUSER_URL,
    TestDatabase,
    own_database,
    run_as_owner,
    with_database,
)
from tests.needs import unavailable

# One worker runs the tests that change roles, which all databases of a server share.
pytestmark = pytest.mark.xdist_group("roles")

PASSWORD = "back up"
MOST_RUNS = 10
DEBIAN = Path("/usr/lib/postgresql")
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'turnup' ORDER BY 1"


class Ended(NamedTuple):
    status: int
    out: str
    error: str


class Server:
    """The server of the tests as its administrator, who has the programs of its version."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self.superuser = os.environ[SUPERUSER_URL]

    def run(self, program: str, *arguments: str, script: str | None = None) -> Ended:
        done = subprocess.run(
            [self._programs / program, *arguments],
            input=script,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def psql(self, script: str, *arguments: str) -> Ended:
        return self.run("psql", "-XqAt", "-d", with_database(self.superuser, "postgres"), *arguments, script=script)

    def make_roles(self, database: str, *arguments: str) -> Ended:
        """Run the script, again if another database of the server was granted to a role at that moment."""
        owner, app = (unquote(urlsplit(os.environ[name]).password or "") for name in (OWNER_URL, APP_URL))
        script = roles_sql(owner, app, database)
        made = self.psql(script, *arguments)
        for _ in range(MOST_RUNS):
            if "tuple concurrently updated" not in made.error:
                break
            made = self.psql(script, *arguments)
        return made

    def as_backup(self, url: str) -> str:
        split = urlsplit(url)
        return f"postgresql://turnup_backup:{quote(PASSWORD)}@{split.path}?{split.query}"


@pytest.fixture(scope="module")
async def server() -> Server:
    if SUPERUSER_URL not in os.environ:
        unavailable("a superuser", f"{SUPERUSER_URL} is not set")
    connection = await asyncpg.connect(os.environ[SUPERUSER_URL])
    major = connection.get_server_version().major
    await connection.close()
    programs = DEBIAN / str(major) / "bin"
    return Server(programs if programs.exists() else embedded._package() / "pginstall" / "bin")


def name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


@pytest.fixture(scope="module")
async def source(server: Server) -> AsyncIterator[TestDatabase]:
    """A database with demo data on a server with the role for backups."""
    async with own_database() as own:
        made = server.make_roles(name_of(own.owner_url), "-v", f"backup_password={PASSWORD}")
        assert made == Ended(0, "", "")
        yield own
    server.psql("DROP ROLE turnup_backup")


async def rows_of(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    names = [row["tablename"] for row in await connection.fetch(TABLES)]
    counts = {
        name: await connection.fetchval(f"SELECT count(*) FROM turnup.{quoted_identifier(name)}") for name in names
    }
    await connection.close()
    return counts


async def test_a_dump_by_the_role_for_backups_is_restored_whole(
    server: Server, source: TestDatabase, tmp_path: Path
) -> None:
    dump, name = str(tmp_path / "turnup.dump"), f"{name_of(source.owner_url)}_restored"
    dumped = server.run("pg_dump", "--format=custom", f"--file={dump}", server.as_backup(source.owner_url))
    assert dumped == Ended(0, "", "")
    assert server.make_roles(name) == Ended(0, "", "")
    try:
        restored = with_database(server.superuser, name)
        assert server.run("pg_restore", "--exit-on-error", f"--dbname={restored}", dump) == Ended(0, "", "")
        assert await rows_of(restored) == await rows_of(with_database(server.superuser, name_of(source.owner_url)))
        owner = with_database(source.owner_url, name)
        async with snapshot(owner) as connection:
            verdict = await verify(connection)
        assert (verdict.broken, verdict.entries > 0) == (None, True)
        replayed = await replay(owner)
        assert (replayed.differences, replayed.rows > 0) == ((), True)
    finally:
        await run_as_owner(f"DROP DATABASE {quoted_identifier(name)} WITH (FORCE)")


async def test_a_parallel_dump_works(server: Server, source: TestDatabase, tmp_path: Path) -> None:
    dumped = server.run(
        "pg_dump", "--format=directory", "--jobs=2", f"--file={tmp_path / 'dump'}", server.as_backup(source.owner_url)
    )
    assert dumped == Ended(0, "", "")


@pytest.mark.parametrize("role", ["owner", "app"])
async def test_no_other_role_dumps_a_part_as_if_it_were_everything(
    server: Server, source: TestDatabase, tmp_path: Path, role: str
) -> None:
    url = source.owner_url if role == "owner" else source.app_url
    dumped = server.run("pg_dump", "--format=custom", f"--file={tmp_path / 'dump'}", url)
    assert dumped.status == 1
    assert "row-level security" in dumped.error or "permission denied" in dumped.error


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE turnup.account SET name = 'other'",
        "DELETE FROM turnup.audit_entry",
        "TRUNCATE turnup.field_change",
        "INSERT INTO turnup.alembic_version VALUES ('9999')",
        "SELECT turnup.audit_seal()",
        "CREATE TABLE turnup.mine ()",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "SET ROLE turnup_definer",
        "SET ROLE turnup_owner",
        "SET ROLE turnup_app",
    ],
)
async def test_the_role_for_backups_changes_nothing(server: Server, source: TestDatabase, statement: str) -> None:
    connection = await asyncpg.connect(server.as_backup(source.owner_url))
    try:
        assert await connection.fetchval("SHOW default_transaction_read_only") == "on"
        await connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_script_is_safe_to_repeat_and_refuses_a_role_that_could_do_more(
    server: Server, source: TestDatabase
) -> None:
    name = name_of(source.owner_url)
    given = ("-v", f"backup_password={PASSWORD}")
    assert server.make_roles(name, *given) == Ended(0, "", "")
    assert server.make_roles(name) == Ended(0, "", "")
    for granted, to in (("turnup_app", "turnup_backup"), ("turnup_backup", "turnup_app")):
        server.psql(f"GRANT {granted} TO {to}")
        try:
            assert "turnup_backup must be a member of pg_read_all_data only" in server.make_roles(name, *given).error
        finally:
            server.psql(f"REVOKE {granted} FROM {to}")
