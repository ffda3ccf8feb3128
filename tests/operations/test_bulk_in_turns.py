"""A bulk call shares its process: between two locations everybody else has a turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from app.db.bulkheads import Share
from app.db.database import Database
from app.domain.vocabulary import LocationStatus
from app.observing import Observer, unobserved
from app.operations.aggregate import Aggregate
from app.operations.bulk import perform_bulk
from app.operations.bulk_mutations import BULK_UPDATE_STATUS, BulkItem, BulkUpdateStatus
from app.operations.context import LocationChange, MutationCall, WriteContext
from tests.harness import TestDatabase, by_token

from .scenario import Scenario

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus


class Bystander:
    """Another task of the process, which counts its turns."""

    turns = 0

    async def take_turns(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


@asynccontextmanager
async def a_write_context(
    database: TestDatabase, subject: str, observe: Observer = unobserved
) -> AsyncIterator[WriteContext]:
    """Where this user's writes are made, for calls that do not come over HTTP."""
    opened = await Database.open(database.app_url, size=1, observe=observe)
    try:
        yield WriteContext(
            database=opened,
            user_id=subject,
            request_id="at-a-desk",
            transaction=partial(opened.writing, by_token(subject), timeout_ms=10_000),
            locations=Share(opened.locations),
            self_approval_allowed=False,
            sign_in_url=None,
            performed=lambda *_: None,
            emit=lambda *_: None,
        )
    finally:
        await opened.close()


async def test_another_task_has_a_turn_between_the_decisions_of_any_two_items(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    locations = [await scenario.a_location(S.IN_PROGRESS) for _ in range(5)]
    bystander, seen = Bystander(), list[int]()

    def there_already(_aggregate: Aggregate, _command: BulkUpdateStatus, _item: BulkItem) -> LocationChange:
        seen.append(bystander.turns)
        return LocationChange()

    mutation = replace(BULK_UPDATE_STATUS, decide=there_already)
    ids = tuple(each.id for each in locations)
    command = BulkUpdateStatus(location_ids=ids, status=S.BLOCKED, dry_run=True)
    beside = asyncio.create_task(bystander.take_turns())
    async with a_write_context(own_database, scenario.lead) as context:
        await perform_bulk(context, mutation, MutationCall(mutation=mutation.name, command=command))
    beside.cancel()
    assert len(seen) == len(locations)
    assert all(before < after for before, after in pairwise(seen)), seen
