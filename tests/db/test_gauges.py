"""The gauges of the business: what is counted, by one session of all at most once a minute, at a cost with a bound."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.audit.objects import changed_objects
from app.db import gauges
from app.db.database import Database
from app.db.failures import StatementTimeout
from app.db.gauges import GaugeReading, measure_gauges, read_gauges
from app.db.migrate import MIGRATIONS, known, migrate
from app.db.seed import seed_demo
from app.domain.vocabulary import LocationStatus
from app.operations.gauges import run_gauges
from tests.docs.pages import page
from tests.harness import EMPTY_TEMPLATE, SUPERUSER_URL, TestDatabase, own_database, with_database
from tests.oracle import audit_log_is_complete

from .explaining import nodes_of
from .scenario import put, put_scenario, unaudited
from .test_plans import a_user

# One worker runs them all: each would have to make the database anew.
pytestmark = pytest.mark.xdist_group("gauges")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
COUNTED = (
    "gauge_reading", "audit_verification", "user_session", "erasure_due", "receipt", "payload_recipient",
    "provisioning_payload", "approval",
)  # fmt: skip
OLD = "UPDATE turnup.gauge_reading SET measured_at = measured_at - interval '56 seconds'"


@pytest.fixture
async def own() -> AsyncIterator[TestDatabase]:
    """A migrated database with one location for one test."""
    async with own_database(EMPTY_TEMPLATE) as made:
        yield made


@pytest.fixture
async def definer(own: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection that bypasses row-level security and writes without a trace."""
    connection = await asyncpg.connect(own.owner_url)
    await connection.execute("SET ROLE turnup_definer")
    await connection.execute("SELECT set_config('turnup.unaudited', 'on', false)")
    await put_scenario(connection)
    # The scenario has rows of every table; these would count.
    for table in COUNTED:
        await connection.execute(f"DELETE FROM turnup.{table}")
    yield connection
    await connection.close()


@pytest.fixture
async def pool(own: TestDatabase) -> AsyncIterator[Database]:
    """The pool of a server."""
    database = await Database.open(own.app_url, size=2)
    yield database
    await database.close()


async def measures(pool: Database) -> bool:
    """Measure the gauges as a server does. Returns whether they were measured, rather than left as they are."""
    before = await read_gauges(pool)
    await measure_gauges(pool)
    after = await read_gauges(pool)
    return after is not None and (before is None or not 0 <= before.age_seconds <= after.age_seconds)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is awaited happens in another task that knows no events
            await asyncio.sleep(0.01)


async def asked(pool: Database) -> bool:
    """What the function of the database returns: whether it measured."""
    async with pool.connection() as connection:
        return bool(await connection.fetchval("SELECT turnup.measure_gauges()"))


async def measured(pool: Database, definer: asyncpg.Connection) -> dict[str, Any]:
    """The gauges, measured now."""
    await definer.execute(OLD)
    assert await measures(pool)
    reading = await read_gauges(pool)
    assert reading is not None
    assert 0 <= reading.age_seconds < 30
    return dict(reading.values)


async def put_location(definer: asyncpg.Connection, mark: str, status: str, *, test: bool = False) -> str:
    row = {"id": f"location-{mark}", "account_id": "account-x", "name": mark, "status": status, "test": test}
    await put(definer, "location", row)
    return str(row["id"])


async def put_approval(definer: asyncpg.Connection, location: str, status: str, **times: timedelta) -> None:
    """A request for approval. Times are given as their distance from now."""
    row = {
        "id": f"approval-{location}-{status}", "account_id": "account-x", "location_id": location,
        "location_revision": 1, "digest": "d" * 64, "content": "{}", "requested_by": "user-x", "status": status,
    }  # fmt: skip
    row |= {"decided_by": "user-x"} if "decided_at" in times else {}
    now = await definer.fetchval("SELECT now()")
    await put(definer, "approval", {**row, **{name: now + distance for name, distance in times.items()}})


