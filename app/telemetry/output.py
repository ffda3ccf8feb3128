"""Where the lines of the log go: standard error, written so that no request waits for it or fails because of it.

A line that cannot be written is dropped and counted: the disk is full, the reader has gone, or it does not read. With
`take_over_output`, everything else that the process prints becomes lines of the log as well.
"""

import io
import logging
import os
import re
import select
import stat
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from types import TracebackType
from typing import Any, TextIO

PIPE_BYTES = 4096
"""What a pipe takes at once without waiting, if it takes anything (PIPE_BUF of Linux)."""
WAIT_MS = 50
"""Milliseconds that a line waits for a reader that does not read."""
MOST_ATTEMPTS = 3
"""How often a part of a line is tried again because another process has filled the pipe in between."""
PAUSE_SECONDS = 1.0
"""Seconds after that in which no further line waits."""
LONGEST_PRINTED = 65_536
"""Characters after which a printed line counts as complete."""
PREFIX = "turnup: "
"""How the command line begins its messages to people."""

_BEGIN_OF_TRACEBACK = "Traceback (most recent call last):"
_BETWEEN_TRACEBACKS = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_IN_A_GROUP = re.compile(r"^\s*(?:\| ?|\+ (?=Exception Group Traceback)|(?=\+-))")
"""How the lines of exceptions in a group begin, before what each line of a traceback has."""
_NEXT_OF_GROUP, _END_OF_GROUP = re.compile(r"\+-[-+]+ [\d.]+ -+"), re.compile(r"\+-{9,}")
_ARGUMENTS = re.compile(r"^(Arguments:) .*")
"""The arguments of a record that the logging of Python could not write."""

log = logging.getLogger("turnup.output")


class LineHandler(logging.Handler):
    """Writes each record as one line to a stream, or drops it."""

    def __init__(self, stream: TextIO | None) -> None:
        """`stream` is None if the process has no standard error."""
        super().__init__()
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._poll = select.poll()
        self._at_once: int | None = None
        """The bytes of one write; None if a write never waits for a reader."""
        if self._descriptor is not None:
            self._poll.register(self._descriptor, select.POLLOUT)
            is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
            self._at_once = None if is_file else PIPE_BYTES
            self._descriptor = self._unblocked(self._descriptor)
        self._closed_until = 0.0
        self._is_torn = False
        """Whether only a part of the last line was written."""
        self.dropped = 0
        """The number of lines that could not be written."""
        self.on_drop: Callable[[], None] = _nothing
        """Called with each of them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. Raises nothing."""
        try:
            self._write(self._line(record))
        except Exception:  # noqa: BLE001 - no request fails because its line cannot be written
            self.dropped += 1
            self.on_drop()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:  # noqa: BLE001 - such as arguments that do not fit the message
            values = {"name": record.name, "levelno": logging.ERROR, "levelname": "ERROR", "place": record.pathname}
            message = "a line of the log could not be formatted"
            return self.format(logging.makeLogRecord({**values, "msg": message, "error": type(error).__name__}))

    def _write(self, line: str) -> None:
        if self._descriptor is None:
            if self._stream is None:
                raise BrokenPipeError
            self._stream.write(f"{line}\n")
            self._stream.flush()
            return
        rest = memoryview(f"{line}\n".encode(errors="backslashreplace"))
        if self._is_torn:
            rest = memoryview(b"\n" + rest)
        begun = False
        try:
            while rest:
                rest = rest[self._put(self._descriptor, rest[: self._at_once]) :]
                begun = True
            self._is_torn = False
        except OSError:
            self._is_torn = self._is_torn or begun
            raise

    def _unblocked(self, descriptor: int) -> int:
        """Return a descriptor of the same pipe that never blocks; of anything else, the descriptor itself.

        It is another open file: the flags of the original one are those of all processes that have it.
        """
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return descriptor
        try:
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads, the pipe is of another user, or there is no such folder
            return descriptor
        weakref.finalize(self, os.close, own).atexit = False  # the last lines are written while the process ends
        return own

    def _put(self, descriptor: int, part: memoryview) -> int:
        """Write a part of a line; return how much of it was written. Raises BlockingIOError."""
        for _ in range(MOST_ATTEMPTS):
            self._await_reader()
            with suppress(BlockingIOError):
                return os.write(descriptor, part)
        raise BlockingIOError

    def _await_reader(self) -> None:
        """Raises BlockingIOError if the reader does not read."""
        now = time.monotonic()
        if not self._poll.poll(WAIT_MS if now >= self._closed_until else 0):
            self._closed_until = max(self._closed_until, now + PAUSE_SECONDS)
            raise BlockingIOError


