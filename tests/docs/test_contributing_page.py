"""The commands, options and files that CONTRIBUTING.md names exist."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from app.cli import parser

from .pages import ROOT, page

PAGE = page("CONTRIBUTING.md")
MAKEFILE = page("Makefile")
BIN = Path(sys.executable).parent

# Files of the examples, which a reader creates.
CREATED = {"app/operations/rename_person.py", "docs/released/VERSION.graphql"}
# What the variable ARGS of a target is for: the command whose options it takes.
ARGS = {"test-shuffled": "pytest", "lock": "uv", "release": "release"}
HELP = {"pytest": ["pytest", "--help"], "uv": ["uv", "pip", "compile", "--help"]}

_BLOCK = re.compile(r"^ *```(?:sh|sql)?\n(.*?)^ *```$", re.M | re.S)
_SPAN = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"(?<![\w./-])(?:app|bench|deploy|docs|graphql_schema|permissions|resolvers|tests|web)/[\w./-]*\w")


def code() -> list[str]:
    """The lines of the code blocks, and the spans of code in the text."""
    blocks = [line.strip() for block in _BLOCK.findall(PAGE) for line in block.splitlines()]
    return [each for each in (*blocks, *_SPAN.findall(_BLOCK.sub("", PAGE))) if each]


def commands() -> Iterator[list[str]]:
    """The commands, without the variables of the environment that precede them."""
    for line in code():
        each = re.sub(r"^\(cd \S+ && (.*)\)$", r"\1", line)
        if re.match(r"(?:\w+=\S+ )*(?:\S*/)?(?:make|pytest|turnup|uv) ", each):
            words = shlex.split(each)
            while "=" in words[0]:
                del words[0]
            yield words


COMMANDS = list(commands())


@cache
def help_of(program: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TURNUP_"))}
    name, *arguments = HELP[program]
    command = [str(BIN / name), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def check_options(program: str, words: Sequence[str]) -> None:
    """Fail unless the program has each option among the words."""
    for word in words:
        if program == "release":
            assert f'"{word}"' in page("deploy/release.py")
        elif word.startswith("-"):
            assert re.search(rf"(?<![\w-]){re.escape(word.partition('=')[0])}(?![\w-])", help_of(program)), word


def exit_code(words: Sequence[str]) -> object:
    """The code with which the command line ends instead of parsing the words; None if it parses them."""
    try:
        parser().parse_args(words)
    except SystemExit as ended:
        return ended.code
    return None


def test_the_page_names_commands_of_each_kind() -> None:
    assert {Path(words[0]).name for words in COMMANDS} == {"make", "pytest", "turnup"}
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] == "make"], ids=" ".join)
def test_make_has_the_target_and_takes_the_variables(words: list[str]) -> None:
    given = [word for word in words[1:] if word not in {"-C", "../before"}]
    (target,) = [word for word in given if "=" not in word]
    assert re.search(rf"^{re.escape(target.replace('.venv', '$(VENV)'))}:", MAKEFILE, re.M)
    for variable in (word.partition("=") for word in given if "=" in word):
        assert f"$({variable[0]})" in MAKEFILE
        if variable[0] == "ARGS":
            check_options(ARGS[target], shlex.split(variable[2]))


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0].endswith("pytest")], ids=" ".join)
def test_pytest_has_the_options(words: list[str]) -> None:
    check_options("pytest", words[1:])


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0].endswith("turnup")], ids=" ".join)
def test_turnup_has_the_command_with_its_options(words: list[str]) -> None:
    assert exit_code(words[1:]) in {None, 0}


@pytest.mark.parametrize("path", sorted({path for each in code() for path in _PATH.findall(each)} - CREATED))
def test_the_file_exists(path: str) -> None:
    assert (ROOT / path).exists()
