"""The log of domain events: one line per change after its commit, one per refused attempt, and ids alone."""

import logging
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from app.db import writing
from app.db.failures import TransactionConflict
from app.settings import Settings
from tests.harness import CUSTOMER, LEAD, LEAD_2, Client

from .serving import serving

EDIT = """mutation($label: String, $revision: Int!, $key: String) {
  editDevice(input: {deviceId: "phone-1", expectedRevision: $revision, label: $label, idempotencyKey: $key}) {
    device { revision } problems { code } } }"""
BLOCK = """mutation($ids: [ID!]!, $dry: Boolean!, $key: String!) {
  bulkUpdateStatus(input: {locationIds: $ids, status: BLOCKED, reason: "No cabling", dryRun: $dry,
                            idempotencyKey: $key}) { results { outcome } problems { code } } }"""
REVISION = '{ node(id: "phone-1") { ... on Device { revision } } }'
FIELDS = ("user_id", "role", "account_id", "location_id", "action", "outcome", "code", "override_id", "payload_id")


class Logged(logging.Handler):
    """Keeps the records of events."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def names(self) -> list[str]:
        return [record.getMessage() for record in self.records]

    def facts(self, *names: str) -> list[tuple[Any, ...]]:
        """The event and these fields of each record."""
        values = [[getattr(each, name, None) for name in names] for each in self.records]
        plain = [tuple(None if each is None else str(each) for each in row) for row in values]
        return [(each.getMessage(), *row) for each, row in zip(self.records, plain, strict=True)]


@pytest.fixture
def logged() -> Iterator[Logged]:
    """What is logged from now on."""
    handler, log = Logged(), logging.getLogger("turnup.events")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


async def revision_of(client: Client) -> int:
    return int((await client.ask(REVISION, LEAD)).data["node"]["revision"])


async def test_a_change_is_logged_with_its_ids_after_its_commit(own_client: Client, logged: Logged) -> None:
    revision = await revision_of(own_client)
    answer = await own_client.ask(EDIT, CUSTOMER, label="Front desk", revision=revision)
    assert answer.data["editDevice"]["problems"] == []
    assert logged.facts(*FIELDS, "object_id") == [
        (
            "device.edited", "user-acme", "CUSTOMER", "account-1", "location-1", "editDevice", "APPLIED", None, None,
            None, "phone-1",
        )
    ]  # fmt: skip


async def test_a_mutation_that_changes_nothing_is_not_logged(own_client: Client, logged: Logged) -> None:
    for _ in range(2):
        await own_client.ask('mutation { suspendUser(input: {userId: "user-acme"}) { problems { code } } }', LEAD)
    assert logged.names == ["user.suspended"]


async def test_a_replay_is_not_logged_again(own_client: Client, logged: Logged) -> None:
    revision = await revision_of(own_client)
    for _ in range(3):
        await own_client.ask(EDIT, CUSTOMER, label="Front desk", revision=revision, key="once")
    assert logged.names == ["device.edited"]


async def test_a_change_whose_first_attempt_is_rolled_back_is_logged_once(
    own_client: Client, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision, write, attempts = await revision_of(own_client), writing.write, 0

    async def write_the_second_time(*arguments: Any) -> None:
        nonlocal attempts
        attempts += 1
        await write(*arguments)
        if attempts == 1:
            raise TransactionConflict

    monkeypatch.setattr(writing, "write", write_the_second_time)
    await own_client.ask(EDIT, CUSTOMER, label="Front desk", revision=revision)
    assert (attempts, logged.names) == (2, ["device.edited"])


async def test_a_change_that_is_rolled_back_in_the_end_is_not_logged(
    own_client: Client, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = await revision_of(own_client)

    async def conflict(*_arguments: Any) -> None:
        raise TransactionConflict

    monkeypatch.setattr(writing, "write", conflict)
    assert (await own_client.ask(EDIT, CUSTOMER, label="Front desk", revision=revision)).codes == ["OVERLOADED"]
    assert logged.names == []


async def test_refused_attempts_are_logged_with_their_code(own_client: Client, logged: Logged) -> None:
    await own_client.ask(EDIT, CUSTOMER, label="Front desk", revision=10_000)
    await own_client.ask(
        'mutation { approve(input: {locationId: "location-7", expectedDigest: "x"}) { problems { code } } }', LEAD
    )
    await own_client.ask('mutation { block(input: {locationId: "location-99", reason: "x"}) { problems { code } } }')
    await own_client.ask(EDIT, CUSTOMER, label="Front desk", revision=1, key="")
    assert logged.facts("action", "outcome", "code", "location_id") == [
        ("change.refused", "editDevice", "REFUSED", "CONFLICT", "location-1"),
        ("approval.refused", "approve", "REFUSED", "ILLEGAL_TRANSITION", "location-7"),
        ("change.refused", "block", "REFUSED", "NOT_FOUND", None),
        ("change.refused", "editDevice", "REFUSED", "INVALID_INPUT", None),
    ]


async def test_each_item_of_a_bulk_call_is_logged_and_a_dry_run_is_not(own_client: Client, logged: Logged) -> None:
    ids = ["location-7", "location-6", "location-99", "location-8"]
    await own_client.ask(BLOCK, LEAD, ids=ids, dry=True, key="dry")
    assert logged.names == []
    for _ in range(2):
        await own_client.ask(BLOCK, LEAD, ids=ids, dry=False, key="wet")
    assert logged.facts("action", "outcome", "code", "location_id") == [
        ("location.blocked", "bulkUpdateStatus", "APPLIED", None, "location-7"),
        ("change.refused", "bulkUpdateStatus", "REFUSED", "ILLEGAL_TRANSITION", "location-6"),
        ("change.refused", "bulkUpdateStatus", "REFUSED", "NOT_FOUND", None),
    ]


async def test_a_bulk_call_that_is_refused_as_a_whole_is_one_line(own_client: Client, logged: Logged) -> None:
    await own_client.ask(BLOCK, LEAD, ids=["location-7", "location-7"], dry=False, key="twice")
    assert logged.facts("code", "location_id") == [("change.refused", "INVALID_INPUT", None)]


async def test_a_refused_field_is_logged_once_per_request(own_client: Client, logged: Logged) -> None:
    query = '{ a: location(id: "location-1") { overrides { id } } b: location(id: "location-1") { overrides { id } } }'
    await own_client.ask(query, CUSTOMER)
    (facts,) = logged.facts("levelname", "user_id", "role", "field")
    assert facts == ("permission.denied", "WARNING", "user-acme", "CUSTOMER", "overrides")


async def test_security_events_and_unknown_users_are_logged(own_client: Client, logged: Logged) -> None:
    await own_client.ask("{ viewer { name } }", CUSTOMER, headers={"x-user-id": "user-lead"})
    await own_client.ask("{ viewer { name } }", "nobody@turnup.example")
    await own_client.ask('mutation { suspendUser(input: {userId: "user-acme"}) { problems { code } } }', LEAD)
    for _ in range(3):
        await own_client.ask("{ viewer { name } }", CUSTOMER)
    assert logged.facts("user_id", "role", "object_id") == [
        ("identity.forged", "user-acme", "CUSTOMER", None),
        ("unknown_user.refused", None, None, None),
        ("user.suspended", "user-lead", "IMPLEMENTATION_LEAD", "user-acme"),
        *[("suspended_user.refused", "user-acme", "CUSTOMER", None)] * 3,
    ]


async def test_an_exceeded_budget_is_logged(settings: Settings, own_client: Client, logged: Logged) -> None:
    async with serving(settings, own_client.database, limit_edits=1) as client:
        answers = [await client.ask(EDIT, CUSTOMER, label="x", revision=10_000) for _ in range(2)]
    assert [each.codes for each in answers] == [[], ["RATE_LIMITED"]]
    assert logged.facts("user_id", "role", "budget")[1:] == [("budget.exceeded", "user-acme", "CUSTOMER", "EDITS")]


async def test_every_entry_of_the_audit_log_has_its_line(own_client: Client, logged: Logged) -> None:
    names = ("actor_id", "actor_role", "account_id", "action", "outcome", "code", "location_id", "override_id")
    connection = await asyncpg.connect(own_client.database.owner_url)
    try:
        await connection.execute("SET ROLE turnup_definer")
        before = await connection.fetchval("SELECT max(ordinal) FROM turnup.audit_entry")
        await _change_many_things(own_client)
        entries = await connection.fetch(
            f"SELECT {', '.join(names)} FROM turnup.audit_entry WHERE ordinal > $1", before
        )
    finally:
        await connection.close()
    lines = [each[1:] for each in logged.facts("user_id", "role", *names[2:])]
    assert len(entries) >= 9
    assert sorted(map(str, map(tuple, entries))) == sorted(map(str, lines))


async def _change_many_things(client: Client) -> None:
    """Carry out mutations of each kind, of which the audit log records all."""
    for query, who in (
        ('moveDevice(input: {deviceId: "phone-1", toLocationId: "location-2", expectedRevision: 1})', LEAD),
        ('openOverride(input: {locationId: "location-4", editableSections: [DEVICES], reason: "A broken phone",'
         " expiresInMinutes: 30})", LEAD),
        ('editDevice(input: {deviceId: "phone-4-1", expectedRevision: 1, label: "Desk"})', LEAD),
        ('approve(input: {locationId: "location-3", expectedDigest: "x"})', LEAD_2),
        ('reopen(input: {locationId: "location-6", reason: "The shop has moved"})', LEAD),
        ('createAccount(input: {name: "Elm Florists"})', LEAD),
        ('suspendUser(input: {userId: "user-acme"})', LEAD),
        ('reinstateUser(input: {userId: "user-acme"})', LEAD),
        ('addPerson(input: {locationId: "location-1", firstName: "Ada"})', CUSTOMER),
    ):  # fmt: skip
        answer = await client.ask(f"mutation {{ {query} {{ problems {{ code message }} }} }}", who)
        assert answer.codes == [], answer
