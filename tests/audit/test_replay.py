"""The audit log alone rebuilds every tracked table, and a location's content at any revision it ever had."""

from dataclasses import replace
from random import Random
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app import audit
from app.audit.history import as_of
from app.audit.replay import TRACKED, replay
from app.audit.verify import snapshot, verify
from app.db import demo, seed
from app.db.content_rows import child_rows
from app.db.database import Database, Transaction
from app.db.migrate import MIGRATIONS, migrate
from app.domain.content import CallFlow, Contact, Device, Extension, LocationContent, Person, Target, WorkingHours
from app.domain.digest import content_digest
from app.domain.vocabulary import CallFlowKind, CallTarget, ContactPurpose, DeviceBrand
from tests.db.scenario import TABLES, good_rows, put
from tests.harness import LEAD, by_token
from tests.harness import TestDatabase as Databases

from .trail import ACCOUNT, DEVICE, LOCATION, an_id, definer, enter, run

HISTORIES = 100


async def test_the_demo_data_is_rebuilt_from_its_entries(database: Databases) -> None:
    found = await replay(database.owner_url)
    assert found.differences == ()
    assert found.rows > 200


async def test_a_row_of_every_tracked_table_is_rebuilt(copy: Databases) -> None:
    rows = good_rows("replayed", "account-replayed")
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await connection.execute("DELETE FROM turnup.installation")  # a database has one row
        for table in TABLES:
            if table in {each.name for each in TRACKED}:
                await put(connection, table, rows[table])
    found = await replay(copy.owner_url)
    assert found.differences == ()
    async with definer(copy.owner_url) as connection:
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await connection.execute("UPDATE turnup.payload_recipient SET required = false")
        await connection.execute("UPDATE turnup.accepted_version SET version = '1.1.0' WHERE user_id = 'user-replayed'")
        await connection.execute("UPDATE turnup.status_change SET verb = 'BLOCK' WHERE id = 'change-replayed'")
    assert {str(difference) for difference in (await replay(copy.owner_url)).differences} >= {
        "payload_recipient recipient-replayed: the audit log has other values of required",
        "accepted_version user-replayed/1.1.0: not in the audit log",
        "accepted_version user-replayed/1.0.0: in the audit log, but not in the table",
        "status_change change-replayed: the audit log has other values of verb",
    }


async def test_a_change_behind_the_trail_s_back_is_named(copy: Databases) -> None:
    async with definer(copy.owner_url) as connection:
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await connection.execute("UPDATE turnup.device SET label = 'x', model = NULL WHERE id = 'phone-1'")
        await connection.execute("DELETE FROM turnup.contact WHERE id = 'contact-4'")
        await connection.execute("INSERT INTO turnup.mac_claim VALUES ('0004f2000001', 'account-1', 'location-1')")
        await connection.execute("""UPDATE turnup."user" SET subject = 'mallory' WHERE id = 'user-lead-2'""")
        await connection.execute("DELETE FROM turnup.section WHERE section = 'PEOPLE' AND location_id = 'location-1'")
    assert {str(difference) for difference in (await replay(copy.owner_url)).differences} == {
        "device phone-1: the audit log has other values of label, model",
        "contact contact-4: in the audit log, but not in the table",
        "mac_claim 0004f2000001: not in the audit log",
        "user user-lead-2: the audit log has other values of subject",
        "section location-1/PEOPLE: in the audit log, but not in the table",
    }


async def test_a_number_written_otherwise_behind_the_trail_s_back_is_named(copy: Databases) -> None:
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        approval = await connection.fetchval(WEIGHED.format(weight="4"))
    assert (await replay(copy.owner_url)).differences == ()
    async with definer(copy.owner_url) as connection:
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await connection.execute(WEIGHED.format(weight="4.00"))
    [difference] = (await replay(copy.owner_url)).differences
    assert str(difference) == f"approval {approval}: the audit log has other values of content"


WEIGHED = """UPDATE turnup.approval SET content = '{{"weight": {weight}}}'
             WHERE id = (SELECT min(id) FROM turnup.approval) RETURNING id"""


