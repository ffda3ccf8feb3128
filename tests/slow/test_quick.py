"""What is tried without database, server or network stays quick enough to be run at every change."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import slowness
from tests.lanes import without_this_run

ROOT = Path(__file__).parent.parent.parent
PLUGINS = ["-p", "tests.slow.processor_time", "-p", "tests.hypothesis_profile"]
DOMAIN = [sys.executable, "-m", "pytest", "tests/domain", "-n", "0", "--noconftest", *PLUGINS]
TRIES = 3
"""How often they are timed at most: whatever else the machine does makes them slower and never faster."""

pytestmark = pytest.mark.slow


def at_best(seconds: Callable[[], float], most: float) -> list[float]:
    """Measured until it is less than `most`, a few times at most."""
    taken: list[float] = []
    while len(taken) < TRIES and min(taken, default=most) >= most:
        taken.append(seconds())
    return taken


def test_the_tests_of_the_domain_take_less_than_two_seconds() -> None:
    taken = at_best(domain_seconds, 2)
    assert 0 < min(taken) < 2, taken


def test_make_test_fast_takes_less_than_a_minute_of_one_processor() -> None:
    taken = at_best(fast_seconds, 60)
    assert 0 < min(taken) < 60, taken


def domain_seconds() -> float:
    """What the tests of the domain take by themselves, on a processor that is not slow."""
    ran = subprocess.run(
        DOMAIN, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True, check=True
    )
    return float(ran.stdout.splitlines()[-1]) / slowness()


def fast_seconds() -> float:
    """What `make test-fast` takes with all its processes, on a processor that is not slow."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(
        ["make", "test-fast"],
        cwd=ROOT,
        env=without_this_run(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran.returncode == 0, ran.stdout[-5_000:]
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / slowness()
