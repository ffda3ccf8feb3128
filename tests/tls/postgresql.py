"""PostgreSQL 15 with TLS on a port of 127.0.0.1, with Turnup's roles."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.postgres.roles import roles_sql
from tests.cli.turnup import free_port

from .authority import Certificate

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class TlsServer:
    """A running PostgreSQL; `url` gives a role's URL of it."""

    port: int
    folder: Path
    programs: Path
    passwords: dict[str, str]

    def url(self, role: str, host: str = "localhost", **query: object) -> str:
        """Return the URL for a role, with the options of the driver in the query."""
        options = "&".join(f"{name}={value}" for name, value in query.items())
        return f"postgresql://{role}:{self.passwords[role]}@{host}:{self.port}/turnup?{options}"

    def run(self, script: str) -> str:
        """Run SQL as the superuser, over the Unix socket; returns what it prints."""
        return subprocess.run(
            [self.programs / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", str(self.port)],
            input=script,
            env={"PGUSER": "postgres", "PGDATABASE": "postgres", "PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout


@contextmanager
def tls_server(programs: Path, certificate: Certificate) -> Iterator[TlsServer]:
    """PostgreSQL that shows a certificate; it accepts only TLS on its port."""
    identity = _identity()
    folder = Path(tempfile.mkdtemp(prefix="turnup-tls-"))
    try:
        for path, name in ((certificate.certificate, "server.crt"), (certificate.key, "server.key")):
            shutil.copyfile(path, folder / name)
            (folder / name).chmod(0o600)
        if identity:
            for path in (folder, *folder.iterdir()):
                os.chown(path, identity["user"], identity["group"])
        data = folder / "data"
        _run([programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync"], identity)
        (data / "pg_hba.conf").write_text("local all postgres trust\nhostssl all all localhost scram-sha-256\n")
        passwords = {role: secrets.token_urlsafe(16) for role in ("turnup_owner", "turnup_app")}
        server = TlsServer(free_port(), folder, programs, passwords)
        options = {
            "listen_addresses": "localhost",
            "unix_socket_directories": folder,
            "port": server.port,
            "ssl_cert_file": folder / "server.crt",
            "ssl_key_file": folder / "server.key",
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
            server.run("ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf()")
            server.run(roles_sql(passwords["turnup_owner"], passwords["turnup_app"]))
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


def _await(server: TlsServer, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _accepts(server):
        assert process.poll() is None, "PostgreSQL ended"
        assert time.monotonic() < deadline, "PostgreSQL did not start"
        time.sleep(0.05)


def _accepts(server: TlsServer) -> bool:
    try:
        server.run("SELECT 1")
    except subprocess.CalledProcessError:
        return False
    return True
