"""A database knows what it is for: what replaces data is refused in production, whatever the shell says."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from app.db.kind import DatabaseRefused, installation, kind_of
from app.db.seed import seed_many
from app.domain.installation import DatabaseKind, Installation
from app.operations.demo import load_demo
from app.postgres import embedded
from tests.harness import EMPTY_TEMPLATE, TEMPLATE, TestDatabase, Turnup, own_database

from .turnup import environment, free_port, run, serving

REFUSED = "turnup: this is a production database, which seeds, resets and development mode refuse: "
PRODUCTION = {
    "TURNUP_ENV": "production",
    "TURNUP_JWKS_URL": "http://127.0.0.1:9/keys",
    "TURNUP_ISSUER": "https://issuer.example",
    "TURNUP_AUDIENCE": "https://turnup.example.com",
    "TURNUP_STOP_DELAY_SECONDS": "0",
}
DEMO, IN_PRODUCTION = DatabaseKind.DEMO, DatabaseKind.PRODUCTION
ACCOUNT = "INSERT INTO turnup.account (id, name) SELECT 'account_' || n, 'Customer ' || n FROM generate_series(1, $1) n"
LEAD = """INSERT INTO turnup."user" (id, subject, name, email, role)
          VALUES ('user_1', 'sub-1', 'Lea', 'lea@house.example', 'IMPLEMENTATION_LEAD')"""
OLDER = (
    "SELECT set_config('turnup.unaudited', 'on', true)",
    "DELETE FROM turnup.installation",
)


@asynccontextmanager
async def definer(database: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A transaction as the definer, whose changes are recorded in the audit log."""
    connection = await asyncpg.connect(database.owner_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE turnup_definer")
            await connection.execute("SELECT set_config('turnup.system_action', 'ARRANGE', true)")
            yield connection
            await connection.execute("SELECT turnup.audit_seal()")
    finally:
        await connection.close()


async def add_accounts(database: TestDatabase, number: int) -> None:
    async with definer(database) as connection:
        await connection.execute(ACCOUNT, number)


async def forget_kind(database: TestDatabase) -> None:
    """Make the database one that is older than its mark."""
    async with definer(database) as connection:
        for statement in OLDER:
            await connection.execute(statement)


async def found(database: TestDatabase) -> Installation | None:
    async with definer(database) as connection:
        return await installation(connection)


async def kind(database: TestDatabase) -> DatabaseKind | None:
    made = await found(database)
    return None if made is None else made.kind


async def rows(database: TestDatabase) -> tuple[int, int]:
    """The number of accounts and of audit entries."""
    async with definer(database) as connection:
        row = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM turnup.account), (SELECT count(*) FROM turnup.audit_entry)"
        )
        assert row is not None
        return row[0], row[1]


def urls(database: TestDatabase) -> dict[str, str]:
    return {"DATABASE_URL": database.app_url, "TURNUP_OWNER_DATABASE_URL": database.owner_url}


@pytest.fixture
async def empty() -> AsyncIterator[TestDatabase]:
    async with own_database(EMPTY_TEMPLATE) as made:
        yield made


@pytest.fixture
async def demo() -> AsyncIterator[TestDatabase]:
    async with own_database(TEMPLATE) as made:
        yield made


@pytest.fixture
async def production(empty: TestDatabase) -> TestDatabase:
    """A database with a lead and two accounts, filled as the command line fills it."""
    await fill(empty)
    return empty


@pytest.fixture(scope="module")
async def lasting(empty_database: TestDatabase) -> TestDatabase:
    """The same, for the tests that change nothing."""
    await fill(empty_database)
    return empty_database


async def fill(database: TestDatabase) -> None:
    async with definer(database) as connection:
        assert await kind_of(connection, as_production=True) is IN_PRODUCTION
    async with definer(database) as connection:
        await connection.execute(LEAD)
        await connection.execute(ACCOUNT, 2)


WIPES = (
    ("seed",),
    ("seed", "--reset"),
    ("seed", "--reset", "--accounts", "2"),
    ("seed", "--locations", "3"),
)


