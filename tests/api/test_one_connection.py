"""A mutation signs in once for a write and once for its answer, holds one connection, and leaves none behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
import pytest
from pydantic import SecretStr
from starlette.types import Message

from app.db import writing
from app.db.database import READING, WRITING
from app.db.failures import TransactionConflict
from app.limiting.stores import MemoryStore
from app.settings import Settings
from resolvers.budgets import Budgets
from tests.builders_db import committed
from tests.harness import CUSTOMER, LEAD, Answer, Client, until_waiting

from .serving import Wire, serving, statements_logged

WRITTEN, READ_BACK = [*WRITING, "COMMIT"], [*READING, "COMMIT"]
NOTHING_BEGUN = [*WRITING, "ROLLBACK"]

FORBIDDEN = 'createAccount(input: {name: "Fern Bakery"}) { account { id } problems { code } }'
IDLE = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
REHEARSAL = """bulkUpdateStatus(input: {locationIds: ["location-12"], status: CANCELLED, reason: "Closed",
  idempotencyKey: "rehearsal", dryRun: true}) { results { outcome location { name } } }"""


def step(to: str, *, name: str = "step", more: str = "") -> str:
    """A root field that writes one row and reads it back."""
    given = f'locationId: "location-3", step: {to}{more}'
    return (
        f"{name}: setCurrentStep(input: {{{given}}}) {{ location {{ session {{ currentStep }} }} problems {{ code }} }}"
    )


def mutation(*fields: str) -> str:
    """A document with these root fields."""
    return f"mutation {{ {' '.join(fields)} }}"


def boundaries(statements: list[str]) -> list[str]:
    """The statements that begin, sign in and end transactions."""
    return [each for each in statements if each in {*WRITING, *READING, "COMMIT", "ROLLBACK"}]


@asynccontextmanager
async def served(own_client: Client, settings: Settings, **changes: Any) -> AsyncIterator[Wire]:
    """A server with settings that differ on this test's own database, with the statements that it sends."""
    statements: list[str] = []
    changes["database_url"] = SecretStr(own_client.database.app_url)
    with statements_logged(statements):
        async with serving(settings, own_client.database, **changes) as client:
            yield Wire(client, statements)


@pytest.fixture
async def narrow(own_client: Client, settings: Settings) -> AsyncIterator[Wire]:
    """A server that has a single connection."""
    async with served(own_client, settings, pool_size=1) as wire:
        yield wire


async def asked(wire: Wire, document: str, who: str = LEAD, **more: Any) -> tuple[Answer, list[str]]:
    """The answer, and the boundaries of the transactions that it took."""
    async with wire.recorded() as seen:
        answer = await wire.client.ask(document, who, **more)
    return answer, boundaries(seen)


async def test_a_mutation_signs_in_once_for_its_write_and_once_for_its_answer(narrow: Wire) -> None:
    answer, seen = await asked(narrow, mutation(step("PEOPLE")))
    assert answer.data["step"] == {"location": {"session": {"currentStep": "PEOPLE"}}, "problems": []}
    assert seen == WRITTEN + READ_BACK


async def test_each_root_field_signs_in_once_for_its_write_and_once_for_its_answer(narrow: Wire) -> None:
    fields = [step(to, name=name) for name, to in (("a", "PEOPLE"), ("b", "DEVICES"), ("c", "CALL_FLOW"))]
    answer, seen = await asked(narrow, mutation("__typename", *fields))
    read = [answer.data[name]["location"]["session"]["currentStep"] for name in ("a", "b", "c")]
    assert read == ["PEOPLE", "DEVICES", "CALL_FLOW"]
    between = [*READING, "ROLLBACK"]
    assert seen == WRITTEN + between + WRITTEN + between + WRITTEN + READ_BACK


async def test_a_field_merged_from_fragments_is_one_write(narrow: Wire) -> None:
    field = step("PEOPLE")
    document = (
        f"mutation {{ ...A ...B {field} }} fragment A on Mutation {{ {field} }} fragment B on Mutation {{ ...A }}"
    )
    answer, seen = await asked(narrow, document)
    assert answer.data["step"]["problems"] == []
    assert seen == WRITTEN + READ_BACK


async def test_a_dry_run_signs_in_as_often_as_what_it_rehearses(narrow: Wire) -> None:
    _, seen = await asked(narrow, mutation(REHEARSAL))
    assert seen == WRITTEN + READ_BACK


async def test_a_refusal_has_no_answer_to_read_and_signs_in_once(narrow: Wire) -> None:
    answer, seen = await asked(narrow, mutation(step("PEOPLE").replace("location-3", "location-99")))
    assert answer.data["step"]["problems"] == [{"code": "NOT_FOUND"}]
    assert seen == [*WRITING, "ROLLBACK"]


async def test_a_root_field_writes_by_the_transaction_that_the_one_before_it_was_refused_in(narrow: Wire) -> None:
    answer, seen = await asked(narrow, mutation(FORBIDDEN, step("PEOPLE")), CUSTOMER)
    assert (answer.codes, answer.body["data"]["step"]["problems"]) == (["FORBIDDEN"], [])
    assert seen == WRITTEN + READ_BACK


