"""Tests pass in any order, in any company and on any number of workers: some of them, drawn by the run's seed."""

import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.lanes import without_this_run

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "pytest", "--shuffle", "-p", "no:cacheprovider"]
PART = 6
"""One module in so many takes part in a run."""


@pytest.mark.slow
def test_some_modules_pass_shuffled_on_another_number_of_workers(pytestconfig: pytest.Config) -> None:
    seed = pytestconfig.option.randomly_seed
    random = Random(seed)
    modules = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("tests/**/test_*.py"))]
    chosen = random.sample(modules, k=len(modules) // PART)
    workers = random.choice([0, 1, 3, 4])
    command = [*COMMAND, "-n", str(workers), f"--randomly-seed={seed}", *chosen]
    ran = subprocess.run(command, cwd=ROOT, env=without_this_run(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout[-10_000:]}{ran.stderr[-2_000:]}"
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed is not None, ran.stdout[-2_000:]