SHELLS: tuple[dict[str, str], ...] = ({}, {"TURNUP_ENV": "development"}, {"TURNUP_JWKS_URL": "http://127.0.0.1:9/keys"})


@pytest.mark.parametrize("command", WIPES, ids=" ".join)
async def test_a_production_database_is_left_alone_by_whatever_replaces_data(
    lasting: TestDatabase, turnup: Turnup, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    before = await rows(lasting)
    for shell in SHELLS:
        for name, value in shell.items():
            monkeypatch.setenv(name, value)
        refused = await turnup(lasting, *command)
        assert (refused.status, refused.out) == (1, "")
        assert refused.error.startswith(REFUSED)
        assert "\n" not in refused.error
    assert await rows(lasting) == before


@pytest.mark.parametrize("variables", [("DATABASE_URL",), ("DATABASE_URL", "TURNUP_OWNER_DATABASE_URL")], ids=len)
async def test_development_mode_does_not_serve_a_production_database(
    lasting: TestDatabase, tmp_path: Path, variables: tuple[str, ...]
) -> None:
    shell = {name: value for name, value in urls(lasting).items() if name in variables}
    refused = await asyncio.to_thread(run, "serve", TURNUP_HOME=str(tmp_path), PORT=str(free_port()), **shell)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(REFUSED)
    assert refused.stderr.count("\n") == 1


@pytest.mark.slow
async def test_a_shell_with_the_urls_of_production_cannot_replace_the_database_of_a_running_server(
    empty: TestDatabase, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shell = {**urls(empty), "TURNUP_HOME": str(home)}

    def attempts() -> list[subprocess.CompletedProcess[str]]:
        with serving(home, DATABASE_URL=empty.app_url, **PRODUCTION) as server:
            tried = [run("seed", "--reset", **shell), run("serve", PORT=str(free_port()), **shell)]
            # Also without the owner's URL: then only `serve` could do something.
            tried.append(run("serve", PORT=str(free_port()), DATABASE_URL=empty.app_url, TURNUP_HOME=str(home)))
            assert server.ready()
        return tried

    for refused in await asyncio.to_thread(attempts):
        assert refused.returncode == 1
        assert refused.stderr.startswith(REFUSED)
        assert refused.stderr.count("\n") == 1
    assert await kind(empty) is IN_PRODUCTION


async def test_a_production_database_is_refused_before_it_is_migrated(production: TestDatabase, turnup: Turnup) -> None:
    owner = await asyncpg.connect(production.owner_url)
    await owner.execute("UPDATE turnup.alembic_version SET version_num = '0013'")
    refused = await turnup(production, "seed")
    revision = await owner.fetchval("SELECT version_num FROM turnup.alembic_version")
    await owner.close()
    assert (refused.status, refused.out, revision) == (1, "", "0013")
    assert refused.error.startswith(REFUSED)


async def test_seeds_mark_an_empty_database_as_a_demo(empty: TestDatabase, turnup: Turnup) -> None:
    assert await kind(empty) is None
    assert (await turnup(empty, "migrate")).status == 0
    assert await kind(empty) is None
    assert (await turnup(empty, "seed")).status == 0
    assert await kind(empty) is DEMO


async def test_a_load_of_plain_locations_marks_a_demo(empty: TestDatabase) -> None:
    await seed_many(empty.owner_url, 1)
    assert await kind(empty) is DEMO
    assert await load_demo(empty.owner_url, empty.app_url, reset=True)


@pytest.mark.parametrize("command", [("migrate",), ("seed",), ("seed", "--reset")], ids=" ".join)
async def test_a_database_older_than_its_mark_is_a_demo_when_seeds_made_every_account(
    demo: TestDatabase, turnup: Turnup, command: tuple[str, ...]
) -> None:
    await seed_many(demo.owner_url, 1)
    await forget_kind(demo)
    ended = await turnup(demo, *command)
    assert (ended.status, ended.error) == (0, "")
    assert await kind(demo) is DEMO


@pytest.mark.parametrize("command", [("migrate",), ("seed",), ("seed", "--reset")], ids=" ".join)
async def test_a_database_older_than_its_mark_is_production_when_a_person_made_an_account(
    demo: TestDatabase, turnup: Turnup, command: tuple[str, ...]
) -> None:
    await add_accounts(demo, 1)
    await forget_kind(demo)
    before = await rows(demo)
    ended = await turnup(demo, *command)
    assert ended.error.startswith(REFUSED) == (command != ("migrate",))
    assert await rows(demo) >= before
    assert (await turnup(demo, "migrate")).status == 0
    assert await kind(demo) is IN_PRODUCTION


async def test_a_database_with_people_and_no_accounts_is_production(empty: TestDatabase, turnup: Turnup) -> None:
    async with definer(empty) as connection:
        await connection.execute(LEAD)
    assert (await turnup(empty, "seed")).error.startswith(REFUSED)
    assert (await turnup(empty, "migrate")).status == 0
    assert await kind(empty) is IN_PRODUCTION


async def test_the_app_marks_what_it_serves_first_in_production_and_changes_no_mark(
    empty: TestDatabase, demo: TestDatabase
) -> None:
    for database, before, after in ((empty, None, IN_PRODUCTION), (demo, DEMO, DEMO)):
        connection = await asyncpg.connect(database.app_url)
        assert await kind_of(connection) is before
        assert await kind_of(connection, as_production=True) is after
        assert await kind_of(connection) is after
        for statement in ("DELETE FROM turnup.installation", "UPDATE turnup.installation SET kind = 'DEMO'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        await connection.close()


async def test_of_several_who_mark_and_fill_at_once_one_decides(empty: TestDatabase) -> None:
    """A server that starts in production and a seed: the database is one or the other, and only a demo has the data."""

    async def serve() -> DatabaseKind | None:
        connection = await asyncpg.connect(empty.app_url)
        try:
            await asyncio.sleep(0)
            return await kind_of(connection, as_production=True)
        except DatabaseRefused:
            return None
        finally:
            await connection.close()

    async def seed() -> bool:
        try:
            return await load_demo(empty.owner_url, empty.app_url)
        except DatabaseRefused:
            return False

    first, loaded, second = await asyncio.gather(serve(), seed(), serve())
    decided = await kind(empty)
    assert {first, second} <= {decided, None}
    assert loaded == (decided is DEMO)
    assert ((await rows(empty))[0] > 0) == (decided is DEMO)


async def test_marks_are_recorded_in_the_audit_log_and_replayed(
    production: TestDatabase, demo: TestDatabase, turnup: Turnup
) -> None:
    for database, action in ((production, "MARK_DATABASE"), (demo, "SEED_DEMO")):
        async with definer(database) as connection:
            assert (
                await connection.fetchval(
                    """SELECT e.action FROM turnup.audit_entry e JOIN turnup.field_change c ON c.entry_id = e.id
                   WHERE c.table_name = 'installation' AND c.field = 'kind'"""
                )
                == action
            )
        assert (await turnup(database, "audit", "verify")).status == 0
        assert (await turnup(database, "audit", "replay")).status == 0
    async with definer(production) as connection:
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await connection.execute("UPDATE turnup.installation SET kind = 'DEMO'")
    told = await turnup(production, "audit", "replay")
    assert told.status == 1
    assert told.out.startswith("installation installation_")
    assert told.out.endswith(": the audit log has other values of kind\n")


# Resets of a demo database


async def test_a_reset_of_demo_accounts_asks_nothing(demo: TestDatabase, turnup: Turnup) -> None:
    await seed_many(demo.owner_url, 1)
    before = await found(demo)
    done = await turnup(demo, "seed", "--reset")
    assert (done.status, done.error, done.out) == (0, "", "Loaded the demo data.\n")
    after = await found(demo)
    assert before is not None
    assert after is not None
    assert (after.kind, after.id != before.id) == (DEMO, True)


@pytest.mark.parametrize("given", [(), ("--accounts", "2"), ("--accounts", "26")], ids=" ".join)
async def test_other_accounts_are_listed_and_kept_unless_their_number_is_given(
    demo: TestDatabase, turnup: Turnup, given: tuple[str, ...]
) -> None:
    await add_accounts(demo, 25)
    before = await rows(demo)
    refused = await turnup(demo, "seed", "--reset", *given)
    assert refused.status == 1
    listed, said = refused.error.splitlines()[:-1], refused.error.splitlines()[-1]
    assert listed[0] == "  Customer 1 (account_1)"
    assert [line for line in listed if line.startswith("  Customer ")] == listed[:20]
    assert "  and 5 more" in listed
    assert said.startswith("turnup: a reset deletes 25 accounts that are no demo data")
    assert "turnup seed --reset --accounts 25" in said
    assert await rows(demo) == before


async def test_other_accounts_are_deleted_when_their_number_is_given(demo: TestDatabase, turnup: Turnup) -> None:
    await add_accounts(demo, 25)
    done = await turnup(demo, "seed", "--reset", "--accounts", "25")
    assert (done.status, done.error, done.out) == (0, "", "Loaded the demo data.\n")
    assert (await rows(demo))[0] == 3


@pytest.mark.parametrize(("typed", "accounts"), [("2", 3), ("yes", 5)])
async def test_at_a_terminal_the_number_is_asked_for(
    demo: TestDatabase, tmp_path: Path, typed: str, accounts: int
) -> None:
    await add_accounts(demo, 2)
    shown = await asyncio.to_thread(at_a_terminal, typed, **urls(demo), TURNUP_HOME=str(tmp_path / "home"))
    assert "  Customer 1 (account_1)" in shown
    assert "A reset deletes 2 accounts that are no demo data. To delete them, type their number: " in shown
    assert ("Loaded the demo data." in shown) == (accounts == 3)
    assert ("turnup: nothing was deleted" in shown) == (accounts == 5)
    assert (await rows(demo))[0] == accounts


def at_a_terminal(typed: str, **variables: str) -> str:
    """Run a reset at a terminal and type an answer; returns what the terminal shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "seed", "--reset"],
        env=environment(**variables),
        cwd="/",
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
    )
    os.close(theirs)
    os.write(ours, f"{typed}\n".encode())
    shown = b""
    try:
        while chunk := os.read(ours, 65_536):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    process.wait(60)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


async def test_a_listing_says_that_a_server_is_connected(demo: TestDatabase, turnup: Turnup) -> None:
    await add_accounts(demo, 1)
    connection = await asyncpg.connect(demo.app_url)
    refused = await turnup(demo, "seed", "--reset")
    await connection.close()
    assert "A server is connected to the database (1 sessions)." in refused.error


# The embedded database, and production on a demo


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of an embedded database with the demo data."""
    made = tmp_path_factory.mktemp("kind") / "home"
    assert run("seed", TURNUP_HOME=str(made)).returncode == 0
    yield made
    embedded.erase(made)


@pytest.mark.slow
async def test_an_embedded_database_is_a_demo_whatever_accounts_it_has(home: Path) -> None:
    with embedded.start(home) as running:
        cluster = running.cluster
        place = TestDatabase(cluster.dsn("turnup_app", "turnup"), cluster.dsn("turnup_owner", "turnup"))
        await add_accounts(place, 1)
        await forget_kind(place)
        kept = await asyncio.to_thread(run, "seed", TURNUP_HOME=str(home))
        assert "The database already has data; --reset replaces it.\n" in kept.stdout
        assert await kind(place) is DEMO
        done = await asyncio.to_thread(run, "seed", "--reset", "--accounts", "1", TURNUP_HOME=str(home))
        assert done.returncode == 0


@pytest.mark.slow
async def test_a_demo_that_is_served_in_production_is_warned_of_and_stays_a_demo(
    demo: TestDatabase, tmp_path: Path
) -> None:
    def served() -> str:
        with serving(tmp_path / "home", DATABASE_URL=demo.app_url, **PRODUCTION) as server:
            return server.printed

    printed = await asyncio.to_thread(served)
    assert printed.count("warning: this database is a demo") == 1
    assert await kind(demo) is DEMO


# Signed heads


async def test_verify_compares_with_the_last_signed_heads(
    production: TestDatabase, turnup: Turnup, tmp_path: Path
) -> None:
    before = await turnup(production, "audit", "verify")
    assert "No signed heads to compare with" in before.out
    assert (await turnup(production, "audit", "heads")).status == 0
    kept = json.loads((tmp_path / "audit-heads.json").read_text())
    assert kept["database"] == {"id": (await found(production)).id, "kind": "PRODUCTION"}  # type: ignore[union-attr]
    same = await turnup(production, "audit", "verify")
    assert (same.status, same.error) == (0, "")
    assert f"Compared with the heads signed at {kept['at']}" in same.out

    async with definer(production) as connection:
        await connection.execute(
            """DELETE FROM turnup.field_change
               WHERE entry_id IN (SELECT id FROM turnup.audit_entry WHERE chain = 'account_2')"""
        )
        for table in ("audit_entry", "chain_head"):
            await connection.execute(f"DELETE FROM turnup.{table} WHERE chain = 'account_2'")
    for command in (("verify",), ("verify", "--account", "account_2"), ("heads",)):
        lost = await turnup(production, "audit", *command)
        assert (lost.status, lost.out) == (1, "")
        assert "chain account_2" in lost.error
    assert json.loads((tmp_path / "audit-heads.json").read_text()) == kept


async def test_an_account_that_is_newer_than_the_last_heads_can_be_verified_alone(
    production: TestDatabase, turnup: Turnup
) -> None:
    await turnup(production, "audit", "heads")
    async with definer(production) as connection:
        await connection.execute("INSERT INTO turnup.account (id, name) VALUES ('account_new', 'New')")
    alone = await turnup(production, "audit", "verify", "--account", "account_new")
    assert (alone.status, alone.error) == (0, "")


async def test_heads_of_a_demo_that_was_replaced_are_not_compared_with(demo: TestDatabase, turnup: Turnup) -> None:
    await turnup(demo, "audit", "heads")
    await turnup(demo, "seed", "--reset")
    for _ in range(2):
        told = await turnup(demo, "audit", "verify")
        assert (told.status, told.error) == (0, "")
        assert "its heads are of a demo database that was replaced" in told.out
    assert (await turnup(demo, "audit", "heads")).status == 0
    assert "Compared with the heads" in (await turnup(demo, "audit", "verify")).out


async def test_a_mark_that_was_exchanged_does_not_hide_a_production_database_from_its_heads(
    production: TestDatabase, turnup: Turnup
) -> None:
    await turnup(production, "audit", "heads")
    async with definer(production) as connection:
        await connection.execute("UPDATE turnup.installation SET id = 'installation_other', kind = 'DEMO'")
    for command in ("verify", "heads"):
        told = await turnup(production, "audit", command)
        assert (told.status, told.out) == (1, "")
        assert "another production database" in told.error
        assert "\n" not in told.error


async def test_heads_that_another_key_signed_are_compared_with_that_key(
    production: TestDatabase, turnup: Turnup, tmp_path: Path
) -> None:
    key = tmp_path / "elsewhere.pem"
    assert (await turnup(production, "audit", "heads", "--key", str(key))).status == 0
    without = await turnup(production, "audit", "verify")
    assert (without.status, "another key signed it; give that key with --key" in without.out) == (0, True)
    with_it = await turnup(production, "audit", "verify", "--key", str(key.with_suffix(".pub")))
    assert "Compared with the heads" in with_it.out
    file = tmp_path / "audit-heads.json"
    file.write_text(file.read_text().replace('"number": 1', '"number": 2', 1))
    changed = await turnup(production, "audit", "verify", "--key", str(key))
    assert changed.status == 1
    assert "the heads were modified" in changed.error
