"""A PgBouncer of a test's own in front of the run's PostgreSQL, stopped by its process."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from tests.cli.turnup import free_port

START_SECONDS = 30.0
ADMINISTRATOR = "pooler"


@dataclass
class PgBouncer:
    """Starts, stops and starts again at the same address. It runs as an unprivileged user when the tests run as root.

    `server` are the URLs of PostgreSQL, with the passwords of the roles that connect through the pooler.
    """

    program: str
    mode: str
    servers: tuple[str, ...]
    size: int
    options: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="turnup-pgbouncer-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        parts = urlsplit(self.servers[0])
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self._host = query.get("host", parts.hostname or "")
        port = query.get("port", parts.port or 5432)
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": self._folder / "users",
            "admin_users": ADMINISTRATOR,
            "logfile": self._folder / "log",
            "pool_mode": self.mode,
            "default_pool_size": self.size,
            "max_client_conn": 500,
            **self.options,
        }
        lines = ["[databases]", f"* = host={self._host} port={port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        self._write("pgbouncer.ini", "\n".join(lines))
        users = {parts.username or "": unquote(parts.password or "") for parts in map(urlsplit, self.servers)}
        users[ADMINISTRATOR] = ADMINISTRATOR
        self._write("users", "".join(f'"{name}" "{password}"\n' for name, password in users.items()))
        if self._identity:
            os.chown(self._folder, self._identity["user"], self._identity["group"])

    @property
    def _identity(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        # The folder of PostgreSQL's sockets belongs to its user, and is closed to others.
        folder = Path(self._host)
        owner = folder.stat().st_uid if folder.is_absolute() else pwd.getpwnam("nobody").pw_uid
        return {"user": owner, "group": pwd.getpwuid(owner).pw_gid, "extra_groups": []}

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.touch(0o600)
        path.write_text(text)
        if self._identity:
            os.chown(path, self._identity["user"], self._identity["group"])

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self._folder / "log").read_text()

    def url(self, direct: str) -> str:
        """Return the URL of a database through the pooler."""
        parts = urlsplit(direct)
        return f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{self.port}{parts.path}"

    def start(self) -> None:
        """Start, and wait until it listens."""
        self._process = subprocess.Popen(
            [self.program, "-q", str(self._folder / "pgbouncer.ini")],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._identity,
        )
        deadline = time.monotonic() + START_SECONDS
        while f"listening on 127.0.0.1:{self.port}" not in self._said():
            assert self._process.poll() is None, self._said()
            assert time.monotonic() < deadline, "PgBouncer did not start"
            time.sleep(0.01)

    def _said(self) -> str:
        with suppress(FileNotFoundError):
            return self.log
        return ""

    async def admin(self, command: str) -> None:
        """Run a command of its console, such as RECONNECT."""
        connection = await asyncpg.connect(
            f"postgresql://{ADMINISTRATOR}:{ADMINISTRATOR}@127.0.0.1:{self.port}/pgbouncer", statement_cache_size=0
        )
        try:
            await connection.execute(command)
        finally:
            connection.terminate()

    def stop(self) -> None:
        """Kill the process, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        (self._folder / "log").unlink(missing_ok=True)

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._folder)


@contextmanager
def pgbouncer(program: str, mode: str, *servers: str, size: int, **options: str) -> Iterator[PgBouncer]:
    """A running PgBouncer with a pool of `size` server connections per database and role."""
    made = PgBouncer(program, mode, servers, size, options)
    try:
        made.start()
        yield made
    finally:
        made.close()
