"""Every exemption from a check names the rule and gives a reason after " - "."""

import re
import tokenize
from collections.abc import Iterator
from io import StringIO

import pytest

from .sources import ROOT

FOLDERS = ("app", "bench", "deploy", "graphql_schema", "permissions", "resolvers", "tests")
EXEMPTION = re.compile(r"#\s*(?:(?:ruff|flake8):\s*)?noqa|#\s*type:\s*ignore")
NOQA = re.compile(r"# (?:ruff: )?noqa: [A-Z]+[0-9]+(?:, [A-Z]+[0-9]+)* - \S")
# mypy rejects a text directly behind the code, so its reason is in a comment behind it.
TYPE_IGNORE = re.compile(r"# type: ignore\[[a-z-]+(?:, [a-z-]+)*\] # - \S")
TYPE_IGNORE_IN_A_TEST = re.compile(r"# type: ignore\[[a-z-]+(?:, [a-z-]+)*\]")


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line number and the text of each comment."""
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def is_explained(comment: str, *, in_a_test: bool) -> bool:
    """Return whether a comment that exempts code from a check names the rule and gives a reason.

    A test that passes a wrong type on purpose needs no reason for `type: ignore`: the name of the test is the reason.
    """
    if re.search(r"type:\s*ignore", comment):
        return bool((TYPE_IGNORE_IN_A_TEST if in_a_test else TYPE_IGNORE).search(comment))
    return bool(NOQA.search(comment))


def test_every_exemption_names_its_rule_and_its_reason() -> None:
    unexplained = [
        f"{path.relative_to(ROOT)}:{line} {comment}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, comment in comments(path.read_text(encoding="utf-8"))
        if EXEMPTION.search(comment) and not is_explained(comment, in_a_test=folder == "tests")
    ]
    assert unexplained == []


@pytest.mark.parametrize(
    ("comment", "explained"),
    [
        ("# noqa: S101 - asked only in development", True),
        ("# ruff: noqa: ARG002 - the signatures are Strawberry's", True),
        ("# noqa: ASYNC240, PTH110 - a file in memory", True),
        ("# type: ignore[misc] # - no stubs", True),
        ("# noqa", False),
        ("# noqa: S101", False),
        ("# noqa: S101  asked only in development", False),
        ("# type: ignore", False),
        ("# type: ignore[misc]", False),
    ],
)
def test_an_exemption_without_a_rule_or_reason_is_found(comment: str, explained: bool) -> None:
    assert EXEMPTION.search(comment)
    assert is_explained(comment, in_a_test=False) == explained
