"""A PostgreSQL as a database administrator has it before Turnup: a superuser, and no role or database of Turnup."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.postgres import embedded
from tests.cli.turnup import free_port

START_SECONDS = 60.0
SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True)
class BarePostgresql:
    """A running PostgreSQL on a port of localhost, and on a Unix socket for its superuser."""

    port: int
    folder: Path
    programs: Path

    @property
    def superuser(self) -> dict[str, str]:
        """The variables with which psql signs in as the superuser."""
        return {"PGHOST": str(self.folder), "PGPORT": str(self.port), "PGUSER": SUPERUSER}

    def run(self, script: str) -> str:
        """Run SQL as the superuser, over the Unix socket; returns what it prints."""
        return subprocess.run(
            [self.programs / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "postgres"],
            input=script,
            env={**self.superuser, "PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    def keep(self, path: Path, name: str) -> Path:
        """Copy a file into the folder, readable by the server alone; returns the copy."""
        copy = self.folder / name
        shutil.copyfile(path, copy)
        copy.chmod(0o600)
        if identity := _identity():
            os.chown(copy, identity["user"], identity["group"])
        return copy


def embedded_programs() -> Path:
    """The programs of the PostgreSQL that Turnup brings along, where every user reaches them."""
    if os.geteuid() == 0:
        return embedded._reachable_binaries()
    return embedded._package() / "pginstall" / "bin"


@contextmanager
def bare_postgresql(programs: Path, access: str) -> Iterator[BarePostgresql]:
    """A new PostgreSQL until the block ends. `access` are the lines of pg_hba.conf for connections over TCP."""
    identity = _identity()
    folder = Path(tempfile.mkdtemp(prefix="turnup-bare-"))
    try:
        if identity:
            os.chown(folder, identity["user"], identity["group"])
        data = folder / "data"
        _run([programs / "initdb", "-D", data, "-U", SUPERUSER, "--auth=trust", "--no-sync"], identity)
        (data / "pg_hba.conf").write_text(f"local all {SUPERUSER} trust\n{access}\n")
        server = BarePostgresql(free_port(), folder, programs)
        options = {
            "listen_addresses": "localhost",
            "unix_socket_directories": folder,
            "port": server.port,
            "fsync": "off",
        }
        (data / "postgresql.conf").write_text("".join(f"{name} = '{value}'\n" for name, value in options.items()))
        process = subprocess.Popen(
            [programs / "postgres", "-D", data],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **identity,
        )
        try:
            _await(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(30)
    finally:
        shutil.rmtree(folder)


def _identity() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _run(command: list[object], identity: dict[str, Any]) -> None:
    subprocess.run(list(map(str, command)), cwd="/", check=True, capture_output=True, timeout=60, **identity)


def _await(server: BarePostgresql, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _accepts(server):
        assert process.poll() is None, "PostgreSQL ended"
        assert time.monotonic() < deadline, "PostgreSQL did not start"
        time.sleep(0.05)


def _accepts(server: BarePostgresql) -> bool:
    try:
        server.run("SELECT 1")
    except subprocess.CalledProcessError:
        return False
    return True
