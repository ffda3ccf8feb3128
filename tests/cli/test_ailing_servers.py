"""Servers whose application fails to start or to end: they end with one line, or in bounded time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.serving import CLOSING_SECONDS, MOST_FAILED_STARTS, WATCHDOG_SECONDS

from .ailing import TIMES
from .turnup import CHECKOUT, command_line, descendants, environment, eventually, free_port

SLACK = 60
"""Seconds that separate a server that ends from one that hangs, on a busy machine."""
REFUSED = "the server did not start: the database refuses"


@contextmanager
def ailing(kind: str, workers: int, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a server of this kind until the block ends."""
    command = [sys.executable, "-m", "tests.cli.ailing", kind, str(workers)]
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=environment(PORT=str(free_port()), FOLDER=str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                for pid in descendants(process.pid):
                    os.kill(pid, signal.SIGKILL)


def importing(process: "subprocess.Popen[str]") -> list[int]:
    """Return the workers, which begin by importing the code for longer than a test needs to send a signal."""
    return [pid for pid in descendants(process.pid) if "spawn_main" in command_line(pid)]


def ended(kind: str, workers: int, folder: Path) -> tuple[int, str]:
    """Return the exit status of a server and what it printed."""
    with ailing(kind, workers, folder) as process:
        printed, _ = process.communicate(timeout=SLACK)
        return process.returncode, printed


def reports(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line.startswith("turnup: ")]


@pytest.mark.parametrize(
    ("kind", "workers", "report"),
    [
        ("refused", 1, f"turnup: {REFUSED}"),
        ("refused", 2, f"turnup: a worker ended before it served: {REFUSED}"),
        pytest.param("exits", 1, "turnup: HOST: not this one", marks=pytest.mark.slow),
        pytest.param("exits", 2, "turnup: a worker ended before it served: HOST: not this one", marks=pytest.mark.slow),
        pytest.param(
            "dies", 2, "turnup: a worker ended before it served: its exit status is -9", marks=pytest.mark.slow
        ),
    ],
)
def test_a_server_that_cannot_start_ends_with_one_line_and_status_1(
    tmp_path: Path, kind: str, workers: int, report: str
) -> None:
    status, printed = ended(kind, workers, tmp_path)
    assert (status, reports(printed)) == (1, [report])
    assert "Traceback" not in printed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_stops_a_server_whose_workers_start(tmp_path: Path, number: signal.Signals) -> None:
    """A terminal, and systemd by default, send a signal to each process of a server."""
    with ailing("starts_for_ever", 2, tmp_path) as process:
        eventually(lambda: len(importing(process)) == 2, within=SLACK)
        os.killpg(process.pid, number)
        printed, _ = process.communicate(timeout=SLACK)
    assert (process.returncode, reports(printed)) == (0, [])
    assert "Traceback" not in printed


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_with_a_defect_at_start_logs_the_stack_and_ends_with_one_line(tmp_path: Path, workers: int) -> None:
    status, printed = ended("broken", workers, tmp_path)
    (report,) = reports(printed)
    assert (status, report.endswith("the server did not start: TypeError")) == (1, True)
    assert "in lifespan" in printed


@pytest.mark.slow
def test_a_worker_that_never_starts_beside_one_that_serves_ends_the_server_after_some_attempts(tmp_path: Path) -> None:
    status, printed = ended("second_refused", 2, tmp_path)
    assert status == 1
    assert reports(printed)[0].endswith(REFUSED)
    assert printed.count("replacing it") < MOST_FAILED_STARTS


@pytest.mark.slow
def test_a_worker_that_served_is_replaced_again_and_again(tmp_path: Path) -> None:
    with ailing("ends_after_serving", 2, tmp_path) as process:
        eventually(lambda: len(list(tmp_path.iterdir())) > MOST_FAILED_STARTS, within=2 * SLACK)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(SLACK) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "workers"),
    [("starts_for_ever", 1), ("starts_for_ever", 2), ("ends_for_ever", 2), ("blocks_at_end", 1), ("blocks_at_end", 2)],
)
def test_a_server_whose_application_hangs_ends_in_bounded_time(tmp_path: Path, kind: str, workers: int) -> None:
    said = "Waiting for application startup" if kind == "starts_for_ever" else "Application startup complete"
    with ailing(kind, workers, tmp_path) as process:
        assert process.stdout is not None
        seen = 0
        while seen < workers:
            seen += said in process.stdout.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SLACK)
        assert time.monotonic() - began < TIMES.most + CLOSING_SECONDS + WATCHDOG_SECONDS + SLACK / 2
        assert not [pid for pid in descendants(process.pid) if pid != process.pid]
