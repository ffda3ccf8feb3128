"""Sessions and service tokens sign their user in as long as they count, and never to more than the user has."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from typing import Any

import asyncpg
import pytest

from app.audit.replay import replay
from app.audit.verify import snapshot, verify
from app.db import credential_uses
from app.db.credential_uses import CredentialUses
from app.db.database import Database, SuspendedUser, UnknownUser
from app.db.failures import DatabaseReadOnly, DatabaseUnavailable
from app.db.user_keys import UserKeys
from app.domain.credential import Credential, CredentialKind
from app.operations import housekeeping
from app.settings import Settings
from permissions.matrix import Action
from tests import harness
from tests.harness import TestDatabase, first_row, own_database
from tests.oracle import audit_log_is_complete

from .scenario import unaudited
from .test_sign_in import SETTINGS

LEAD, SCOPED_LEAD, CUSTOMER, PARTNER = "user-lead", "user-lead-acme", "user-acme", "user-carrier"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


async def put_session(definer: asyncpg.Connection, user: str = LEAD, secret: str = "s", **columns: Any) -> str:
    """A session that began two hours ago and was used an hour ago. Times are given as their distance from now."""
    times = {"created_at": -2 * HOUR, "last_used_at": -HOUR, "idle_until": 7 * HOUR, "expires_at": 22 * HOUR}
    times |= {name: columns.pop(name) for name in [*times, "ended_at"] if name in columns}
    row: dict[str, Any] = {"id": f"usersession-{secret}", "user_id": user, "secret_sha256": digest(secret), **columns}
    await _put(definer, "user_session", row, times)
    return str(row["id"])


async def put_token(definer: asyncpg.Connection, user: str = LEAD, secret: str = "s", **columns: Any) -> str:
    """A service token that was made a day ago. Times are given as their distance from now."""
    times = {"created_at": -DAY, "expires_at": 90 * DAY}
    times |= {name: columns.pop(name) for name in [*times, "revoked_at"] if name in columns}
    row: dict[str, Any] = {"id": f"token-{secret}", "user_id": user, "name": "Poller", "prefix": "turnup_00000000"}
    row |= {"secret_sha256": digest(secret), "created_by": LEAD, **columns}
    await _put(definer, "service_token", row, times)
    return str(row["id"])


async def _put(definer: asyncpg.Connection, table: str, row: dict[str, Any], times: dict[str, timedelta]) -> None:
    await unaudited(definer)
    values = [f"${number}" for number in range(1, len(row) + 1)]
    values += [f"now() + ${number}::interval" for number in range(len(row) + 1, len(row) + len(times) + 1)]
    await definer.execute(
        f"INSERT INTO turnup.{table} ({', '.join([*row, *times])}) VALUES ({', '.join(values)})",
        *row.values(),
        *times.values(),
    )


async def signed_in(definer: asyncpg.Connection, kind: CredentialKind, secret: str = "s") -> dict[str, Any] | None:
    """What sign-in returns for a secret, None for nobody."""
    found = await definer.fetchrow("SELECT * FROM turnup.sign_in($1, '', NULL, $2, 5000)", kind.value, digest(secret))
    return None if found is None else dict(found)


@pytest.mark.parametrize(
    ("put", "kind", "changes", "is_open"),
    [
        (put_session, CredentialKind.SESSION, {}, True),
        (put_session, CredentialKind.SESSION, {"idle_until": timedelta(0)}, False),
        (put_session, CredentialKind.SESSION, {"expires_at": timedelta(0)}, False),
        (put_session, CredentialKind.SESSION, {"ended_at": timedelta(0), "end_reason": "REVOKED"}, False),
        (put_session, CredentialKind.SERVICE_TOKEN, {}, False),
        (put_session, CredentialKind.ACCESS_TOKEN, {}, False),
        (put_token, CredentialKind.SERVICE_TOKEN, {}, True),
        (put_token, CredentialKind.SERVICE_TOKEN, {"expires_at": timedelta(0)}, False),
        (put_token, CredentialKind.SERVICE_TOKEN, {"revoked_at": timedelta(0)}, False),
        (put_token, CredentialKind.SESSION, {}, False),
    ],
    ids=[
        "open",
        "idle",
        "expired",
        "ended",
        "as a token",
        "as an access token",
        "token",
        "expired token",
        "revoked token",
        "token as a session",
    ],
)
async def test_a_credential_signs_in_as_its_own_kind_while_it_counts(
    as_definer: asyncpg.Connection, put: Any, kind: CredentialKind, changes: dict[str, Any], is_open: bool
) -> None:
    identifier = await put(as_definer, **changes)
    found = await signed_in(as_definer, kind)
    assert (found is not None) is is_open
    settings = await first_row(as_definer, SETTINGS.sql)
    assert settings[0] == (LEAD if is_open else "")
    if found:
        assert (found["id"], found["credential_id"], found["all_accounts"]) == (LEAD, identifier, True)
        assert found["expires_at"] > await as_definer.fetchval("SELECT now()")
    assert await signed_in(as_definer, kind, "another") is None


async def test_an_unknown_kind_of_credential_signs_nobody_in(as_definer: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CaseNotFoundError):
        await as_definer.fetch("SELECT turnup.sign_in('PASSWORD', $1, NULL, NULL, 5000)", harness.LEAD)


async def test_a_session_is_ended_by_a_suspension_and_a_service_token_is_refused_while_it_lasts(
    as_definer: asyncpg.Connection,
) -> None:
    await put_session(as_definer)
    await put_token(as_definer)
    for status, expected in (("SUSPENDED", "SUSPENDED"), ("ACTIVE", "ACTIVE")):
        await as_definer.execute('UPDATE turnup."user" SET status = $1 WHERE id = $2', status, LEAD)
        assert await signed_in(as_definer, CredentialKind.SESSION) is None
        token = await signed_in(as_definer, CredentialKind.SERVICE_TOKEN)
        assert token is not None
        assert token["status"] == expected
        assert (await first_row(as_definer, SETTINGS.sql))[0] == (LEAD if status == "ACTIVE" else "")
    assert (
        await as_definer.fetchval("SELECT end_reason FROM turnup.user_session WHERE user_id = $1", LEAD) == "SUSPENDED"
    )


@pytest.mark.parametrize(
    ("change", "sessions", "tokens"),
    [
        ("name = 'Other'", True, True),
        ("subject = 'other'", False, True),
        ("issuer = 'https://other.example'", False, True),
        ("role = 'AUDITOR', all_accounts = false", False, False),
    ],
)
async def test_another_subject_or_issuer_ends_sessions_and_another_role_the_tokens_too(
    as_definer: asyncpg.Connection, change: str, sessions: bool, tokens: bool
) -> None:
    await put_session(as_definer)
    await put_token(as_definer)
    await as_definer.execute(f'UPDATE turnup."user" SET {change} WHERE id = $1', LEAD)
    assert (await signed_in(as_definer, CredentialKind.SESSION) is not None) is sessions
    assert (await signed_in(as_definer, CredentialKind.SERVICE_TOKEN) is not None) is tokens


ALL_OF_USER, NONE = None, list[str]()


@pytest.mark.parametrize(
    ("user", "listed", "settings", "accounts"),
    [
        (LEAD, ALL_OF_USER, {"turnup.all_accounts": "on"}, []),
        (LEAD, ["account-2", "account-none"], {"turnup.lead_accounts": '{"account-2": 1}'}, ["account-2"]),
        (LEAD, ["account-none"], {"turnup.lead_accounts": "{}"}, []),
        (SCOPED_LEAD, ["account-2"], {"turnup.lead_accounts": "{}"}, []),
        (SCOPED_LEAD, ["account-1", "account-2"], {"turnup.lead_accounts": '{"account-1": 1}'}, ["account-1"]),
        (PARTNER, ALL_OF_USER, {"turnup.accounts": '{"account-1": 1, "account-2": 1}'}, ["account-1", "account-2"]),
        (PARTNER, ["account-2", "account-3"], {"turnup.accounts": '{"account-2": 1}'}, ["account-2"]),
        (CUSTOMER, ["account-1"], {"turnup.account": "account-1"}, ["account-1"]),
        (CUSTOMER, ["account-2"], {}, []),
    ],
)
async def test_the_accounts_of_a_token_limit_those_of_its_user_and_add_none(
    as_definer: asyncpg.Connection, user: str, listed: list[str] | None, settings: dict[str, str], accounts: list[str]
) -> None:
    await put_token(as_definer, user, account_ids=listed, actions=["VIEW_LOCATIONS"])
    found = await signed_in(as_definer, CredentialKind.SERVICE_TOKEN)
    assert found is not None
    assert (found["id"], found["accounts"], found["actions"]) == (user, accounts, ["VIEW_LOCATIONS"])
    assert found["all_accounts"] is ("turnup.all_accounts" in settings)
    names = ("turnup.account", "turnup.accounts", "turnup.all_accounts", "turnup.lead_accounts")
    made = {name: await as_definer.fetchval("SELECT current_setting($1, true)", name) for name in names}
    assert {name: value for name, value in made.items() if value} == settings


async def test_a_token_of_an_auditor_that_lists_accounts_signs_nobody_in(as_definer: asyncpg.Connection) -> None:
    await put_token(as_definer, "user-auditor", account_ids=["account-1"])
    assert await signed_in(as_definer, CredentialKind.SERVICE_TOKEN) is None
    await put_token(as_definer, "user-auditor", secret="whole")
    assert await signed_in(as_definer, CredentialKind.SERVICE_TOKEN, "whole") is not None


async def test_one_subject_of_two_issuers_is_two_users(as_definer: asyncpg.Connection) -> None:
    await unaudited(as_definer)
    other = "https://partners.example"
    await as_definer.execute(
        """INSERT INTO turnup."user" (id, subject, issuer, name, email, role)
           VALUES ('user-other', $1, $2, 'Other', 'other@house.example', 'PARTNER')""",
        harness.LEAD,
        other,
    )
    sign_in = "SELECT id FROM turnup.sign_in('ACCESS_TOKEN', $1, $2, NULL, 5000)"
    found = [
        await as_definer.fetchval(sign_in, harness.LEAD, issuer) for issuer in (None, other, "https://third.example")
    ]
    assert found == [LEAD, "user-other", None]
    with pytest.raises(asyncpg.UniqueViolationError):
        await as_definer.execute("UPDATE turnup.\"user\" SET issuer = NULL WHERE id = 'user-other'")


async def test_servers_of_the_version_before_sign_in_users_of_the_configured_issuer_alone(
    as_definer: asyncpg.Connection,
) -> None:
    statement = (
        "SELECT id, name, email, role, status, accounts, locations, all_accounts, confirmed FROM turnup.sign_in($1, $2)"
    )
    before = await as_definer.fetchrow(statement, harness.SCOPED_LEAD, 5_000)
    assert before is not None
    assert (before["id"], before["accounts"], before["all_accounts"]) == (SCOPED_LEAD, ["account-1"], False)
    await as_definer.execute("UPDATE turnup.\"user\" SET issuer = 'https://other.example' WHERE id = $1", SCOPED_LEAD)
    assert await as_definer.fetchrow(statement, harness.SCOPED_LEAD, 5_000) is None


# Browsers


BEGIN = "SELECT * FROM turnup.begin_session($1, $2, $3, $4, 'Firefox', 3600, 7200)"


async def begin(
    definer: asyncpg.Connection, number: int, subject: str = harness.LEAD, issuer: str | None = None
) -> Any:
    return await definer.fetchrow(BEGIN, f"usersession-{number}", issuer, subject, digest(str(number)))


async def test_a_session_begins_for_an_active_user_of_its_issuer(as_definer: asyncpg.Connection) -> None:
    await unaudited(as_definer)
    assert tuple(await begin(as_definer, 1)) == (LEAD, "ACTIVE", "IMPLEMENTATION_LEAD")
    assert await begin(as_definer, 2, issuer="https://other.example") is None
    assert await begin(as_definer, 3, "nobody@turnup.example") is None
    await as_definer.execute("UPDATE turnup.\"user\" SET status = 'SUSPENDED' WHERE id = $1", PARTNER)
    assert tuple(await begin(as_definer, 4, harness.PARTNER)) == (PARTNER, "SUSPENDED", "PARTNER")
    found = await as_definer.fetch(
        "SELECT id, idle_until - now(), expires_at - now(), user_agent FROM turnup.user_session"
    )
    assert [tuple(row) for row in found] == [("usersession-1", HOUR, 2 * HOUR, "Firefox")]


async def test_a_user_has_at_most_twenty_open_sessions_and_the_least_recently_used_one_gives_way(
    as_definer: asyncpg.Connection,
) -> None:
    for number in range(20):
        await put_session(as_definer, secret=f"old-{number}", last_used_at=-number * timedelta(minutes=1))
    await put_session(as_definer, secret="idle", idle_until=-HOUR)
    await put_session(as_definer, PARTNER, "of-another")
    await begin(as_definer, 1)
    ended = await as_definer.fetch("SELECT id, end_reason FROM turnup.user_session WHERE ended_at IS NOT NULL")
    assert [tuple(row) for row in ended] == [("usersession-old-19", "REPLACED")]


async def test_a_browser_ends_its_own_session_once(as_definer: asyncpg.Connection) -> None:
    await put_session(as_definer)
    end = "SELECT turnup.end_session($1)"
    ended = "SELECT end_reason, now() - ended_at FROM turnup.user_session"
    await as_definer.execute(end, digest("another"))
    assert [tuple(row) for row in await as_definer.fetch(ended)] == [(None, None)]
    await as_definer.execute(end, digest("s"))
    assert [tuple(row) for row in await as_definer.fetch(ended)] == [("SIGNED_OUT", timedelta(0))]
    assert await signed_in(as_definer, CredentialKind.SESSION) is None
    await as_definer.execute("UPDATE turnup.user_session SET ended_at = ended_at - interval '1 hour'")
    await as_definer.execute(end, digest("s"))
    assert [tuple(row) for row in await as_definer.fetch(ended)] == [("SIGNED_OUT", HOUR)]


ATTEMPT = "SELECT turnup.begin_sign_in_attempt($1, $2, 'nonce', 'verifier', '/graphiql', NULL)"
TAKE = "SELECT nonce, code_verifier, next, invitation_sha256 FROM turnup.take_sign_in_attempt($1, $2)"


async def test_an_attempt_to_sign_in_is_taken_once_by_its_browser_within_ten_minutes(
    as_definer: asyncpg.Connection,
) -> None:
    for state in "ab":
        await as_definer.execute(ATTEMPT, digest(state), digest("browser"))
    await as_definer.execute(
        "UPDATE turnup.sign_in_attempt SET created_at = now() - interval '10 minutes' WHERE state_sha256 = $1",
        digest("b"),
    )
    assert await as_definer.fetch(TAKE, digest("a"), digest("another browser")) == []
    taken = [await as_definer.fetch(TAKE, digest(state), digest("browser")) for state in "aab"]
    assert [[tuple(row) for row in rows] for rows in taken] == [[("nonce", "verifier", "/graphiql", None)], [], []]


async def test_ten_thousand_abandoned_attempts_are_all_that_is_kept_and_are_deleted_in_batches(
    as_definer: asyncpg.Connection,
) -> None:
    await as_definer.execute(
        """INSERT INTO turnup.sign_in_attempt (state_sha256, browser_sha256, nonce, code_verifier, next, created_at)
           SELECT sha256(n::text::bytea), sha256('b'), '', '', '/', now() - n * interval '10 milliseconds'
           FROM generate_series(1, 10000) n"""
    )
    count, oldest = "SELECT count(*) FROM turnup.sign_in_attempt", digest("10000")
    for state in ("first", "second"):
        await as_definer.execute(ATTEMPT, digest(state), digest("browser"))
        assert await as_definer.fetchval(count) == 10_000
    assert await as_definer.fetchval(f"{count} WHERE state_sha256 = $1", oldest) == 0
    assert len(await as_definer.fetch(TAKE, digest("first"), digest("browser"))) == 1
    await as_definer.execute("UPDATE turnup.sign_in_attempt SET created_at = now() - interval '1 hour'")
    assert await as_definer.fetchval("SELECT turnup.forget_credentials(4000)") == 4_000
    assert await as_definer.fetchval(count) == 5_999


# What was used, and what is over


async def test_a_use_moves_the_idle_time_of_a_session_and_leaves_what_is_over_and_what_is_younger(
    as_definer: asyncpg.Connection,
) -> None:
    ids = [
        await put_session(as_definer, secret="used"),
        await put_session(as_definer, secret="ended", ended_at=-HOUR, end_reason="REVOKED"),
        await put_session(as_definer, secret="younger", last_used_at=timedelta(0)),
    ]
    token = await put_token(as_definer)
    record = "SELECT turnup.record_uses($1, $2, $3, $4)"
    await as_definer.execute(record, ids, [60.0, 60.0, 60.0], [token, "token-none"], [60.0, 60.0])
    await as_definer.execute(record, [], [], [token], [90.0])
    found = await as_definer.fetch(
        "SELECT now() - last_used_at, idle_until - last_used_at FROM turnup.user_session ORDER BY id"
    )
    minute = timedelta(minutes=1)
    assert sorted(map(tuple, found)) == sorted([(minute, 8 * HOUR), (HOUR, 8 * HOUR), (timedelta(0), 7 * HOUR)])
    uses = await as_definer.fetch("SELECT token_id, now() - last_used_at FROM turnup.service_token_use")
    assert [tuple(row) for row in uses] == [(token, minute)]


async def test_sessions_are_deleted_a_month_after_they_expired_and_tokens_a_year_after_their_end(
    as_definer: asyncpg.Connection,
) -> None:
    await put_session(as_definer, secret="young", expires_at=-30 * DAY)
    await put_session(as_definer, secret="old", expires_at=-30 * DAY - HOUR)
    await put_token(as_definer, secret="young", created_at=-400 * DAY, revoked_at=-364 * DAY)
    await put_token(as_definer, secret="revoked", created_at=-400 * DAY, revoked_at=-370 * DAY)
    await put_token(as_definer, secret="expired", created_at=-400 * DAY, expires_at=-370 * DAY)
    assert await as_definer.fetchval("SELECT turnup.forget_credentials(1)") == 1
    assert await as_definer.fetchval("SELECT turnup.forget_credentials(1)") == 1
    assert await as_definer.fetchval("SELECT turnup.forget_credentials(1)") == 0
    kept = "SELECT id FROM turnup.user_session UNION ALL SELECT id FROM turnup.service_token"
    assert {row["id"] for row in await as_definer.fetch(kept)} == {"usersession-young", "token-young"}


async def test_the_audit_log_knows_a_token_without_its_secret_until_it_is_deleted() -> None:
    async with own_database() as own:
        definer = await asyncpg.connect(own.owner_url)
        await definer.execute("SET ROLE turnup_definer")
        await definer.execute("SELECT set_config('turnup.system_action', 'MIGRATE', false)")
        made = [digest(secret) for secret in ("a", "b")]
        for number, secret in enumerate(made):
            async with definer.transaction():
                await definer.execute(
                    """INSERT INTO turnup.service_token
                           (id, user_id, name, prefix, secret_sha256, created_by, created_at, expires_at)
                       VALUES ($1, 'user-carrier', 'Poller', 'turnup_00000000', $2, 'user-lead',
                               now() - interval '2 years', now() - interval '13 months' * $3)""",
                    f"token-{number}",
                    secret,
                    number,
                )
                await definer.execute("SELECT turnup.audit_seal()")
        told = await definer.fetch("SELECT field, after FROM turnup.field_change WHERE row_id = 'token-0'")
        assert dict(map(tuple, told))["secret_sha256"] is None
        assert not any(secret.hex() in str(row) for row in told for secret in made)
        await audit_log_is_complete(own)
        await definer.execute("SELECT turnup.forget_credentials(100)")
        gone = await definer.fetch(
            """SELECT DISTINCT e.action, e.actor_id, c.row_id FROM turnup.audit_entry e
               JOIN turnup.field_change c ON c.entry_id = e.id WHERE e.action = 'TOKENS_FORGOTTEN'"""
        )
        assert [tuple(row) for row in gone] == [("TOKENS_FORGOTTEN", None, "token-1")]
        await audit_log_is_complete(own)
        await definer.close()


async def test_an_erased_user_keeps_no_issuer_no_session_and_no_service_token() -> None:
    async with own_database() as own:
        definer = await asyncpg.connect(own.owner_url)
        await definer.execute("SET ROLE turnup_definer")
        await definer.execute("SELECT set_config('turnup.system_action', 'MIGRATE', false)")
        async with definer.transaction():
            await definer.execute(
                "UPDATE turnup.\"user\" SET issuer = 'https://private.example' WHERE id = 'user-carrier'"
            )
            await definer.execute("SELECT turnup.audit_seal()")
        async with definer.transaction():
            await put_session(definer, PARTNER)
        async with definer.transaction():
            await definer.execute(
                """INSERT INTO turnup.service_token (id, user_id, name, prefix, secret_sha256, created_by, expires_at)
                   VALUES ('token-1', 'user-carrier', 'Poller', 'turnup_00000000', $1, 'user-lead', now() + '1 day')""",
                digest("s"),
            )
            await definer.execute("SELECT turnup.audit_seal()")
        async with definer.transaction():
            await definer.execute("SELECT turnup.audit_erase('user', 'user-carrier', 'asked for')")
        user = await first_row(definer, 'SELECT issuer, status FROM turnup."user" WHERE id = $1', PARTNER)
        assert tuple(user) == (None, "SUSPENDED")
        assert await definer.fetch("SELECT FROM turnup.user_session") == []
        assert await definer.fetchval("SELECT revoked_at IS NOT NULL FROM turnup.service_token") is True
        left = await definer.fetchval(
            "SELECT count(*) FROM turnup.field_change c WHERE c::text LIKE '%private.example%'"
        )
        assert left == 0
        async with snapshot(own.owner_url) as reading:
            assert (await verify(reading)).broken is None
        assert (await replay(own.owner_url)).differences == ()
        await definer.close()


# The process


@pytest.fixture
async def own() -> AsyncIterator[TestDatabase]:
    """A database of the test alone."""
    async with own_database() as made:
        yield made


@pytest.fixture
async def pool(own: TestDatabase) -> AsyncIterator[Database]:
    opened = await Database.open(own.app_url, size=2)
    yield opened
    await opened.close()


@pytest.fixture
async def definer(own: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection whose changes are committed at once."""
    connection = await asyncpg.connect(own.owner_url)
    await connection.execute("SET ROLE turnup_definer")
    await connection.execute("SELECT set_config('turnup.unaudited', 'on', false)")
    yield connection
    await connection.close()


