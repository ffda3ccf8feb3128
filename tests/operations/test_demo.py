"""The demo data comes whole: a load that is cut off goes on at the next start, unless somebody has written since."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import shake_256
from typing import Any

import asyncpg
import pytest

from app.db import demo, tables
from app.domain.secrets import NewServiceToken
from app.operations import demo as loading
from app.operations.demo import WAY_TO, load_demo, service_tokens_of_partners
from app.operations.unit_of_work import perform
from tests.harness import LEAD
from tests.harness import TestDatabase as Databases
from tests.oracle import database_is_consistent

STEPS = sum(len(WAY_TO[branch.status]) for branch in demo.BRANCHES)
STATUSES = "SELECT id, status FROM turnup.location WHERE id = ANY ($1)"
MADE = {f"location-{branch.number}": branch.status.value for branch in demo.BRANCHES}


SIGN_IN = "SELECT id, actions FROM turnup.sign_in('SERVICE_TOKEN', NULL, NULL, $1, 5000)"
GIVEN = "SELECT * FROM turnup.service_token ORDER BY id"


class CutOffError(Exception):
    """The process was killed."""


@pytest.fixture
def cut_off_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the load make so many steps and no more."""

    def after(steps: int) -> None:
        left = iter(range(steps))

        async def mortal(*arguments: Any) -> Any:
            if next(left, None) is None:
                raise CutOffError
            return await perform(*arguments)

        monkeypatch.setattr(loading, "perform", mortal)

    return after


async def statuses(database: Databases) -> dict[str, str]:
    connection = await asyncpg.connect(database.owner_url)
    try:
        await connection.execute("SET ROLE turnup_definer")
        rows = await connection.fetch(STATUSES, list(MADE))
        return {row["id"]: row["status"] for row in rows}
    finally:
        await connection.close()


