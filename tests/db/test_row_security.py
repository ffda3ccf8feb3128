"""Row-level security holds on every table for every kind of user, and the app's role can neither pass nor undo it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.audit.replay import ON_SYSTEM
from app.db import tables
from app.domain.vocabulary import Role
from permissions.matrix import AUDIENCE, allows
from tests import harness

from .scenario import good_rows, key_of, name_of, put, put_scenario, unaudited

# One worker runs them all: each would have to make the database anew.
pytestmark = pytest.mark.xdist_group("row-security")

ALL_TABLES = sorted(table.name for table in tables.metadata.sorted_tables)

# What the app's role may do with each table's rows, as far as policies let it; every other table is open for all four.
READ_AND_WRITE = {"SELECT", "INSERT", "UPDATE", "DELETE"}
RESTRICTED: dict[str, set[str]] = {
    "audit_entry": {"SELECT"},
    "field_change": {"SELECT"},
    "chain_head": set(),
    "audit_incident": set(),
    "erasure_due": set(),
    "schema_state": {"SELECT"},
    "installation": {"SELECT"},
    "gauge_reading": set(),
    "audit_verification": set(),
    "payload_recipient": READ_AND_WRITE - {"UPDATE"},
    "user_session": set(),
    "sign_in_attempt": set(),
    "service_token": {"INSERT"},
    "service_token_use": {"SELECT"},
    "invitation": {"INSERT"},
}
# The columns of which the app's role may read or change the values, in tables where it may not do so with all columns.
OF_COLUMNS = {
    ("payload_recipient", "UPDATE"): {
        "live",
        "waived_at",
        "waived_by",
        "waived_reason",
        "decommissioned_at",
        "decommissioned_by",
        "decommission_reason",
    },
    ("user_session", "SELECT"): set(tables.user_session.c.keys()) - {"secret_sha256"},
    ("user_session", "UPDATE"): {"ended_at", "end_reason"},
    ("service_token", "SELECT"): set(tables.service_token.c.keys()) - {"secret_sha256"},
    ("service_token", "UPDATE"): {"revoked_at"},
    ("invitation", "SELECT"): set(tables.invitation.c.keys()) - {"secret_sha256"},
    ("invitation", "UPDATE"): {"revoked_at"},
}

# The functions that the app's role may call.
CALLABLE = {
    "hold_approval_users",
    "is_location_named",
    "makers_of_submitters",
    "name_key",  # of its argument alone
    "sign_in",
    "work_by_tokens",
    "audit_open",
    "audit_seal",
    "audit_count",
    "audit_settle",
    "audit_erase_due",
    "audit_is_system",  # tells about the caller alone; the triggers' conditions ask it
    "claimed_elsewhere",
    "live_elsewhere",
    "mac_holders",
    "decision_facts",
    "macs_of",  # computes from its argument alone
    "forget_old_keys",
    "mark_database",
    "begin_sign_in_attempt",
    "take_sign_in_attempt",
    "begin_session",
    "end_session",
    "record_uses",
    "forget_credentials",
    "accept_invitation",
    "accept_invitation_of",
    "measure_gauges",
    "read_gauges",
}

# Three houses: two locations of one account, one of another. Who signs in sees the rows of which.
HOUSES = {"a1": "account-a", "a2": "account-a", "b1": "account-b"}
EVERYONE = {"lead", "scoped", "auditor", "customer", "listed", "partner", "suspended", "ungranted", "stranger"}
EVERY_HOUSE, OF_ACCOUNT, LISTED, NONE = {"a1", "a2", "b1"}, {"a1", "a2"}, {"a1"}, set[str]()
LAST_HOUSE = {"b1"}

LEADS_ONLY = {"lead": EVERY_HOUSE, "scoped": OF_ACCOUNT}
CONTENT = {**LEADS_ONLY, "customer": OF_ACCOUNT, "listed": LISTED}
STORY = {**CONTENT, "partner": OF_ACCOUNT}
HANDED_OFF = {**LEADS_ONLY, "partner": OF_ACCOUNT}
# The payload of the first house was released to the partner, that of the third as well, in an account without a grant.
RECEIVED = {**LEADS_ONLY, "partner": {"a1"}}
AUDITED = {**LEADS_ONLY, "auditor": EVERY_HOUSE}
VISIBLE: dict[str, dict[str, set[str]]] = {
    "location": STORY,
    "section": CONTENT,
    "onboarding_session": STORY,
    "contact": CONTENT,
    "phone_system": CONTENT,
    "device": CONTENT,
    "person": CONTENT,
    "extension": CONTENT,
    "working_hours": CONTENT,
    "call_flow": CONTENT,
    "call_flow_option": CONTENT,
    "approval": STORY,
    "override": HANDED_OFF,
    "provisioning_payload": RECEIVED,
    "payload_recipient": RECEIVED,
    "receipt": RECEIVED,
    # A partner sees a change of the status only through a payload that it received.
    "status_change": {**CONTENT, "partner": {"a1"}},
    "location_partner": LEADS_ONLY,
    "accepted_version": LEADS_ONLY,
    "mac_claim": STORY,
    "grant": LEADS_ONLY,
    "grant_location": {"lead": EVERY_HOUSE},
    "audit_entry": AUDITED,
    "field_change": AUDITED,
    "idempotency_key": {},
    "invitation": {"lead": EVERY_HOUSE},
    "user_session": {"lead": EVERY_HOUSE},
    "service_token": {"lead": EVERY_HOUSE},
    "service_token_use": {"lead": EVERY_HOUSE},
    "device_model": dict.fromkeys(EVERYONE - {"suspended", "stranger", "auditor"}, EVERY_HOUSE),
    "schema_state": dict.fromkeys(EVERYONE, EVERY_HOUSE),
    "installation": dict.fromkeys(EVERYONE, LAST_HOUSE),  # a database has one row
}
ELSEWHERE = {"account", "user"}  # have tests of their own below
# The definer's own.
CLOSED = {"chain_head", "audit_incident", "erasure_due", "sign_in_attempt", "gauge_reading", "audit_verification"}
OPEN = {"schema_state", "installation"}  # read before anybody signs in; about code and database, not about users

FORBIDDEN = [
    "SET ROLE turnup_owner",
    "SET ROLE turnup_definer",
    "SET SESSION AUTHORIZATION turnup_owner",
    "ALTER TABLE turnup.device DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE turnup.device NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE turnup.device OWNER TO turnup_app",
    "ALTER TABLE turnup.device DISABLE TRIGGER ALL",
    "CREATE POLICY mine ON turnup.device USING (true)",
    "DROP POLICY app_all ON turnup.device",
    "GRANT turnup_definer TO turnup_app",
    "ALTER ROLE turnup_app BYPASSRLS",
    "CREATE TABLE turnup.mine (id int)",
    "CREATE TABLE public.mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION turnup.mine() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE INDEX ON turnup.device (label)",
    "DROP TABLE turnup.device",
    "TRUNCATE turnup.device",
    "COPY turnup.device TO PROGRAM 'cat'",
    "SET session_replication_role = replica",
    "SELECT * FROM turnup.chain_head",
    "SELECT * FROM turnup.chain_head FOR UPDATE",
    "UPDATE turnup.chain_head SET number = 0",
    "INSERT INTO turnup.audit_entry (id, chain, action, outcome) VALUES ('entry-mine', 'system', 'x', 'APPLIED')",
    "UPDATE turnup.audit_entry SET action = 'nothing'",
    "DELETE FROM turnup.audit_entry",
    "TRUNCATE turnup.audit_entry CASCADE",
    "INSERT INTO turnup.field_change (entry_id, table_name, row_id, field) VALUES ('entry-a1', 'device', 'x', 'y')",
    "UPDATE turnup.field_change SET field = 'nothing'",
    "DELETE FROM turnup.field_change",
    "SELECT turnup.audit_write('device', 'x', 'system', NULL, NULL, NULL, '{}')",
    "SELECT turnup.audit_entry_for('system', NULL)",
    "SELECT * FROM turnup.audit_incident",
    "DELETE FROM turnup.audit_incident",
    "SELECT * FROM turnup.sign_in_attempt",
    "SELECT secret_sha256 FROM turnup.user_session",
    "SELECT secret_sha256 FROM turnup.service_token",
    "SELECT secret_sha256 FROM turnup.invitation",
    "UPDATE turnup.invitation SET email = 'mine@house.example'",
    "UPDATE turnup.invitation SET accepted_by = 'user-lead'",
    "DELETE FROM turnup.invitation",
    "SELECT turnup.audit_erase_invitation('invitation-a1', 'mine')",
    "INSERT INTO turnup.user_session (id, user_id, secret_sha256, idle_until, expires_at) VALUES"
    " ('usersession-mine', 'user-lead', sha256('mine'), now() + interval '1 hour', now() + interval '1 hour')",
    "UPDATE turnup.user_session SET expires_at = now() + interval '1 year'",
    "UPDATE turnup.service_token SET expires_at = now() + interval '1 year'",
    "DELETE FROM turnup.service_token",
    "SELECT * FROM turnup.gauge_reading",
    "UPDATE turnup.gauge_reading SET readings = '{}'",
    "SELECT * FROM turnup.audit_verification",
    "INSERT INTO turnup.audit_verification (verified_at, ok) VALUES (now(), true)",
    "SELECT * FROM turnup.erasure_due",
    "INSERT INTO turnup.erasure_due (location_id, payload_id) VALUES ('location-a1', 'payload-a1')",
    "UPDATE turnup.alembic_version SET version_num = '9999'",
]


@pytest.fixture(scope="module")
async def scenarios(empty_database: harness.TestDatabase) -> harness.TestDatabase:
    """Three houses and somebody of each kind who signs in."""
    owner = await asyncpg.connect(empty_database.owner_url)
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await unaudited(owner)
        for mark, account_id in HOUSES.items():
            await put_scenario(owner, mark, account_id)
            await owner.execute(
                "UPDATE turnup.provisioning_payload SET status_change_id = $2 WHERE id = $1",
                f"payload-{mark}",
                f"change-{mark}",
            )
        for name, role, account in (
            ("lead", "IMPLEMENTATION_LEAD", None),
            ("scoped", "IMPLEMENTATION_LEAD", None),
            ("auditor", "AUDITOR", None),
            ("customer", "CUSTOMER", "account-a"),
            ("listed", "CUSTOMER", "account-a"),
            ("partner", "PARTNER", None),
            ("ungranted", "CUSTOMER", "account-a"),
            ("suspended", "IMPLEMENTATION_LEAD", None),
        ):
            status = "SUSPENDED" if name == "suspended" else "ACTIVE"
            about: dict[str, object] = {
                "subject": name,
                "name": name,
                "email": f"{name}@house.example",
                "role": role,
                "status": status,
            }
            about["all_accounts"] = name in {"lead", "suspended"}
            await put(owner, "user", {"id": f"user-{name}", **about, "account_id": account})
        for name in ("customer", "listed", "partner", "scoped"):
            grant = {"id": f"grant-{name}", "user_id": f"user-{name}", "account_id": "account-a"}
            await put(owner, "grant", {**grant, "all_locations": name != "listed"})
        for mark in ("a1", "b1"):
            await put(owner, "payload_recipient", own_recipient(mark))
            await put(owner, "receipt", own_receipt(mark))
        listed = {"grant_id": "grant-listed", "account_id": "account-a", "location_id": "location-a1"}
        await put(owner, "grant_location", listed)
    await owner.close()
    return empty_database


@pytest.fixture(scope="module")
async def app_connection(scenarios: harness.TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the app's role."""
    connection = await asyncpg.connect(scenarios.app_url)
    yield connection
    await connection.close()


