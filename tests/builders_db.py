"""Builders of test rows, written as the definer role and committed. Each test deletes the accounts that it creates.

Each builder writes one valid object, and a test passes only what differs. Times are fixed and ids are derived from the
location's id, so that a test can write down the complete expected answer.
"""

import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha512
from itertools import groupby
from typing import Any

import asyncpg
from sqlalchemy import Table

from app.db import demo, tables
from app.db.seed import location_rows
from app.domain.content import LocationContent
from app.domain.secrets import SERVICE_TOKEN_BYTES, NewServiceToken, new_secret, new_service_token, secret_sha256
from app.domain.vocabulary import (
    ApprovalStatus,
    LocationStatus,
    PartnerPurpose,
    PayloadState,
    ReceiptKind,
    Role,
    Section,
    UserStatus,
)
from tests.harness import TestDatabase

NOON = datetime(2024, 1, 10, 12, 0, tzinfo=UTC)
LEAD_ID = "user-lead"
HASH, SALT = bytes(32), bytes(16)


@asynccontextmanager
async def committed(database: TestDatabase) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Open a transaction of the definer role, which bypasses row-level security; committed when the block ends.

    Its changes are not recorded in the audit log, so that it contains only the entries of the test.
    """
    connection = await asyncpg.connect(database.owner_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE turnup_definer")
            await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
            await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
            yield connection
    finally:
        await connection.close()


async def forget(database: TestDatabase, accounts: Collection[str], users: Collection[str] = ()) -> None:
    """Delete accounts with everything in them, and users with their grants."""
    async with committed(database) as connection:
        await connection.execute(
            "UPDATE turnup.location SET live_payload_id = NULL WHERE account_id = any($1)", accounts
        )
        await connection.execute('DELETE FROM turnup."grant" WHERE user_id = any($1)', users)
        for table in ("user_session", "service_token"):
            await connection.execute(f"DELETE FROM turnup.{table} WHERE user_id = any($1)", users)
        await connection.execute('DELETE FROM turnup."user" WHERE id = any($1)', users)
        for table in reversed(tables.metadata.sorted_tables):
            column = "id" if table is tables.account else "account_id"
            if column in table.c and table is not tables.user:
                await connection.execute(f'DELETE FROM turnup."{table.name}" WHERE {column} = any($1)', accounts)


async def insert(connection: Any, table: Table, **row: Any) -> str:
    """Insert one row; return its id, if it has one."""
    names, places = ", ".join(row), ", ".join(f"${number}" for number in range(1, len(row) + 1))
    statement = f'INSERT INTO turnup."{table.name}" ({names}) VALUES ({places})'
    await connection.execute(statement, *row.values())
    return str(row.get("id", ""))


async def insert_all(connection: Any, rows: Iterable[tuple[Table, Mapping[str, Any]]]) -> None:
    """Rows in their order; those of one table that follow each other go in by one statement."""
    for (table, columns), together in groupby(rows, key=lambda row: (row[0], tuple(row[1]))):
        values = [value for _, row in together for value in row.values()]
        width = len(columns)
        places = ", ".join(
            f"({', '.join(f'${number}' for number in range(first, first + width))})"
            for first in range(1, len(values) + 1, width)
        )
        await connection.execute(f'INSERT INTO turnup."{table.name}" ({", ".join(columns)}) VALUES {places}', *values)


def fresh(prefix: str) -> str:
    """Return an unused id."""
    return f"{prefix}-{secrets.token_hex(8)}"


async def an_account(connection: Any, **row: Any) -> str:
    return await insert(connection, tables.account, **{"id": fresh("account"), "name": "Dune Opticians", **row})


async def a_device_model(connection: Any, **row: Any) -> str:
    name = fresh("model")
    return await insert(
        connection, tables.device_model, **{"id": name, "brand": "OTHER", "model": name, "lines": 2, **row}
    )


async def a_user(
    connection: Any, role: Role, account: str | None = None, status: UserStatus = UserStatus.ACTIVE, **row: Any
) -> str:
    """Insert a user whose token's subject is the id. A lead has access to all accounts by default."""
    name = fresh("user")
    own: dict[str, Any] = {"subject": name, "name": "Uma Frost", "email": f"{name}@dune.example", "account_id": account}
    own |= {"all_accounts": role is Role.IMPLEMENTATION_LEAD}
    return await insert(connection, tables.user, **{"id": name, **own, "role": role, "status": status, **row})


async def a_session(connection: Any, user: str, **row: Any) -> str:
    """Insert an open session of a user; `secret_of` its id is its secret."""
    name, now = fresh("usersession"), datetime.now(UTC)
    own = {"user_agent": "Mozilla/5.0", "created_at": now, "last_used_at": now}
    own |= {"idle_until": now + timedelta(hours=8), "expires_at": now + timedelta(hours=24)}
    digest = secret_sha256(secret_of(name))
    return await insert(
        connection, tables.user_session, **{"id": name, "user_id": user, "secret_sha256": digest, **own, **row}
    )


def secret_of(session: str) -> str:
    """Return the secret of a session that `a_session` made."""
    return new_secret(sha256(session.encode()).digest())


