"""A server of an older version, on a database that a later release has given one more content field.

The later release's migration adds a field to every table of content. It is run while the server serves, and then values
are written to the fields, as the later release would write them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app import audit
from app.db.database import Database
from app.db.migrate import migrate
from app.operations import housekeeping
from tests.db.later import CONTENT_TABLES, OLDER_MAY_ONLY_READ, OLDER_MAY_WRITE, content_fields, later
from tests.harness import CUSTOMER, LEAD, PARTNER, Client, TestDatabase, own_database, served
from tests.operations.scenario import MUTATIONS, as_definer

from .cases import Sending
from .every import EVERY
from .ground import BUDGETS, Ground

READS = {
    LEAD: """{ viewer { name } locations(first: 100) { totalCount nodes {
        id name status revision contentDigest siteCode readiness { code } viewerActions { action allowed }
        account { id } sections { section revision } contacts { id } phoneSystem { revision } devices { id label }
        people { id } extensions { id } workingHours { id } callFlow { options { digit } }
        session { currentStep } approvals { id digest } overrides { id } payloads { id documentDigest document }
        auditLog { id action changes(first: 20) { nodes { field before after } } }
    } } }""",
    CUSTOMER: "{ locations(first: 100) { nodes { id name readiness { code } devices { id } people { id } } } }",
    PARTNER: "{ provisioningPayloads(first: 100) { nodes { id state document } } }",
}
HISTORY = "query ($id: ID!) { review(locationId: $id) { digest changes { path } } }"
DENIED = '{ location(id: "location-1") { overrides { id } } }'
STEP = 'mutation { setCurrentStep(input: {locationId: "location-3", step: PEOPLE}) { problems { code } } }'

VALUES = """
SELECT table_name, count(*) FILTER (WHERE novelty IS NOT NULL), sum(hashtextextended(novelty, 0)) FROM (
    {rows}
) r GROUP BY table_name ORDER BY table_name
""".format(
    rows=" UNION ALL ".join(f"SELECT '{each}' AS table_name, novelty FROM turnup.{each}" for each in CONTENT_TABLES)
)


@dataclass
class Older:
    """The server, the calls that were arranged before the migration, and what the reads answered then."""

    ground: Ground
    sendings: Mapping[str, Sending]
    answers: Mapping[str, Any]

    @property
    def client(self) -> Client:
        return self.ground.client


@pytest.fixture(scope="module")
async def older(home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Older]:
    async with own_database() as database, served(database, home, **BUDGETS) as client:
        connection = await as_definer(database.owner_url)
        ground = Ground(client, connection)
        await ground.open()
        sendings = {mutation: await arrange(ground, 2) for mutation, arrange in EVERY.items()}
        answers = {who: (await client.ask(query, who)).data for who, query in READS.items()}
        folder = later(tmp_path_factory.mktemp("later"), content_fields(), says=OLDER_MAY_ONLY_READ)
        await migrate(database.owner_url, folder=folder)
        await _written_by_the_later_release(connection)
        yield Older(ground, sendings, answers)
        await connection.close()


async def _written_by_the_later_release(connection: Any) -> None:
    async with connection.transaction():
        await connection.execute("SELECT set_config('turnup.system_action', 'NOVELTY', true)")
        for table in CONTENT_TABLES:
            await connection.execute(
                f"UPDATE turnup.{table} SET novelty = 'new ' || location_id"
                if table != "location"
                else "UPDATE turnup.location SET novelty = 'new ' || id"
            )
        await connection.execute("""UPDATE turnup.approval SET content = content || '{"novelty": "new"}'""")
        await connection.execute("SELECT turnup.audit_seal()")


@pytest.mark.parametrize("who", READS)
async def test_reads_are_answered_as_before(older: Older, who: str) -> None:
    now = (await older.client.ask(READS[who], who)).data
    assert _without_history(now) == _without_history(older.answers[who])


def _without_history(answer: Any) -> Any:
    """The answer without the audit log, in which the later release's own change is the newest."""
    if isinstance(answer, dict):
        return {name: _without_history(value) for name, value in answer.items() if name != "auditLog"}
    return [_without_history(each) for each in answer] if isinstance(answer, list) else answer


async def test_reviews_of_content_that_the_later_release_wrote_are_answered(older: Older) -> None:
    for location in older.answers[LEAD]["locations"]["nodes"]:
        assert (await older.client.ask(HISTORY, LEAD, id=location["id"])).data["review"]["digest"]


