"""Setting up says what is missing, and a checkout that was moved gets an environment that works where it is now."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import unavailable

SCRIPT = Path(__file__).parents[2] / "deploy" / "environment.py"
MAKE = "import environment\nif not environment.made_here():\n    environment.create()\n    print('made')"


def older_pythons() -> Iterator[tuple[str, str]]:
    """The interpreters on this machine that are too old: name and version."""
    installed = (Path.home() / ".pyenv" / "versions").glob("3.*/bin/python3")
    named = (shutil.which(f"python3.{minor}") for minor in range(6, 11))
    for path in [*map(str, installed), *filter(None, named)]:
        asked = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        version = asked.stdout.strip().removeprefix("Python ")
        if asked.returncode == 0 and (3, 6) <= tuple(map(int, re.findall(r"\d+", version)[:2])) < (3, 11):
            yield path, version


def test_a_python_that_is_too_old_is_told_so_in_one_line() -> None:
    found = dict(older_pythons())
    if not found:
        unavailable("a Python from 3.6 to 3.10", "none is on this machine")
    for path, version in found.items():
        ended = subprocess.run([path, SCRIPT, "requirements.lock"], capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert ended.stderr.startswith(f"turnup needs Python 3.11 or newer; this is {version}.")
        assert ended.stderr.count("\n") == 1


def make_environment(checkout: Path) -> str:
    """Make the environment of a checkout if it needs one; returns what was said about it."""
    return subprocess.run(
        [sys.executable, "-c", MAKE], cwd=checkout / "deploy", capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of a checkout as an environment needs, with the environment made."""
    checkout = tmp_path / "here"
    (checkout / "deploy").mkdir(parents=True)
    (checkout / "app").mkdir()
    (checkout / "app" / "__init__.py").touch()
    (checkout / "app" / "cli.py").write_text("print(__file__)\n")
    shutil.copy(SCRIPT, checkout / "deploy")
    assert make_environment(checkout) == "made\n"
    return checkout


INSTALL = """
import subprocess, environment
environment.subprocess.run = lambda *_, **__: subprocess.CompletedProcess([], {status})
environment.install(["requirements.lock", "requirements-dev.lock"])
"""


@pytest.mark.parametrize("status", [0, 1])
def test_installing_prints_one_line_per_step(status: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INSTALL.format(status=status)],
        cwd=SCRIPT.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    first, second, last = ended.stderr.splitlines()
    assert first == "turnup: installing uv, which installs the packages"
    assert re.fullmatch(
        r"turnup: installing \d{3} packages from requirements.lock and requirements-dev.lock; .+", second
    )
    words = "could not be installed" if status else "installed in 0 s"
    assert (ended.returncode, words in last) == (status, True)


@pytest.mark.slow
def test_an_environment_that_was_made_here_is_kept(checkout: Path) -> None:
    assert make_environment(checkout) == ""


@pytest.mark.slow
def test_a_moved_checkout_gets_an_environment_that_runs_the_moved_code(checkout: Path) -> None:
    there = checkout.rename(checkout.with_name("there"))
    assert make_environment(there) == "made\n"
    turnup = subprocess.run([there / ".venv/bin/turnup"], cwd="/", capture_output=True, text=True, check=True)
    assert turnup.stdout == f"{there / 'app' / 'cli.py'}\n"


@pytest.mark.slow
def test_a_checkout_under_a_path_with_spaces_runs(checkout: Path) -> None:
    there = checkout.rename(checkout.with_name("a folder with spaces"))
    make_environment(there)
    turnup = subprocess.run([there / ".venv/bin/turnup"], cwd="/", capture_output=True, text=True, check=True)
    assert turnup.stdout == f"{there / 'app' / 'cli.py'}\n"