def sent_with(session: str) -> dict[str, str]:
    """Return the header fields of a request that is sent with a session that `a_session` made."""
    return {"cookie": f"turnup_session={secret_of(session)}", "x-turnup-csrf": "1"}


async def a_service_token(connection: Any, user: str, **row: Any) -> str:
    """Insert a service token of a user with all rights; `service_token_of` its id is the token."""
    name, now = fresh("token"), datetime.now(UTC)
    token = service_token_of(name)
    own: dict[str, Any] = {"name": name, "prefix": token.prefix, "secret_sha256": token.sha256}
    own |= {"created_by": user, "created_at": now, "expires_at": now + timedelta(days=30)}
    return await insert(connection, tables.service_token, **{"id": name, "user_id": user, **own, **row})


def service_token_of(name: str) -> NewServiceToken:
    """Return the token that `a_service_token` made."""
    return new_service_token(sha512(name.encode()).digest()[:SERVICE_TOKEN_BYTES])


async def an_invitation(connection: Any, **row: Any) -> str:
    """Insert an open invitation of a partner without grants, made by the command line."""
    name = fresh("invitation")
    own: dict[str, Any] = {"email": f"{name}@dune.example", "name": "Ida Frost", "role": Role.PARTNER}
    own |= {"all_accounts": False, "granted_account_ids": [], "granted_location_ids": []}
    own |= {"secret_sha256": secrets.token_bytes(32), "expires_at": datetime.now(UTC) + timedelta(days=7)}
    return await insert(connection, tables.invitation, **{"id": name, **own, **row})


async def a_grant(connection: Any, user: str, account: str, locations: Collection[str] | None = None) -> str:
    """Insert a grant for every location of an account, or for the listed ones."""
    name = f"grant-{user}-{account}"[:64]
    await insert(connection, tables.grant, id=name, user_id=user, account_id=account, all_locations=locations is None)
    for location in locations or ():
        await insert(connection, tables.grant_location, grant_id=name, account_id=account, location_id=location)
    return name


async def a_location(
    connection: Any, account: str, *, status: LocationStatus = LocationStatus.PROVISIONING, **row: Any
) -> str:
    """Insert a complete location: the published example's content with its own ids."""
    name = row.pop("id", None) or fresh("location")
    content = content_of(name, account)
    met: Counter[str] = Counter()
    rows: list[tuple[Table, dict[str, Any]]] = []
    for table, values in location_rows(content, status, LEAD_ID):
        changes: dict[str, Any] = {}
        if table in {tables.working_hours, tables.call_flow_option}:
            met[table.name] += 1
            prefix = "hours" if table is tables.working_hours else "option"
            changes = {"id": f"{prefix}-{name}-{met[table.name]}"}
        elif table is tables.onboarding_session:
            submission = {"submitted_at": NOON} if values.get("submitted_at") else {}
            changes = {"started_at": NOON, "last_saved_at": NOON, **submission}
        elif table is tables.location:
            changes = {"created_at": NOON, "updated_at": NOON, **row}
        rows.append((table, {**values, **changes}))
    await insert_all(connection, rows)
    return name


def content_of(location: str, account: str) -> LocationContent:
    """Return the published example's content as another location."""
    content = demo.example()
    (contact,), (device,), (person,), (extension,) = (
        content.contacts,
        content.devices,
        content.people,
        content.extensions,
    )
    assert content.call_flow is not None
    renamed = f"extension-{location}"

    def retargeted(target: Any) -> Any:
        return replace(target, extension_id=renamed) if target.extension_id else target

    flow = content.call_flow
    return replace(
        content,
        location_id=location,
        account_id=account,
        name="Dune Opticians - Pier",
        contacts=(replace(contact, id=f"contact-{location}"),),
        devices=(replace(device, id=f"device-{location}"),),
        people=(replace(person, id=f"person-{location}"),),
        extensions=(replace(extension, id=renamed, person_id=f"person-{location}", device_id=f"device-{location}"),),
        working_hours=tuple(replace(each, id=f"hours-{location}-{each.weekday}") for each in content.working_hours),
        call_flow=replace(
            flow,
            timeout_target=retargeted(flow.timeout_target),
            options=tuple(replace(option, target=retargeted(option.target)) for option in flow.options),
        ),
    )


async def _of(connection: Any, location: str) -> dict[str, str]:
    account = await connection.fetchval("SELECT account_id FROM turnup.location WHERE id = $1", location)
    return {"account_id": account, "location_id": location}


async def an_approval(
    connection: Any, location: str, *, status: ApprovalStatus = ApprovalStatus.APPROVED, **row: Any
) -> str:
    decision: dict[str, Any] = {}
    if status is not ApprovalStatus.PENDING:
        decision = {"decided_by": LEAD_ID, "decided_at": NOON + timedelta(hours=1), "comment": "All well."}
    own = {"location_revision": 1, "digest": "a" * 64, "content": {"secret": 1}, "requested_by": LEAD_ID}
    place = {"id": fresh("approval"), **await _of(connection, location), "requested_at": NOON}
    return await insert(connection, tables.approval, **{**place, **own, "status": status, **decision, **row})


