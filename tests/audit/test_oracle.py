"""Every race and every crash of writes ends in a replay: a module that begins one without that fails here."""

import re
from pathlib import Path

import pytest

from tests.harness import TestDatabase as Databases
from tests.oracle import audit_log_is_complete

from .trail import definer

TESTS = Path(__file__).parent.parent
RACE_OR_CRASH = re.compile(r"asyncio\.(gather|create_task|wait)\b|ensure_future|TaskGroup|SIGKILL|\.terminate\(")
ORACLE = re.compile(r'usefixtures\("replayed"\)|(audit_log_is_complete|database_is_consistent)\(')
WRITES_NOTHING = {
    "api/test_admission.py": "its parallel requests read",
    "api/test_answers.py": "it starts a server beside the test, whose requests read",
    "api/test_browser_sign_in.py": "its parallel sign-ins write rows that are not tracked",
    "api/test_budgets.py": "its parallel edits are refused for their input",
    "api/test_cases_of_graphql_over_http.py": "its parallel requests read",
    "api/test_error_reports.py": "its tasks fail before they write",
    "api/test_request_lines.py": "its parallel requests read",
    "faults/test_newer_database.py": "its writes are refused, and the later release's columns are in no replay",
    "api/test_statements.py": "its readers are many, and read",
    "api/test_trusted_documents.py": "its parallel requests read",
    "api/test_unexpected_exceptions.py": "its tasks fail before they write",
}


def racing() -> list[str]:
    modules = (path for room in ("api", "audit", "faults", "operations") for path in (TESTS / room).glob("test_*.py"))
    return sorted(
        str(path.relative_to(TESTS))
        for path in modules
        if path != Path(__file__) and RACE_OR_CRASH.search(path.read_text())
    )


@pytest.mark.parametrize("module", racing())
def test_what_races_or_crashes_ends_in_a_replay(module: str) -> None:
    assert bool(ORACLE.search((TESTS / module).read_text())) != (module in WRITES_NOTHING)


async def test_the_oracle_notices_one_value_that_the_trail_does_not_tell(copy: Databases) -> None:
    await audit_log_is_complete(copy)
    async with definer(copy.owner_url) as connection:
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await connection.execute("UPDATE turnup.device SET label = 'x' WHERE id = 'phone-1'")
    with pytest.raises(AssertionError):
        await audit_log_is_complete(copy)
