"""What the pages under docs/ and the README hold: commands with the answers printed below them, and tables."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

# A shell block, and the answer that stands right below it, if one does.
_SHELL = re.compile(r"^```sh\n(?P<command>.*?)^```\n(?:\n```(?:json|text)\n(?P<answer>.*?)^```\n)?", re.M | re.S)
# What differs from run to run: ids that were made, service tokens (the pages leave out most of them), digests, times.
_VARYING = re.compile(
    r"\b[a-z]+_[0-9A-Z]{26}\b|\bturnup_(?:\.\.\.|[0-9a-z]{8}_[\w-]{49})|\b[0-9a-f]{64}\b"
    r"|\b\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|\+00:00)"
)


def page(path: str) -> str:
    """A page's text, by its path from the top of the checkout."""
    return (ROOT / path).read_text(encoding="utf-8")


def client_pages() -> str:
    """The text of the page for clients, followed by the pages of the single libraries."""
    libraries = sorted((ROOT / "docs/clients").glob("*.md"))
    return "\n".join([page("docs/clients.md"), *(each.read_text(encoding="utf-8") for each in libraries)])


def shell_blocks(text: str) -> list[tuple[str, str | None]]:
    """Every shell block with the answer printed below it, or None."""
    return [(found["command"], found["answer"]) for found in _SHELL.finditer(text)]


def varying(text: str) -> list[str]:
    """What of a text differs from run to run, in order of appearance."""
    return _VARYING.findall(text)


def comparable(text: str) -> str:
    """A text with ids, digests and times as numbers, counted in order of appearance: the same one, the same number."""
    seen: dict[str, str] = {}
    return _VARYING.sub(lambda found: seen.setdefault(found[0], f"#{len(seen) + 1}"), text)


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head; backticks are taken off."""
    lines = text.partition(f"\n## {heading}\n")[2].splitlines()
    rows = list(_first_table(lines))
    assert rows, f"no table under {heading}"
    return rows[2:]


def _first_table(lines: list[str]) -> Iterator[list[str]]:
    begun = False
    for line in lines:
        if line.startswith("|"):
            begun = True
            yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        elif begun:
            return
