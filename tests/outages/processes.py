"""Processes of the command line that are forked from a stem, and signals to them and to PostgreSQL."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.cli.turnup import environment

NUMBERS = count()
STEM = Path(__file__).with_name("stem.py")


@dataclass
class Started:
    """A process of `turnup` and the file to which it prints."""

    pid: int
    log: Path

    @property
    def printed(self) -> str:
        """What it has printed."""
        return self.log.read_text() if self.log.exists() else ""

    def lines(self, *parts: str) -> list[str]:
        """The lines of the log that contain one of these texts."""
        return [line for line in self.printed.splitlines() if any(part in line for part in parts)]

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    async def end(self, within: float, number: signal.Signals | None = None) -> float:
        """Send a signal, if one is given, and wait for the end. Returns the seconds."""
        began = time.monotonic()
        if number is not None:
            os.kill(self.pid, number)
        while not self.has_ended:
            assert time.monotonic() < began + within, f"not ended within {within} s:\n{self.printed}"
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    def kill(self) -> None:
        """End it by force."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Stem:
    """Starts commands as forks of one process."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self._folder = folder

    def start(self, *arguments: str, **variables: str) -> Started:
        """Start a command with these arguments and these variables added to its environment."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        log = self._folder / f"{arguments[0]}-{next(NUMBERS)}.log"
        order = {"arguments": arguments, "variables": variables, "log": str(log)}
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return Started(int(self._process.stdout.readline()), log)


@contextmanager
def a_stem(folder: Path, script: Path = STEM) -> Iterator[Stem]:
    """Yield what starts commands; all of them end with the block. The script is `stem.py`, or runs its loop."""
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=environment(TURNUP_HOME=str(folder / "home")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield Stem(process, folder)


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Stop processes with SIGSTOP for the time of the block: they keep their sockets and answer nothing."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
