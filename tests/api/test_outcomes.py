"""After a failure outside, a writer is told what became of the write: nothing, done, or nobody knows."""

import asyncio
from typing import Any

import asyncpg
import pytest

from app.db import database as database_module
from app.db import writing
from app.db.database import Database, SuspendedUser
from app.db.failures import DatabaseUnavailable
from app.db.loaders import OneLoader
from app.db.request_transactions import RequestTransactions
from app.domain.credential import CredentialKind
from app.domain.vocabulary import Role
from app.settings import Settings
from resolvers.budgets import Budgets
from resolvers.context import Context
from tests.harness import LEAD, Answer, Client, TestDatabase

from .serving import serving

pytestmark = pytest.mark.usefixtures("replayed")

START = 'mutation { startOnboarding(input: {locationId: "location-12"}) { location { status } problems { code } } }'
STATUS = '{ location(id: "location-12") { status } }'


def outcomes(answer: Answer) -> list[tuple[str, str | None]]:
    return [(each["extensions"]["code"], each["extensions"].get("outcome")) for each in answer.body["errors"]]


async def status_of(client: Client) -> str:
    return str((await client.ask(STATUS, LEAD)).data["location"]["status"])


async def test_a_database_lost_before_the_commit_leaves_nothing(
    own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_arguments: object) -> None:
        raise DatabaseUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(writing, "write", lost)
        answer = await own_client.ask(START, LEAD)
    assert outcomes(answer) == [("UNAVAILABLE", "NONE")]
    assert await status_of(own_client) == "NOT_STARTED"


@pytest.mark.parametrize(
    "what_is_heard", [ConnectionResetError, asyncpg.InternalClientError, asyncpg.AdminShutdownError]
)
async def test_a_connection_lost_in_the_commit_leaves_it_unknown(
    own_client: Client, monkeypatch: pytest.MonkeyPatch, what_is_heard: type[Exception]
) -> None:
    write, execute = writing.write, asyncpg.Connection.execute
    written: list[bool] = []

    async def write_noted(*arguments: Any) -> None:
        await write(*arguments)
        written.append(True)

    async def execute_and_lose(connection: asyncpg.Connection, query: str, *arguments: object, **more: Any) -> str:
        done = await execute(connection, query, *arguments, **more)
        if query == "COMMIT" and written:
            raise what_is_heard
        return done

    with monkeypatch.context() as broken:
        broken.setattr(writing, "write", write_noted)
        broken.setattr(asyncpg.Connection, "execute", execute_and_lose)
        answer = await own_client.ask(START, LEAD)
    assert outcomes(answer) == [("UNAVAILABLE", "UNKNOWN")]
    assert await status_of(own_client) == "IN_PROGRESS"


async def test_an_answer_that_cannot_be_read_after_the_commit_says_that_it_was_done(
    own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(_self: Context) -> None:
        raise DatabaseUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(Context, "renew_reading", lost)
        answer = await own_client.ask(START, LEAD)
    assert outcomes(answer) == [("UNAVAILABLE", "APPLIED")]
    assert await status_of(own_client) == "IN_PROGRESS"


async def test_a_mutation_that_is_lost_before_its_user_is_signed_in_leaves_nothing(
    own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_arguments: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(Database, "_sign_in", lost)
    answer = await own_client.ask(START, LEAD)
    assert (answer.status, outcomes(answer)) == (503, [("UNAVAILABLE", "NONE")])
    assert int(answer.headers["retry-after"]) > 0


async def test_a_query_has_no_outcome(own_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_arguments: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(RequestTransactions, "read", lost)
    assert outcomes(await own_client.ask(STATUS, LEAD)) == [("UNAVAILABLE", None)]


async def a_bug(*_arguments: object, **_named: object) -> None:
    raise RuntimeError


async def test_a_bug_before_the_commit_leaves_nothing(own_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(writing, "write", a_bug)
        answer = await own_client.ask(START, LEAD)
    assert outcomes(answer) == [("INTERNAL", "NONE")]
    assert await status_of(own_client) == "NOT_STARTED"


async def test_a_bug_in_what_is_read_after_the_commit_says_that_it_was_done(
    own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Context, "renew_reading", a_bug)
        answer = await own_client.ask(START, LEAD)
    assert outcomes(answer) == [("INTERNAL", "APPLIED")]
    assert await status_of(own_client) == "IN_PROGRESS"


async def test_a_writer_who_may_not_read_any_more_after_the_commit_is_told_that_it_was_done(
    own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def suspended(_self: Context) -> None:
        raise SuspendedUser("user-lead", Role.IMPLEMENTATION_LEAD, CredentialKind.ACCESS_TOKEN)

    with monkeypatch.context() as broken:
        broken.setattr(Context, "renew_reading", suspended)
        answer = await own_client.ask(START, LEAD)
    assert outcomes(answer) == [("UNAVAILABLE", "APPLIED")]
    assert await status_of(own_client) == "IN_PROGRESS"


REHEARSAL = """
mutation { bulkUpdateStatus(input: {locationIds: ["location-12"], status: CANCELLED, reason: "Closed",
  idempotencyKey: "rehearsal", dryRun: true}) { results { outcome location { name } } } }
"""


async def test_a_dry_run_whose_answer_cannot_be_read_says_that_nothing_was_written(
    own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name in ((Context, "renew_reading"), (OneLoader, "each")):
        with monkeypatch.context() as broken:
            broken.setattr(owner, name, a_bug)
            answer = await own_client.ask(REHEARSAL, LEAD)
        assert outcomes(answer) == [("INTERNAL", "NONE")]


async def test_a_request_whose_time_is_over_may_have_written_only_if_its_commit_was_sent(
    settings: Settings, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def over(*_arguments: object, **_named: object) -> None:
        await asyncio.sleep(60)

    async with serving(settings, database, limit_deadline_seconds=2) as client:
        for owner, name, outcome in (
            (Budgets, "spend", "NONE"),
            (writing, "write", "NONE"),
            (database_module, "commit", "UNKNOWN"),
        ):
            with monkeypatch.context() as broken:
                broken.setattr(owner, name, over)
                answer = await client.ask(START, LEAD)
            assert outcomes(answer) == [("TIMEOUT", outcome)]
        assert await status_of(client) == "NOT_STARTED"
