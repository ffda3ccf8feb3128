"""A slow run decides as tests/lanes.py says: runs of pytest with the plugin, and a lane of their own."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import lanes
from tests.lanes import without_this_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
CONFTEST = """
from tests import lanes
lanes.LANES = {"one": lanes.Lane(("test_one.py",), 1)}
lanes.RUN_SECONDS = %(most)s
pytest_plugins = ["tests.lanes"]
"""
INI = "[pytest]\naddopts = -q -rs\nmarkers = slow\n"


class Run:
    """Runs of pytest, with the plugin, of a module that the test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self, module: str, *options: str, most: float = 60.0, workers: int = 0, **variables: str
    ) -> tuple[int, str]:
        """The exit status, and what was printed."""
        (self.folder / "conftest.py").write_text(CONFTEST % {"most": most})
        (self.folder / "pytest.ini").write_text(INI)
        (self.folder / "test_one.py").write_text(f"import random, pathlib, pytest\n{module}")
        inherited = {name: value for name, value in without_this_run().items() if name != "CI"}
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-n", str(workers), "-p", "no:cacheprovider", *options],
            cwd=self.folder,
            env={**inherited, "PYTHONPATH": str(ROOT), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ran.returncode, ran.stdout


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


FAILS_ONCE = """
@pytest.mark.slow
def test_fails_once():
    drawn, before = random.random(), pathlib.Path("before")
    if not before.exists():
        before.write_text(str(drawn))
        assert False, "the first time"
    assert before.read_text() == str(drawn), "another seed"
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_a_slow_test_that_passes_alone_is_flaky_and_its_first_failure_is_printed_with_the_seed(
    run: Run, workers: int
) -> None:
    status, printed = run(FAILS_ONCE, "--randomly-seed=7", workers=workers)
    assert status == 0, printed
    assert "FLAKY: test_one.py::test_fails_once" in printed
    assert "seed 7" in printed
    assert "AssertionError: the first time" in printed
    assert "1 flaky" in printed.splitlines()[-1]


def test_a_slow_test_of_a_group_runs_again_too(run: Run) -> None:
    grouped = FAILS_ONCE.replace("@pytest.mark.slow", "@pytest.mark.slow\n@pytest.mark.xdist_group('a')")
    status, printed = run(grouped, "--dist", "loadgroup", workers=1)
    assert status == 0, printed
    assert "1 flaky" in printed.splitlines()[-1]


IN_A_GROUP = """
@pytest.mark.xdist_group("a")
@pytest.mark.parametrize("n", range(12))
def test_of_a_group(n, worker_id): pathlib.Path(worker_id).touch()
"""


def test_the_tests_of_a_group_run_in_one_process(run: Run, tmp_path: Path) -> None:
    status, printed = run(IN_A_GROUP, "--dist", "loadgroup", workers=2)
    assert status == 0, printed
    assert len(list(tmp_path.glob("gw*"))) == 1


def test_a_slow_test_that_fails_again_decides(run: Run) -> None:
    status, printed = run("@pytest.mark.slow\ndef test_fails(): assert random.random() == 2")
    assert (status, "FLAKY" in printed, "1 failed" in printed) == (1, False, True)


def test_a_flaky_test_does_not_hide_another_failure(run: Run) -> None:
    status, printed = run(FAILS_ONCE + "\ndef test_quick(): assert False")
    assert (status, "FLAKY: test_one.py::test_fails_once" in printed) == (1, True)
    assert "1 failed" in printed.splitlines()[-1]


FAILS_AFTERWARDS = """
@pytest.fixture
def once():
    yield
    if not pathlib.Path("before").exists():
        pathlib.Path("before").touch()
        raise RuntimeError("left behind")

@pytest.mark.slow
def test_passes(once): pass
"""


def test_a_slow_test_whose_fixture_fails_runs_again_too(run: Run) -> None:
    status, printed = run(FAILS_AFTERWARDS)
    assert status == 0, printed
    assert "RuntimeError: left behind" in printed


def test_a_fast_test_that_fails_decides_at_once(run: Run) -> None:
    status, printed = run(FAILS_ONCE.replace("@pytest.mark.slow", ""))
    assert (status, "FLAKY" in printed) == (1, False)


def test_more_failures_than_chance_makes_decide_at_once(run: Run) -> None:
    each = f"@pytest.mark.parametrize('n', range({lanes.MOST_SECOND_RUNS + 1}))\n@pytest.mark.slow"
    many = FAILS_ONCE.replace("@pytest.mark.slow", each).replace("fails_once()", "fails_once(n)")
    status, printed = run(many.replace('"before"', "f'before{n}'"))
    assert (status, "FLAKY" in printed) == (1, False)
    assert f"{lanes.MOST_SECOND_RUNS + 1} failed" in printed.splitlines()[-1]


SLEEPS = """
import time
@pytest.mark.slow
def test_sleeps(): time.sleep(0.2)
"""


def test_each_lane_is_printed_with_its_time_beside_its_share(run: Run) -> None:
    _, printed = run(SLEEPS.replace("0.2", "2"))
    assert re.search(r"^one +1 +1 +[2-9]  over its share$", printed, re.MULTILINE), printed


@pytest.mark.parametrize(("variables", "status"), [({"CI": "true"}, 1), ({}, 0)])
def test_a_run_that_takes_longer_than_it_may_fails_where_ci_is_set(
    run: Run, variables: dict[str, Any], status: int
) -> None:
    ended, printed = run(SLEEPS, most=0.1, **variables)
    assert ended == status
    assert "The run took longer than 0.1 seconds" in printed


NEEDS = """
from tests.needs import unavailable
def test_needs_what_is_not_here(): unavailable("a browser", "nobody installed one")
"""


@pytest.mark.parametrize(("variables", "status", "outcome"), [({"CI": "true"}, 1, "failed"), ({}, 0, "skipped")])
def test_a_program_that_cannot_be_installed_fails_where_ci_is_set_and_is_skipped_aloud_elsewhere(
    run: Run, variables: dict[str, Any], status: int, outcome: str
) -> None:
    ended, printed = run(NEEDS, **variables)
    assert ended == status
    assert "NOT RUN: needs a browser: nobody installed one" in printed
    assert f"1 {outcome}" in printed.splitlines()[-1]


ORDER = "\n".join(f"def test_{n}(): pass" for n in range(9))


def test_shuffled_tests_come_in_an_order_that_the_printed_seed_repeats(run: Run) -> None:
    def order(*options: str) -> list[str]:
        printed = run(ORDER, "-vv", "--randomly-seed=1", *options)[1]
        assert ("--randomly-seed=1" in printed.splitlines()[-2]) == ("--shuffle" in options), printed
        return re.findall(r"test_one.py::(test_\w)", printed)

    in_order = [f"test_{n}" for n in range(9)]
    assert order() == in_order
    shuffled = order("--shuffle")
    assert (shuffled == in_order, sorted(shuffled)) == (False, in_order)
    assert order("--shuffle") == shuffled


DRAWS = """
from hypothesis import given, strategies as st
def test_draws(): print("drawn", random.random())
@given(st.integers())
def test_examples(n): print("drawn", n)
"""


def test_one_seed_decides_all_that_tests_draw(run: Run) -> None:
    def drawn(seed: int) -> list[str]:
        return re.findall("drawn .*", run(DRAWS, "-s", f"--randomly-seed={seed}")[1])

    first = drawn(1)
    assert len(first) > 50
    assert drawn(1) == first != drawn(2)


def test_a_test_that_asks_for_the_database_fails_where_the_run_has_none() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "--no-database", "tests/db/test_sign_in.py"],
        cwd=ROOT,
        env=without_this_run(),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "This test needs the database, and --no-database starts none." in ran.stdout
