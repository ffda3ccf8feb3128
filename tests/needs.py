"""Programs of other makers that some tests run. Without one a test fails where CI is set, and is skipped elsewhere.

The scripts in deploy/ find them on this machine, and install them where that needs no asking.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parent.parent


class NotHere(Exception):  # noqa: N818 - says what is the case
    """The program is not on this machine and could not be installed; the message says why."""


def needs(name: str) -> str:
    """The path of a program that PROGRAMS lists, installed where that is possible.

    Fails the test where CI is set, and skips it elsewhere, when there is none.
    """
    path, why = _found(name)
    return path if path else unavailable(name, why)


def unavailable(what: str, why: str) -> NoReturn:
    """End the test, which needs `what`: as failed where CI is set, as skipped elsewhere."""
    reason = f"NOT RUN: needs {what}: {why}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@cache
def _found(name: str) -> tuple[str, str]:
    """The path, or an empty one and the reason: asked once per process, for installing takes its time."""
    try:
        return PROGRAMS[name](), ""
    except NotHere as why:
        return "", str(why)


def _by_script(*command: str) -> Callable[[], str]:
    """What a script in deploy/ prints on its last line."""

    def find() -> str:
        ended = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise NotHere((ended.stderr.strip().splitlines() or ["no reason given"])[-1])
        return ended.stdout.strip().splitlines()[-1]

    return find


def _on_the_path(name: str) -> Callable[[], str]:
    """What the shell would run by this name."""

    def find() -> str:
        path = shutil.which(name)
        if path is None:
            raise NotHere(f"{name} is not installed")
        return path

    return find


PROGRAMS: Mapping[str, Callable[[], str]] = {
    "chromium": _by_script("deploy/chromium.py"),
    "curl": _on_the_path("curl"),
    "node": _on_the_path("node"),
    "npm": _on_the_path("npm"),
    "postgresql15": _by_script("deploy/postgres15.py", "echo", "/usr/lib/postgresql/15/bin"),
    "redis": _by_script("deploy/redis.py"),
}