async def test_erased_values_are_counted_and_the_rest_is_compared(copy: Databases) -> None:
    async with definer(copy.owner_url) as connection:
        await connection.execute(
            "SELECT turnup.audit_open($1, $2, 'ERASE', NULL, '', NULL, NULL, 'APPLIED', NULL)", an_id(), ACCOUNT
        )
        await connection.execute(
            "SELECT turnup.audit_blank($1, $2, 'contact', $3, '{email}')", ACCOUNT, LOCATION, "contact-1"
        )
        await connection.execute("SELECT turnup.audit_seal()")
    found = await replay(copy.owner_url)
    assert (found.erased, found.differences) == (1, ())
    async with definer(copy.owner_url, system="CORRECTION") as connection:
        await connection.execute("UPDATE turnup.contact SET email = 'known@again.example' WHERE id = 'contact-1'")
    found = await replay(copy.owner_url)
    assert (found.erased, found.differences) == (0, ())


async def test_an_erasure_of_what_no_erasure_removes_is_named(copy: Databases) -> None:
    async with definer(copy.owner_url) as connection:
        await connection.execute(
            "SELECT turnup.audit_open($1, 'system', 'ERASE', NULL, '', NULL, NULL, 'APPLIED', NULL)", an_id()
        )
        await connection.execute("SELECT turnup.audit_blank('system', NULL, 'user', 'user-acme', '{status}')")
        await connection.execute("SELECT turnup.audit_seal()")
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await connection.execute("""UPDATE turnup."user" SET status = 'SUSPENDED' WHERE id = 'user-acme'""")
    assert (await replay(copy.owner_url)).differences == ()
    async with snapshot(copy.owner_url) as connection:
        broken = (await verify(connection)).broken
    assert broken is not None
    assert "was removed, though no erasure removes status" in broken.why


async def test_data_that_was_there_before_the_trail_gets_a_baseline(copy: Databases) -> None:
    async with definer(copy.owner_url) as connection:
        await connection.execute("TRUNCATE turnup.audit_entry, turnup.field_change, turnup.chain_head")
    assert len((await replay(copy.owner_url)).differences) > 100
    async with definer(copy.owner_url) as connection:
        await connection.execute("SELECT turnup.audit_baseline()")
        chains = await connection.fetch("SELECT chain, action, number FROM turnup.audit_entry ORDER BY chain")
    assert [tuple(row) for row in chains] == [
        (chain, "BASELINE", 1) for chain in ("account-1", "account-2", "account-3", "system")
    ]
    assert (await replay(copy.owner_url)).differences == ()


async def test_a_database_from_before_the_trail_is_migrated_with_its_data(bare: Databases) -> None:
    await _migrated_to(bare.owner_url, "0001")
    async with definer(bare.owner_url) as connection:
        await connection.execute("INSERT INTO turnup.account (id, name) VALUES ('account-old', 'Old')")
        await connection.execute(
            "INSERT INTO turnup.location (id, account_id, name) VALUES ('location-old', 'account-old', 'Old')"
        )
    await migrate(bare.owner_url)
    found = await replay(bare.owner_url)
    assert (found.rows, found.differences) == (2, ())
    async with snapshot(bare.owner_url) as connection:
        assert (await verify(connection)).broken is None


async def test_entries_from_before_they_were_marked_as_overrides_stand_as_they_were_sealed(bare: Databases) -> None:
    await _migrated_to(bare.owner_url, "0003")
    async with definer(bare.owner_url, system="ARRANGE") as connection:
        await connection.execute("INSERT INTO turnup.account (id, name) VALUES ('account-old', 'Old')")
    for override in (None, "override-old"):
        await _renamed(bare, override)
    await migrate(bare.owner_url)
    await _renamed(bare, None)
    await _renamed(bare, "override-new")
    async with definer(bare.owner_url, commit=False) as connection:
        marks = await connection.fetch(
            "SELECT is_override FROM turnup.audit_entry WHERE chain = 'account-old' ORDER BY number"
        )
        assert [mark for (mark,) in marks] == [None, None, None, False, True]
        assert (await verify(connection)).broken is None
        await connection.execute("UPDATE turnup.audit_entry SET is_override = false WHERE number = 2")
        broken = (await verify(connection)).broken
        assert broken is not None
        assert broken.number == 2
    assert (await replay(bare.owner_url)).differences == ()


