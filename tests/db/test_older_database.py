"""Databases that earlier releases made: migrated, they keep every digest, approval, document and answer."""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.audit.objects import changed_objects
from app.db.aggregates import AGGREGATES, AggregateRecord
from app.db.migrate import migrate
from app.domain.canonical import canonical
from app.domain.digest import content_digest, digest_of, digest_version
from app.domain.payload import payload_document
from app.domain.vocabulary import LocationAction
from tests.harness import LEAD, LEAD_2, Client, TestDatabase, first_row, own_database, served
from tests.oracle import audit_log_is_complete

from .older import OLDER_DATABASES, OlderDatabase

# What migrations change: rows that are added, a column, and whole tables.
ADDED = {"audit_entry", "field_change"}
CHANGED = {("provisioning_payload", "superseded_by")}
NOT_COMPARED = {"chain_head", "idempotency_key", "mac_claim"}
NOT_ERASED = """SELECT location_id, version, content_digest, digest_version, document FROM turnup.provisioning_payload
                WHERE document <> '{"erased": true}'"""
# The payloads whose content has not changed since.
MADE_AGAIN = {"0007": 2, "0009": 21}

# Completed locations whose content has changed are handed off again without being reopened.
_HAND_OFF_AGAIN = [
    "GENERATE_PAYLOAD: ILLEGAL_TRANSITION, now APPROVAL_OUTDATED",
    "TRIGGER_PROVISIONING: ILLEGAL_TRANSITION, now APPROVAL_OUTDATED",
]
_NO_PARTNER = ["now PARTNER_MISSING", "now PROVIDER_WITHOUT_PARTNER"]
_OF_THE_YOUNGER = ["now MAC_IN_USE", "now MAC_LIVE_TWICE"]
# What is answered differently since. Actions that the older release did not know are not compared.
NEW_ANSWERS = {
    "0007": {"location-6": _HAND_OFF_AGAIN},
    "0009": {
        "location-10": _NO_PARTNER,
        "location-11": _NO_PARTNER,
        "location-12": ["now PARTNER_MISSING"],
        "completed by hand, no partner": _NO_PARTNER,
        "acknowledged by two": ["payload 1 superseded by 2"],
        "acknowledged, next one released": ["payload 1 superseded by 2"],
        "erased": [*_HAND_OFF_AGAIN, "payload 1 superseded by 2"],
        "changed under an override": ["now MAC_LIVE_TWICE", *_HAND_OFF_AGAIN],
        "reopened and changed": ["now MAC_LIVE_TWICE"],
        "reopened and cancelled": ["now MAC_LIVE_TWICE", "no longer MAC_IN_USE", "REOPEN: MAC_IN_USE, now allowed"],
        "same phone as under an override": _OF_THE_YOUNGER,
        "same phone as reopened": _OF_THE_YOUNGER,
        "same phone as cancelled": _OF_THE_YOUNGER,
        "runs a phone": _HAND_OFF_AGAIN,
        "submitted with a phone that runs": ["now MAC_IN_USE", "APPROVE: allowed, now NOT_READY"],
    },
}


@pytest.fixture(scope="module", params=OLDER_DATABASES, ids=lambda each: each.revision)
def older(request: pytest.FixtureRequest) -> OlderDatabase:
    """The database of an earlier release."""
    found: OlderDatabase = request.param
    return found


@pytest.fixture(scope="module")
async def migrated(older: OlderDatabase) -> AsyncIterator[TestDatabase]:
    """The older database, migrated to the newest revision."""
    async with own_database("template1") as made:
        await older.restore(made.owner_url)
        await migrate(made.owner_url)
        yield made


