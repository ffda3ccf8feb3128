"""Install Debian's redis-server for the tests of shared budgets, where that can be done without asking.

    python3 deploy/redis.py

Prints the path of the server; when there is none and it cannot be installed, says why and returns 1. The tests start
servers of their own; the package's service is left to the system.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("redis-server", "valkey-server")
APT = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"]


def main() -> int:
    """Find the server, or install it as root on Debian."""
    found = find() or install()
    if not found:
        return 1
    print(found)
    return 0


def find() -> str | None:
    """Return the path of a Redis server on this machine, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def install() -> str | None:
    """Install Debian's package; return the server's path, or None after saying what is in the way."""
    if not shutil.which("apt-get"):
        return refuse("this is no Debian; install Redis with the system's own package manager")
    if os.geteuid() != 0:
        return refuse("only root can install it: sudo apt-get install redis-server")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "-y", "--no-install-recommends", "redis-server"]):
        ended = subprocess.run([*APT, *step], env=quiet, capture_output=True, text=True, check=False)
        if ended.returncode:
            return refuse(f"apt-get {step[0]} failed: {(ended.stderr.strip() or 'no reason given').splitlines()[-1]}")
    return find() or refuse("apt-get installed the package, but no server is in PATH")


def refuse(why: str) -> None:
    """Say loudly why the tests of shared budgets cannot run."""
    print(f"turnup: NO REDIS for the tests of shared budgets: {why}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
