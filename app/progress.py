"""Shows on standard error how far a long command is: one line that changes in a terminal, else a line now and then."""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

TERMINAL_SECONDS = 0.2
"""Seconds between two changes of the line in a terminal."""
LOG_SECONDS = 10.0
"""Seconds between two lines elsewhere, such as in a log; a command that takes less writes none."""
COLUMNS = 80  # where a terminal does not say its width

Report = Callable[[int, int], None]
"""Notes that so many of so many things are done; called as often as is convenient."""


def unreported(_done: int, _total: int) -> None:
    """Show nothing."""


class Progress:
    """The progress of one command. In its block a thread writes it, at a bounded rate, however long a step takes."""

    def __init__(self, what: str, things: str = "", *, stream: TextIO | None = None) -> None:
        """`what` says what is done, `things` what is counted; `stream` defaults to standard error."""
        self._what = what
        self._things = f" {things}" if things else ""
        self._stream = sys.stderr if stream is None else stream
        self._rewrites = self._stream.isatty()
        self._state = ""
        self._shown = 0
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)

    def __enter__(self) -> Self:
        """Begin to write."""
        if self._rewrites:
            self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop, and leave no line in the terminal."""
        self._ended.set()
        self._thread.join()
        self._clear()

    def report(self, done: int, total: int) -> None:
        """Note that `done` of `total` are done."""
        self._state = f": {done:,} of {total:,}{self._things}"

    def say(self, line: str) -> None:
        """Print a line on standard output, as the step that runs from now on."""
        with self._writing:
            self._clear()
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
            self._state = f": {line.strip()}"

    def _follow(self) -> None:
        while not self._ended.wait(TERMINAL_SECONDS if self._rewrites else LOG_SECONDS):
            self._write()

    def _write(self) -> None:
        text = f"{self._what}{self._state} ({time.monotonic() - self._began:.0f} s)"
        with self._writing, suppress(OSError, ValueError):  # nobody reads it any more
            if not self._rewrites:
                self._stream.write(f"turnup: {text}\n")
                self._stream.flush()
            elif not self._ended.is_set():
                shown = text[: self._columns() - 1]
                self._stream.write(f"\r{shown:<{self._shown}}")
                self._stream.flush()
                self._shown = len(shown)

    def _clear(self) -> None:
        """Remove the line from the terminal."""
        if self._shown:
            with suppress(OSError, ValueError):
                self._stream.write(f"\r{'':<{self._shown}}\r")
                self._stream.flush()
            self._shown = 0

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or COLUMNS
        except (OSError, ValueError):
            return COLUMNS
