"""Leads who administer at the same moment wait for each other and never meet in a deadlock."""

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.harness import LEAD, LEAD_2, Client

RENAME = """
mutation ($id: ID!, $revision: Int!, $name: String!, $key: String!) {
  editUser(input: {userId: $id, expectedRevision: $revision, name: $name, idempotencyKey: $key}) {
    problems { code ... on Conflict { currentRevision } }
  }
}
"""
ROUNDS = 30


@pytest.mark.usefixtures("replayed")
async def test_two_leads_who_rename_each_other_at_once_meet_in_no_deadlock(own_client: Client) -> None:
    async def rename(who: str, whom: str) -> None:
        revision = 1
        for number in range(ROUNDS):
            given: dict[str, Any] = {
                "id": whom,
                "revision": revision,
                "name": f"Lead {number}",
                "key": f"{whom}-{number}",
            }
            answer = await own_client.ask(RENAME, who, **given)
            assert (answer.codes, answer.data["editUser"]["problems"]) == ([], [])
            revision += 1

    await asyncio.gather(rename(LEAD, "user-lead-2"), rename(LEAD_2, "user-lead"))
    owner = await asyncpg.connect(own_client.database.owner_url)
    await asyncio.sleep(1.5)  # until the connections have told what they counted
    deadlocks = await owner.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    await owner.close()
    assert deadlocks == 0
