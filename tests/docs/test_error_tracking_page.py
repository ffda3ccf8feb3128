"""The report that tries a server of an error tracker says what became of it."""

import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.telemetry.tracker import ErrorServer, a_refusing_dsn, a_silent_listener, an_error_server

from .pages import ROOT, page, shell_blocks


@pytest.fixture
def tracker() -> Iterator[ErrorServer]:
    """The server of the error tracker."""
    with an_error_server() as server:
        yield server


def tried(dsn: str) -> "subprocess.CompletedProcess[str]":
    """The ended command of the page, with this DSN."""
    ((command, _),) = shell_blocks(page("docs/error-tracking.md"))
    shown = "https://key@errors.example.com/1"
    assert command.count(shown) == 1
    command = command.replace(shown, dsn).replace(".venv/bin/python", shlex.quote(sys.executable))
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )


def test_the_trial_says_that_the_report_arrived(tracker: ErrorServer) -> None:
    ended = tried(tracker.dsn)
    assert (ended.returncode, ended.stdout) == (0, "The report was delivered.\n")
    (event,) = tracker.wait(1)
    assert event["exception"]["values"][0]["type"] == "LookupError"
    assert (event["environment"], event["release"]) == ("test", "test")


def test_the_trial_fails_with_the_reason_if_the_key_is_wrong(tracker: ErrorServer) -> None:
    tracker.status = 403
    ended = tried(tracker.dsn)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "The report was not delivered." in ended.stderr
    assert "status_403" in ended.stderr


def test_the_trial_fails_if_nobody_listens() -> None:
    ended = tried(a_refusing_dsn())
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "The report was not delivered." in ended.stderr


@pytest.mark.slow
def test_the_trial_fails_if_the_server_does_not_answer() -> None:
    with a_silent_listener() as dsn:
        ended = tried(dsn)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "The report was not delivered." in ended.stderr
