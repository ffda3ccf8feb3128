"""The progress of long commands: a line that changes in a terminal, lines now and then in a log."""

import io
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from app import progress
from app.progress import Progress
from tests.harness import TestDatabase

from .turnup import environment, eventually


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_that_changes_and_is_removed() -> None:
    terminal = Terminal()
    with Progress("Adding", "locations", stream=terminal) as shown:
        shown.report(1_500, 20_000)
        eventually(lambda: "1,500 of 20,000 locations" in terminal.getvalue(), within=30)
    written = terminal.getvalue()
    assert written.startswith("\rAdding (0 s)")
    assert "\n" not in written
    assert re.search(r"\rAdding: 1,500 of 20,000 locations \(\d+ s\)", written)
    *_, last, end = written.split("\r")
    assert (last.strip(), end) == ("", "")


def test_lines_are_printed_between_changes(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    with Progress("Migrating", stream=terminal) as shown:
        shown.say("0001 Tables")
        eventually(lambda: "Migrating: 0001 Tables" in terminal.getvalue(), within=30)
    assert capsys.readouterr().out == "0001 Tables\n"


def test_the_rate_is_bounded_however_often_progress_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(progress, "TERMINAL_SECONDS", 0.05)
    began = time.monotonic()
    with Progress("Verifying", stream=terminal) as shown:
        for number in range(300_000):
            shown.report(number, 300_000)
    assert terminal.getvalue().count("Verifying") <= 2 + (time.monotonic() - began) / 0.05


def test_a_log_gets_a_line_now_and_then_and_a_short_command_writes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    with Progress("Verifying", stream=log) as shown:
        shown.report(1, 2)
    assert log.getvalue() == ""
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.01)
    with Progress("Verifying", "entries", stream=log) as shown:
        shown.report(1, 2)
        eventually(lambda: log.getvalue().count("\n") >= 2, within=30)
    assert re.fullmatch(r"(turnup: Verifying: 1 of 2 entries \(\d+ s\)\n)+", log.getvalue())


def test_a_terminal_that_is_gone_does_not_end_the_command() -> None:
    terminal = Terminal()
    with Progress("Verifying", stream=terminal) as shown:
        terminal.write = gone  # type: ignore[method-assign] # - for this test
        shown.report(1, 2)
        shown.say("step")


def gone(_text: str) -> int:
    raise BrokenPipeError


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("audit", "verify"), "Verifying"),
        (("audit", "replay"), "Replaying"),
        (("migrate",), "Migrating"),
        (("seed", "--locations", "700"), "Adding plain locations"),
    ],
)
def test_long_commands_show_their_progress_in_a_terminal(
    empty_database: TestDatabase, command: tuple[str, ...], shown: str
) -> None:
    ended, terminal = in_a_terminal(command, empty_database)
    assert ended.returncode == 0
    assert f"\r{shown}" in terminal
    assert terminal.endswith("\r")


def in_a_terminal(command: tuple[str, ...], database: TestDatabase) -> tuple["subprocess.CompletedProcess[bytes]", str]:
    """Run a command whose standard error is a terminal; return what the terminal got."""
    ours, theirs = pty.openpty()
    read: list[bytes] = []
    reading = threading.Thread(target=_read, args=(ours, read.append))
    reading.start()
    ended = subprocess.run(
        [sys.executable, "-m", "app.cli", *command],
        env=environment(DATABASE_URL=database.app_url, TURNUP_OWNER_DATABASE_URL=database.owner_url),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=120,
        check=False,
    )
    os.close(theirs)
    reading.join()
    os.close(ours)
    return ended, b"".join(read).decode()


def _read(terminal: int, keep: Callable[[bytes], None]) -> None:
    try:
        while part := os.read(terminal, 65_536):
            keep(part)
    except OSError:  # the other end was closed
        return
