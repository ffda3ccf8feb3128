"""Every link of the README, of the other pages at the top, and of docs/ leads to a file, and to a heading of it."""

import re
from functools import cache

import pytest

from .pages import ROOT, page

PAGES = sorted(
    str(found.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "docs/*/*.md", "docs/examples/*/*.md")
    for found in ROOT.glob(pattern)
)
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(\s*([^)#:\s]*)(?:#([^)\s]*))?\)")


@cache
def anchors(path: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def leads_nowhere(path: str, target: str, anchor: str) -> bool:
    found = ((ROOT / path).parent / target).resolve() if target else ROOT / path
    if not found.exists():
        return True
    return bool(anchor) and anchor not in anchors(str(found.relative_to(ROOT)))


def test_the_pages_have_links() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/clients.md", "docs/clients/urql.md"} <= set(PAGES)
    assert sum(len(_LINK.findall(_CODE.sub("", page(path)))) for path in PAGES) > 200


@pytest.mark.parametrize("path", PAGES)
def test_every_link_leads_to_a_file_and_its_heading(path: str) -> None:
    links = _LINK.findall(_CODE.sub("", page(path)))
    assert [f"{target}#{anchor}" for target, anchor in links if leads_nowhere(path, target, anchor)] == []
