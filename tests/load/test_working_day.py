"""A tiny working day, from an empty database to the pass marks."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench.edge import free_port
from tests.lanes import without_this_run

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"^\| (.+) \| (.+) \| (met|\*\*missed\*\*) \|$", re.M)
HOUR_SECONDS = "0.4"
OF_THE_MACHINE = {"p95 without polls", "errors at the peak"}
"""The beginnings of the marks that depend on what else the machine does."""

pytestmark = pytest.mark.slow


def test_a_tiny_day_loses_and_doubles_no_write_and_leaves_nothing_running(tmp_path: Path) -> None:
    port = free_port()
    command = ["-m", "bench.load", "--hour-seconds", HOUR_SECONDS, "--locations", "300", "--port", str(port)]
    environment = {**without_this_run(), "TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    text = ended.stdout
    marks = {name: (measured, result == "met") for name, measured, result in MARK.findall(text)}
    assert len(marks) == 9, text + ended.stderr
    certain = {name: each for name, each in marks.items() if not name.startswith(tuple(OF_THE_MACHINE))}
    assert {name: each for name, each in certain.items() if not each[1]} == {}, text
    written, _ = marks["every acknowledged write is stored once"]
    assert int(written.partition(",")[0]) > 0
    assert ended.returncode == (0 if all(met for _, met in marks.values()) else 1)
    assert "acknowledge" in text
    assert "bulk of 20: run" in text
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert list(tmp_path.iterdir()) == []
