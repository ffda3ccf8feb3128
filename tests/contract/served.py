"""The real server as its users start it: `turnup serve` in a process and a home of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.postgres import embedded

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0
OURS = ("TURNUP_", "DATABASE_URL", "SENTRY_", "OTEL_")  # settings of the surroundings, not of this server

UNLIMITED = {
    f"TURNUP_LIMIT_{name}": "1000000000"
    for name in ("OBJECTS", "EDITS", "SUBMITS", "APPROVALS", "PAYLOADS", "BULK_CALLS", "BULK_ITEMS", "DRY_RUNS")
}
"""The settings with which no budget ends."""


@dataclass(frozen=True)
class Served:
    """A running server with the demo data."""

    origin: str
    home: Path
    process: int

    def token(self, email: str, *, lifetime_seconds: int = 3600, age_seconds: int = 0) -> str:
        """A token of the server's own development issuer, made `age_seconds` ago."""
        issuer = DevelopmentIssuer.load_or_create(self.home)
        return issuer.issue(email, lifetime_seconds=lifetime_seconds, now=time.time() - age_seconds, audience=AUDIENCE)

    def ask(self, query: str, who: str, **variables: Any) -> Any:
        """The data of a request as somebody; fails the test when there are errors."""
        answer = httpx.post(
            f"{self.origin}/graphql",
            json={"query": query, "variables": variables},
            headers={"authorization": f"Bearer {self.token(who)}"},
            timeout=30,
            trust_env=False,
        ).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def reset(self) -> None:
        """Bring the demo data back, as `make reset` does beside a running server."""
        turnup(self.home, "seed", "--reset").check_returncode()


@contextmanager
def served(**settings: str) -> Iterator[Served]:
    """A server on a free port and an empty home, with these settings, as long as the block runs."""
    home = Path(tempfile.mkdtemp(prefix="turnup-served-"))
    try:
        with served_from(home, **settings) as server:
            yield server
    finally:
        erase(home)


@contextmanager
def served_from(home: Path, **settings: str) -> Iterator[Served]:
    """A server on a free port, with these settings, as long as the block runs. Several can share a home."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = home / "serve.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            cwd=ROOT,
            env=environment(home, PORT=str(port), **settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}", process, log)
        yield Served(f"http://127.0.0.1:{port}", home, process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def turnup(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line on a home."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=ROOT,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )


def erase(home: Path) -> None:
    """Erase a home and its cluster, whose supervisor leaves a moment after its last user."""
    deadline = time.monotonic() + 30
    while True:
        try:
            embedded.erase(home)
        except embedded.EmbeddedPostgresError:
            assert time.monotonic() < deadline, f"somebody still uses {home}"
            time.sleep(0.1)
        else:
            shutil.rmtree(home)
            return


def environment(home: Path, **more: str) -> dict[str, str]:
    """The surroundings' variables without settings of ours, and these: what a command on a home is given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**inherited, "TURNUP_HOME": str(home), **more}


def _wait_until_ready(origin: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"the server ended:\n{log.read_text(errors='replace')[-4000:]}"
        assert time.monotonic() < deadline, f"the server is not ready:\n{log.read_text(errors='replace')[-4000:]}"
        try:
            if httpx.get(f"{origin}/readyz", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
