"""Role denials and security events: one entry a user, field and minute, with the count."""

import pytest

from app import audit
from app.audit.verify import snapshot, verify
from app.db.database import Database
from tests.harness import LEAD, by_token, early_in_a_minute
from tests.harness import TestDatabase as Databases

from .trail import an_id, changes_of, definer, run


async def a_minute_later(place: Databases) -> None:
    """Let the running minute be over."""
    async with definer(place.owner_url) as connection:
        await connection.execute("UPDATE turnup.audit_incident SET minute = minute - interval '1 minute'")


@pytest.fixture(autouse=True)
async def within_a_minute(pool: Database) -> None:
    """What these tests count is counted in one minute."""
    async with pool.connection() as connection:
        await early_in_a_minute(connection)


async def entries(pool: Database, code: str) -> list[tuple[object, ...]]:
    """(action, outcome, actor, role, chain, count) of the entries with a code."""
    async with pool.snapshot(by_token(LEAD), timeout_ms=5_000) as tx:
        found = await run(
            tx,
            """SELECT id, action, outcome, actor_id, actor_role, chain FROM turnup.audit_entry
               WHERE code = $1 AND number IS NOT NULL ORDER BY number""",
            code,
        )
    return [(*row, (await changes_of(pool, entry))[0][4]) for entry, *row in found]


async def test_denials_are_entered_once_a_user_field_and_minute_with_their_count(
    pool: Database, database: Databases
) -> None:
    overrides, log = an_id("Location.overrides"), an_id("Location.auditLog")
    for field, user in [(overrides, "user-acme")] * 3 + [(overrides, "user-birch"), (log, "user-acme")]:
        await audit.record_denial(pool, field=field, user_id=user, request_id="request-1")
    assert await entries(pool, overrides) == []
    await a_minute_later(database)
    await audit.settle(pool)
    assert await entries(pool, overrides) == [
        ("ROLE_DENIED", "REFUSED", "user-acme", "CUSTOMER", "system", 3),
        ("ROLE_DENIED", "REFUSED", "user-birch", "CUSTOMER", "system", 1),
    ]
    assert await entries(pool, log) == [("ROLE_DENIED", "REFUSED", "user-acme", "CUSTOMER", "system", 1)]
    assert await audit.settle(pool) == 0


async def test_a_denial_enters_those_of_the_minutes_before(pool: Database, database: Databases) -> None:
    earlier, later = an_id("earlier"), an_id("later")
    await audit.record_denial(
        pool, field=earlier, user_id="user-acme", request_id="request-1", client_request_id="client-1"
    )
    await a_minute_later(database)
    await audit.record_denial(pool, field=later, user_id="user-acme", request_id="request-2")
    assert len(await entries(pool, earlier)) == 1
    async with pool.snapshot(by_token(LEAD), timeout_ms=5_000) as tx:
        ids = "SELECT request_id, client_request_id FROM turnup.audit_entry WHERE code = $1"
        assert await run(tx, ids, earlier) == [("request-1", "client-1")]
    assert await entries(pool, later) == []


async def test_security_events_are_entered_for_users_who_cannot_sign_in(pool: Database, database: Databases) -> None:
    kind = an_id("SUSPENDED_USER")
    await audit.record_security_event(pool, kind=kind, user_id="user-pbx", request_id="request-1")
    await a_minute_later(database)
    await audit.settle(pool)
    assert await entries(pool, kind) == [("SECURITY_EVENT", "REFUSED", "user-pbx", "PARTNER", "system", 1)]
    async with snapshot(database.owner_url) as connection:
        assert (await verify(connection, chain="system")).broken is None