@pytest.fixture
async def app(app_connection: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """A transaction of the app's role in which nobody has signed in yet; what it does is rolled back."""
    transaction = app_connection.transaction()
    await transaction.start()
    yield app_connection
    await transaction.rollback()


@pytest.fixture(scope="module")
async def owner(scenarios: harness.TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the role that owns the tables."""
    connection = await asyncpg.connect(scenarios.owner_url)
    yield connection
    await connection.close()


def own_recipient(mark: str, **changes: object) -> dict[str, object]:
    """The row that makes the partner who signs in a recipient of a house's payload."""
    row = good_rows(mark, HOUSES[mark])["payload_recipient"]
    return {**row, "id": f"recipient-own-{mark}", "user_id": "user-partner", **changes}


def own_receipt(mark: str, **changes: object) -> dict[str, object]:
    """A receipt of the partner who signs in for a house's payload."""
    row = good_rows(mark, HOUSES[mark])["receipt"]
    return {**row, "id": f"receipt-own-{mark}", "received_by": "user-partner", **changes}


OWN_ROWS = {"payload_recipient": own_recipient, "receipt": own_receipt}


async def sign_in(app: asyncpg.Connection, subject: str) -> None:
    await app.execute("SELECT turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, 5000)", subject)


async def seen(app: asyncpg.Connection, table: str) -> set[str]:
    """The houses whose row of a table can be seen; of the rows of recipients, the own one counts too."""
    keys = key_of(table)
    rows = {tuple(row) for row in await app.fetch(f"SELECT {', '.join(keys)} FROM {name_of(table)}")}
    wanted = {mark: [good_rows(mark, account)[table]] for mark, account in HOUSES.items()}
    if table in OWN_ROWS:
        wanted = {mark: [*each, OWN_ROWS[table](mark)] for mark, each in wanted.items()}
    return {mark for mark, each in wanted.items() if rows & {tuple(row[key] for key in keys) for row in each}}


async def test_row_level_security_is_enabled_and_forced_on_every_table(owner: asyncpg.Connection) -> None:
    found = await owner.fetch("""
        SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class
        WHERE relnamespace = 'turnup'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'alembic_version'""")
    assert sorted(tuple(each) for each in found) == [(table, True, True) for table in ALL_TABLES]


async def test_the_definer_passes_on_every_table(owner: asyncpg.Connection) -> None:
    found = await owner.fetch("""
        SELECT tablename, cmd, permissive, qual, with_check FROM pg_policies
        WHERE schemaname = 'turnup' AND roles = '{turnup_definer}'""")
    assert sorted(tuple(each) for each in found) == [(each, "ALL", "PERMISSIVE", "true", "true") for each in ALL_TABLES]


async def test_policies_are_for_the_app_and_the_definer_alone(owner: asyncpg.Connection) -> None:
    found = await owner.fetch("SELECT DISTINCT unnest(roles)::text AS name FROM pg_policies")
    assert {each["name"] for each in found} == {"turnup_app", "turnup_definer"}


@pytest.mark.parametrize("table", [*ALL_TABLES, "alembic_version"])
async def test_the_app_may_do_with_a_table_what_it_needs_and_no_more(owner: asyncpg.Connection, table: str) -> None:
    found = await owner.fetch(
        """SELECT a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
           WHERE c.oid = $1::text::regclass AND a.grantee IN (0, 'turnup_app'::regrole)""",
        name_of(table),
    )
    expected = {"SELECT"} if table == "alembic_version" else RESTRICTED.get(table, READ_AND_WRITE)
    assert {each["privilege_type"] for each in found} == expected


async def test_nothing_is_granted_on_sequences(owner: asyncpg.Connection) -> None:
    found = await owner.fetch("""
        SELECT c.relname AS name FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.relnamespace = 'turnup'::regnamespace AND c.relkind = 'S'
          AND a.grantee IN (0, 'turnup_app'::regrole)""")
    assert [each["name"] for each in found] == []


async def test_on_columns_only_the_use_of_some_values_is_granted(owner: asyncpg.Connection) -> None:
    found = await owner.fetch("""
        SELECT c.relname, a.attname, x.grantee::regrole::text, x.privilege_type
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid, aclexplode(a.attacl) x
        WHERE c.relnamespace = 'turnup'::regnamespace""")
    granted = {
        (table, column, "turnup_app", command) for (table, command), columns in OF_COLUMNS.items() for column in columns
    }
    assert set(map(tuple, found)) == granted


async def test_functions_that_run_as_the_definer_are_its_own_and_pin_their_search_path(
    owner: asyncpg.Connection,
) -> None:
    found = await owner.fetch("""
        SELECT p.oid::regprocedure::text AS name, p.proowner::regrole::text AS owner, p.proconfig AS settings
        FROM pg_proc p WHERE p.pronamespace = 'turnup'::regnamespace AND p.prosecdef""")
    assert {"turnup.sign_in(text,text,text,bytea,integer)"} <= {each["name"] for each in found}
    for function in found:
        assert function["owner"] == "turnup_definer", function["name"]
        assert "search_path=pg_catalog, pg_temp" in (function["settings"] or []), function["name"]


async def test_functions_that_run_as_the_definer_are_called_by_the_app_alone(owner: asyncpg.Connection) -> None:
    found = await owner.fetch("""
        SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'everybody' ELSE a.grantee::regrole::text END AS name
        FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.pronamespace = 'turnup'::regnamespace AND p.prosecdef""")
    assert {each["name"] for each in found} == {"turnup_app", "turnup_definer"}


async def test_the_app_calls_no_other_function(owner: asyncpg.Connection) -> None:
    found = await owner.fetch("""
        SELECT DISTINCT proname FROM pg_proc
        WHERE pronamespace = 'turnup'::regnamespace AND has_function_privilege('turnup_app', oid, 'EXECUTE')""")
    assert {each["proname"] for each in found} == CALLABLE


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_app_is_refused(app: asyncpg.Connection, statement: str) -> None:
    await sign_in(app, "lead")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(statement)


async def test_row_level_security_cannot_be_switched_off_for_a_session(app: asyncpg.Connection) -> None:
    await app.execute("SET LOCAL row_security = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await app.fetch("SELECT * FROM turnup.device")


def test_every_table_says_who_sees_its_rows() -> None:
    assert sorted({*VISIBLE, *ELSEWHERE, *CLOSED}) == ALL_TABLES


@pytest.mark.parametrize("who", sorted(EVERYONE))
@pytest.mark.parametrize("table", VISIBLE)
async def test_a_user_sees_the_rows_that_are_theirs(app: asyncpg.Connection, table: str, who: str) -> None:
    await sign_in(app, who)
    assert await seen(app, table) == VISIBLE[table].get(who, NONE)


@pytest.mark.parametrize("table", sorted(set(ALL_TABLES) - CLOSED - OPEN))
async def test_nobody_sees_anything_before_signing_in(app: asyncpg.Connection, table: str) -> None:
    assert await app.fetch(f"SELECT {', '.join(key_of(table))} FROM {name_of(table)}") == []


@pytest.mark.parametrize("table", ALL_TABLES)
async def test_the_owner_of_the_tables_sees_nothing(owner: asyncpg.Connection, table: str) -> None:
    assert await owner.fetch(f"SELECT * FROM {name_of(table)}") == []


ACCOUNTS = {
    "lead": {"account-a", "account-b"},
    "scoped": {"account-a"},
    "customer": {"account-a"},
    "listed": {"account-a"},
    "partner": {"account-a"},
}


@pytest.mark.parametrize("who", sorted(EVERYONE))
async def test_a_user_sees_the_accounts_that_were_granted(app: asyncpg.Connection, who: str) -> None:
    await sign_in(app, who)
    assert {row["id"] for row in await app.fetch("SELECT id FROM turnup.account")} == ACCOUNTS.get(who, set())


LEADS = {"user-lead", "user-scoped", "user-suspended"}  # a suspended lead's name still stands under old approvals
COLLEAGUES = {"user-customer", "user-listed", "user-ungranted"}
ACTORS: set[str] = set()  # the entries of the houses name nobody
USERS = {
    "lead": {*(f"user-{each}" for each in (*HOUSES, *EVERYONE - {"stranger"}))},
    # Beside the leads and the customers, the partners with a grant for the account.
    "scoped": {*COLLEAGUES, *LEADS, "user-partner", "user-a1", "user-a2"},
    "auditor": {"user-auditor", *ACTORS},
    "customer": {*COLLEAGUES, *LEADS},
    "listed": {*COLLEAGUES, *LEADS},
    "partner": {"user-partner", *LEADS},
    "ungranted": {"user-ungranted", *LEADS},
}


@pytest.mark.parametrize("who", sorted(EVERYONE))
async def test_a_user_sees_colleagues_and_leads(app: asyncpg.Connection, who: str) -> None:
    await sign_in(app, who)
    assert {row["id"] for row in await app.fetch('SELECT id FROM turnup."user"')} == USERS.get(who, set())


async def test_an_auditor_sees_a_user_from_the_first_entry_on(app: asyncpg.Connection) -> None:
    await sign_in(app, "ungranted")
    await app.execute("SELECT turnup.audit_open('entry-1', 'account-a', 'x', NULL, '', NULL, NULL, 'APPLIED', NULL)")
    await sign_in(app, "auditor")
    assert await app.fetchval("SELECT name FROM turnup.\"user\" WHERE id = 'user-ungranted'") == "ungranted"


async def test_a_lead_of_some_accounts_sees_no_change_of_the_chain_system(
    app: asyncpg.Connection, owner: asyncpg.Connection
) -> None:
    on_system = {table.name for table in ON_SYSTEM if "account_id" in table.c}
    policy = await owner.fetchval(
        "SELECT qual FROM pg_policies WHERE tablename = 'field_change' AND roles = '{turnup_app}'"
    )
    assert on_system == {"user", "grant", "grant_location", "invitation"}
    assert all(f"'{table}'" in policy for table in on_system)


@pytest.mark.parametrize(
    ("table", "change"), [("account", "name = 'Mine'"), ("user", "name = 'Mine'"), ("user", "all_accounts = true")]
)
async def test_a_lead_of_some_accounts_locks_an_account_or_a_partner_and_changes_neither(
    app: asyncpg.Connection, table: str, change: str
) -> None:
    await sign_in(app, "scoped")
    row = {"account": "account-a", "user": "user-partner"}[table]
    locked = await app.fetch(f"SELECT id FROM {name_of(table)} WHERE id = $1 FOR NO KEY UPDATE", row)
    assert [each["id"] for each in locked] == [row]
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await app.execute(f"UPDATE {name_of(table)} SET {change} WHERE id = $1", row)


@pytest.mark.parametrize("table", ["user", "grant", "grant_location", "accepted_version", "device_model"])
async def test_a_lead_of_some_accounts_widens_nobody(app: asyncpg.Connection, table: str) -> None:
    await sign_in(app, "scoped")
    own = {"grant": {"user_id": "user-scoped"}}.get(table, {})
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await put(app, table, {**good_rows("new", "account-b")[table], **own})


async def test_a_lead_of_some_accounts_cannot_change_itself(app: asyncpg.Connection) -> None:
    await sign_in(app, "scoped")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await app.execute("UPDATE turnup.\"user\" SET all_accounts = true WHERE id = 'user-scoped'")


@pytest.mark.parametrize(
    "table", [each for each in sorted(set(ALL_TABLES) - OPEN) if "INSERT" in RESTRICTED.get(each, READ_AND_WRITE)]
)
async def test_an_auditor_writes_nothing(app: asyncpg.Connection, table: str) -> None:
    await sign_in(app, "auditor")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await put(app, table, good_rows("new", "account-b")[table])


async def test_an_idempotency_key_is_seen_by_its_user_alone(app: asyncpg.Connection) -> None:
    await sign_in(app, "subject-a1")
    assert await seen(app, "idempotency_key") == {"a1"}


@pytest.mark.parametrize("table", ["user_session", "service_token", "service_token_use"])
async def test_a_user_without_access_to_all_accounts_sees_the_own_credentials_alone(
    app: asyncpg.Connection, table: str
) -> None:
    await sign_in(app, "subject-a1")
    assert await seen(app, table) == {"a1"}


async def test_a_user_ends_the_own_session_alone(app: asyncpg.Connection) -> None:
    await sign_in(app, "subject-a1")
    ended = await app.fetch("UPDATE turnup.user_session SET ended_at = now(), end_reason = 'REVOKED' RETURNING user_id")
    assert [row["user_id"] for row in ended] == ["user-a1"]


@pytest.mark.parametrize(
    "end",
    ["ended_at = NULL, end_reason = NULL", "ended_at = now(), end_reason = 'SIGNED_OUT'", "end_reason = 'REPLACED'"],
)
async def test_a_session_can_be_revoked_and_neither_opened_again_nor_ended_in_another_way(
    app: asyncpg.Connection, end: str
) -> None:
    await sign_in(app, "subject-a1")
    await app.execute("UPDATE turnup.user_session SET ended_at = now(), end_reason = 'REVOKED'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await app.execute(f"UPDATE turnup.user_session SET {end}")


async def test_a_user_without_access_to_all_accounts_revokes_no_service_token(app: asyncpg.Connection) -> None:
    await sign_in(app, "subject-a1")
    assert await app.execute("UPDATE turnup.service_token SET revoked_at = now()") == "UPDATE 0"


@pytest.mark.parametrize("table", ["invitation", "service_token"])
async def test_a_lead_invites_and_makes_tokens_in_nobody_elses_name(app: asyncpg.Connection, table: str) -> None:
    await sign_in(app, "lead")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await put(app, table, good_rows("new", "account-b")[table])


@pytest.mark.parametrize("table", ["invitation", "service_token"])
async def test_what_a_lead_revokes_stays_revoked(app: asyncpg.Connection, table: str) -> None:
    await sign_in(app, "lead")
    one = f"UPDATE turnup.{table} SET revoked_at = now() WHERE id = (SELECT min(id) FROM turnup.{table})"
    await app.execute(one)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await app.execute(f"UPDATE turnup.{table} SET revoked_at = NULL")


async def test_a_lead_of_some_accounts_revokes_no_invitation(app: asyncpg.Connection) -> None:
    await sign_in(app, "scoped")
    assert await app.execute("UPDATE turnup.invitation SET revoked_at = now()") == "UPDATE 0"


async def test_a_partner_does_not_see_a_payload_before_its_release(
    app: asyncpg.Connection,
) -> None:
    await sign_in(app, "lead")
    await app.execute(
        "UPDATE turnup.provisioning_payload SET state = 'GENERATED', released_at = NULL, released_by = NULL"
    )
    await sign_in(app, "partner")
    assert await seen(app, "provisioning_payload") == NONE


async def test_a_partner_sees_its_own_recipient_and_receipt_alone(app: asyncpg.Connection) -> None:
    await sign_in(app, "partner")
    rows = await app.fetch("SELECT id FROM turnup.payload_recipient UNION ALL SELECT id FROM turnup.receipt")
    assert {row["id"] for row in rows} == {"recipient-own-a1", "receipt-own-a1"}


async def test_a_partner_changes_its_own_recipient_alone(app: asyncpg.Connection) -> None:
    await sign_in(app, "partner")
    changed = await app.fetch("UPDATE turnup.payload_recipient SET live = true RETURNING id")
    assert [row["id"] for row in changed] == ["recipient-own-a1"]


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("payload_recipient", own_recipient("a2")),
        ("payload_recipient", own_recipient("b1", id="recipient-more")),
        ("payload_recipient", own_recipient("a1", id="recipient-more", user_id="user-a2")),
        ("receipt", own_receipt("a1", received_by="user-a1")),
        ("receipt", own_receipt("b1")),
        ("location_partner", {**good_rows("a2", "account-a")["location_partner"], "id": "partner-own"}),
        ("accepted_version", {"user_id": "user-a1", "version": "1.1.0"}),
    ],
    ids=[
        "a recipient of a payload of others",
        "a recipient in an account without a grant",
        "another recipient",
        "a receipt of another",
        "a receipt in an account without a grant",
        "a partner of a location",
        "a version for another",
    ],
)
async def test_a_partner_cannot_add_rows_of_others_or_make_itself_a_recipient(
    app: asyncpg.Connection, table: str, row: dict[str, object]
) -> None:
    await sign_in(app, "partner")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await put(app, table, row)


@pytest.mark.parametrize(
    "change",
    [
        "user_id = 'user-a1'",
        "account_id = 'account-b', location_id = 'location-b1', payload_id = 'payload-b1'",
        "location_id = 'location-a2', payload_id = 'payload-a2'",
        "required = false",
    ],
    ids=["to another user", "to another account", "to another payload of the account", "to an optional one"],
)
async def test_a_partner_cannot_hand_its_recipient_over(app: asyncpg.Connection, change: str) -> None:
    await sign_in(app, "partner")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(f"UPDATE turnup.payload_recipient SET {change}")


@pytest.mark.parametrize("statement", ["UPDATE turnup.receipt SET kind = 'REJECTED'", "DELETE FROM turnup.receipt"])
async def test_a_partner_neither_changes_nor_deletes_its_receipt(app: asyncpg.Connection, statement: str) -> None:
    await sign_in(app, "partner")
    assert (await app.execute(statement)).endswith(" 0")


async def test_a_partner_without_a_grant_sees_nothing_that_it_received(app: asyncpg.Connection) -> None:
    await sign_in(app, "lead")
    await app.execute("DELETE FROM turnup.\"grant\" WHERE user_id = 'user-partner'")
    await sign_in(app, "partner")
    assert await seen(app, "provisioning_payload") == NONE
    assert await app.fetch("SELECT FROM turnup.payload_recipient") == []


@pytest.mark.parametrize("table", [each for each, visible in VISIBLE.items() if visible is CONTENT or visible is STORY])
async def test_a_customer_can_neither_change_nor_delete_what_is_out_of_scope(
    app: asyncpg.Connection, table: str
) -> None:
    await sign_in(app, "listed")
    column = "account_id"
    changed = await app.fetch(f"UPDATE {name_of(table)} SET {column} = {column} RETURNING *")
    assert len(changed) == 1
    await app.execute("SET CONSTRAINTS ALL DEFERRED")
    assert await app.execute(f"DELETE FROM {name_of(table)} WHERE account_id = 'account-b'") == "DELETE 0"


@pytest.mark.parametrize(
    ("who", "table"),
    [
        *(
            (who, table)
            for table in sorted(VISIBLE)
            if VISIBLE[table] in (CONTENT, STORY, HANDED_OFF, RECEIVED)
            for who in ("customer", "scoped")
        ),
        ("scoped", "location_partner"),
        ("scoped", "account"),
        ("customer", "location_partner"),
        ("customer", "accepted_version"),
        ("partner", "device"),
        ("customer", "grant"),
        ("customer", "device_model"),
        ("partner", "grant_location"),
        ("lead", "idempotency_key"),
        ("scoped", "service_token"),
        ("partner", "service_token"),
        ("scoped", "invitation"),
        ("customer", "invitation"),
    ],
)
async def test_a_row_out_of_scope_cannot_be_written(app: asyncpg.Connection, who: str, table: str) -> None:
    await sign_in(app, who)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await put(app, table, good_rows("new", "account-b")[table])


async def test_a_customer_cannot_take_a_row_out_of_the_account(app: asyncpg.Connection) -> None:
    await sign_in(app, "customer")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await app.execute("UPDATE turnup.device SET account_id = 'account-b', location_id = 'location-b1'")


async def test_a_customer_with_an_empty_list_sees_no_location(app: asyncpg.Connection) -> None:
    await sign_in(app, "lead")
    await app.execute("DELETE FROM turnup.grant_location WHERE grant_id = 'grant-listed'")
    await sign_in(app, "listed")
    assert await seen(app, "location") == NONE


# Where a policy admits a role that the matrix keeps from the type: the second wall is wider there, for a reason.
WIDER = {
    # A partner's answer changes the location, its session and its approvals, and so has to find their rows.
    ("Location", Role.PARTNER),
    ("OnboardingSession", Role.PARTNER),
    ("Approval", Role.PARTNER),
    # A partner's answer ends an override.
    ("Override", Role.PARTNER),
    # A partner's answer changes its own recipient.
    ("PayloadRecipient", Role.PARTNER),
    # Both types show rows of one table.
    ("StatusChange", Role.PARTNER),
    ("PayloadNotice", Role.CUSTOMER),
    # Sign-in opens the catalogue to all but auditors: it holds nothing of any account.
    ("DeviceModel", Role.PARTNER),
}
IN_REACH = {
    Role.CUSTOMER: "customer",
    Role.IMPLEMENTATION_LEAD: "lead",
    Role.PARTNER: "partner",
    Role.AUDITOR: "auditor",
}
TABLE_OF_AUDIENCE = {
    "Location": "location",
    "OnboardingSession": "onboarding_session",
    "Contact": "contact",
    "PhoneSystem": "phone_system",
    "Device": "device",
    "Person": "person",
    "Extension": "extension",
    "WorkingHours": "working_hours",
    "CallFlow": "call_flow",
    "CallFlowOption": "call_flow_option",
    "Approval": "approval",
    "StatusChange": "status_change",
    "PayloadNotice": "status_change",
    "Override": "override",
    "ProvisioningPayload": "provisioning_payload",
    "Receipt": "receipt",
    "PayloadRecipient": "payload_recipient",
    "LocationPartner": "location_partner",
    "AuditEntry": "audit_entry",
    "FieldChange": "field_change",
    "DeviceModel": "device_model",
    "Grant": "grant",
    "Invitation": "invitation",
}
OF_NO_TABLE = {
    "ContentAsOf",
    "Account",
    "User",
    "UserSession",
    "ServiceToken",
}  # made from changes; the others have their own tests


def test_somebody_of_every_role_signs_in() -> None:
    assert IN_REACH.keys() == set(Role)


def test_every_type_of_the_matrix_is_compared_with_its_policy() -> None:
    assert TABLE_OF_AUDIENCE.keys() | OF_NO_TABLE == AUDIENCE.keys()


@pytest.mark.parametrize("type_name", sorted(TABLE_OF_AUDIENCE))
def test_a_policy_admits_the_roles_of_the_matrix_and_others_only_with_a_reason(type_name: str) -> None:
    visible = VISIBLE[TABLE_OF_AUDIENCE[type_name]]
    admitted = {role for role, kind in IN_REACH.items() if visible.get(kind)}
    in_the_matrix = {role for role in Role if allows(role, AUDIENCE[type_name])}
    assert admitted == in_the_matrix | {role for name, role in WIDER if name == type_name}
