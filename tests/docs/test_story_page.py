"""The commands of the pages that tell a story, and of the README's first query, run against a server of their own."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pages import ROOT, comparable, page, shell_blocks

from app.db import embedded

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl"),
    pytest.mark.xdist_group("story-page"),
]


@dataclass(frozen=True)
class Served:
    """A server with fresh demo data."""

    port: int
    environment: dict[str, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`turnup serve` on its own home and port, until the module's tests have run."""
    home = tmp_path_factory.mktemp("story") / "home"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "TURNUP_HOME", "PORT"}}
    environment = {**ours, "TURNUP_HOME": str(home), "PORT": str(port), "TURNUP_GRAPHIQL": "false"}
    command = [sys.executable, "-m", "app.cli", "serve"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait_until_ready(server, port)
        yield Served(port, environment)
    finally:
        server.terminate()
        server.wait(30)
        _erase(home)


def test_the_readmes_first_query_answers_as_printed(served: Served) -> None:
    first = next(block for block in shell_blocks(page("README.md")) if "curl" in block[0])
    (printed,) = _answers(served, [first])
    assert printed == first[1]


@pytest.mark.parametrize("path", ["docs/story.md", "docs/break-glass.md"])
def test_a_story_answers_as_printed(served: Served, path: str) -> None:
    blocks = shell_blocks(page(path))
    printed = _answers(served, blocks)
    expected = [answer or "" for _, answer in blocks]
    assert len(printed) == len(expected)
    assert comparable("\0".join(printed)) == comparable("\0".join(expected))


def _answers(served: Served, blocks: list[tuple[str, str | None]]) -> list[str]:
    """What each block prints, when all run in one shell at the top of the checkout."""
    separator = "printf '\\0'\n"
    script = "set -eu\n" + "".join(command.replace(":8000", f":{served.port}") + separator for command, _ in blocks)
    done = subprocess.run(
        ["/bin/sh"], input=script, text=True, cwd=ROOT, env=served.environment, stdout=subprocess.PIPE, check=True
    )
    return done.stdout.split("\0")[:-1]


def _erase(home: Path) -> None:
    """Delete the cluster once the keeper, which outlives the server by a moment, has stopped it."""
    for _ in range(100):
        try:
            return embedded.erase(home)
        except embedded.EmbeddedPostgresError:
            time.sleep(0.1)
    return embedded.erase(home)


def _wait_until_ready(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("the server did not become ready")