SESSION, TOKEN = Credential.of_session(digest("s")), Credential.of_service_token(digest("s"))
ENDS = {
    "revoked session": (SESSION, "UPDATE turnup.user_session SET ended_at = now(), end_reason = 'REVOKED'"),
    "idle session": (SESSION, "UPDATE turnup.user_session SET idle_until = now()"),
    "expired session": (SESSION, "UPDATE turnup.user_session SET expires_at = now()"),
    "revoked token": (TOKEN, "UPDATE turnup.service_token SET revoked_at = now()"),
    "expired token": (TOKEN, "UPDATE turnup.service_token SET expires_at = now()"),
    "suspended, session": (SESSION, "UPDATE turnup.\"user\" SET status = 'SUSPENDED' WHERE id = 'user-lead'"),
    "suspended, token": (TOKEN, "UPDATE turnup.\"user\" SET status = 'SUSPENDED' WHERE id = 'user-lead'"),
}


@pytest.mark.parametrize("end", ENDS)
async def test_what_ends_a_credential_counts_from_the_next_transaction_whatever_the_process_remembers(
    pool: Database, definer: asyncpg.Connection, end: str
) -> None:
    credential, statement = ENDS[end]
    await put_session(definer)
    await put_token(definer)
    for _ in range(2):
        async with pool.snapshot(credential, timeout_ms=5_000) as transaction:
            assert transaction.viewer.id == LEAD
    async with pool.snapshot(credential, timeout_ms=5_000) as under_way:
        await definer.execute(statement)
        assert await under_way.fetch(SETTINGS), "a request that has begun is completed"
    assert pool.user_keys.of(credential) == LEAD, "remembered for fairness"
    for begin_one in (pool.snapshot, pool.writing):
        with pytest.raises(SuspendedUser if end == "suspended, token" else UnknownUser):
            await begin_one(credential, timeout_ms=5_000).begin()


