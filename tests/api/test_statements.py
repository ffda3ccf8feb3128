"""How many statements an answer takes, and that they all see one state of the database."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable

import pytest

from app.db.seed import seed_many
from tests.builders_db import a_location, committed, forget
from tests.harness import CUSTOMER, LEAD, Answer, Client, until_waiting
from tests.harness import TestDatabase as WorkerDatabase

from .serving import Wire, tables_of

NESTED = """
query Nested($first: Int!, $filter: LocationFilter) {
  locations(first: $first, filter: $filter) {
    nodes {
      id name status address { city } timezone
      account { name }
      contacts { purpose fullName email phone }
      devices { id brand model macAddress extension { number person { firstName } } }
      workingHours { weekday opens closes }
    }
  }
}
"""
EVERYTHING = """
query Everything($first: Int!, $filter: LocationFilter) {
  locations(first: $first, filter: $filter) {
    nodes {
      account { id } sections { section } contacts { location { id } } phoneSystem { revision }
      devices { extension { person { extensions { id } } } location { devices { id } } }
      people { extensions { device { id } } } extensions { person { id } device { id } }
      workingHours { id }
      callFlow { options { target { extension { id } } } directTargets { id } timeoutTarget { kind } }
      session { completeness { section } progress submittedBy { id } }
      approvals { requestedBy { id } decidedBy { id } }
      overrides { openedBy { id } }
      payloads { recipients { user { id } } receipts { receivedBy { id } } generatedBy { id } supersededBy { id } }
      partners { user { id } } livePayload { id } auditLog { actor { id } override { id } changes { nodes { field } } }
      review { digest changes { path } } hasMoreApprovals hasMoreOverrides hasMorePayloads hasMoreAuditLog
    }
  }
}
"""
BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
SIGN_IN = (
    "SELECT id, name, email, role, status, accounts, locations, all_accounts, confirmed, credential_id, actions,"
    " expires_at FROM turnup.sign_in($1, $2, $3, $4, $5)"
)


@pytest.fixture(scope="module")
async def hundred(database: WorkerDatabase) -> AsyncIterator[str]:
    """An account with a hundred locations, each with 28 rows in it."""
    await seed_many(database.owner_url, 100)
    async with committed(database) as connection:
        account = await connection.fetchval("SELECT id FROM turnup.account WHERE name LIKE 'Load test %'")
    yield account
    await forget(database, [account])


@pytest.mark.parametrize("first", [1, 10, 100])
async def test_a_nested_page_takes_seven_statements_however_many_locations_are_on_it(
    wire: Wire, hundred: str, first: int
) -> None:
    async with wire.recorded() as seen:
        answer = await wire.client.ask(NESTED, LEAD, first=first, filter={"accountId": hundred})
    assert [len(node["devices"]) for node in answer.data["locations"]["nodes"]] == [6] * first
    assert (seen[:2], tables_of(seen), seen[-1], len(seen)) == (
        [BEGIN, SIGN_IN],
        ["account", "contact", "device", "extension", "location", "person", "working_hours"],
        "COMMIT",
        10,
    )


async def test_the_user_of_the_viewer_takes_one_statement_however_often_it_is_selected(wire: Wire) -> None:
    async with wire.recorded() as seen:
        answer = await wire.client.ask("{ a: viewer { user { id } } b: viewer { user { name } again: user { id } } }")
    assert answer.data["a"] == {"user": {"id": "user-lead"}}
    assert (tables_of(seen), len(seen)) == (["user"], 4)


async def test_a_page_of_everything_takes_as_many_statements_for_one_location_as_for_a_hundred(
    wire: Wire, hundred: str
) -> None:
    counts = []
    for first in (1, 10, 100):
        async with wire.recorded() as seen:
            answer = await wire.client.ask(EVERYTHING, LEAD, first=first, filter={"accountId": hundred})
        assert len(answer.data["locations"]["nodes"]) == first
        counts.append(len(seen))
    assert counts == [30] * 3


async def test_a_flat_page_takes_one_statement(wire: Wire, hundred: str) -> None:
    async with wire.recorded() as seen:
        answer = await wire.client.ask(
            "{ locations(first: 100) { nodes { id } edges { cursor } pageInfo { endCursor } } }"
        )
    assert answer.status == 200
    assert tables_of(seen) == ["location"]


async def test_the_same_relation_under_many_names_is_read_once(wire: Wire) -> None:
    async with wire.recorded() as seen:
        answer = await wire.client.ask(
            "{ locations { nodes { a: devices { id } b: devices { label } ...C } } } "
            "fragment C on Location { c: devices { location { devices { id } } } }"
        )
    assert "errors" not in answer.body
    assert tables_of(seen) == ["device", "location", "location"]


async def test_a_refused_field_is_never_read_and_its_siblings_are(wire: Wire) -> None:
    async with wire.recorded() as seen:
        answer = await wire.client.ask(
            """{ auditLog { nodes { id } totalCount } provisioningPayloads { totalCount } node(id: "override-1") { id }
            locations(first: 2) {
              nodes { name overrides { id } payloads { id } livePayload { id } auditLog { id } } } }""",
            CUSTOMER,
        )
    hidden = {"overrides": None, "payloads": None, "livePayload": None, "auditLog": None}
    assert answer.body["data"] == {
        "auditLog": None,
        "provisioningPayloads": None,
        "node": None,
        "locations": {
            "nodes": [
                {"name": "Acme Medical - Harbor Street", **hidden},
                {"name": "Acme Medical - Imaging Center", **hidden},
            ]
        },
    }
    read = [each for each in seen if "audit_count" not in each]
    assert (answer.codes, tables_of(read), len(read)) == (["FORBIDDEN"] * 11, ["location"], 4)


@pytest.mark.parametrize(
    "query",
    [
        '{ location(id: "not an id") { id } }',
        "{ locations(first: 0) { totalCount } }",
        '{ locations(after: "x") { totalCount } }',
        '{ locations(filter: {accountId: "/"}) { totalCount } }',
        '{ locations(filter: {updatedSince: "2024-01-01T00:00:00"}) { totalCount } }',
    ],
)
async def test_what_cannot_be_read_is_refused_before_anything_is_read(wire: Wire, query: str) -> None:
    async with wire.recorded() as seen:
        answer = await wire.client.ask(query)
    assert (answer.codes, seen) == (["BAD_USER_INPUT"], [BEGIN, SIGN_IN, "COMMIT"])


@pytest.mark.parametrize("query", ["{ nothing }", "{ viewer", "query A { __typename } query B { __typename }"])
async def test_a_document_that_is_refused_reaches_no_database(wire: Wire, query: str) -> None:
    async with wire.recorded() as seen:
        answer = await wire.client.ask(query)
    assert ("data" in answer.body, seen) == (False, [])


def begun(asked: Awaitable[Answer]) -> "asyncio.Task[Answer]":
    return asyncio.ensure_future(asked)


async def test_an_answer_shows_one_state_although_the_database_changes_between_its_statements(
    client: Client, database: WorkerDatabase, an_empty_account: str
) -> None:
    async with committed(database) as connection:
        location = await a_location(connection, an_empty_account)
    query = "query($id: ID!) { location(id: $id) { name devices { label } } }"
    async with committed(database) as connection:
        await connection.execute("LOCK TABLE turnup.device IN ACCESS EXCLUSIVE MODE")
        asked = begun(client.ask(query, LEAD, id=location))
        await until_waiting(connection, asked)
        await connection.execute("UPDATE turnup.device SET label = 'After' WHERE location_id = $1", location)
        await connection.execute("UPDATE turnup.location SET name = 'After' WHERE id = $1", location)
    during, after = await asked, await client.ask(query, LEAD, id=location)
    assert (during.data, after.data) == (
        {"location": {"name": "Dune Opticians - Pier", "devices": [{"label": "Reception"}]}},
        {"location": {"name": "After", "devices": [{"label": "After"}]}},
    )


async def test_thirty_readers_at_once_are_all_answered_over_ten_connections(client: Client) -> None:
    query = "{ viewer { email } locations { nodes { devices { extension { person { firstName } } } } totalCount } }"
    people = [(LEAD, 12), (CUSTOMER, 5)] * 15
    answers = await asyncio.gather(*(client.ask(query, who) for who, _ in people))
    seen = [(answer.data["viewer"]["email"], answer.data["locations"]["totalCount"]) for answer in answers]
    assert [who for who, _ in seen] == [who for who, _ in people]
    assert {count for who, count in seen if who == CUSTOMER} == {5}


@pytest.mark.parametrize("who", [LEAD, CUSTOMER])
async def test_the_readiness_of_a_page_takes_as_many_statements_as_that_of_one_location(wire: Wire, who: str) -> None:
    query = """query Readiness($first: Int!) {
      locations(first: $first) { nodes { readiness { code } viewerActions { action allowed } } } }"""
    counts = []
    for first in (1, 3):
        async with wire.recorded() as seen:
            (await wire.client.ask(query, who, first=first)).data  # noqa: B018 - fails on errors
        counts.append(len(seen))
    assert counts[0] == counts[1]


async def test_an_answer_leaves_nothing_that_only_the_garbage_collector_could_free(
    client: Client, hundred: str
) -> None:
    async def ask() -> None:
        answer = await client.ask(NESTED, LEAD, first=20, filter={"accountId": hundred})
        assert answer.data is not None

    await ask()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(3):
            await ask()
        gc.collect()
        ours = ("app.", "resolvers.", "graphql_schema.", "graphql.", "strawberry.", "asyncpg.")
        left = {type(each).__qualname__ for each in gc.garbage if type(each).__module__.startswith(ours)}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == set()
