"""Third-party programs that some tests need, installed from Debian packages when that needs no user interaction."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
"""The program that Debian's packages ask before they start their services; 101 forbids it."""
APT = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"]


class Unavailable(Exception):  # noqa: N818 - says what is the case
    """The program is not available; the message gives the reason in one line."""


def find_or_install(find: Callable[[], str | None], *packages: str, **environment: str) -> str:
    """Return the result of `find`, before or after installing the packages with these environment variables.

    The services of the packages are not started: tests start their own servers.

    Raises Unavailable when the program is not found and cannot be installed.
    """
    return find() or _install(find, packages, environment)


def _install(find: Callable[[], str | None], packages: tuple[str, ...], environment: dict[str, str]) -> str:
    wanted = " ".join(packages)
    if not shutil.which("apt-get"):
        raise Unavailable(f"this system is not Debian; install the equivalent of {wanted}")
    if os.geteuid() != 0:
        raise Unavailable(f"only root can install packages: sudo apt-get install {wanted}")
    with _alone(), _no_services():
        if found := find():  # another process installed it in the meantime
            return found
        for step in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            _run(step, {**os.environ, "DEBIAN_FRONTEND": "noninteractive", **environment})
    if found := find():
        return found
    raise Unavailable(f"apt-get installed {wanted}, but the program was not found")


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other process of this checkout installs: apt-get waits for some of its locks but not for all."""
    folder = os.open(Path(__file__).parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextmanager
def _no_services() -> Iterator[None]:
    """Forbid packages to start their services, unless this machine has a rule for that."""
    try:
        POLICY.touch(0o755, exist_ok=False)
    except FileExistsError:
        yield
        return
    try:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        yield
    finally:
        POLICY.unlink()


def _run(step: list[str], environment: dict[str, str]) -> None:
    ended = subprocess.run([*APT, *step], env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        reason = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unavailable(f"apt-get {step[0]} failed: {reason}")
