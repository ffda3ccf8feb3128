"""`turnup serve` with trusted documents: SIGHUP loads them again in all of its processes, and ends or loses nothing."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .turnup import Server, descendants, environment, eventually, free_port, run, serving

pytestmark = [
    pytest.mark.xdist_group("serving"),
    pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="tells the processes apart by Linux's /proc"),
]

KEPT = "query Kept { viewer { name } }"
NEW = "query New { viewer { role } }"
LOADED = "the trusted documents were loaded again"
NOT_LOADED = "the trusted documents were not loaded again"
PATIENCE = 60.0


def write(manifest: Path, *texts: str) -> None:
    """Replace a manifest at once."""
    beside = manifest.with_suffix(".new")
    beside.write_text(json.dumps({hashlib.sha256(each.encode()).hexdigest(): each for each in texts}))
    beside.replace(manifest)


def runs(server: Server, text: str) -> bool:
    """Whether the server knows the hash of a text. Each call has a connection of its own, and so any worker."""
    answer = httpx.post(
        f"http://127.0.0.1:{server.port}/graphql",
        json={"documentId": hashlib.sha256(text.encode()).hexdigest()},
        headers={"Authorization": f"Bearer {server.token('lead')}"},
        timeout=60,
        trust_env=False,
    )
    if "errors" in answer.json():
        assert answer.json()["errors"][0]["message"] == "PersistedQueryNotFound", answer.text
    return answer.status_code == 200


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose database the servers of this module share, one after another."""
    return tmp_path_factory.mktemp("trusted") / "home"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "trusted.json"
    write(path, KEPT)
    return path


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def server(request: pytest.FixtureRequest, home: Path, manifest: Path) -> Iterator[Server]:
    variables = {"TURNUP_TRUSTED_DOCUMENTS": "only", "TURNUP_TRUSTED_DOCUMENTS_FILES": str(manifest)}
    with serving(home, TURNUP_WORKERS=str(request.param), **variables) as found:
        eventually(
            lambda: found.printed.count("serves") >= (request.param if request.param > 1 else 0), within=PATIENCE
        )
        yield found
        found.end(signal.SIGTERM, within=PATIENCE)


def test_a_hangup_loads_other_documents_in_all_processes_while_requests_run(
    server: Server, manifest: Path, request: pytest.FixtureRequest
) -> None:
    processes = 2 if "workers" in request.node.name else 1
    before = descendants(server.process.pid)
    known: list[bool] = []
    ended = threading.Event()

    def ask_on() -> None:
        while not ended.is_set():
            known.append(runs(server, KEPT))

    asking = threading.Thread(target=ask_on)
    asking.start()
    try:
        assert not runs(server, NEW)
        write(manifest, KEPT, NEW)
        os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: server.printed.count(LOADED) == processes, within=PATIENCE)
        assert all(runs(server, NEW) for _ in range(4 * processes))
        manifest.write_text("{")
        os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: server.printed.count(NOT_LOADED) == processes, within=PATIENCE)
        assert f"{manifest}: it is not JSON in UTF-8" in server.printed
        assert all(runs(server, NEW) for _ in range(4 * processes))
        write(manifest, KEPT)
        for _ in range(3):
            os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: not any(runs(server, NEW) for _ in range(4 * processes)), within=PATIENCE)
    finally:
        ended.set()
        asking.join()
    assert known
    assert all(known)
    assert before == descendants(server.process.pid)  # no process was replaced


def test_a_hangup_during_the_start_ends_nothing(home: Path, manifest: Path, tmp_path: Path) -> None:
    variables = {"TURNUP_TRUSTED_DOCUMENTS": "prefer", "TURNUP_TRUSTED_DOCUMENTS_FILES": str(manifest)}
    port, output = free_port(), tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            env=environment(TURNUP_HOME=str(home), PORT=str(port), TURNUP_WORKERS="2", **variables),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, port, output)
    try:
        eventually(lambda: len(descendants(process.pid)) > 1, within=PATIENCE)  # it starts PostgreSQL
        while not server.ready():
            assert process.poll() is None, server.printed
            process.send_signal(signal.SIGHUP)
        assert runs(server, KEPT)
        assert server.end(signal.SIGTERM, within=PATIENCE) in {0, -signal.SIGTERM}
        assert "ended with exit status" not in server.printed
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def test_a_bad_manifest_stops_the_start_with_one_line(home: Path, manifest: Path) -> None:
    write(manifest, KEPT, "query Wrong { viewer { nmae } }")
    ended = run(
        "serve",
        TURNUP_HOME=str(home),
        TURNUP_TRUSTED_DOCUMENTS="prefer",
        TURNUP_TRUSTED_DOCUMENTS_FILES=str(manifest),
    )
    assert ended.returncode == 1
    started = f"turnup: the server did not start: {manifest}: operation Wrong is refused: Cannot query field"
    assert ended.stderr.splitlines()[-1].startswith(started)