async def test_a_viewer_knows_its_credential(pool: Database, definer: asyncpg.Connection) -> None:
    session = await put_session(definer)
    token = await put_token(definer, actions=[Action.VIEW_ACCOUNTS.value, "NO_LONGER_KNOWN"])
    by_token = harness.by_token(harness.LEAD)
    found = []
    for credential in (by_token, SESSION, TOKEN):
        async with pool.snapshot(credential, timeout_ms=5_000) as transaction:
            viewer = transaction.viewer
            found.append((viewer.credential_kind, viewer.credential_id, viewer.actions))
            assert (viewer.credential_expires_at is None) is (credential is by_token)
    assert found == [
        (CredentialKind.ACCESS_TOKEN, None, None),
        (CredentialKind.SESSION, session, None),
        (CredentialKind.SERVICE_TOKEN, token, {Action.VIEW_ACCOUNTS}),
    ]


async def test_every_credential_signs_in_with_one_statement(pool: Database, definer: asyncpg.Connection) -> None:
    await put_session(definer)
    await put_token(definer)
    for credential in (harness.by_token(harness.LEAD), SESSION, TOKEN):
        async with pool.connection() as connection:
            seen: list[str] = []
            with connection.query_logger(lambda record: seen.append(record.query)):  # noqa: B023 - it is of this turn
                await connection.execute("BEGIN")
                await pool._sign_in(connection, credential, 5_000)
                await connection.execute("ROLLBACK")
        assert [each for each in seen if each not in {"BEGIN", "ROLLBACK"}] == [
            each for each in seen if "turnup.sign_in" in each
        ]
        assert len(seen) == 3