@pytest.mark.parametrize("steps", [0, 1, STEPS // 2, STEPS - 1])
async def test_a_load_that_was_cut_off_goes_on_where_it_was(
    empty_database: Databases, cut_off_after: Callable[[int], None], steps: int
) -> None:
    cut_off_after(steps)
    with pytest.raises(CutOffError):
        await load_demo(empty_database.owner_url, empty_database.app_url, reset=True)
    assert await statuses(empty_database) != MADE
    cut_off_after(STEPS - steps)
    assert await load_demo(empty_database.owner_url, empty_database.app_url)
    assert await statuses(empty_database) == MADE
    assert not await load_demo(empty_database.owner_url, empty_database.app_url)
    await database_is_consistent(empty_database)


async def test_two_who_start_at_once_load_it_once(empty_database: Databases) -> None:
    urls = empty_database.owner_url, empty_database.app_url
    await load_demo(*urls, reset=True)
    connection = await asyncpg.connect(empty_database.owner_url)
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE turnup_definer")
        tables = await connection.fetchval(
            "SELECT string_agg(format('turnup.%I', tablename), ', ') FROM pg_tables"
            " WHERE schemaname = 'turnup' AND tablename NOT IN ('alembic_version', 'schema_state')"
        )
        await connection.execute(f"TRUNCATE {tables}")
    await connection.close()
    assert sorted(await asyncio.gather(load_demo(*urls), load_demo(*urls))) == [False, True]
    assert await statuses(empty_database) == MADE


async def test_where_somebody_has_written_since_a_cut_off_load_is_left_alone(
    empty_database: Databases, cut_off_after: Callable[[int], None]
) -> None:
    urls = empty_database.owner_url, empty_database.app_url
    cut_off_after(1)
    with pytest.raises(CutOffError):
        await load_demo(*urls, reset=True)
    connection = await asyncpg.connect(empty_database.app_url)
    async with connection.transaction():
        await connection.execute("SELECT turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, 5000)", LEAD)
        await connection.execute(
            "SELECT turnup.audit_open('entry_by_hand', 'account-1', 'block', NULL, 'r', NULL, NULL, 'APPLIED', NULL)"
        )
        await connection.execute("SELECT turnup.audit_seal()")
    await connection.close()
    before = await statuses(empty_database)
    assert not await load_demo(*urls)
    assert await statuses(empty_database) == before


async def test_a_demo_partner_states_the_versions_that_it_accepts(empty_database: Databases) -> None:
    await load_demo(empty_database.owner_url, empty_database.app_url, reset=True)
    connection = await asyncpg.connect(empty_database.owner_url)
    try:
        await connection.execute("SET ROLE turnup_definer")
        rows = await connection.fetch("SELECT user_id, version FROM turnup.accepted_version ORDER BY 1, 2")
    finally:
        await connection.close()
    assert [tuple(row) for row in rows] == list(demo.ACCEPTED_VERSIONS)


async def test_a_demo_location_has_the_partner_that_a_lead_chose(database: Databases) -> None:
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute("SET ROLE turnup_definer")
    rows = await connection.fetch(
        "SELECT location_id, user_id, purpose FROM turnup.payload_recipient WHERE live = false"
    )
    await connection.close()
    released = {(row["location_id"], row["user_id"], row["purpose"]) for row in rows}
    assert {(place, user, purpose.value) for place, user, purpose in demo.CHOSEN_PARTNERS} <= released


def tokens_of(home: str) -> Mapping[str, NewServiceToken]:
    """The service tokens of the demo's partners, as a home with its own key derives them."""
    return service_tokens_of_partners(lambda purpose, length: shake_256(f"{home} {purpose}".encode()).digest(length))


async def loaded(database: Databases, home: str, *, reset: bool = False) -> None:
    await load_demo(database.owner_url, database.app_url, reset=reset, service_tokens=tokens_of(home))


@asynccontextmanager
async def as_definer(database: Databases) -> AsyncIterator[Any]:
    """A transaction whose changes the audit log records."""
    connection = await asyncpg.connect(database.owner_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE turnup_definer")
            await connection.execute("SELECT set_config('turnup.system_action', 'ARRANGE', true)")
            yield connection
            await connection.execute("SELECT turnup.audit_seal()")
    finally:
        await connection.close()


async def done(database: Databases, statement: str) -> None:
    async with as_definer(database) as connection:
        await connection.execute(statement)


async def rows(database: Databases, question: str) -> list[tuple[Any, ...]]:
    async with as_definer(database) as connection:
        return [tuple(row) for row in await connection.fetch(question)]


async def signed_in(database: Databases, home: str) -> dict[str, list[str] | None]:
    """Who signs in with the tokens of a home, by user id, with what the tokens can do."""
    connection = await asyncpg.connect(database.app_url)
    try:
        found = [await connection.fetch(SIGN_IN, token.sha256) for token in tokens_of(home).values()]
    finally:
        await connection.close()
    return {row["id"]: row["actions"] for each in found for row in each}


async def test_the_demo_partners_sign_in_with_service_tokens_that_can_answer_payloads_and_nothing_else(
    empty_database: Databases,
) -> None:
    await loaded(empty_database, "home", reset=True)
    actions = ["ACKNOWLEDGE", "REJECT", "VIEW_PROVISIONING", "VIEW_USERS"]
    assert await signed_in(empty_database, "home") == {"user-carrier": actions, "user-pbx": actions}
    await database_is_consistent(empty_database)


async def test_the_next_start_leaves_the_tokens_as_they_are(empty_database: Databases) -> None:
    await loaded(empty_database, "home", reset=True)
    before = await rows(empty_database, GIVEN), await rows(empty_database, "SELECT id FROM turnup.audit_entry")
    await loaded(empty_database, "home")
    assert (
        await rows(empty_database, GIVEN),
        await rows(empty_database, "SELECT id FROM turnup.audit_entry"),
    ) == before


async def test_a_start_with_another_home_replaces_the_tokens_and_records_it(empty_database: Databases) -> None:
    await loaded(empty_database, "home", reset=True)
    await loaded(empty_database, "another home")
    assert await signed_in(empty_database, "home") == {}
    assert set(await signed_in(empty_database, "another home")) == {"user-carrier", "user-pbx"}
    assert len(await rows(empty_database, GIVEN)) == 2
    ((action,),) = await rows(
        empty_database, "SELECT action FROM turnup.audit_entry WHERE chain = 'system' ORDER BY number DESC LIMIT 1"
    )
    assert action == "SEED_DEMO"
    await database_is_consistent(empty_database)


async def test_a_database_that_was_filled_without_tokens_gets_them_at_the_next_start(empty_database: Databases) -> None:
    await load_demo(empty_database.owner_url, empty_database.app_url, reset=True)
    assert await rows(empty_database, GIVEN) == []
    await loaded(empty_database, "home")
    assert set(await signed_in(empty_database, "home")) == {"user-carrier", "user-pbx"}
    await database_is_consistent(empty_database)


async def test_a_demo_token_that_was_revoked_stays_revoked_until_a_reset(empty_database: Databases) -> None:
    await loaded(empty_database, "home", reset=True)
    await done(empty_database, "UPDATE turnup.service_token SET revoked_at = now() WHERE user_id = 'user-carrier'")
    await loaded(empty_database, "home")
    assert set(await signed_in(empty_database, "home")) == {"user-pbx"}
    await loaded(empty_database, "home", reset=True)
    assert set(await signed_in(empty_database, "home")) == {"user-carrier", "user-pbx"}


async def test_a_demo_token_that_has_expired_is_renewed_at_the_next_start(empty_database: Databases) -> None:
    await loaded(empty_database, "home", reset=True)
    await done(
        empty_database,
        "UPDATE turnup.service_token SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day'",
    )
    assert await signed_in(empty_database, "home") == {}
    await loaded(empty_database, "home")
    assert set(await signed_in(empty_database, "home")) == {"user-carrier", "user-pbx"}


@pytest.mark.parametrize(
    "change", ["subject = 'somebody-else'", "issuer = 'https://issuer.example'", "role = 'AUDITOR'"]
)
async def test_a_demo_user_who_is_no_longer_the_partner_gets_no_token(empty_database: Databases, change: str) -> None:
    await load_demo(empty_database.owner_url, empty_database.app_url, reset=True)
    await done(empty_database, f"UPDATE turnup.\"user\" SET {change} WHERE id = 'user-carrier'")
    await loaded(empty_database, "home")
    assert set(await signed_in(empty_database, "home")) == {"user-pbx"}


async def test_no_row_of_the_database_has_the_secret_of_a_demo_token(empty_database: Databases) -> None:
    await loaded(empty_database, "home", reset=True)
    dump = [
        row
        for table in tables.metadata.sorted_tables
        for row in await rows(empty_database, f'SELECT t::text FROM turnup."{table.name}" t')
    ]
    for token in tokens_of("home").values():
        secret = token.text.split("_", 2)[2]
        assert [row for (row,) in dump if token.prefix in row]
        assert [row for (row,) in dump if secret in row] == []
