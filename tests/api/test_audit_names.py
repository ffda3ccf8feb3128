"""The audit log names actions, codes and tables by enums, and shows what it does not know as null."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from app.audit.replay import TRACKED
from app.db import tables
from app.db.migrate import MIGRATIONS
from app.operations.audit_names import INCIDENT, REVOKED, AuditAction, AuditedTable
from app.settings import Executor, Settings
from graphql_schema.schema import schema
from tests.builders_db import a_location, an_account, an_entry, committed, forget
from tests.harness import LEAD, Client, TestDatabase

from .serving import serving

BUILT = schema._schema
LOG = """query($filter: AuditLogFilter) { auditLog(first: 10, filter: $filter) { nodes {
  id chain chainAccountId action outcome code deniedField changes { nodes { table field } } } } }"""


@pytest.fixture(scope="module")
async def servers(settings: Settings, database: TestDatabase) -> AsyncIterator[list[Client]]:
    """One that answers breadth first, one with graphql-core's own executor."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(serving(settings, database, executor=executor))
            for executor in (Executor.BREADTH_FIRST, Executor.REFERENCE)
        ]


@pytest.fixture
async def place(database: TestDatabase) -> AsyncIterator[tuple[str, str]]:
    """An account, and a location of it."""
    async with committed(database) as connection:
        account = await an_account(connection)
        location = await a_location(connection, account)
    yield account, location
    await forget(database, [account])


async def test_what_a_newer_server_wrote_is_null_and_the_other_entries_are_shown(
    servers: list[Client], place: tuple[str, str], database: TestDatabase
) -> None:
    account, location = place
    async with committed(database) as connection:
        known = await an_entry(connection, location, action="approve", outcome="REFUSED", code="STALE_REVIEW")
        newer = await an_entry(connection, location, action="teleportDevice", outcome="REFUSED", code="NO_BEAM")
        await connection.execute("UPDATE turnup.field_change SET table_name = 'beam' WHERE entry_id = $1", newer)
    shown = []
    for server in servers:
        answer = await server.ask(LOG, LEAD, filter={"locationId": location})
        nodes = {each["id"]: each for each in answer.data["auditLog"]["nodes"]}
        assert [nodes[known][name] for name in ("action", "code")] == ["APPROVE", "STALE_REVIEW"]
        assert [nodes[newer][name] for name in ("action", "outcome", "code")] == [None, "REFUSED", None]
        assert {(each["chain"], each["chainAccountId"]) for each in nodes.values()} == {("ACCOUNT", account)}
        assert {change["table"] for change in nodes[known]["changes"]["nodes"]} == {"DEVICE"}
        assert {change["table"] for change in nodes[newer]["changes"]["nodes"]} == {None}
        shown.append(nodes)
    assert shown[0] == shown[1]


async def test_entries_are_found_by_the_name_of_their_action(
    servers: list[Client], place: tuple[str, str], database: TestDatabase
) -> None:
    _, location = place
    async with committed(database) as connection:
        wanted = await an_entry(connection, location, action="setCallFlow")
        await an_entry(connection, location, action="setContacts")
    literal = f'{{ auditLog(filter: {{locationId: "{location}", action: SET_CALL_FLOW}}) {{ nodes {{ id }} }} }}'
    given = {"locationId": location, "action": "SET_CALL_FLOW"}
    for server in servers:
        answers = [await server.ask(LOG, LEAD, filter=given), await server.ask(literal, LEAD)]
        assert [[each["id"] for each in answer.data["auditLog"]["nodes"]] for answer in answers] == [[wanted]] * 2


def test_every_mutation_of_the_schema_is_an_action_of_the_audit_log() -> None:
    assert BUILT.mutation_type is not None
    assert set(BUILT.mutation_type.fields) <= {each.value for each in AuditAction}


def test_every_table_whose_changes_are_recorded_has_a_name() -> None:
    named = {INCIDENT, *(table.name for table in tables.metadata.sorted_tables)}
    written = named & set(re.findall(r"INSERT INTO turnup\.field_change [^;]*?'(\w+)'", migrations()))
    written |= set(re.findall(r"PERFORM turnup\.audit_write\('(\w+)'", migrations()))
    assert written >= {"audit_entry", "field_change", INCIDENT, REVOKED}
    assert {each.value for each in AuditedTable} == {table.name for table in TRACKED} | written


def migrations() -> str:
    sources = [each for each in (MIGRATIONS / "versions").iterdir() if each.suffix in {".py", ".sql"}]
    return "\n".join(each.read_text() for each in sources)


def test_every_action_that_migrations_and_functions_write_has_a_name() -> None:
    text = migrations()
    actions = {
        *re.findall(r"set_config\('turnup\.system_action', '(\w+)'", text),
        *re.findall(r"audit_open\([^;]*?'([A-Z_]+)',", text),
        *re.findall(r"VALUES \([^;]*?'([A-Z_]+)',\s*'(?:APPLIED|REFUSED)'", text),
    }
    assert actions == {"BASELINE", "MIGRATE", "MARK_DATABASE", "ERASE", "TOKENS_FORGOTTEN", "INVITATION_ACCEPTED"}
    assert actions <= {each.value for each in AuditAction}
