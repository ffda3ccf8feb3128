"""Many locations and requests for approval in accounts of very different sizes, for the plans and times of lists."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg

from app.db.database import Database
from app.operations.registry import APPROVES, EDITS, SUBMITS
from tests import harness

from .scenario import put, unaudited

ACCOUNTS = 50
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
PENDING_SHARE = 20
"""One in so many locations is submitted; a third of those are the lead's own work."""
RARE = 7
"""The number of blocked locations: in a status that is rare, an order alone leads past all others."""

# Location n is of account n % 100, or of account-0 from 50 on: account-0 has half of them. The names of account-0 come
# last, and the times of changes follow no order that the names or the accounts have.
_FILL = (
    """INSERT INTO turnup.account (id, name) SELECT 'account-' || n, 'Account ' || n
       FROM generate_series(0, :accounts - 1) n""",
    """INSERT INTO turnup.location (id, account_id, name, status, updated_at)
       SELECT 'location-' || n, 'account-' || a, 'Location ' || lpad((:accounts - a)::text, 3, '0') || ' ' || n,
              CASE WHEN n % :pending = 3 THEN 'PENDING_APPROVAL' WHEN n <= :rare THEN 'BLOCKED'
                   WHEN n % 3 = 0 THEN 'COMPLETED' WHEN n % 3 = 1 THEN 'IN_PROGRESS' ELSE 'NOT_STARTED' END,
              ':began'::timestamptz + (n::bigint * 7919 % :locations) * interval '1 minute'
       FROM generate_series(1, :locations) n,
            LATERAL (SELECT CASE WHEN n % (2 * :accounts) < :accounts THEN n % :accounts ELSE 0 END) o (a)""",
    """INSERT INTO turnup.section (account_id, location_id, section, complete)
       SELECT account_id, id, s, true FROM turnup.location,
              unnest(ARRAY['LOCATION', 'CONTACTS', 'PHONE_SYSTEM', 'DEVICES', 'PEOPLE', 'EXTENSIONS', 'WORKING_HOURS',
                           'CALL_FLOW']) s
       WHERE status = 'PENDING_APPROVAL'""",
    """INSERT INTO turnup.device (id, account_id, location_id, brand, mac_address)
       SELECT 'device-' || k || '-' || id, account_id, id, 'YEALINK',
              '805ec' || k || lpad(to_hex(substr(id, 10)::int), 6, '0')
       FROM turnup.location, generate_series(1, 3) k WHERE status = 'PENDING_APPROVAL'""",
    """INSERT INTO turnup.mac_claim (mac, account_id, location_id)
       SELECT mac_address, account_id, location_id FROM turnup.device""",
    """INSERT INTO turnup.onboarding_session (id, account_id, location_id, submitted_at, submitted_by)
       SELECT 'session-' || id, account_id, id, updated_at,
              CASE WHEN substr(id, 10)::int % 3 = 0 THEN 'lead' ELSE 'customer' END
       FROM turnup.location WHERE status = 'PENDING_APPROVAL'""",
    """INSERT INTO turnup.approval (id, account_id, location_id, location_revision, digest, content, requested_by,
                                    requested_at, status, decided_by, decided_at)
       SELECT 'approval-' || k || '-' || id, account_id, id, 1, repeat('0', 64), '{}', 'customer',
              updated_at - (2 - k) * interval '1 year', CASE WHEN k = 2 THEN 'PENDING' ELSE 'CHANGES_REQUESTED' END,
              CASE WHEN k = 1 THEN 'lead' END, CASE WHEN k = 1 THEN updated_at END
       FROM turnup.location, generate_series(1, 2) k
       WHERE k = 1 AND substr(id, 10)::int % 4 = 0 OR k = 2 AND status = 'PENDING_APPROVAL'""",
    """INSERT INTO turnup.audit_entry (id, chain, number, account_id, location_id, action, outcome, actor_id,
                                       actor_role, occurred_at, hash)
       SELECT 'entry-' || k || '-' || id, account_id, 8 * substr(id, 10)::bigint + k, account_id, id,
              CASE k WHEN 6 THEN 'submitOnboarding' ELSE 'editDevice' END, 'APPLIED', 'customer', 'CUSTOMER',
              updated_at - (6 - k) * interval '1 minute', '\\x00'
       FROM turnup.location, generate_series(1, 6) k WHERE status = 'PENDING_APPROVAL'""",
)
_USERS: dict[str, tuple[str, str | None, list[int]]] = {
    "lead": ("IMPLEMENTATION_LEAD", None, []),
    "lead of 2": ("IMPLEMENTATION_LEAD", None, [0, 1]),
    "lead of 40": ("IMPLEMENTATION_LEAD", None, list(range(10, 50))),
    "customer": ("CUSTOMER", "account-0", [0]),
    "small customer": ("CUSTOMER", "account-49", [49]),
}
GRANTS = {name: len(accounts) or 1 for name, (_, _, accounts) in _USERS.items()}
"""The number of accounts of which a list of each viewer is merged."""
OTHERS_WORK = {
    "viewer_id": "lead",
    "edits": list(EDITS),
    "marks": [*SUBMITS, *APPROVES],
    "approvals": list(APPROVES),
}


def _id(name: str) -> str:
    return name.replace(" ", "-")


@asynccontextmanager
async def filled(database: harness.TestDatabase, locations: int) -> AsyncIterator[Database]:
    """An empty database with this many locations."""
    owner = await asyncpg.connect(database.owner_url)
    values = {
        ":accounts": ACCOUNTS,
        ":locations": locations,
        ":began": BEGAN.isoformat(),
        ":pending": PENDING_SHARE,
        ":rare": RARE,
    }
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await unaudited(owner)
        first, *rest = (_with(statement, values) for statement in _FILL)
        await owner.execute(first)
        for name, (role, account, granted) in _USERS.items():
            row = {"id": _id(name), "subject": _id(name), "name": name, "email": f"{_id(name)}@x.example", "role": role}
            await put(owner, "user", {**row, "account_id": account, "all_accounts": name == "lead"})
            for number in granted:
                grant = {"user_id": _id(name), "account_id": f"account-{number}", "all_locations": True}
                await put(owner, "grant", {"id": f"grant-{_id(name)}-{number}", **grant})
        for statement in rest:
            await owner.execute(statement)
    await owner.execute("VACUUM ANALYZE")
    await owner.close()
    pool = await Database.open(database.app_url, size=1)
    yield pool
    await pool.close()


def _with(statement: str, values: dict[str, Any]) -> str:
    for name, value in values.items():
        statement = statement.replace(name, str(value))
    return statement