@pytest.fixture(scope="module")
async def definer(migrated: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection that sees every row."""
    connection = await asyncpg.connect(migrated.owner_url)
    await connection.execute("SET ROLE turnup_definer")
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def client(migrated: TestDatabase, home: Path) -> AsyncIterator[Client]:
    """A client of the real app on the migrated database."""
    async with served(migrated, home) as found:
        yield found


async def test_every_row_is_as_that_release_left_it(older: OlderDatabase, definer: asyncpg.Connection) -> None:
    for table in older.rows.keys() - NOT_COMPARED:
        rows = older.rows[table]
        columns = [column for column in rows[0] if (table, column) not in CHANGED]
        found = await definer.fetch(
            f"""SELECT {", ".join(f'"{each}"::text' for each in columns)} FROM turnup."{table}" """
        )
        now = Counter(tuple(row) for row in found)
        before = Counter(tuple(row[column] for column in columns) for row in rows)
        assert not before - now, table
        assert table in ADDED or not now - before, table


async def test_every_stored_digest_is_that_of_the_content(older: OlderDatabase, definer: asyncpg.Connection) -> None:
    found = await definer.fetch(
        "SELECT id, content_digest, digest_version FROM turnup.location WHERE id = ANY ($1)", list(older.answers)
    )
    assert len(found) == len(older.answers)
    for row in found:
        record: AggregateRecord = AGGREGATES.build(*await first_row(definer, AGGREGATES.sql, [row["id"]]))
        content = record.content
        assert (row["content_digest"], row["digest_version"]) == (content_digest(content), digest_version(content))
        assert row["digest_version"] == 1


async def test_every_approved_digest_is_that_of_the_approved_content(
    older: OlderDatabase, definer: asyncpg.Connection
) -> None:
    found = await definer.fetch(
        "SELECT digest, digest_version, content::text FROM turnup.approval WHERE location_id IS DISTINCT FROM $1",
        older.location("erased"),  # its approvals no longer name the person
    )
    assert found
    assert all((row["digest"], row["digest_version"]) == (digest_of(json.loads(row["content"])), 1) for row in found)


async def test_every_payload_has_the_digest_of_its_document(definer: asyncpg.Connection) -> None:
    found = await definer.fetch(NOT_ERASED)
    assert found
    for row in found:
        assert row["content_digest"] == json.loads(row["document"])["metadata"]["contentDigest"]
        assert row["digest_version"] == 1


async def test_content_that_was_handed_over_makes_the_same_document_byte_for_byte(
    older: OlderDatabase, definer: asyncpg.Connection
) -> None:
    made = 0
    for row in await definer.fetch(NOT_ERASED):
        record: AggregateRecord = AGGREGATES.build(*await first_row(definer, AGGREGATES.sql, [row["location_id"]]))
        if content_digest(record.content) != row["content_digest"]:
            continue  # it was edited since
        before = json.loads(row["document"])
        metadata = before["metadata"]
        document = payload_document(
            record.content,
            version=row["version"],
            account_name=before["accountName"],
            now=datetime.fromisoformat(before["timestamp"]),
            sequence=metadata["sequence"],
            generated_by=metadata["generatedBy"],
            location_revision=metadata["locationRevision"],
            supersedes=metadata["supersedes"],
        )
        assert canonical(document).decode() == row["document"]
        made += 1
    assert made == MADE_AGAIN[older.revision]


# What the older releases called otherwise.
RENAMED = {
    "approvals { id status ": "approvals { id status: reviewStatus ",
    "request { id status }": "request { id status: reviewStatus }",
    "contacts { id name e164 }": "contacts { id name: fullName e164: phoneE164 }",
}


def in_names_of_today(question: str) -> str:
    """The question with the names of today, so that the answer has the names of then."""
    for then, now in RENAMED.items():
        question = question.replace(then, now)
    return question


def with_times_of_today(answer: Any) -> Any:
    """The answer with its times in the form of today."""
    time = r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{6})?\+00:00"'
    return json.loads(re.sub(time, lambda found: f'"{found[1]}{found[2] or ".000000"}Z"', json.dumps(answer)))


async def test_review_viewer_actions_approvals_and_history_answer_as_before(
    older: OlderDatabase, client: Client
) -> None:
    found = {}
    for location, before in older.answers.items():
        answer = await client.ask(in_names_of_today(older.made["question"]), LEAD_2, id=location)
        news = list(differences(with_times_of_today(before), answer.data))
        if news:
            found[older.title(location)] = news
    assert found == NEW_ANSWERS[older.revision]


async def test_generating_again_returns_the_payload_that_is_there(older: OlderDatabase, client: Client) -> None:
    made = """mutation ($input: GeneratePayloadInput!) {
        generatePayload(input: $input) { problems { message } payload { id version documentDigest } } }"""
    given = {"locationId": "location-4", "idempotencyKey": "again"}
    answer: Any = (await client.ask(made, LEAD, input=given)).data["generatePayload"]
    (before,) = older.answers["location-4"]["location"]["payloads"]
    assert answer == {
        "problems": [],
        "payload": {"id": before["id"], "version": "1.0.0", "documentDigest": before["documentDigest"]},
    }


async def test_leads_have_access_to_all_accounts_as_the_trail_says_and_everybody_is_confirmed(
    definer: asyncpg.Connection, client: Client
) -> None:
    users = await definer.fetch('SELECT id, role, status, all_accounts, made_by FROM turnup."user"')
    assert [each["id"] for each in users if each["made_by"]] == []
    leads = {each["id"] for each in users if each["role"] == "IMPLEMENTATION_LEAD"}
    assert leads == {each["id"] for each in users if each["all_accounts"]}
    told = await definer.fetch(
        """SELECT c.row_id, e.action, e.actor_id
           FROM turnup.field_change c JOIN turnup.audit_entry e ON e.id = c.entry_id
           WHERE c.table_name = 'user' AND c.field = 'all_accounts' AND c.after = 'true'"""
    )
    assert {tuple(each) for each in told} == {(lead, "MIGRATE", None) for lead in leads}
    assert (await client.ask("{ viewer { allAccounts } }", LEAD)).data == {"viewer": {"allAccounts": True}}


async def test_users_sign_in_by_the_configured_issuer_and_have_no_session_and_no_service_token(
    definer: asyncpg.Connection, client: Client
) -> None:
    assert await definer.fetch('SELECT id FROM turnup."user" WHERE issuer IS NOT NULL') == []
    users = await definer.fetch("SELECT id, subject FROM turnup.\"user\" WHERE status = 'ACTIVE'")
    assert users
    for user in users:
        answer = await client.ask("{ viewer { user { id } } }", user["subject"])
        assert answer.data == {"viewer": {"user": {"id": user["id"]}}}
    for table in ("user_session", "service_token"):
        assert await definer.fetchval(f"SELECT count(*) FROM turnup.{table}") == 0


async def test_triggers_policies_functions_and_grants_are_those_of_a_new_database(migrated: TestDatabase) -> None:
    connection = await asyncpg.connect(migrated.owner_url)
    assert await changed_objects(connection) == ()
    await connection.close()


async def test_the_trail_verifies_and_replays_without_a_difference(migrated: TestDatabase) -> None:
    await audit_log_is_complete(migrated)


def differences(before: Any, now: Any) -> Iterator[str]:
    """What is answered differently: findings, actions and superseded payloads. All else must be equal."""
    then, here = before["location"], now["location"]
    codes, new_codes = ({each["code"] for each in side["readiness"]} for side in (then, here))
    yield from (f"now {code}" for code in sorted(new_codes - codes))
    yield from (f"no longer {code}" for code in sorted(codes - new_codes))
    reasons, new_reasons = (
        {each["action"]: each["reason"] or "allowed" for each in side["viewerActions"]} for side in (then, here)
    )
    yield from (
        f"{action.name}: {reasons[action.value]}, now {new_reasons[action.name]}"
        for action in LocationAction
        if action.value in reasons and new_reasons[action.name] != reasons[action.value]
    )
    sequences = {each["id"]: each["sequence"] for each in here["payloads"]}
    for payload, same in zip(then["payloads"], here["payloads"], strict=True):
        if payload.pop("supersededBy") != (later := same.pop("supersededBy")):
            yield f"payload {same['sequence']} superseded by {sequences[later['id']]}"
    compared = {"readiness", "viewerActions"}
    assert {**then, **dict.fromkeys(compared)} == {**here, **dict.fromkeys(compared)}
    assert before["review"] == now["review"]
