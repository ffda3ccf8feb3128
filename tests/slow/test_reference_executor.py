"""The API suite under graphql-core's own executor: what clients see does not depend on which executor answers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lanes import without_this_run

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "pytest", "tests/api", "-n", "0", "-m", "not slow", "-p", "no:cacheprovider"]

# References go in circles through a run of graphql-core, through one of ours they do not. Only the breadth-first
# executor counts objects while it reads, so that it can stop after a write, and the changes of all payloads of a level
# together; and only it notes a refused field before the operation has a result.
BREADTH_FIRST_ONLY = (
    "tests/api/test_incidents.py::test_a_refused_field_counts_when_the_client_leaves_before_the_answer",
    "tests/api/test_incidents.py::test_a_refused_field_counts_when_the_request_exceeds_the_deadline",
    "tests/api/test_payload_changes.py::test_more_changes_than_any_operation_returns_end_the_operation",
    "tests/api/test_price_holds.py::test_a_mutation_whose_result_is_too_large_has_been_applied",
    "tests/api/test_statements.py::test_an_answer_leaves_nothing_that_only_the_garbage_collector_could_free",
)


@pytest.mark.slow
def test_the_api_suite_passes_under_the_reference_executor() -> None:
    ran = subprocess.run(
        [*COMMAND, *(f"--deselect={each}" for each in BREADTH_FIRST_ONLY)],
        cwd=ROOT,
        env={**without_this_run(), "TURNUP_EXECUTOR": "reference"},
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-5_000:] + ran.stderr[-2_000:]
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed is not None, ran.stdout[-2_000:]
    assert int(passed[1]) > 500, passed[0]
