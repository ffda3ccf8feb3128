"""Create .venv from the lock files, with only the standard library and pip.

    python3 deploy/environment.py requirements.lock [requirements-dev.lock]

Installs a hash-checked uv first and uses it for everything else (seconds instead of a minute); where uv has no wheel,
pip reads the same files. The checkout is added to the environment's path by a one-line .pth file, because an editable
install cannot be hash-checked. A checkout that was moved gets a new environment. Each step prints one line; the
installers print only errors.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

OLDEST = (3, 11)  # an older Python must parse this file and report its version: newer annotations are quoted
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
HOME_STAMP = VENV / ".home"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

LAUNCHER = """#!/bin/sh
exec "{python}" -m app.cli "$@"
"""


def main(locks: "list[str]") -> None:
    """Create the environment if it is missing or was created elsewhere, then install every lock file."""
    if sys.version_info < OLDEST:
        sys.exit(
            "turnup needs Python {}.{} or newer; this is {}. Try: make PYTHON=python3.12 ...".format(
                *OLDEST, sys.version.split()[0]
            )
        )
    if not made_here():
        create()
    install(locks)


def made_here() -> bool:
    """Return whether .venv exists and was created for this folder: its scripts contain absolute paths."""
    return PYTHON.exists() and HOME_STAMP.exists() and HOME_STAMP.read_text() == str(ROOT)


def create() -> None:
    """Create an empty environment that sees this checkout's packages and has a `turnup` command."""
    say(f"creating the environment {VENV}")
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        venv.create(VENV, with_pip=True)
    except subprocess.CalledProcessError:
        sys.exit("turnup needs Python's venv and pip; on Debian: apt-get install python3-venv")
    packages = VENV / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    (packages / "turnup.pth").write_text(f"{ROOT}\n")
    launcher = PYTHON.with_name("turnup")
    launcher.write_text(LAUNCHER.format(python=PYTHON))
    launcher.chmod(0o755)
    HOME_STAMP.write_text(str(ROOT))


def install(locks: "list[str]") -> None:
    """Install the lock files, with uv if it is available, else with pip; both check every hash."""
    began = time.monotonic()
    say("installing uv, which installs the packages")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    wanted = [argument for lock in locks for argument in ("-r", lock)]
    uv_installed = subprocess.run([*pip, "--only-binary=:all:", "-r", "requirements-uv.lock"], cwd=ROOT, check=False)
    count = sum(map(packages_of, locks))
    say(f"installing {count} packages from {' and '.join(locks)}; what is not cached is downloaded")
    if uv_installed.returncode == 0:
        command = [str(PYTHON), "-m", "uv", "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode"]
    else:
        command = pip
    installed = subprocess.run([*command, *wanted], cwd=ROOT, check=False, env={**os.environ, "VIRTUAL_ENV": str(VENV)})
    if installed.returncode != 0:
        sys.exit("turnup: the packages could not be installed; the installer's message is above")
    say(f"installed in {time.monotonic() - began:.0f} s")


def packages_of(lock: str) -> int:
    """Return the number of packages in a lock file."""
    return len(re.findall(r"^[\w.\[\]-]+==", (ROOT / lock).read_text(), re.MULTILINE))


def say(step: str) -> None:
    """Print what happens next."""
    print(f"turnup: {step}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
