"""The supervisor: the parent process of the embedded PostgreSQL, which runs it as long as a process uses it.

    python -I -S supervisor.py [folder, shown in process lists] < order.json

Runs as a separate script and needs only the standard library. Every user of the cluster holds a connection to the
supervisor's control socket, which the kernel closes however that process ends. When the last connection closes, the
supervisor stops PostgreSQL and exits. When PostgreSQL ends first, the supervisor exits too: its users see their
connections close and start the next supervisor.
"""

import ctypes
import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

READY = b"ready\n"
SETTINGS = {
    "autovacuum_worker_slots": "3",
    "io_method": "sync",  # the default keeps three more processes running
    "jit": "off",
    "listen_addresses": "",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_min_messages": "log",  # no failed statements: they contain customers' data; the caller gets the error
    "log_timezone": "UTC",
    "logging_collector": "off",
    "max_connections": "100",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_wal_size": "256MB",
    "port": "5432",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "unix_socket_permissions": "0700",
}
LOG_LIMIT = 4_000_000  # bytes; a larger log is moved to postgres.log.1 and starts empty
TICK = 0.2  # seconds between two checks of the postmaster
PATIENCE = 2.0  # seconds for the first user, which has just launched this process, to connect
PREDECESSOR_PATIENCE = 5.0  # seconds for an earlier postmaster, whose supervisor was killed, to shut down
ORPHANS_PATIENCE = 0.5  # seconds for backends to notice that their postmaster has died
START_LIMIT = 50.0  # seconds; crash recovery replays at most about max_wal_size
STOP_STEPS = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))  # fast, immediate, kill
PR_SET_PDEATHSIG = 1


class CannotStartError(Exception):
    """PostgreSQL could not be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorOrder:
    """The supervisor's instructions, read from its standard input: paths, and the user that runs PostgreSQL."""

    binaries: Path
    data: Path
    sockets: Path
    control: Path
    log: Path
    supervisor_lock: int  # an inherited descriptor, locked exclusively: while it is open, no other supervisor starts
    uid_gid: tuple[int, int] | None  # the user and group of PostgreSQL's processes; None for the supervisor's own
    password: str
    roles: str
    roles_version: str

    @classmethod
    def read(cls, text: str) -> "SupervisorOrder":
        """Build an order from its JSON text."""
        fields = json.loads(text)
        for name in ("binaries", "data", "sockets", "control", "log"):
            fields[name] = Path(fields[name])
        if fields["uid_gid"]:
            fields["uid_gid"] = tuple(fields["uid_gid"])
        return cls(**fields)


def main() -> None:
    """Listen before returning, so that the launching process can connect; run the cluster in the background."""
    os.umask(0o077)
    order = SupervisorOrder.read(sys.stdin.read())
    listener = _listen(order.control)
    if os.fork():
        os._exit(0)
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    os.chdir("/")
    os.pwrite(order.supervisor_lock, f"{os.getpid():<10}\n".encode(), 0)  # fixed width: pids never mix
    signal.signal(signal.SIGTERM, _leave)
    keep(order, listener)


def keep(order: SupervisorOrder, listener: socket.socket) -> None:
    """Run PostgreSQL until its last user leaves or it ends; when it cannot start, send the users the reason."""
    leaving: list[socket.socket] = []
    try:
        with postmaster(order) as process:
            leaving = serve(order, listener, process)
            order.control.unlink(missing_ok=True)
            listener.close()
    except Exception as error:  # noqa: BLE001 - any failure must reach the waiting users
        reason = str(error) if isinstance(error, CannotStartError) else traceback.format_exc()
        _refuse(listener, reason)
    os.close(order.supervisor_lock)
    for user in leaving:
        user.close()


def serve(order: SupervisorOrder, listener: socket.socket, process: subprocess.Popen[bytes]) -> list[socket.socket]:
    """Accept and release users until all have left; return the users that wait for the cluster to stop."""
    users: set[socket.socket] = set()
    deadline = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while process.poll() is None:
            leaving = []
            for key, _ in selector.select(TICK):
                if key.fileobj is listener:
                    user, _ = listener.accept()
                    users.add(user)
                    selector.register(user, selectors.EVENT_READ)
                    with suppress(OSError):
                        user.sendall(READY)
                    deadline = 0.0
                else:
                    user = cast(socket.socket, key.fileobj)
                    selector.unregister(user)
                    users.discard(user)
                    leaving.append(user)
            if not users and time.monotonic() > deadline:
                return leaving
            for user in leaving:
                user.close()
            _bound(order.log)
    return []


