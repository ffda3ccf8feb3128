"""The rules are tried without database, server or network, in under two seconds of one processor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-m", "pytest", "tests/domain", "-n", "0", "--noconftest", "-p", "processor_time"]
MOST_SECONDS = 2.0


@pytest.mark.slow
def test_the_tests_of_the_domain_take_less_than_two_seconds() -> None:
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    ran = subprocess.run(
        COMMAND, cwd=HERE.parent.parent, env=environment, stdout=subprocess.PIPE, text=True, timeout=120, check=True
    )
    assert 0 < float(ran.stdout.splitlines()[-1]) < MOST_SECONDS
