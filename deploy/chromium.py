"""Install Debian's Chromium for the browser tests, where that can be done without asking.

    python3 deploy/chromium.py

Prints the path of the browser; when there is none and it cannot be installed, says why and returns 1.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")
APT = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"]


def main() -> int:
    """Find the browser, or install it as root on Debian."""
    found = find() or install()
    if not found:
        return 1
    print(found)
    return 0


def find() -> str | None:
    """Return the path of a Chromium on this machine, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def install() -> str | None:
    """Install Debian's package; return the browser's path, or None after saying what is in the way."""
    if not shutil.which("apt-get"):
        return refuse("this is no Debian; install Chromium with the system's own package manager")
    if os.geteuid() != 0:
        return refuse("only root can install it: sudo apt-get install chromium")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]):
        ended = subprocess.run([*APT, *step], env=quiet, capture_output=True, text=True, check=False)
        if ended.returncode:
            return refuse(f"apt-get {step[0]} failed: {(ended.stderr.strip() or 'no reason given').splitlines()[-1]}")
    return find() or refuse("apt-get installed the package, but no browser is in PATH")


def refuse(why: str) -> None:
    """Say loudly why the browser tests cannot run."""
    print(f"turnup: NO BROWSER for the browser tests: {why}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
