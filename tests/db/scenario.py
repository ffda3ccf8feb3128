"""A good row for every table, for each of the locations that tests set up; tests then change one thing about them."""

from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from zlib import crc32

import asyncpg

from app.db import tables
from app.domain.vocabulary import ApprovalStatus, PayloadState, Role

MOMENT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

# Parents before their children: the order of the inserts.
TABLES = (
    "account",
    "user",
    "location",
    "status_change",
    "location_partner",
    "section",
    "onboarding_session",
    "contact",
    "phone_system",
    "device",
    "person",
    "extension",
    "working_hours",
    "call_flow",
    "call_flow_option",
    "approval",
    "override",
    "provisioning_payload",
    "payload_recipient",
    "receipt",
    "mac_claim",
    "grant",
    "grant_location",
    "chain_head",
    "audit_entry",
    "field_change",
    "audit_incident",
    "erasure_due",
    "idempotency_key",
    "accepted_version",
    "invitation",
    "user_session",
    "sign_in_attempt",
    "service_token",
    "service_token_use",
    "device_model",
    "schema_state",
    "installation",
    "gauge_reading",
    "audit_verification",
)
ONE_ROW = ("installation", "gauge_reading", "audit_verification")
"""The tables that have one row at most."""


# The marks in use. Their places are revisions that are older than the code's.
MARKS = ("x", "a1", "a2", "b1", "other", "new", "replayed")


def good_rows(mark: str = "x", account: str = "account-x") -> dict[str, dict[str, Any]]:
    """One row of each table, by the table's name; the ids end in the mark, the location is `location-<mark>`."""
    key = {"account_id": account, "location_id": f"location-{mark}"}
    user = f"user-{mark}"
    return {
        "account": {"id": account, "name": f"Account of {mark}"},
        "user": {
            "id": user,
            "subject": f"subject-{mark}",
            "name": f"User {mark}",
            "email": f"{mark}@house.example",
            "role": Role.PARTNER,
            "account_id": None,
        },
        "location": {"id": key["location_id"], "account_id": account, "name": f"Location {mark}"},
        "status_change": {"id": f"change-{mark}", **key, "verb": "START", "changed_by": user},
        "location_partner": {"id": f"partner-{mark}", **key, "user_id": user, "purpose": "CARRIER", "required": True},
        "section": {**key, "section": "DEVICES"},
        "onboarding_session": {"id": f"session-{mark}", **key, "submitted_at": MOMENT, "submitted_by": user},
        "contact": {"id": f"contact-{mark}", **key, "position": 0, "purpose": "PRIMARY"},
        "phone_system": {**key, "extension_length": 4},
        "device": {"id": f"device-{mark}", **key, "brand": "POLY", "mac_address": "0004f2000001"},
        "person": {"id": f"person-{mark}", **key, "first_name": "Dana"},
        "extension": {
            "id": f"extension-{mark}",
            **key,
            "number": "1001",
            "person_id": f"person-{mark}",
            "device_id": f"device-{mark}",
        },
        "working_hours": {"id": f"hours-{mark}", **key, "weekday": 1, "opens": time(9), "closes": time(17)},
        "call_flow": {**key, "kind": "IVR", "timeout_seconds": 8, "retries": 2},
        "call_flow_option": {
            "id": f"option-{mark}",
            **key,
            "position": 0,
            "trigger": "DIGIT",
            "digit": "1",
            "target": "EXTENSION",
            "extension_id": f"extension-{mark}",
        },
        "approval": {
            "id": f"approval-{mark}",
            **key,
            "location_revision": 1,
            "digest": "d" * 64,
            "content": "{}",
            "requested_by": user,
            "status": ApprovalStatus.PENDING,
            "decided_by": None,
            "decided_at": None,
        },
        "override": {
            "id": f"override-{mark}",
            **key,
            "opened_by": user,
            "sections": ["DEVICES"],
            "reason": "Replaces a broken phone",
            "opened_at": MOMENT,
            "expires_at": MOMENT + timedelta(minutes=60),
        },
        "provisioning_payload": {
            "id": f"payload-{mark}",
            **key,
            "sequence": 1,
            "version": "1.0.0",
            "state": PayloadState.RELEASED,
            "document": "{}",
            "document_digest": "e" * 64,
            "content_digest": "d" * 64,
            "location_revision": 1,
            "generated_by": user,
            "released_by": user,
            "released_at": MOMENT,
            "status_change_id": f"change-{mark}",
        },
        "payload_recipient": {
            "id": f"recipient-{mark}",
            **key,
            "payload_id": f"payload-{mark}",
            "user_id": user,
            "purpose": "CARRIER",
            "required": True,
        },
        "receipt": {
            "id": f"receipt-{mark}",
            **key,
            "payload_id": f"payload-{mark}",
            "kind": "ACKNOWLEDGED",
            "document_digest": "e" * 64,
            "received_by": user,
        },
        "mac_claim": {"mac": f"0004f2{crc32(mark.encode()) % 0x1000000:06x}", **key},
        "grant": {"id": f"grant-{mark}", "user_id": user, "account_id": account, "all_locations": False},
        "grant_location": {"grant_id": f"grant-{mark}", **key},
        "chain_head": {"chain": f"chain-{mark}", "number": 1, "hash": b"\0" * 32},
        "audit_entry": {
            "id": f"entry-{mark}",
            "chain": f"chain-{mark}",
            "number": 1,
            **key,
            "action": "editDevice",
            "outcome": "APPLIED",
            "hash": b"\0" * 32,
        },
        "field_change": {
            "entry_id": f"entry-{mark}",
            "account_id": account,
            "table_name": "device",
            "row_id": f"device-{mark}",
            "field": "label",
            "after": '"Reception"',
            "after_salt": b"\0" * 16,
            "after_hash": b"\0" * 32,
        },
        "audit_incident": {
            "minute": MOMENT,
            "action": "ROLE_DENIED",
            "code": "Query.auditLog",
            "actor_id": user,
            "request_id": "request-1",
            "first_at": MOMENT,
        },
        "erasure_due": {"location_id": f"location-{mark}", "payload_id": f"payload-{mark}"},
        "idempotency_key": {
            "user_id": user,
            "key": "key-1",
            "mutation": "submitOnboarding",
            "fingerprint": b"\0" * 32,
            "outcome": "{}",
        },
        "accepted_version": {"user_id": user, "version": "1.0.0"},
        "invitation": {
            "id": f"invitation-{mark}",
            "email": f"invited-{mark}@house.example",
            "name": "Ida Frost",
            "role": Role.PARTNER,
            "all_accounts": False,
            "granted_account_ids": [account],
            "granted_location_ids": [],
            "secret_sha256": sha256(f"invitation of {mark}".encode()).digest(),
            "invited_by": user,
            "created_at": MOMENT,
            "expires_at": MOMENT + timedelta(days=7),
        },
        "user_session": {
            "id": f"usersession-{mark}",
            "user_id": user,
            "secret_sha256": sha256(f"session of {mark}".encode()).digest(),
            "idle_until": MOMENT + timedelta(hours=8),
            "expires_at": MOMENT + timedelta(hours=24),
        },
        "sign_in_attempt": {
            "state_sha256": sha256(mark.encode()).digest(),
            "browser_sha256": sha256(b"browser").digest(),
            "nonce": "nonce-1",
            "code_verifier": "verifier-1",
            "next": "/graphiql",
        },
        "service_token": {
            "id": f"token-{mark}",
            "user_id": user,
            "name": "Poller",
            "prefix": "turnup_abcdefgh",
            "secret_sha256": sha256(f"token of {mark}".encode()).digest(),
            "account_ids": [account],
            "actions": ["ACKNOWLEDGE"],
            "created_by": user,
            "created_at": MOMENT,
            "expires_at": MOMENT + timedelta(days=90),
        },
        "service_token_use": {"token_id": f"token-{mark}", "last_used_at": MOMENT},
        "device_model": {"id": f"model-{mark}", "brand": "POLY", "model": f"VVX {mark}", "lines": 12},
        "installation": {"id": f"installation-{mark}", "kind": "DEMO"},
        "schema_state": {"writes_since": f"{MARKS.index(mark):04}"},
        "gauge_reading": {"single": True, "readings": "{}", "measured_at": MOMENT},
        "audit_verification": {"single": True, "verified_at": MOMENT, "ok": True},
    }


