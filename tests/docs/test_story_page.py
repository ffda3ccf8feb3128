"""The commands of the pages that are transcripts, and of the README's first query, run against their own server."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.contract.served import Served, environment, served

from .pages import ROOT, comparable, page, shell_blocks

ORIGIN = "http://127.0.0.1:${PORT:-8000}"
# Every page whose commands talk to a server.
PAGES = sorted(
    path
    for path in (str(found.relative_to(ROOT)) for found in (ROOT / "docs").glob("*.md"))
    if any(f"API={ORIGIN}/graphql" in command for command, _ in shell_blocks(page(path)))
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("story-page"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """A server with demo data, until the module's tests have run."""
    with served(TURNUP_GRAPHIQL="false") as running:
        yield running


def test_the_transcripts_are_found() -> None:
    assert {"docs/story.md", "docs/break-glass.md", "docs/hand-off.md"} <= set(PAGES)


def test_the_readmes_first_query_answers_as_printed(server: Served) -> None:
    first = next(block for block in shell_blocks(page("README.md")) if "curl" in block[0])
    (printed,) = _answers(server, [first])
    assert printed == first[1]


@pytest.mark.parametrize("path", PAGES)
def test_a_transcript_answers_as_printed(server: Served, path: str) -> None:
    server.reset()
    blocks = shell_blocks(page(path))
    printed = _answers(server, blocks)
    expected = [answer or "" for _, answer in blocks]
    assert len(printed) == len(expected)
    assert comparable("\0".join(printed)) == comparable("\0".join(expected))


def _answers(server: Served, blocks: list[tuple[str, str | None]]) -> list[str]:
    """What each block prints, when all run in one shell at the top of the checkout."""
    separator = "printf '\\0'\n"
    script = "set -eu\n" + "".join(command + separator for command, _ in blocks)
    port = server.origin.rpartition(":")[2]
    done = subprocess.run(
        ["/bin/sh"],
        input=script,
        text=True,
        cwd=ROOT,
        env=environment(server.home, PORT=port),
        stdout=subprocess.PIPE,
        check=True,
    )
    return done.stdout.split("\0")[:-1]