async def test_uses_are_written_in_batches_and_kept_when_that_fails(
    pool: Database, definer: asyncpg.Connection
) -> None:
    session, token = await put_session(definer), await put_token(definer)
    for credential in (SESSION, TOKEN, SESSION):
        async with pool.snapshot(credential, timeout_ms=5_000):
            pass
    assert len(pool.uses) == 2
    async with pool.connection() as connection:
        with pytest.raises(DatabaseReadOnly):
            async with connection.transaction(readonly=True):
                await pool.uses.write(connection)
        assert len(pool.uses) == 2
        await pool.uses.write(connection)
    assert len(pool.uses) == 0
    used = await definer.fetch(
        """SELECT id, last_used_at > now() - interval '1 minute' FROM turnup.user_session
           UNION ALL SELECT token_id, last_used_at > now() - interval '1 minute' FROM turnup.service_token_use"""
    )
    assert dict(map(tuple, used)) == {session: True, token: True}


async def test_a_server_that_stops_writes_the_last_uses_and_stops_even_if_it_cannot(
    pool: Database, definer: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await put_token(definer)
    await housekeeping.write_last_uses(pool)
    async with pool.snapshot(TOKEN, timeout_ms=5_000):
        pass
    may_record = "EXECUTE ON FUNCTION turnup.record_uses(text[], float8[], text[], float8[])"
    await definer.execute(f"REVOKE {may_record} FROM turnup_app")
    await housekeeping.write_last_uses(pool)
    assert "the last uses of credentials could not be written" in caplog.text
    await definer.execute(f"GRANT {may_record} TO turnup_app")
    await housekeeping.write_last_uses(pool)
    assert await definer.fetchval("SELECT count(*) FROM turnup.service_token_use") == 1


async def test_housekeeping_deletes_in_rounds_of_bounded_batches(
    pool: Database, definer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        await put_session(definer, secret=f"old-{number}", expires_at=-31 * DAY)
    monkeypatch.setattr(housekeeping, "MOST_CREDENTIALS", 2)
    monkeypatch.setattr(housekeeping, "MOST_BATCHES", 3)
    left = []
    for _ in range(3):
        await housekeeping.forget_old_credentials(pool)
        left.append(await definer.fetchval("SELECT count(*) FROM turnup.user_session"))
    assert left == [3, 0, 0]


async def test_a_batch_of_deleted_credentials_has_its_line_when_the_next_batch_fails(
    pool: Database,
    definer: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="turnup.events")
    for number in range(5):
        await put_session(definer, secret=f"old-{number}", expires_at=-31 * DAY)
    monkeypatch.setattr(housekeeping, "MOST_CREDENTIALS", 2)
    delete, batches = housekeeping._batch, 0

    async def lost_at_the_third(*arguments: Any) -> int:
        nonlocal batches
        batches += 1
        if batches == 3:
            raise DatabaseUnavailable
        return await delete(*arguments)

    monkeypatch.setattr(housekeeping, "_batch", lost_at_the_third)
    with pytest.raises(DatabaseUnavailable):
        await housekeeping.forget_old_credentials(pool)
    counts = [vars(each)["count"] for each in caplog.records if each.message == "credentials.forgotten"]
    assert counts == [2, 2]
    assert await definer.fetchval("SELECT count(*) FROM turnup.user_session") == 1


def test_the_memory_of_uses_is_bounded_and_due_once_a_minute() -> None:
    now = [0.0]
    uses = CredentialUses(most=3, clock=lambda: now[0])
    for number in range(5):
        uses.note(CredentialKind.SESSION, f"usersession-{number}")
    assert len(uses) == 3
    assert not uses.are_due()
    now[0] = 60.0
    assert uses.are_due()


def test_the_memory_of_users_is_bounded_and_follows_who_signs_in() -> None:
    keys = UserKeys(most=2)
    first, second, third = (harness.by_token(subject) for subject in "abc")
    assert keys.of(first) == first
    for credential, user in ((first, "user-1"), (second, "user-1"), (first, "user-2"), (third, "user-3")):
        keys.learn(credential, user)
    assert [keys.of(each) for each in (first, second, third)] == [first, "user-1", "user-3"]
    assert len(keys) == 2


async def test_a_user_with_twenty_service_tokens_holds_as_many_connections_as_with_one(
    own: TestDatabase, definer: asyncpg.Connection
) -> None:
    secrets = [f"token-{number}" for number in range(20)]
    for secret in secrets:
        await put_token(definer, PARTNER, secret)
    tokens = [Credential.of_service_token(digest(secret)) for secret in secrets]
    pool = await Database.open(own.app_url, size=4, per_user=2)
    held, are_two, ended = [0], asyncio.Event(), asyncio.Event()

    async def hold(credential: Credential) -> None:
        async with pool.snapshot(credential, timeout_ms=5_000):
            held[0] += 1
            if held[0] == 2:
                are_two.set()
            await ended.wait()

    try:
        for token in tokens:
            async with pool.snapshot(token, timeout_ms=5_000):
                pass
        holding = [asyncio.create_task(hold(token)) for token in tokens]
        async with asyncio.timeout(30):
            await are_two.wait()
            async with pool.snapshot(harness.by_token(harness.LEAD), timeout_ms=5_000) as other:
                assert other.viewer.id == LEAD
            assert (held[0], pool.users.waiting) == (2, 18)
            ended.set()
            await asyncio.gather(*holding)
    finally:
        await pool.close()
    assert held[0] == 20


async def test_sign_ins_at_the_same_time_open_no_more_than_twenty_sessions_and_none_after_a_suspension(
    pool: Database, definer: asyncpg.Connection
) -> None:
    async def begin_one(number: int) -> None:
        async with pool.connection() as connection:
            await begin(connection, number)

    suspension = "UPDATE turnup.\"user\" SET status = 'SUSPENDED' WHERE id = 'user-lead'"
    is_open = "SELECT count(*) FROM turnup.user_session WHERE ended_at IS NULL"
    await asyncio.gather(*map(begin_one, range(25)))
    assert await definer.fetchval(is_open) == 20
    await asyncio.gather(*map(begin_one, range(25, 30)), definer.execute(suspension))
    assert await definer.fetchval(is_open) == 0


def test_no_session_can_be_idle_for_less_time_than_passes_until_its_uses_are_written() -> None:
    (shortest,) = (bound.ge for bound in Settings.model_fields["session_idle_seconds"].metadata if hasattr(bound, "ge"))
    written_within = 2 * credential_uses.EVERY_SECONDS + housekeeping.MOST_SECONDS  # due, begun and done
    assert shortest > written_within
