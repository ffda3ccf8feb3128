"""What the processes of a real server report to the error tracker: workers that end, which the log names as well."""

import os
import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.telemetry.tracker import an_error_server

from .turnup import Server, command_line, descendants, eventually, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("serving"),
    pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="tells the processes apart by Linux's /proc"),
]


def serving_workers(server: Server) -> list[str]:
    return re.findall(r"worker (\d+) serves", server.printed)


def test_a_worker_that_is_killed_is_reported_with_the_signal_and_replaced(tmp_path: Path) -> None:
    with an_error_server() as tracker, serving(tmp_path / "home", TURNUP_WORKERS="2", SENTRY_DSN=tracker.dsn) as server:
        eventually(lambda: len(serving_workers(server)) == 2, within=60)  # a worker killed before would end the server
        workers = [pid for pid in descendants(server.process.pid) if "spawn_main" in command_line(pid)]
        os.kill(workers[0], signal.SIGKILL)
        (event,) = tracker.wait(1)
        (exception,) = event["exception"]["values"]
        assert (exception["type"], exception["value"]) == ("WorkerEnded", f"{-signal.SIGKILL}")
        assert event["tags"] == {"code": f"{-signal.SIGKILL}"}
        eventually(lambda: len(serving_workers(server)) == 3, within=60)
        scraped = httpx.get(f"http://127.0.0.1:{server.port}/metrics", timeout=20, trust_env=False).text.splitlines()
        assert 'turnup_unexpected_exceptions_total{logger="turnup.serving"} 1.0' in scraped
        assert f"worker {workers[0]} ended with exit status -9; replacing it" in server.printed
        assert server.end(signal.SIGTERM, within=60) == 0
        assert len(tracker.wait(1)) == 1, "a server that is told to stop reports nothing"