async def put(connection: asyncpg.Connection, table: str, row: dict[str, Any]) -> None:
    """Insert a row as it is."""
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {name_of(table)} ({names}) VALUES ({places})", *row.values())


async def unaudited(connection: asyncpg.Connection) -> None:
    """Let rows in without a trace until the transaction ends, as load tests do."""
    await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")


async def put_scenario(connection: asyncpg.Connection, mark: str = "x", account: str = "account-x") -> None:
    """Insert a good row of every table; the account may exist from an earlier scenario."""
    rows = good_rows(mark, account)
    rows["location"]["site_code_key"] = mark  # of this location alone: no two of an account share one
    if await connection.fetchval("SELECT EXISTS (SELECT FROM turnup.account WHERE id = $1)", account):
        del rows["account"]
    for table in ONE_ROW:
        await connection.execute(f"DELETE FROM {name_of(table)}")
    for table in TABLES:
        if table in rows:
            await put(connection, table, rows[table])


async def change(connection: asyncpg.Connection, table: str, changes: dict[str, Any], mark: str = "x") -> None:
    """Change columns of the scenario's row of a table."""
    row = good_rows(mark)[table]
    keys = {name: row[name] for name in key_of(table)}
    sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(changes, start=1))
    where = " AND ".join(f"{name} = ${number}" for number, name in enumerate(keys, start=len(changes) + 1))
    statement = f"UPDATE {name_of(table)} SET {sets} WHERE {where}"
    assert await connection.execute(statement, *changes.values(), *keys.values()) == "UPDATE 1"


def name_of(table: str) -> str:
    """A table's name as SQL reads it."""
    return f'{tables.SCHEMA}."{table}"'


def key_of(table: str) -> list[str]:
    """The columns that identify the scenario's row of a table."""
    if table == "field_change":
        return ["entry_id"]
    return [column.name for column in tables.metadata.tables[f"{tables.SCHEMA}.{table}"].primary_key]
