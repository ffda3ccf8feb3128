"""A server whose database lacks migrations: what sign-in needs is missing."""

from pathlib import Path

import pytest

from tests.harness import LEAD, own_database, served
from tests.operations.scenario import as_definer

LACKING = {
    "the function of sign-in is missing": "DROP FUNCTION turnup.sign_in(text, text, text, bytea, integer)",
    "a column that sign-in reads is missing": 'RESET ROLE; ALTER TABLE turnup."user" RENAME COLUMN status TO state',
    "nothing says which code may write": "RESET ROLE; ALTER TABLE turnup.schema_state RENAME TO schema_state_before",
}
READING = "{ viewer { name } }"
WRITING = 'mutation { startOnboarding(input: {locationId: "location-2"}) { problems { code } } }'


@pytest.mark.parametrize("change", LACKING.values(), ids=LACKING)
async def test_requests_are_refused_as_unavailable_until_the_database_is_migrated(home: Path, change: str) -> None:
    async with own_database() as database, served(database, home) as client:
        assert (await client.ask(READING, LEAD)).data
        owner = await as_definer(database.owner_url)
        await owner.execute(change)
        await owner.close()
        written = await client.ask(WRITING, LEAD)
        assert written.codes == ["UNAVAILABLE"]
        assert written.body["errors"][0]["extensions"]["outcome"] == "NONE"
        assert "not migrated yet" in written.body["errors"][0]["message"]
