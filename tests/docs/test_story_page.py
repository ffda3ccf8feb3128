"""The commands of the pages that tell a story, and of the README's first query, run against a server of their own."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.contract.served import Served, environment, served

from .pages import ROOT, comparable, page, shell_blocks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("story-page"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """A server with fresh demo data, until the module's tests have run."""
    with served(TURNUP_GRAPHIQL="false") as running:
        yield running


def test_the_readmes_first_query_answers_as_printed(server: Served) -> None:
    first = next(block for block in shell_blocks(page("README.md")) if "curl" in block[0])
    (printed,) = _answers(server, [first])
    assert printed == first[1]


@pytest.mark.parametrize("path", ["docs/story.md", "docs/break-glass.md"])
def test_a_story_answers_as_printed(server: Served, path: str) -> None:
    blocks = shell_blocks(page(path))
    printed = _answers(server, blocks)
    expected = [answer or "" for _, answer in blocks]
    assert len(printed) == len(expected)
    assert comparable("\0".join(printed)) == comparable("\0".join(expected))


def _answers(server: Served, blocks: list[tuple[str, str | None]]) -> list[str]:
    """What each block prints, when all run in one shell at the top of the checkout."""
    separator = "printf '\\0'\n"
    script = "set -eu\n" + "".join(
        command.replace("http://127.0.0.1:8000", server.origin) + separator for command, _ in blocks
    )
    done = subprocess.run(
        ["/bin/sh"], input=script, text=True, cwd=ROOT, env=environment(server.home), stdout=subprocess.PIPE, check=True
    )
    return done.stdout.split("\0")[:-1]