async def put_payload(
    definer: asyncpg.Connection, location: str, state: str, released_at: timedelta, *, test: bool = False
) -> None:
    moment = await definer.fetchval("SELECT now()") + released_at
    row = {
        "id": f"payload-{location}", "account_id": "account-x", "location_id": location, "sequence": 1,
        "version": "1.0.0", "state": state, "document": '{"devices": []}', "document_digest": "d" * 64,
        "content_digest": "d" * 64, "location_revision": 1, "generated_by": "user-x", "released_by": "user-x",
        "released_at": moment, "updated_at": moment, "test": test,
    }  # fmt: skip
    await put(definer, "provisioning_payload", row)


async def put_session(definer: asyncpg.Connection, mark: str, **times: timedelta) -> None:
    ends = {"idle_until": HOUR, "expires_at": HOUR} | times
    now = await definer.fetchval("SELECT now()")
    row = {"id": f"usersession-{mark}", "user_id": "user-x", "secret_sha256": mark.encode().ljust(32)}
    row |= {name: now + distance for name, distance in ends.items()}
    row |= {"end_reason": "REVOKED"} if "ended_at" in times else {}
    await put(definer, "user_session", row)


async def test_locations_are_counted_by_status_without_those_for_tests(
    pool: Database, definer: asyncpg.Connection
) -> None:
    for mark, status in (("1", "IN_PROGRESS"), ("2", "IN_PROGRESS"), ("3", "COMPLETED")):
        await put_location(definer, mark, status)
    await put_location(definer, "4", "PROVISIONING", test=True)
    found = (await measured(pool, definer))["locations"]
    assert found == {"NOT_STARTED": 1, "IN_PROGRESS": 2, "COMPLETED": 1}
    assert set(found) <= set(LocationStatus)


async def test_approvals_that_wait_are_counted_with_the_age_of_the_oldest(
    pool: Database, definer: asyncpg.Connection
) -> None:
    found = await measured(pool, definer)
    assert (found["approvals_waiting"], found["approvals_oldest_seconds"]) == (0, 0)
    for mark, age in (("1", -HOUR), ("2", -5 * HOUR)):
        await put_approval(definer, await put_location(definer, mark, "PENDING_APPROVAL"), "PENDING", requested_at=age)
    await put_approval(definer, "location-x", "WITHDRAWN", requested_at=-DAY)
    found = await measured(pool, definer)
    assert found["approvals_waiting"] == 2
    assert found["approvals_oldest_seconds"] == pytest.approx(5 * 3_600, abs=60)


async def test_released_payloads_that_wait_for_an_answer_are_counted_with_the_time_of_the_longest(
    pool: Database, definer: asyncpg.Connection
) -> None:
    found = await measured(pool, definer)
    assert (found["payloads_unacknowledged"], found["payloads_oldest_unacknowledged_seconds"]) == (0, 0)
    for mark, state, age in (
        ("1", "RELEASED", -HOUR),
        ("2", "RELEASED", -3 * HOUR),
        ("3", "ACKNOWLEDGED", -DAY),
        ("4", "WITHDRAWN", -DAY),
    ):
        await put_payload(definer, await put_location(definer, mark, "PROVISIONING"), state, age)
    await put_payload(definer, await put_location(definer, "5", "PROVISIONING", test=True), "RELEASED", -DAY, test=True)
    found = await measured(pool, definer)
    assert found["payloads_unacknowledged"] == 2
    assert found["payloads_oldest_unacknowledged_seconds"] == pytest.approx(3 * 3_600, abs=60)


async def test_sessions_that_can_be_used_are_counted(pool: Database, definer: asyncpg.Connection) -> None:
    await put_session(definer, "open")
    await put_session(definer, "idle", idle_until=-timedelta(seconds=1))
    await put_session(definer, "expired", expires_at=-timedelta(seconds=1))
    await put_session(definer, "ended", ended_at=-timedelta(seconds=1))
    assert (await measured(pool, definer))["sessions_open"] == 1


