"""Load the demo data, or many plain locations for load tests, as the definer role."""

import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import time_ns
from typing import Any

from sqlalchemy import Table

from app.db import demo, tables
from app.db.connecting import as_definer, connect_as_owner
from app.db.content_rows import TableRow, to_rows
from app.db.kind import check_reset, mark_demo, settle
from app.domain import ids
from app.domain.content import LocationContent
from app.domain.progress import completeness
from app.domain.readiness import readiness
from app.domain.secrets import NewServiceToken
from app.domain.vocabulary import DeviceModelKind, LocationStatus, Role, Section, SystemAction
from app.progress import Report, unreported

S = LocationStatus
_STARTED = frozenset(S) - {S.NOT_STARTED}
_SUBMITTED = frozenset({S.PENDING_APPROVAL, S.APPROVED, S.PROVISIONING, S.COMPLETED})
_CLOSED = frozenset({S.COMPLETED, S.CANCELLED})


async def seed_demo(
    owner_url: str,
    *,
    reset: bool = False,
    other_accounts: int | None = None,
    service_tokens: Mapping[str, NewServiceToken] | None = None,
) -> bool:
    """Load the demo data into an empty database, which becomes a demo. With `reset`, delete all data first.

    The partners with these email addresses get these service tokens, also in a database that has the demo data.
    Returns whether data was loaded. `owner_url` connects as the owner, who can become the definer. Raises
    DatabaseRefused for a production database, and unless `other_accounts` is the number of accounts that a reset
    deletes and that are no demo data.
    """
    await settle(owner_url, embedded=False)  # PostgreSQL truncates no table that the same transaction has marked
    async with as_definer(owner_url) as connection:
        if reset:
            await check_reset(connection, other_accounts)
            await _empty(connection)
        await connection.execute("SELECT set_config('turnup.system_action', $1, true)", SystemAction.SEED_DEMO)
        await mark_demo(connection)
        filled = await connection.fetchval("SELECT EXISTS (SELECT FROM turnup.account)")
        if not filled:
            for table, row in _demo_rows():
                await _insert(connection, table, row)
        for partner in demo.PARTNERS:
            if service_tokens is not None and partner.email in service_tokens:
                await _give(connection, partner, service_tokens[partner.email])
        await connection.execute("SELECT turnup.audit_seal()")
    return not filled


@asynccontextmanager
async def loading_demo(owner_url: str) -> AsyncIterator[None]:
    """Hold a lock, so that of several servers that start together only one loads the demo data at a time."""
    connection = await connect_as_owner(owner_url)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtextextended('turnup.demo', 0))")
        yield
    finally:
        await connection.close()


async def is_only_demo(owner_url: str, request_id: str) -> bool:
    """Whether the audit log has only entries of the demo data and of writes with this request id."""
    async with as_definer(owner_url) as connection:
        return bool(
            await connection.fetchval(_ONLY_DEMO, [SystemAction.SEED_DEMO, SystemAction.MARK_DATABASE], request_id)
        )


async def seed_many(owner_url: str, locations: int, *, report: Report = unreported) -> None:
    """Add an account with this many locations, each with 6 devices, people and extensions, 2 contacts and 7 hours.

    The audit log gets a single entry instead of one change per value. A replay skips the account. `report` gets the
    number of tables that are filled and of all. Raises DatabaseRefused for a production database.
    """
    async with as_definer(owner_url) as connection:
        await connection.execute("SELECT set_config('turnup.system_action', $1, true)", SystemAction.MARK_DATABASE)
        await mark_demo(connection)
        mark = secrets.token_hex(4)
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        # One statement per table: portions would run with plans that were made while the tables were small.
        for number, statement in enumerate(MANY):
            report(number, len(MANY))
            await connection.execute(of_many(statement, mark, locations))
        report(len(MANY), len(MANY))
        await connection.execute(UNAUDITED, new_id("AuditEntry"), f"account-{mark}")
        await connection.execute("SELECT turnup.audit_seal()")
    connection = await connect_as_owner(owner_url)
    try:
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


def of_many(statement: str, mark: str, count: int) -> str:
    """Return a statement of MANY for this many locations."""
    return statement.replace(":mark", f"'{mark}'").replace(":count", str(int(count)))


