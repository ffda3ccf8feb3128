"""Third-party programs that some tests run. Without its program, a test fails if CI is set, and is skipped otherwise.

The scripts in deploy/ find the programs, and install them if that needs no user interaction.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from fcntl import LOCK_EX, flock
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parent.parent


class NotHere(Exception):  # noqa: N818 - a state of the machine
    """The program is not on this machine and could not be installed; the message gives the reason."""


def needs(name: str) -> str:
    """Return the path of a program in PROGRAMS, after installing it if that is necessary and possible.

    Without the program, fails the test if CI is set, and skips it otherwise.
    """
    path, why = _found(name)
    return path if path else unavailable(name, why)


def unavailable(what: str, why: str) -> NoReturn:
    """End a test that needs `what`: as failed if CI is set, as skipped otherwise."""
    reason = f"NOT RUN: needs {what}: {why}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@cache
def needs_packages(folder: Path) -> None:
    """Install what the package-lock.json of a folder lists, once. Fails or skips the test as `needs` does.

    The processes of a run take turns: npm begins by deleting the packages.
    """
    locked = (folder / "package-lock.json").read_bytes()
    done = folder / "node_modules" / ".installed"
    with (folder / ".npmrc").open() as turn:
        flock(turn, LOCK_EX)
        if not done.exists() or done.read_bytes() != locked:
            _install_packages(folder)
            done.write_bytes(locked)


def _install_packages(folder: Path) -> None:
    installed = subprocess.run(
        [needs("npm"), "ci", "--ignore-scripts", "--prefer-offline", "--fetch-retries=5", "--loglevel=error"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if installed.returncode:
        unavailable(f"the packages of {folder.relative_to(ROOT)}", installed.stderr.strip())


@cache
def needs_clients() -> Path:
    """Return the Python of the environment in which requirements-clients.lock is installed, after installing it once.

    Fails or skips the test as `needs` does. The environment is inside that of the tests, which it does not change.
    """
    lock = ROOT / "requirements-clients.lock"
    folder = Path(sys.prefix) / "clients"
    python, done = folder / "bin" / "python", folder / ".installed"
    with lock.open() as turn:
        flock(turn, LOCK_EX)
        if not done.exists() or done.read_bytes() != lock.read_bytes():
            _uv("venv", "--clear", "--python", sys.executable, str(folder))
            options = ("--require-hashes", "--compile-bytecode", "--python", str(python))
            _uv("pip", "install", *options, "-r", str(lock))
            done.write_bytes(lock.read_bytes())
    return python


def _uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    if ended.returncode:
        unavailable("the packages of requirements-clients.lock", ended.stderr.strip())


@cache
def _found(name: str) -> tuple[str, str]:
    """The path, or an empty path and the reason. Cached, because installing takes long."""
    try:
        return PROGRAMS[name](), ""
    except NotHere as why:
        return "", str(why)


def _by_script(*command: str) -> Callable[[], str]:
    """Return a function for the last line that a script in deploy/ prints."""

    def find() -> str:
        ended = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise NotHere((ended.stderr.strip().splitlines() or ["no reason given"])[-1])
        return ended.stdout.strip().splitlines()[-1]

    return find


def _on_the_path(name: str) -> Callable[[], str]:
    """Return a function for the path of a program that is in PATH."""

    def find() -> str:
        path = shutil.which(name)
        if path is None:
            raise NotHere(f"{name} is not installed")
        return path

    return find


PROGRAMS: Mapping[str, Callable[[], str]] = {
    "alertmanager": _by_script("deploy/alertmanager.py"),
    "chromium": _by_script("deploy/chromium.py"),
    "curl": _on_the_path("curl"),
    "haproxy": _by_script("deploy/haproxy.py"),
    "jq": _on_the_path("jq"),
    "nginx": _by_script("deploy/nginx.py"),
    "node": _on_the_path("node"),
    "npm": _on_the_path("npm"),
    "pgbouncer": _by_script("deploy/pgbouncer.py"),
    "postgresql15": _by_script("deploy/postgres15.py", "echo", "/usr/lib/postgresql/15/bin"),
    "prometheus": _by_script("deploy/prometheus.py"),
    "psql": _on_the_path("psql"),
    "redis": _by_script("deploy/redis.py"),
}