@pytest.mark.parametrize(
    ("made", "decided", "status", "counted"),
    [
        (-2 * HOUR, -timedelta(minutes=70), "APPROVED", 0),
        (-timedelta(minutes=100), -timedelta(minutes=50), "APPROVED", 1),
        (-timedelta(minutes=100), -timedelta(minutes=50), "VOIDED", 1),
        (-timedelta(minutes=100), -timedelta(minutes=50), "CHANGES_REQUESTED", 0),
        (-timedelta(minutes=100), -timedelta(minutes=30), "APPROVED", 0),
        (-timedelta(minutes=5), -timedelta(minutes=1), "APPROVED", 1),
        (-DAY, -timedelta(minutes=1), "APPROVED", 0),
    ],
    ids=["long ago", "new", "voided since", "changes requested", "an hour old", "brand-new", "a day old"],
)
async def test_approvals_of_the_last_hour_by_users_made_within_the_hour_before_are_counted(
    pool: Database, definer: asyncpg.Connection, made: timedelta, decided: timedelta, status: str, counted: int
) -> None:
    await definer.execute('UPDATE turnup."user" SET created_at = now() + $1', made)
    await put_approval(definer, "location-x", status, requested_at=-2 * DAY, decided_at=decided)
    assert (await measured(pool, definer))["approvals_by_new_users"] == counted


async def test_the_last_verification_is_told_and_none_if_there_was_none(
    pool: Database, definer: asyncpg.Connection
) -> None:
    assert not [name for name in await measured(pool, definer) if name.startswith("audit_")]
    await definer.execute(
        "INSERT INTO turnup.audit_verification (verified_at, ok) VALUES (now() - $1::interval, true)", DAY
    )
    found = await measured(pool, definer)
    assert found["audit_verification_ok"] == 1
    assert found["audit_verification_age_seconds"] == pytest.approx(86_400, abs=60)
    await definer.execute("UPDATE turnup.audit_verification SET ok = false")
    assert (await measured(pool, definer))["audit_verification_ok"] == 0


async def test_of_many_who_ask_at_once_one_measures(own: TestDatabase, definer: asyncpg.Connection) -> None:
    pools = [await Database.open(own.app_url, size=2) for _ in range(4)]
    try:
        assert sorted(await asyncio.gather(*map(asked, pools * 2))) == [False] * 7 + [True]
        assert not any(await asyncio.gather(*map(asked, pools)))
        await definer.execute(OLD)
        assert sum(await asyncio.gather(*map(asked, pools))) == 1
    finally:
        for each in pools:
            await each.close()


async def test_while_one_session_measures_another_leaves_it_to_it(
    own: TestDatabase, pool: Database, definer: asyncpg.Connection
) -> None:
    other = await asyncpg.connect(own.app_url)
    measuring = other.transaction()
    await measuring.start()
    assert await other.fetchval("SELECT turnup.measure_gauges()")
    assert not await measures(pool)
    await measuring.rollback()
    await other.close()
    assert await read_gauges(pool) is None
    assert await measures(pool)


async def test_the_statement_of_the_runbook_names_the_session_that_measures_and_no_other(
    own: TestDatabase, definer: asyncpg.Connection
) -> None:
    entry = page("docs/operations.md").partition("### TurnupGaugesStale\n")[2]
    (statement, *_) = re.findall(r"^```sql\n(.*?)^```$", entry, re.MULTILINE | re.DOTALL)
    superuser_url = with_database(os.environ[SUPERUSER_URL], own.app_url.partition("?")[0].rpartition("/")[2])
    superuser, writing, measuring = [await asyncpg.connect(url) for url in (superuser_url, own.app_url, own.app_url)]
    try:
        await writing.execute("SELECT pg_advisory_lock_shared(1), pg_advisory_lock(1, 1)")
        await definer.execute("SELECT pg_advisory_lock(hashtextextended('turnup.writes', 0))")
        assert await superuser.fetch(statement) == []
        async with measuring.transaction():
            assert await measuring.fetchval("SELECT turnup.measure_gauges()")
            assert [row["pid"] for row in await superuser.fetch(statement)] == [measuring.get_server_pid()]
    finally:
        for each in (superuser, writing, measuring):
            await each.close()


async def test_a_measurement_from_the_future_is_replaced(pool: Database, definer: asyncpg.Connection) -> None:
    assert await measures(pool)
    await definer.execute("UPDATE turnup.gauge_reading SET measured_at = now() + interval '1 day'")
    assert await measures(pool)