async def test_the_server_stays_ready(older: Older) -> None:
    ready = await older.client.http.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


def test_every_mutation_is_tried() -> None:
    assert set(EVERY) == set(MUTATIONS)


@pytest.mark.parametrize("mutation", EVERY)
async def test_a_write_is_refused_as_unavailable_and_writes_nothing(older: Older, mutation: str) -> None:
    before = await older.ground.image()
    sent = await older.ground.send_it(older.sendings[mutation])
    assert (sent.outcome, sent.error["extensions"]["outcome"]) == ("UNAVAILABLE", "NONE")
    assert sent.error["message"] == (
        "The server is being upgraded: this process is of an older version and only reads. Nothing was written. Retry"
        " shortly."
    )
    assert await older.ground.image() == before


async def test_what_the_later_release_wrote_stays(older: Older) -> None:
    before = await older.ground.connection.fetch(VALUES)
    assert all(row["count"] for row in before)
    for mutation in EVERY:
        await older.ground.send_it(older.sendings[mutation])
    assert await older.ground.connection.fetch(VALUES) == before


async def test_denials_are_still_counted(older: Older) -> None:
    count = "SELECT coalesce(sum(count), 0)::int FROM turnup.audit_incident"
    before = await older.ground.connection.fetchval(count)
    assert (await older.client.ask(DENIED, CUSTOMER)).codes == ["FORBIDDEN"]
    assert await older.ground.connection.fetchval(count) == before + 1


async def test_the_periodic_tasks_still_run(older: Older) -> None:
    assert (await older.client.ask(DENIED, CUSTOMER)).codes == ["FORBIDDEN"]
    pool = await Database.open(older.client.database.app_url, size=1)
    await older.ground.connection.execute("UPDATE turnup.audit_incident SET minute = minute - interval '1 minute'")
    assert await audit.settle(pool) > 0
    await housekeeping.forget_old_keys(pool)
    await housekeeping.erase_what_is_due(pool)
    await pool.close()


# While it is migrated


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)


async def under_load(client: Client, database: TestDatabase, folder: Path) -> tuple[set[int], list[Any], list[Any]]:
    """Migrate while people read, write and check; returns the states of readiness and the codes of all answers."""
    ready, reads, writes = set[int](), list[Any](), list[Any]()
    done = asyncio.Event()

    async def check() -> None:
        while not done.is_set():
            ready.add((await client.http.get("/readyz")).status_code)
            await asyncio.sleep(0.01)

    async def read() -> None:
        while not done.is_set():
            reads.append((await client.ask(READS[CUSTOMER], CUSTOMER)).codes)

    async def write() -> None:
        while not done.is_set():
            answer = await client.ask(STEP, LEAD)
            outcomes = [each["extensions"].get("outcome") for each in answer.body.get("errors", [])]
            writes.append((answer.codes, outcomes))

    async with asyncio.TaskGroup() as group:
        for work in (check, read, read, write, write):
            group.create_task(work())
        await asyncio.sleep(0)
        await until(lambda: len(writes) >= 5)
        await migrate(database.owner_url, folder=folder)
        after = len(writes)
        await until(lambda: len(writes) >= after + 5)
        done.set()
    return ready, reads, writes


async def test_a_migration_that_lets_older_code_write_is_noticed_by_nobody(home: Path, tmp_path: Path) -> None:
    folder = later(
        tmp_path,
        'steps.index("ix_device_label", "device", ["label"])',
        'steps.check("device", "ck_device_label_short", "length(label) < 1000")',
        'steps.validate("device", "ck_device_label_short")',
        says=OLDER_MAY_WRITE,
    )
    async with own_database() as database, served(database, home, **BUDGETS) as client:
        ready, reads, writes = await under_load(client, database, folder)
    assert (ready, [each for each in reads if each]) == ({200}, [])
    assert [each for each in writes if each != ([], [])] == []


async def test_a_migration_that_closes_the_database_fails_only_writes_and_leaves_none_unknown(
    home: Path, tmp_path: Path
) -> None:
    folder = later(tmp_path, content_fields(), says=OLDER_MAY_ONLY_READ)
    async with own_database() as database, served(database, home, **BUDGETS) as client:
        ready, reads, writes = await under_load(client, database, folder)
    assert (ready, [each for each in reads if each]) == ({200}, [])
    first = writes.index((["UNAVAILABLE"], ["NONE"]))
    assert all(each == ([], []) for each in writes[: first - 1])
    assert all(each == (["UNAVAILABLE"], ["NONE"]) for each in writes[first + 1 :])