async def _renamed(place: Databases, override: str | None) -> None:
    async with definer(place.owner_url) as connection:
        await connection.execute(
            "SELECT turnup.audit_open($1, 'account-old', 'edit', NULL, 'r', 'Because', $2, 'APPLIED', NULL)",
            an_id(),
            override,
        )
        await connection.execute("UPDATE turnup.account SET name = name || '!'")
        await connection.execute("SELECT turnup.audit_seal()")


async def _migrated_to(owner_url: str, revision: str) -> None:
    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    engine = create_async_engine(make_url(owner_url).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA turnup"))
        await connection.run_sync(upgrade)
    await engine.dispose()


async def test_bulk_test_data_is_named_and_skipped(empty: Databases) -> None:
    before = await replay(empty.owner_url)
    await seed.seed_many(empty.owner_url, 3)
    found = await replay(empty.owner_url)
    assert found.differences == ()
    [account] = set(found.skipped) - set(before.skipped)
    assert account.startswith("account-")
    async with snapshot(empty.owner_url) as connection:
        assert (await verify(connection)).broken is None


async def test_an_account_is_not_skipped_because_a_later_entry_says_that_it_was_loaded(copy: Databases) -> None:
    async with definer(copy.owner_url, system="LOAD_UNAUDITED") as connection:
        await connection.execute(seed.UNAUDITED, an_id(), ACCOUNT)
        await connection.execute("SELECT turnup.audit_seal()")
    async with definer(copy.owner_url) as connection:
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await connection.execute("UPDATE turnup.device SET label = 'x' WHERE id = $1", DEVICE)
    found = await replay(copy.owner_url)
    assert found.skipped == ()
    assert [str(each) for each in found.differences] == [f"device {DEVICE}: the audit log has other values of label"]


async def test_a_replay_leaves_nothing_behind_unless_asked_to(empty: Databases) -> None:
    await replay(empty.owner_url)
    assert await _has_scratch(empty.owner_url) is False
    for _again in range(2):
        await replay(empty.owner_url, keep=True)
        assert await _has_scratch(empty.owner_url) is True
    await replay(empty.owner_url)
    assert await _has_scratch(empty.owner_url) is False


async def test_content_as_of_a_revision_has_the_digest_of_that_time(pool: Database, database: Databases) -> None:
    random = Random(11)
    account, histories = an_id("account"), {}
    async with pool.writing(by_token(LEAD), timeout_ms=20_000) as tx:
        await enter(tx, account, action="createAccount")
        await run(tx, "INSERT INTO turnup.account (id, name) VALUES ($1, $1)", account)
        for _ in range(HISTORIES):
            content = LocationContent(location_id=an_id("location"), account_id=account, name="New")
            histories[content.location_id] = [content]
            await run(
                tx,
                "INSERT INTO turnup.location (id, account_id, name, content_digest) VALUES ($1, $2, 'New', $3)",
                content.location_id,
                account,
                content_digest(content),
            )
        await audit.seal(tx)
    for _round in range(4):
        async with pool.writing(by_token(LEAD), timeout_ms=20_000) as tx:
            for history in random.sample(list(histories.values()), k=60):
                await enter(tx, account, history[0].location_id)
                history.append(await _written(tx, _edited(history[-1], random)))
            await audit.seal(tx)
    async with pool.snapshot(by_token(LEAD), timeout_ms=20_000) as reading:
        for location_id, history in histories.items():
            for revision, content in enumerate(history, start=1):
                found = (await as_of(reading, [location_id], revision))[location_id]
                assert found.digest == content_digest(found.content) == content_digest(content)
            assert await as_of(reading, [location_id], len(history) + 1) == {}
    assert (await replay(database.owner_url)).differences == ()


async def test_there_is_no_content_of_what_was_loaded_unaudited(empty: Databases) -> None:
    await seed.seed_many(empty.owner_url, 1)
    async with definer(empty.owner_url) as connection:
        location = await connection.fetchval("SELECT id FROM turnup.location WHERE name LIKE 'Load test%' LIMIT 1")
        assert location is not None
    opened = await Database.open(empty.app_url, size=1)
    await _a_lead(empty)
    async with opened.snapshot(by_token(LEAD), timeout_ms=5_000) as reading:
        assert await as_of(reading, [location], 1) == {}
    await opened.close()


async def _a_lead(place: Databases) -> None:
    async with definer(place.owner_url, system="SEED") as connection:
        await connection.execute(
            """INSERT INTO turnup."user" (id, subject, name, email, role, all_accounts)
               VALUES ('user-lead', $1, 'Lena', $1, 'IMPLEMENTATION_LEAD', true) ON CONFLICT DO NOTHING""",
            LEAD,
        )


def _edited(content: LocationContent, random: Random) -> LocationContent:
    """The content after one random edit of a few sorts."""
    people = tuple(
        Person(id=an_id("person"), first_name=random.choice(["Ada", "Grace", None]), email="p@x.example")
        for _ in range(random.randrange(3))
    )
    devices = tuple(
        Device(id=an_id("device"), brand=random.choice(list(DeviceBrand)), label=random.choice(["Desk", None, "é"]))
        for _ in range(random.randrange(3))
    )
    extensions = tuple(
        Extension(
            id=an_id("extension"),
            number=str(2000 + n),
            person_id=people[0].id if people else None,
            device_id=device.id,
        )
        for n, device in enumerate(devices)
    )
    flows = [
        None,
        CallFlow(kind=CallFlowKind.DIRECT, direct_targets=tuple(each.id for each in reversed(extensions))),
        replace(_ivr(), greeting=random.choice(["Hello", None])),
    ]
    edits: list[dict[str, Any]] = [
        {"name": an_id("name"), "timezone": random.choice([None, "America/New_York", "Europe/Berlin"])},
        {"contacts": (Contact(id=an_id("contact"), purpose=ContactPurpose.PRIMARY, name="Alice", phone="+1"),)},
        {"contacts": ()},
        {"people": people, "devices": devices, "extensions": extensions, "call_flow": random.choice(flows)},
        {"phone_system": random.choice([None, demo.example().phone_system])},
        {
            "working_hours": tuple(
                WorkingHours(id=an_id("hours"), weekday=d, opens=NINE, closes=NINE, passes_midnight=True)
                for d in (1, 5)
            )
        },
    ]
    return replace(content, **random.choice(edits))


def _ivr() -> CallFlow:
    flow = demo.example().call_flow
    assert flow is not None
    return replace(flow, options=(), timeout_target=Target(kind=CallTarget.VOICEMAIL))


async def _written(tx: Transaction, content: LocationContent) -> LocationContent:
    """Replace every row of the location by the content's, one revision up."""
    for child in (*CHILDREN, "call_flow"):
        await run(tx, f"DELETE FROM turnup.{child} WHERE location_id = $1", content.location_id)
    for table, row in child_rows(content, an_id):
        names, places = ", ".join(row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
        await run(tx, f"INSERT INTO turnup.{table.name} ({names}) VALUES ({places})", *row.values())
    await run(
        tx,
        """UPDATE turnup.location SET name = $2, timezone = $3, content_digest = $4, revision = revision + 1
           WHERE id = $1""",
        content.location_id,
        content.name,
        content.timezone,
        content_digest(content),
    )
    return content


NINE = next(iter(demo.example().working_hours)).opens
CHILDREN = ("contact", "phone_system", "extension", "device", "person", "working_hours", "call_flow_option")


async def _has_scratch(owner_url: str) -> bool:
    connection = await asyncpg.connect(owner_url)
    try:
        return bool(await connection.fetchval("SELECT to_regnamespace('turnup_replay') IS NOT NULL"))
    finally:
        await connection.close()