class _TracebackPart(Enum):
    """The part of a traceback that a thread prints."""

    OUTSIDE = auto()
    FRAMES = auto()
    MESSAGE = auto()


class Printed:
    """The lines that one thread prints. Of a traceback it has the frames and the types of exceptions, not the messages.

    A message of several lines is known by that it is printed at once.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._position = _TracebackPart.OUTSIDE

    def add(self, text: str) -> list[str]:
        """Return the lines that are complete with this text."""
        *lines, rest = (self._rest + text).split("\n")
        if len(rest) >= LONGEST_PRINTED:
            lines, rest = [*lines, rest], ""
        shown = [self._shown(line) for line in lines]
        self._rest = rest
        if not rest and self._position is _TracebackPart.MESSAGE:
            self._position = _TracebackPart.OUTSIDE
        return [line for line in shown if line.strip()]

    def _shown(self, line: str) -> str:
        """Return what is shown of a line, which may be nothing."""
        bare = _IN_A_GROUP.sub("", line)
        if bare.endswith(_BEGIN_OF_TRACEBACK) or _NEXT_OF_GROUP.fullmatch(bare):
            self._position = _TracebackPart.FRAMES
        elif _END_OF_GROUP.fullmatch(bare):
            self._position = _TracebackPart.OUTSIDE
        elif self._position is _TracebackPart.FRAMES and bare and not bare.startswith(" "):
            self._position = _TracebackPart.MESSAGE
            return line.partition(":")[0]
        elif self._position is _TracebackPart.MESSAGE and bare not in _BETWEEN_TRACEBACKS:
            return ""
        return _ARGUMENTS.sub(r"\1", line)


class PrintedLines(io.TextIOBase):
    """A standard stream whose lines become lines of the log, of one level."""

    def __init__(self, level: int, original: TextIO | None) -> None:
        super().__init__()
        self._level = level
        self.original = original
        self._printed = threading.local()

    def write(self, text: str) -> int:
        """Log the lines that are complete. Each thread has its own incomplete line."""
        printed = getattr(self._printed, "lines", None)
        if printed is None:
            printed = self._printed.lines = Printed()
        for line in printed.add(text):
            log.log(self._level, "%s", line.removeprefix(PREFIX))
        return len(text)


def standard_error() -> TextIO | None:
    """Return the standard error of the process, also while its lines become lines of the log."""
    return sys.stderr.original if isinstance(sys.stderr, PrintedLines) else sys.stderr


def take_over_output() -> None:
    """Turn what the process prints into lines of the log: prints, warnings, and exceptions that nothing catches.

    Call it after `start_logging`. Nothing happens if it was called before.
    """
    if isinstance(sys.stderr, PrintedLines):
        return
    sys.stdout = PrintedLines(logging.INFO, sys.stdout)
    sys.stderr = PrintedLines(logging.WARNING, sys.stderr)
    warnings.showwarning = _log_warning  # type: ignore[assignment] # - called with four arguments at least
    sys.excepthook = _log_uncaught
    threading.excepthook = log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


@contextmanager
def exits_logged() -> Iterator[None]:
    """Log the message with which the block exits, in place of printing it. The exit status is 1."""
    try:
        yield
    except SystemExit as ended:
        if not isinstance(ended.code, str):
            raise
        for line in ended.code.splitlines():
            log.error("%s", line.removeprefix(PREFIX))  # noqa: TRY400 - it is no unexpected exception
        sys.exit(1)


def _log_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    log.warning("%s: %s", category.__name__, message, extra={"place": f"{filename}:{lineno}"})


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("an exception was not caught", exc_info=(kind, error, traceback))


def log_uncaught_in_thread(ended: threading.ExceptHookArgs) -> None:
    """Log the exception that ended a thread; Python would print it with its message. SystemExit is none."""
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        _log_uncaught(ended.exc_type, ended.exc_value, ended.exc_traceback)


def _log_unraisable(ignored: Any) -> None:
    """Log an exception that Python cannot raise, such as one of a finalizer."""
    if ignored.exc_value is not None:
        log.error("an exception was ignored", exc_info=(ignored.exc_type, ignored.exc_value, ignored.exc_traceback))


def _descriptor(stream: TextIO | None) -> int | None:
    """Return the file descriptor of a stream; None for one in memory, and for one that is closed."""
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):
        return None


def _nothing() -> None:
    """Do nothing."""