async def an_override(connection: Any, location: str, **row: Any) -> str:
    own = {
        "opened_by": LEAD_ID,
        "sections": [Section.DEVICES, Section.CONTACTS],
        "reason": "The phones were swapped on site.",
        "ticket": "OPS-7",
        "opened_at": NOON,
        "expires_at": NOON + timedelta(hours=1),
        "ended_at": NOON + timedelta(minutes=30),
    }
    return await insert(
        connection, tables.override, **{"id": fresh("override"), **await _of(connection, location), **own, **row}
    )


async def a_payload(
    connection: Any, location: str, *, state: PayloadState = PayloadState.RELEASED, sequence: int = 1, **row: Any
) -> str:
    release: dict[str, Any] = {}
    if state is not PayloadState.GENERATED:
        moment = NOON + timedelta(hours=3)
        release = {"released_by": LEAD_ID, "released_at": moment, "updated_at": moment}
    own = {
        "version": "1.0.0",
        "document": json.dumps({"locationId": location, "version": "1.0.0"}),
        "document_digest": "d" * 64,
        "content_digest": "c" * 64,
        "location_revision": 1,
        "generated_by": LEAD_ID,
        "generated_at": NOON + timedelta(hours=2, minutes=sequence),
    }
    place = {"id": fresh("payload"), **await _of(connection, location), "sequence": sequence, "state": state}
    return await insert(connection, tables.provisioning_payload, **{**place, **own, **release, **row})


async def a_location_partner(connection: Any, location: str, user: str, **row: Any) -> str:
    """Insert a partner that was chosen for a location. Returns the id of the row."""
    own = {"user_id": user, "purpose": PartnerPurpose.CARRIER, "required": True}
    place = {"id": fresh("partner"), **await _of(connection, location)}
    return await insert(connection, tables.location_partner, **{**place, **own, **row})


async def a_recipient(connection: Any, payload: str, user: str, **row: Any) -> str:
    """Insert a recipient of a payload, unless the user is one. Returns the user's id."""
    location = await connection.fetchval("SELECT location_id FROM turnup.provisioning_payload WHERE id = $1", payload)
    if not await connection.fetchval(_IS_RECIPIENT, payload, user):
        own = {"payload_id": payload, "user_id": user, "purpose": PartnerPurpose.CARRIER, "required": True}
        place = {"id": fresh("recipient"), **await _of(connection, location)}
        await insert(connection, tables.payload_recipient, **{**place, **own, **row})
    return user


_IS_RECIPIENT = "SELECT EXISTS (SELECT FROM turnup.payload_recipient WHERE payload_id = $1 AND user_id = $2)"


async def a_receipt(
    connection: Any, payload: str, received_by: str, *, kind: ReceiptKind = ReceiptKind.ACKNOWLEDGED, **row: Any
) -> str:
    """Insert the receipt of a recipient, who becomes one if necessary."""
    await a_recipient(connection, payload, received_by)
    location = await connection.fetchval("SELECT location_id FROM turnup.provisioning_payload WHERE id = $1", payload)
    reasons = [{"path": "/devices/0", "code": "UNKNOWN_MODEL", "message": "We do not know this model."}]
    own = {
        "payload_id": payload,
        "kind": kind,
        "document_digest": "d" * 64,
        "received_by": received_by,
        "received_at": NOON + timedelta(hours=4),
        "reasons": reasons if kind is ReceiptKind.REJECTED else [],
    }
    return await insert(
        connection, tables.receipt, **{"id": fresh("receipt"), **await _of(connection, location), **own, **row}
    )


async def an_entry(connection: Any, location: str, **row: Any) -> str:
    """Insert a sealed audit entry with two changes; its hashes are not valid."""
    place = await _of(connection, location)
    last = await connection.fetchval(
        "SELECT coalesce(max(number), 0) FROM turnup.audit_entry WHERE chain = $1", place["account_id"]
    )
    own = {
        "chain": place["account_id"],
        "number": last + 1,
        "hash": HASH,
        "action": "editDevice",
        "outcome": "APPLIED",
        "actor_id": LEAD_ID,
        "actor_role": Role.IMPLEMENTATION_LEAD,
        "request_id": f"request-{location}",
        "client_request_id": f"client-{location}",
        "reason": "The phones were swapped on site.",
        "reason_salt": SALT,
        "reason_hash": HASH,
        "occurred_at": NOON + timedelta(hours=5),
        "is_override": row.get("override_id") is not None,
    }
    entry = await insert(connection, tables.audit_entry, **{"id": fresh("entry"), **place, **own, **row})
    about = {
        "entry_id": entry,
        "account_id": place["account_id"],
        "table_name": "device",
        "row_id": f"device-{location}",
    }
    for field, before, after in (("label", "Reception", "Front desk"), ("voicemail", None, True)):
        old = {} if before is None else {"before": before, "before_salt": SALT, "before_hash": HASH}
        new = {"after": after, "after_salt": SALT, "after_hash": HASH}
        await insert(connection, tables.field_change, **about, field=field, **old, **new)
    return entry
