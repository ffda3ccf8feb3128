"""Run a command against a temporary PostgreSQL 15, the oldest supported version, with Turnup's roles.

    .venv/bin/python deploy/postgres15.py .venv/bin/pytest -n 0 tests/db tests/api

The command gets TURNUP_TEST_APP_URL, TURNUP_TEST_OWNER_URL and TURNUP_TEST_SUPERUSER_URL in its environment. The
programs are Debian's; as root they are installed when missing. The cluster lives in a temporary folder behind a socket
that only its user and root can reach, and is deleted after the command. Without PostgreSQL 15 the last line on standard
error gives the reason, and the exit status is 75.
"""

import os
import pwd
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from debian import Unavailable, find_or_install

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path("/usr/lib/postgresql/15/bin")
USERS = ("postgres", "nobody")  # the user for root, because PostgreSQL refuses to run as root
UNAVAILABLE = 75  # EX_TEMPFAIL: retry on a machine that has one
START_LIMIT = 60.0


def main(command: list[str]) -> int:
    """Run the command and return its exit status."""
    try:
        with postgres15() as cluster:
            return subprocess.run(command, env={**os.environ, **cluster.environment}, check=False).returncode
    except Unavailable as error:
        print(f"turnup: no PostgreSQL 15: {error}", file=sys.stderr)
        return UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running PostgreSQL 15, and the environment variables with its URLs."""

    version: str
    environment: Mapping[str, str]


def _programs() -> str | None:
    return str(PROGRAMS) if (PROGRAMS / "postgres").exists() else None


@contextmanager
def postgres15() -> Iterator[Cluster]:
    """Yield a cluster with Turnup's roles for the duration of the block. Raises Unavailable."""
    # Debian's package would otherwise create and start a cluster.
    programs = Path(find_or_install(_programs, "postgresql-15", PG_CREATE_MAIN_CLUSTER="false"))
    identity = _identity()
    with tempfile.TemporaryDirectory(prefix="turnup-pg15-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if identity:
            os.chown(folder, identity["user"], identity["group"])
        passwords = {role: secrets.token_urlsafe(16) for role in ("postgres", "turnup_owner", "turnup_app")}
        _initialise(programs, folder, passwords["postgres"], identity)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    programs / "postgres",
                    "-D",
                    folder / "data",
                    "-k",
                    folder,
                    "-c",
                    "listen_addresses=",
                    "-c",
                    "fsync=off",
                ],
                stdout=log,
                stderr=log,
                cwd="/",
                **identity,
            )
        try:
            version = _await(process, programs, folder, passwords["postgres"])
            _make_roles(programs, folder, passwords)
            urls = {
                f"TURNUP_TEST_{name}_URL": f"postgresql://{role}:{passwords[role]}@/turnup?host={folder}&port=5432"
                for name, role in (("APP", "turnup_app"), ("OWNER", "turnup_owner"), ("SUPERUSER", "postgres"))
            }
            yield Cluster(version, urls)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _identity() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    for name in USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise Unavailable("root needs one of the users " + ", ".join(USERS))


def _initialise(programs: Path, folder: Path, password: str, identity: dict[str, Any]) -> None:
    secret = folder / "password"
    secret.touch(0o600)
    secret.write_text(password)
    if identity:
        os.chown(secret, identity["user"], identity["group"])
    options = [
        "--username=postgres",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
    ]
    done = subprocess.run(
        [programs / "initdb", f"--pgdata={folder / 'data'}", "--no-sync", *options],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        **identity,
    )
    secret.unlink()
    if done.returncode:
        raise Unavailable(f"initdb: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")


def _await(process: subprocess.Popen[bytes], programs: Path, folder: Path, password: str) -> str:
    """Wait until the server answers; return its version."""
    deadline = time.monotonic() + START_LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        asked = _psql(programs, folder, password, "SHOW server_version;", check=False)
        if asked.returncode == 0:
            return asked.stdout.strip()
        time.sleep(0.1)
    raise Unavailable(f"it did not start: {(folder / 'log').read_text()[-500:]}")


def _make_roles(programs: Path, folder: Path, passwords: Mapping[str, str]) -> None:
    """Run the output of `turnup roles --sql`, as a database administrator would."""
    printed = subprocess.run(
        [sys.executable, "-m", "app.cli", "roles", "--sql"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    given = "".join(f"\\set {role}_password '{passwords[f'turnup_{role}']}'\n" for role in ("owner", "app"))
    _psql(programs, folder, passwords["postgres"], given + printed)


def _psql(
    programs: Path, folder: Path, password: str, script: str, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [programs / "psql", "-XqAt", "-h", folder, "-U", "postgres", "-d", "postgres", "-f", "-"],
        input=script,
        env={"PGPASSWORD": password, "PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=check,
        timeout=60,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
