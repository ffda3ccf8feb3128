"""Turnup keeps its promises on PostgreSQL 15, the oldest that it supports, set up as a database administrator would."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgres15")]

CHECKOUT = Path(__file__).parents[2]
# test_embedded.py is about the PostgreSQL that Turnup brings along, and starts that one.
PARTS = ["tests/db", "tests/api", "--ignore=tests/db/test_embedded.py"]


def on_postgres15(*command: str) -> str:
    """What a command prints that finds a PostgreSQL 15 in its environment."""
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "deploy" / "postgres15.py"), *command],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_server_of_this_lane_is_a_postgresql_15() -> None:
    ask = (
        "import asyncio, asyncpg, os\n"
        "async def main():\n"
        "    connection = await asyncpg.connect(os.environ['TURNUP_TEST_APP_URL'])\n"
        "    print('version', connection.get_server_version().major)\n"
        "asyncio.run(main())"
    )
    assert on_postgres15(sys.executable, "-c", ask).splitlines()[-1] == "version 15"


def test_the_database_and_the_api_pass_their_tests_on_postgresql_15() -> None:
    printed = on_postgres15(sys.executable, "-m", "pytest", "-n", "0", "-m", "not slow", "-rs", *PARTS)
    passed = re.search(r"(\d+) passed", printed)
    assert passed is not None, printed
    assert int(passed[1]) > 0