async def test_a_database_that_only_reads_keeps_its_measurement(
    own: TestDatabase, pool: Database, definer: asyncpg.Connection
) -> None:
    assert await measures(pool)
    await definer.execute(OLD)
    connection = await asyncpg.connect(own.app_url, server_settings={"default_transaction_read_only": "on"})
    assert not await connection.fetchval("SELECT turnup.measure_gauges()")
    readings, age = await connection.fetchrow("SELECT * FROM turnup.read_gauges()") or ("", 0)
    await connection.close()
    assert json.loads(readings)["sessions_open"] == 0
    assert age > 56


async def test_a_measurement_that_takes_too_long_is_cancelled_and_changes_nothing(
    pool: Database, definer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await measured(pool, definer)
    await definer.execute(OLD)
    await put_session(definer, "open")
    monkeypatch.setattr(gauges, "MEASURE", gauges.MEASURE.replace("5000", "50"))
    async with definer.transaction():
        await definer.execute("LOCK TABLE turnup.user_session")
        with pytest.raises(StatementTimeout):
            await measure_gauges(pool)
    reading = await read_gauges(pool)
    assert reading is not None
    assert dict(reading.values) == before
    assert reading.age_seconds > 56
    assert (await measured(pool, definer))["sessions_open"] == 1


async def test_each_process_reads_what_one_of_them_measured(own: TestDatabase, definer: asyncpg.Connection) -> None:
    pools = [await Database.open(own.app_url, size=2) for _ in range(3)]
    taken: dict[int, list[GaugeReading]] = {number: [] for number in range(len(pools))}
    tasks = [
        asyncio.create_task(run_gauges(each, taken[number].append, first_seconds=0.01, every_seconds=0.05))
        for number, each in enumerate(pools)
    ]
    try:
        await until(lambda: all(len(each) > 1 for each in taken.values()))
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for each in pools:
            await each.close()
    assert all(reading.values["sessions_open"] == 0 for each in taken.values() for reading in each)
    last = [each[-1].age_seconds for each in taken.values()]
    assert max(last) - min(last) < 5


async def test_a_failure_is_logged_once_and_the_gauges_are_read_nevertheless(
    pool: Database, definer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await measured(pool, definer)
    await definer.execute(OLD)
    monkeypatch.setattr(gauges, "MEASURE", gauges.MEASURE.replace("5000", "50"))
    taken: list[GaugeReading] = []
    async with definer.transaction():
        await definer.execute("LOCK TABLE turnup.user_session")
        task = asyncio.create_task(run_gauges(pool, taken.append, first_seconds=0.01, every_seconds=0.01))
        await until(lambda: len(taken) == 5)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert [record.getMessage() for record in caplog.records if record.name == "turnup.gauges"] == [
        "the gauges could not be measured or read: StatementTimeout"
    ]
    assert all(reading.age_seconds > 56 for reading in taken)


# Of n locations, half have a request for approval, of which a fifth waits, and a payload, of which a fiftieth waits.
MANY = (
    """INSERT INTO turnup.location (id, account_id, name, line1, city, status)
       SELECT 'location-' || n, 'account-x', 'Location ' || n, n || ' Market Street', 'Albany',
              (ARRAY['IN_PROGRESS', 'PENDING_APPROVAL', 'COMPLETED', 'CANCELLED'])[1 + n % 4]
       FROM generate_series(1, :n) n""",
    """INSERT INTO turnup.approval (id, account_id, location_id, location_revision, digest, content, requested_by,
                                   requested_at, status, decided_by, decided_at)
       SELECT 'approval-' || n, 'account-x', 'location-' || n, 1, repeat('d', 64), jsonb_build_object('n', n), 'user-x',
              now() - n * interval '1 minute', CASE n % 5 WHEN 0 THEN 'PENDING' ELSE 'APPROVED' END,
              CASE n % 5 WHEN 0 THEN NULL ELSE 'user-x' END,
              CASE n % 5 WHEN 0 THEN NULL ELSE now() - n * interval '1 minute' END
       FROM generate_series(1, :n / 2) n""",
    """INSERT INTO turnup.provisioning_payload
           (id, account_id, location_id, sequence, version, state, document, document_digest, content_digest,
            location_revision, generated_by, generated_at, released_by, released_at, updated_at)
       SELECT 'payload-' || n, 'account-x', 'location-' || n, 1, '1.0.0',
              CASE n % 50 WHEN 0 THEN 'RELEASED' ELSE 'ACKNOWLEDGED' END, '{"devices": []}', repeat('0', 64),
              repeat('0', 64), 1, 'user-x', now(), 'user-x', now() - n * interval '1 minute', now()
       FROM generate_series(1, :n / 2) n""",
    """INSERT INTO turnup.user_session (id, user_id, secret_sha256, idle_until, expires_at)
       SELECT 'usersession-' || n, 'user-x', sha256(n::text::bytea), now() - (n - 50) * interval '1 minute',
              now() - (n - 50) * interval '1 minute'
       FROM generate_series(1, :n / 10) n""",
)
LOCATIONS = 20_000


@pytest.fixture(scope="module")
async def large() -> AsyncIterator[TestDatabase]:
    """A database of many locations, approvals, payloads and sessions."""
    async with own_database(EMPTY_TEMPLATE) as made:
        await fill(made, LOCATIONS)
        yield made


async def fill(place: TestDatabase, locations: int) -> None:
    owner = await asyncpg.connect(place.owner_url)
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await unaudited(owner)
        await put(owner, "account", {"id": "account-x", "name": "Account"})
        await put(owner, "user", a_user("user-x", "PARTNER", None))
        for statement in MANY:
            await owner.execute(statement.replace(":n", str(locations)))
    await owner.execute("VACUUM ANALYZE")
    await owner.close()


async def test_among_many_rows_only_the_locations_are_read_as_a_whole(large: TestDatabase) -> None:
    owner = await asyncpg.connect(large.owner_url)
    await owner.execute("SET ROLE turnup_definer")
    source = await owner.fetchval("SELECT prosrc FROM pg_proc WHERE proname = 'measure_gauges'")
    statement = source[source.index("SELECT jsonb_strip_nulls") :].partition(";")[0].replace("INTO measured", "")
    (plan,) = json.loads(await owner.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"))
    await owner.close()
    read: dict[str, int] = {}
    for node in nodes_of(plan["Plan"]):
        if "Relation Name" in node:
            rows = int(node["Actual Rows"] * node["Actual Loops"]) + node.get("Rows Removed by Filter", 0)
            read[node["Relation Name"]] = read.get(node["Relation Name"], 0) + rows
    assert read["location"] == LOCATIONS
    assert read["approval"] <= LOCATIONS / 10 + 60  # those that wait, and those of the last hour
    assert read["provisioning_payload"] == LOCATIONS / 100
    assert read["user_session"] <= 50


async def test_the_migration_keeps_what_is_there_and_lets_older_code_write(tmp_path: Path) -> None:
    before = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, before, ignore=shutil.ignore_patterns("__pycache__", "0025*", "0026*"))
    async with own_database("template1") as made:
        await migrate(made.owner_url, folder=before)
        await seed_demo(made.owner_url)
        rows = await rows_of(made)
        assert sum(map(len, rows.values())) > 200
        await migrate(made.owner_url)
        assert await rows_of(made) == rows | {"gauge_reading": [], "audit_verification": []}
        await audit_log_is_complete(made)
        connection = await asyncpg.connect(made.owner_url)
        assert await changed_objects(connection) == ()
        await connection.close()
        pool = await Database.open(made.app_url, size=1)
        assert await measures(pool)
        reading = await read_gauges(pool)
        await pool.close()
    assert reading is not None
    assert sum(reading.values["locations"].values()) == 12
    assert {each.revision: each.older_code_may_write for each in known(MIGRATIONS)}["0025"]


async def rows_of(place: TestDatabase) -> dict[str, list[str]]:
    """Every row of every table as a text."""
    connection = await asyncpg.connect(place.owner_url)
    await connection.execute("SET ROLE turnup_definer")
    names = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'turnup' AND tablename <> 'alembic_version'"
    )
    rows = {
        each["tablename"]: sorted(
            row[0] for row in await connection.fetch(f'SELECT t::text FROM turnup."{each["tablename"]}" t')
        )
        for each in names
    }
    await connection.close()
    return rows