def new_id(type_name: str) -> str:
    """Return a new id with the current time."""
    return ids.new_id(type_name, milliseconds=time_ns() // 1_000_000, randomness=secrets.token_bytes(10))


def location_rows(content: LocationContent, status: LocationStatus, submitted_by: str) -> Iterable[TableRow]:
    """Yield all rows of a location with this content and status."""
    key = {"account_id": content.account_id, "location_id": content.location_id}
    (table, row), *children = to_rows(content, new_id)
    yield table, {**row, "status": status}
    complete = completeness(readiness(content))
    for section in Section:
        yield tables.section, {**key, "section": section, "complete": complete[section]}
    yield from children
    if status in _STARTED:
        now = datetime.now(UTC)
        submission = {"submitted_at": now, "submitted_by": submitted_by} if status in _SUBMITTED else {}
        closing = {"closed_at": now} if status in _CLOSED else {}
        step = Section.CALL_FLOW if complete[Section.CALL_FLOW] else Section.LOCATION
        session = {"id": f"session-{content.location_id}", **key, "current_step": step}
        yield tables.onboarding_session, {**session, **submission, **closing}


def _demo_rows() -> Iterable[TableRow]:
    for account_id, name in demo.ACCOUNTS.items():
        yield tables.account, {"id": account_id, "name": name}
    created_at = datetime.now(UTC) - demo.USER_AGE
    for user in demo.USERS:
        account = user.accounts[0] if user.role is Role.CUSTOMER else None
        row = {"id": user.id, "subject": user.email, "name": user.name, "email": user.email, "role": user.role}
        all_accounts = user.role is Role.IMPLEMENTATION_LEAD and not user.accounts
        yield tables.user, {**row, "account_id": account, "all_accounts": all_accounts, "created_at": created_at}
    for user_id, version in demo.ACCEPTED_VERSIONS:
        yield tables.accepted_version, {"user_id": user_id, "version": version}
    for brand, model, lines in demo.DEVICE_MODELS:
        name = f"model-{brand.lower()}-{model.replace(' ', '-').lower()}"
        kind = DeviceModelKind.VIDEO_PHONE if model in demo.VIDEO_PHONES else DeviceModelKind.DESK_PHONE
        yield tables.device_model, {"id": name, "brand": brand, "model": model, "lines": lines, "kind": kind}
    yield from location_rows(demo.example(), demo.EXAMPLE_STATUS, "user-acme")
    for branch in demo.BRANCHES:
        status = S.IN_PROGRESS if branch.desks else S.NOT_STARTED
        yield from location_rows(demo.content_of(branch), status, _clerk_of(branch.account_id))
    for user in demo.USERS:
        yield from _grants(user)
    accounts = {f"location-{branch.number}": branch.account_id for branch in demo.BRANCHES}
    for location_id, user_id, purpose in demo.CHOSEN_PARTNERS:
        key = {"id": f"partner-{location_id}", "account_id": accounts[location_id], "location_id": location_id}
        yield tables.location_partner, {**key, "user_id": user_id, "purpose": purpose, "required": True}


def _clerk_of(account_id: str) -> str:
    clerks = [each.id for each in demo.USERS if each.role is Role.CUSTOMER and account_id in each.accounts]
    return clerks[0] if clerks else demo.USERS[0].id


def _grants(user: demo.DemoUser) -> Iterable[TableRow]:
    for account_id in user.accounts:
        grant = {"id": f"grant-{user.id}-{account_id}", "user_id": user.id, "account_id": account_id}
        yield tables.grant, {**grant, "all_locations": user.locations is None}
        for location_id in user.locations or ():
            listed = {"grant_id": grant["id"], "account_id": account_id, "location_id": location_id}
            yield tables.grant_location, listed


async def _give(connection: Any, partner: demo.DemoUser, token: NewServiceToken) -> None:
    """Give a partner a service token in place of one that is another or has expired.

    If the partner has this token, it stays as it is, also if it was revoked. A user whose subject or role was changed
    gets none.
    """
    now, token_id = datetime.now(UTC), f"token-{partner.id}"
    await connection.execute(_END_OTHER, token_id, token.sha256, now)
    if not await connection.fetchval(_NEEDS_TOKEN, partner.id, partner.email, token_id):
        return
    row = {
        "id": token_id,
        "user_id": partner.id,
        "name": "Demo poller",
        "prefix": token.prefix,
        "secret_sha256": token.sha256,
        "actions": demo.TOKEN_ACTIONS,
        "created_by": demo.USERS[0].id,
        "created_at": now,
        "expires_at": now + demo.TOKEN_LIFETIME,
    }
    await _insert(connection, tables.service_token, row)


async def _empty(connection: Any) -> None:
    """Delete all data. What the migrations have noted about the schema is no data."""
    emptied = [table for table in tables.metadata.sorted_tables if table is not tables.schema_state]
    names = ", ".join(f'{tables.SCHEMA}."{table.name}"' for table in emptied)
    await connection.execute(f"TRUNCATE {names} CASCADE")


async def _insert(connection: Any, table: Table, row: Mapping[str, Any]) -> None:
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    statement = f'INSERT INTO {tables.SCHEMA}."{table.name}" ({names}) VALUES ({places})'
    await connection.execute(statement, *row.values())


_END_OTHER = "DELETE FROM turnup.service_token WHERE id = $1 AND (secret_sha256 <> $2 OR expires_at <= $3)"
_NEEDS_TOKEN = f"""
SELECT EXISTS (
    SELECT FROM turnup."user" WHERE id = $1 AND subject = $2 AND issuer IS NULL AND role = '{Role.PARTNER}'
) AND NOT EXISTS (SELECT FROM turnup.service_token WHERE id = $3)
"""
_ONLY_DEMO = f"""
SELECT EXISTS (SELECT FROM turnup.audit_entry WHERE action = '{SystemAction.SEED_DEMO}')
   AND NOT EXISTS (SELECT FROM turnup.audit_entry WHERE action <> ALL ($1) AND request_id <> $2)
"""
UNAUDITED = f"SELECT turnup.audit_open($1, $2, '{SystemAction.LOAD_UNAUDITED}', NULL, '', NULL, NULL, 'APPLIED', NULL)"

# One account of plain locations, generated by PostgreSQL. :mark makes the ids of each run different.
MANY = (
    "INSERT INTO turnup.account (id, name) VALUES ('account-' || :mark, 'Load test ' || :mark)",
    """INSERT INTO turnup.location (id, account_id, name, line1, city, state, zipcode, country, timezone, status)
       SELECT 'location-' || :mark || '-' || n, 'account-' || :mark,
              'Load test ' || :mark || ' ' || lpad(n::text, 7, '0'), n || ' Market Street',
              'Albany', 'NY', '12207', 'US', 'America/New_York', 'IN_PROGRESS'
       FROM generate_series(1, :count) n""",
    """INSERT INTO turnup.section (account_id, location_id, section)
       SELECT 'account-' || :mark, 'location-' || :mark || '-' || n, s
       FROM generate_series(1, :count) n, unnest(ARRAY['LOCATION', 'CONTACTS', 'PHONE_SYSTEM', 'DEVICES', 'PEOPLE',
                                                       'EXTENSIONS', 'WORKING_HOURS', 'CALL_FLOW']) s""",
    """INSERT INTO turnup.contact (id, account_id, location_id, position, purpose, name, email, phone, e164)
       SELECT 'contact-' || :mark || '-' || n || '-' || k, 'account-' || :mark, 'location-' || :mark || '-' || n, k,
              CASE k WHEN 0 THEN 'PRIMARY' ELSE 'TECHNICAL' END, 'Contact ' || k, 'c' || k || '@load.example',
              '+1 212 555 0100', '+12125550100'
       FROM generate_series(1, :count) n, generate_series(0, 1) k""",
    """INSERT INTO turnup.device (id, account_id, location_id, brand, model, mac_address, serial_number, label)
       SELECT 'device-' || :mark || '-' || n || '-' || k, 'account-' || :mark, 'location-' || :mark || '-' || n,
              'YEALINK', 'T54W', '805ec0' || lpad(to_hex((n * 8 + k) % 16777216), 6, '0'), 'SN' || n || k, 'Desk ' || k
       FROM generate_series(1, :count) n, generate_series(1, 6) k""",
    """INSERT INTO turnup.person (id, account_id, location_id, first_name, last_name, email)
       SELECT 'person-' || :mark || '-' || n || '-' || k, 'account-' || :mark, 'location-' || :mark || '-' || n,
              'Desk', 'Holder ' || k, 'p' || k || '@load.example'
       FROM generate_series(1, :count) n, generate_series(1, 6) k""",
    """INSERT INTO turnup.extension (id, account_id, location_id, number, label, person_id, device_id)
       SELECT 'extension-' || :mark || '-' || n || '-' || k, 'account-' || :mark, 'location-' || :mark || '-' || n,
              (2000 + k)::text, 'Desk ' || k, 'person-' || :mark || '-' || n || '-' || k,
              'device-' || :mark || '-' || n || '-' || k
       FROM generate_series(1, :count) n, generate_series(1, 6) k""",
    """INSERT INTO turnup.working_hours (id, account_id, location_id, weekday, opens, closes)
       SELECT 'hours-' || :mark || '-' || n || '-' || k, 'account-' || :mark, 'location-' || :mark || '-' || n, k,
              '09:00', '17:30'
       FROM generate_series(1, :count) n, generate_series(1, 7) k""",
)