@pytest.mark.parametrize(
    ("document", "who", "headers", "codes"),
    [
        pytest.param(mutation("__typename"), LEAD, {}, [], id="nothing to write"),
        pytest.param(mutation(f"...on Mutation @skip(if: true) {{ {step('PEOPLE')} }}"), LEAD, {}, [], id="skipped"),
        pytest.param(mutation(FORBIDDEN), CUSTOMER, {}, ["FORBIDDEN"], id="role"),
        pytest.param(mutation(FORBIDDEN), LEAD, {"x-user-id": "user-acme"}, ["FORBIDDEN"], id="identity headers"),
        pytest.param(mutation(FORBIDDEN), "nobody@turnup.example", {}, ["UNAUTHENTICATED"], id="unknown user"),
    ],
)
async def test_a_mutation_that_is_not_let_in_rolls_back_the_one_transaction_it_has(
    narrow: Wire, document: str, who: str, headers: dict[str, str], codes: list[str]
) -> None:
    answer, seen = await asked(narrow, document, who, headers=headers)
    assert (answer.codes, seen) == (codes, NOTHING_BEGUN)


async def test_a_suspended_users_mutation_is_rolled_back_and_writes_nothing(narrow: Wire) -> None:
    suspend = mutation('suspendUser(input: {userId: "user-acme"}) { problems { code } }')
    assert (await narrow.client.ask(suspend)).data["suspendUser"]["problems"] == []
    answer, seen = await asked(narrow, mutation(step("PEOPLE")), CUSTOMER)
    assert (answer.status, answer.codes, seen) == (401, ["UNAUTHENTICATED"], NOTHING_BEGUN)


@pytest.mark.usefixtures("replayed")
async def test_a_call_whose_key_is_in_use_is_refused_at_once_and_its_transaction_rolled_back(
    own_client: Client, settings: Settings
) -> None:
    document = mutation(step("PEOPLE", more=', idempotencyKey: "once"'))
    async with served(own_client, settings, pool_size=2, limit_user_connections=2) as wire:
        async with committed(own_client.database) as connection:
            await connection.execute("LOCK TABLE turnup.location IN ACCESS EXCLUSIVE MODE")
            first = asyncio.ensure_future(wire.client.ask(document))
            await until_waiting(connection, first)
            answer, seen = await asked(wire, document)
            assert (answer.data["step"]["problems"], seen) == ([{"code": "IDEMPOTENCY_IN_PROGRESS"}], NOTHING_BEGUN)
            assert not first.done()
        assert (await first).data["step"]["problems"] == []


@pytest.mark.usefixtures("replayed")
async def test_a_write_that_is_tried_again_after_a_deadlock_has_a_new_transaction(
    narrow: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, tries = writing.write, list[None]()

    async def deadlocked_once(*arguments: Any) -> None:
        tries.append(None)
        if len(tries) == 1:
            raise TransactionConflict
        await write(*arguments)

    monkeypatch.setattr(writing, "write", deadlocked_once)
    answer, seen = await asked(narrow, mutation(step("PEOPLE")))
    assert (answer.data["step"]["problems"], seen) == ([], NOTHING_BEGUN + WRITTEN + READ_BACK)


@pytest.mark.parametrize("part", ["reserve", "spend"])
async def test_a_deadline_that_passes_while_a_budget_is_asked_leaves_no_transaction_open(
    own_client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(Budgets, part, never_answered)
    async with served(own_client, settings, limit_deadline_seconds=0.5) as wire:
        answer, seen = await asked(wire, mutation(step("PEOPLE")))
        [error] = answer.body["errors"]
        assert (error["extensions"]["code"], error["extensions"]["outcome"]) == ("TIMEOUT", "NONE")
        assert seen == NOTHING_BEGUN
        assert await idle_in_transaction(own_client) == 0


async def test_a_client_that_leaves_while_its_budget_is_asked_leaves_no_transaction_open(
    narrow: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.http.departure.PATIENCE_SECONDS", 0.01)
    reserving = asyncio.Event()

    async def never_reserved(*_arguments: object) -> None:
        reserving.set()
        await never_answered()

    monkeypatch.setattr(Budgets, "reserve", never_reserved)
    async with narrow.recorded() as seen, asyncio.timeout(30):
        sent = await left_at(narrow.client, mutation(step("PEOPLE")), reserving)
    assert (sent, boundaries(seen)) == ([], NOTHING_BEGUN)
    assert await idle_in_transaction(narrow.client) == 0


async def test_a_mutation_waits_but_once_for_budgets_that_cannot_be_counted(
    narrow: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = list[None]()

    async def unreachable(*_arguments: object) -> None:
        waits.append(None)
        raise ConnectionError

    monkeypatch.setattr(MemoryStore, "failures", (ConnectionError,))
    monkeypatch.setattr(MemoryStore, "take", unreachable)
    answer, seen = await asked(narrow, mutation(step("PEOPLE")))
    [error] = answer.body["errors"]
    assert (error["extensions"]["code"], error["extensions"]["outcome"]) == ("UNAVAILABLE", "NONE")
    assert (len(waits), seen) == (1, NOTHING_BEGUN)


async def never_answered(*_arguments: object, **_named: object) -> None:
    await asyncio.Event().wait()


async def idle_in_transaction(client: Client) -> int:
    """How many connections of the app have a transaction open that does nothing."""
    connection = await asyncpg.connect(client.database.owner_url)
    try:
        return int(await connection.fetchval(IDLE))
    finally:
        await connection.close()


async def left_at(client: Client, document: str, moment: asyncio.Event) -> list[Message]:
    """What is sent to a client that leaves at a moment of its request."""
    sent, arriving = list[Message](), [{"type": "http.request", "body": orjson.dumps({"query": document})}]

    async def receive() -> Message:
        if arriving:
            return arriving.pop()
        await moment.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    token = f"Bearer {client.token(LEAD)}".encode()
    headers = [(b"content-type", b"application/json"), (b"authorization", token)]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "root_path": ""}
    await client.app({**scope, "headers": headers}, receive, send)
    return sent