@contextmanager
def postmaster(order: SupervisorOrder) -> Iterator[subprocess.Popen[bytes]]:
    """Run PostgreSQL, ready and with its roles created, for the duration of the context.

    Every process of the cluster holds the lock file `postgres.lock` open. Therefore the lock is free only when the last
    process of an earlier postmaster, orphaned backends included, has ended, and only then are its pid files certainly
    stale. Raises CannotStartError.
    """
    _bound(order.log)
    with (order.data.parent / "postgres.lock").open("a") as lock, order.log.open("ab") as log:
        _await_predecessor(order.data, lock.fileno())
        if order.uid_gid:
            hand_over(order, *order.uid_gid)
        for stale in (order.data / "postmaster.pid", order.sockets / f".s.PGSQL.{SETTINGS['port']}.lock"):
            stale.unlink(missing_ok=True)
        spawn = _spawner(order, lock.fileno(), log.fileno())
        if not order.data.exists():
            _initialise(order, spawn)
        sockets = '"' + str(order.sockets).replace('"', '""') + '"'
        settings = {**SETTINGS, "unix_socket_directories": sockets}
        process = spawn(
            [order.binaries / "postgres", "-D", order.data]
            + [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        )
        try:
            _await_ready(order, process)
            _ensure_roles(order, spawn)
            yield process
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _stop(process)


def hand_over(order: SupervisorOrder, uid: int, gid: int) -> None:
    """Give the data directory of an earlier user of PostgreSQL, and the folder of the sockets, to the current user.

    The file `owner` names the user who has the whole data directory, so that an interrupted change is continued. Raises
    CannotStartError when something in it belongs to anybody else.
    """
    record = order.data.with_name("owner")
    with _opened(order.sockets) as folder:
        os.fchown(folder, uid, gid)
    if order.data.exists():
        found = order.data.lstat().st_uid
        recorded = int(record.read_text()) if record.exists() else found
        if found == recorded == uid:
            return
        if 0 in {found, recorded}:
            raise CannotStartError(f"{order.data} belongs to root, but PostgreSQL does not run as root")
        _write(record, str(recorded))
        with _opened(order.data) as folder:
            _give(folder, order.data, Owners(frozenset({found, recorded, uid}), uid, gid))
    _write(record, str(uid))


@dataclass(frozen=True, slots=True)
class Owners:
    """The users that may own what is handed over, and the user and group that get it."""

    before: frozenset[int]
    uid: int
    gid: int


def _give(folder: int, path: Path, owners: Owners) -> None:
    """Change the owner of an open folder and of everything in it, from the top down. `path` is for messages.

    The earlier user may have prepared what is there. No symbolic link is followed. Files of other users are refused,
    and so are files with a second name, which may be outside. A folder is given before it is read: from then on its
    earlier owner can exchange nothing in it.
    """
    found = os.fstat(folder)
    if found.st_uid not in owners.before:
        raise CannotStartError(f"{path} belongs to neither user of PostgreSQL")
    os.fchown(folder, owners.uid, owners.gid)
    os.fchmod(folder, stat.S_IMODE(found.st_mode) & 0o750)
    for name in os.listdir(folder):
        entry = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(entry.st_mode):
            with _opened(name, folder) as inner:
                _give(inner, path / name, owners)
        elif entry.st_uid not in owners.before:
            raise CannotStartError(f"{path / name} belongs to neither user of PostgreSQL")
        elif stat.S_ISREG(entry.st_mode) and entry.st_nlink > 1:
            raise CannotStartError(f"{path / name} has a second name, so it is not handed over")
        else:
            os.chown(name, owners.uid, owners.gid, dir_fd=folder, follow_symlinks=False)


@contextmanager
def _opened(folder: Path | str, within: int | None = None) -> Iterator[int]:
    """Open a folder that is no symbolic link."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text)
    fresh.rename(path)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit()


def _listen(path: Path) -> socket.socket:
    """Bind the control socket. An existing file is stale, because this process holds the supervisor's lock."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(path))
    listener.listen(128)
    return listener


def _refuse(listener: socket.socket, reason: str) -> None:
    """Send every waiting user the reason of the failure; the launching process is about to connect."""
    listener.settimeout(PATIENCE)
    with suppress(OSError):
        while True:
            user, _ = listener.accept()
            listener.settimeout(0)
            with user, suppress(OSError):
                user.sendall(reason.encode())


def _bound(log: Path) -> None:
    """Move a log that exceeds the limit to the one earlier log, and empty it."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)


def _await_predecessor(data: Path, lock: int) -> None:
    """Take the cluster's lock when the processes of an earlier postmaster have ended; kill those that remain.

    A postmaster may need time for a clean shutdown. Backends without a postmaster cannot commit any more, and a busy
    one would not notice until its statement ends.
    """
    began = time.monotonic()
    while not _taken(lock):
        waited = time.monotonic() - began
        parent, processes = _leftovers(data)
        patience = PREDECESSOR_PATIENCE if parent in processes else ORPHANS_PATIENCE
        if waited > patience + PREDECESSOR_PATIENCE:
            raise CannotStartError("processes of an earlier PostgreSQL are still using the data directory")
        if waited > patience:
            _signal_all(processes, signal.SIGKILL)
        elif sys.platform != "linux":
            _signal_all(processes, signal.SIGINT)
        time.sleep(0.05)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _leftovers(data: Path) -> tuple[int, set[int]]:
    """Return the last postmaster's pid, or 0, and the running processes of the cluster.

    On Linux they are identified by their working directory; elsewhere only the postmaster is known.
    """
    parent = 0
    with suppress(FileNotFoundError, ValueError):
        parent = int((data / "postmaster.pid").read_text().split("\n")[0])
    if sys.platform != "linux":
        return parent, {parent} - {0}
    processes = set()
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if entry.readlink() == data:
                processes.add(int(entry.parent.name))
    return parent, processes


def _signal_all(processes: set[int], number: signal.Signals) -> None:
    for pid in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _spawner(order: SupervisorOrder, lock: int, log: int) -> Callable[..., subprocess.Popen[bytes]]:
    """Return a function that starts one of PostgreSQL's programs as its user, ending with the supervisor.

    The parent-death signal is set after the change of user, which would clear it. It belongs to the thread that forks:
    the supervisor has only one.
    """
    supervisor = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def die_with_the_supervisor() -> None:
        if prctl:
            prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != supervisor:
            os._exit(1)

    identity: dict[str, Any] = {}
    if order.uid_gid:
        uid, gid = order.uid_gid
        identity = {"user": uid, "group": gid, "extra_groups": []}

    def spawn(
        command: list[str | Path], *, stdin: int = subprocess.DEVNULL, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - programs and paths of this package
            command,
            stdin=stdin,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", **(environment or {})},
            pass_fds=[lock],
            preexec_fn=die_with_the_supervisor,  # noqa: PLW1509 - one thread, see above
            **identity,
        )

    return spawn


def _initialise(order: SupervisorOrder, spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    """Create the data directory, under a temporary name until it is complete."""
    order.data.with_name("roles.done").unlink(missing_ok=True)
    fresh = order.data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    password = order.data.with_name("password.new")
    password.write_text(order.password)
    try:
        if order.uid_gid:
            os.chown(fresh, *order.uid_gid)
            os.chown(password, *order.uid_gid)
        initdb = spawn(
            [
                order.binaries / "initdb",
                f"--pgdata={fresh}",
                "--username=postgres",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--data-checksums",
                "--no-instructions",
            ]
        )
        if initdb.wait(START_LIMIT):
            raise CannotStartError("initdb failed")
    finally:
        password.unlink()
    fresh.rename(order.data)


def _await_ready(order: SupervisorOrder, process: subprocess.Popen[bytes]) -> None:
    """Wait until the postmaster's pid file says that it accepts connections."""
    pid_file = order.data / "postmaster.pid"
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CannotStartError(f"postgres exited with status {process.returncode}")
        with suppress(FileNotFoundError):
            lines = pid_file.read_text().split("\n")
            if len(lines) > 7 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return
        time.sleep(0.01)
    raise CannotStartError(f"postgres was not ready after {START_LIMIT:.0f} s")


def _ensure_roles(order: SupervisorOrder, spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    """Create the roles and the database, unless this version of the script has already run in this data directory."""
    done = order.data.with_name("roles.done")
    if done.exists() and done.read_text() == order.roles_version:
        return
    psql = spawn(
        [order.binaries / "psql", "-Xqw", "-h", order.sockets, "-U", "postgres", "-d", "postgres", "-f", "-"],
        stdin=subprocess.PIPE,
        environment={"PGPASSWORD": order.password},
    )
    psql.communicate(order.roles.encode(), timeout=START_LIMIT)
    if psql.returncode:
        raise CannotStartError("the roles could not be created")
    done.write_text(order.roles_version)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the postmaster: cleanly if possible, in any case within 30 seconds."""
    for number, patience in STOP_STEPS:
        if process.poll() is None:
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)


if __name__ == "__main__":
    main()
