"""The command line as a new user runs it: in processes of its own, with an environment of its own, over real HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import httpx

from app.postgres import embedded

CHECKOUT = Path(__file__).parents[2]
START_LIMIT = 120.0  # seconds; a few on an idle machine


def environment(**variables: str) -> dict[str, str]:
    """What a new user's shell has, the tests' wide budgets, and these variables.

    The page's build is left out: it takes npm and minutes. Temporary files, which a killed process leaves behind, are
    beside its home.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    kept |= {name: value for name, value in os.environ.items() if name.startswith("TURNUP_LIMIT_")}
    if "TURNUP_HOME" in variables:
        kept["TMPDIR"] = str(Path(variables["TURNUP_HOME"]).parent)
    return {**kept, "PYTHONPATH": str(CHECKOUT), "TURNUP_GRAPHIQL": "false", **variables}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        env=environment(**variables),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(port: int) -> bool:
    """Whether the server on a port says that it is ready."""
    # Asked often while the server needs the processor, so with the cheapest of clients.
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


@dataclass
class Server:
    """A running `turnup serve`."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    @property
    def printed(self) -> str:
        return self.output.read_text()

    def token(self, role: str) -> str:
        """The token that the server printed for a role."""
        return next(line.split()[-1] for line in self.printed.splitlines() if line.split()[:1] == [role])

    def ask(self, query: str, role: str = "lead") -> Any:
        """The data of a query."""
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/graphql",
            json={"query": query},
            headers={"Authorization": f"Bearer {self.token(role)}"},
            timeout=20,
            trust_env=False,
        )
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]

    def ready(self) -> bool:
        return is_ready(self.port)

    def end(self, number: signal.Signals, *, within: float) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(within)


@contextmanager
def serving(home: Path, *options: str, **variables: str) -> Iterator[Server]:
    """`turnup serve` with this home and options, once it is ready; ended by force when the block did not end it."""
    port = free_port()
    output = home.with_name(f"{home.name}-{port}.log")
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", *options],
            env=environment(TURNUP_HOME=str(home), PORT=str(port), **variables),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, port, output)
    try:
        eventually(lambda: server.ready() or process.poll() is not None, within=START_LIMIT)
        assert process.poll() is None, server.printed
        yield server
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def eventually(holds: Callable[[], bool], *, within: float) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.02)


def secrets_of(home: Path) -> list[str]:
    """The passwords of a home's cluster."""
    identity = json.loads((home / embedded.IDENTITY).read_text())
    return [identity[role] for role in embedded.LOGIN_ROLES]


def data_of(home: Path) -> Path:
    """Where a home's cluster has its data."""
    identity = json.loads((home / embedded.IDENTITY).read_text())
    return embedded.ROOT_STATE / identity["id"] / "data" if os.geteuid() == 0 else home.resolve() / "data"


def postgres_of(home: Path) -> set[int]:
    """The processes of PostgreSQL that run for a home; they all work in its data directory."""
    data = data_of(home)
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if entry.readlink() == data:
                found.add(int(entry.parent.name))
    return found


def postmaster_of(home: Path) -> int:
    """The process of PostgreSQL that started the others of a home's cluster."""
    return int((data_of(home) / "postmaster.pid").read_text().splitlines()[0])


def descendants(pid: int) -> set[int]:
    """A process and whatever it started."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def command_line(pid: int) -> str:
    """How a process was called; empty when it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
