"""Measures the cost of the audit log: writes of each kind with and without it, its verification and its replay.

Run as `make bench-audit`, or `.venv/bin/python -m bench.audit [EDITS]`. Starts its own cluster with two databases, one
of them without the audit log, and interleaves their edits. Prints the table of docs/audit.md.
"""

import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter, process_time
from uuid import uuid4

import asyncpg

from app import audit
from app.audit.history import as_of
from app.audit.replay import replay
from app.audit.verify import snapshot, verify
from app.db.database import Database, Transaction
from app.db.migrate import migrate
from app.db.seed import seed_demo
from app.db.statements import Statement
from app.domain.credential import Credential
from app.postgres import embedded

LEAD, ACCOUNT, LOCATION = "lead@turnup.example", "account-1", "location-1"
ROWS = 200


def sql(text: str, *parameters: str) -> Statement:
    """A statement whose rows are ignored."""
    return Statement("bench", text, parameters, lambda *_record: None)


LOCK = sql("SELECT id FROM turnup.location WHERE id = $1 FOR UPDATE", "id")
EDIT = (
    sql("UPDATE turnup.device SET label = $1, revision = revision + 1 WHERE id = 'phone-1'", "label"),
    sql("UPDATE turnup.section SET revision = revision + 1 WHERE location_id = $1 AND section = 'DEVICES'", "id"),
    sql(
        "UPDATE turnup.location SET revision = revision + 1, content_digest = $2, updated_at = now() WHERE id = $1",
        "id",
        "label",
    ),
    sql("UPDATE turnup.onboarding_session SET last_saved_at = now() WHERE location_id = $1", "id"),
)
ADD = sql(
    """INSERT INTO turnup.device (id, account_id, location_id, brand, model, mac_address, label)
       SELECT 'device-b' || n, 'account-1', $1, 'POLY', 'VVX 450', '0004f2' || lpad(to_hex(n), 6, '0'), 'Desk ' || n
       FROM generate_series(1, $2) n""",
    "id",
    "rows",
)
CHANGE = sql("UPDATE turnup.device SET label = 'x', revision = revision + 1 WHERE id LIKE 'device-b%'")
REMOVE = sql("DELETE FROM turnup.device WHERE id LIKE 'device-b%'")


async def main(edits: int) -> None:
    with tempfile.TemporaryDirectory(prefix="turnup-bench-") as folder:
        home = Path(folder) / "home"
        with embedded.start(home) as postgres:
            owner = postgres.cluster.dsn("turnup_owner", "turnup")
            await migrate(owner)
            await seed_demo(owner)
            embedded.create_database(postgres.cluster, "bare")
            await without_trail(postgres.cluster.dsn("turnup_owner", "bare"))
            audited = await Database.open(postgres.cluster.dsn("turnup_app", "turnup"), size=1)
            bare = await Database.open(postgres.cluster.dsn("turnup_app", "bare"), size=1)
            print("| write | without the audit log, ms (CPU) | with it, ms (CPU) |\n|---|---|---|")
            await compare(audited, bare, {"an edit (4 rows, 7 values), whole transaction": (edit, edits, 1)})
            edited = await prove(owner)
            past = await timed_past(audited, edits)
            await compare(audited, bare, IN_BULK)
            await audited.close()
            await bare.close()
            print(f"\nAfter the edits: {edited}.\n{past}.\nAfter the bulk writes: {await prove(owner)}.")
        embedded.erase(home)


async def without_trail(owner_url: str) -> None:
    """Drop the triggers."""
    connection = await asyncpg.connect(owner_url)
    for row in await connection.fetch(
        "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'audit\\_capture%'"
    ):
        await connection.execute(f"DROP TRIGGER {row['tgname']} ON {row['tgrelid']}")
    await connection.close()


async def compare(audited: Database, bare: Database, works: "dict[str, Work]") -> None:
    """Time the same writes with and without the audit log, in turns."""
    places = ((bare, await cpu_of(bare), False), (audited, await cpu_of(audited), True))
    for name, (work, rounds, rows) in works.items():
        walls: tuple[list[float], list[float]] = ([], [])
        cpus = [0.0, 0.0]
        for _ in range(rounds):
            for place, (database, cpu, recorded) in enumerate(places):
                wall, spent = await timed(database, work, cpu, recorded=recorded)
                walls[place].append(wall)
                cpus[place] += spent
        shown = [
            f"{statistics.median(walls[place]) * 1000 / rows:.3f} ({cpus[place] * 1000 / rounds / rows:.3f})"
            for place in range(2)
        ]
        print(f"| {name} | {' | '.join(shown)} |")


async def cpu_of(database: Database) -> Callable[[], float]:
    """Return a function for the CPU seconds of a pool's only PostgreSQL process; 0 on systems other than Linux."""
    async with database.connection() as connection:
        stat = Path(f"/proc/{await connection.fetchval('SELECT pg_backend_pid()')}/stat")
    if not os.path.exists(stat):  # noqa: ASYNC240, PTH110 - a file in memory
        return lambda: 0.0
    tick = os.sysconf("SC_CLK_TCK")
    return lambda: sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) / tick


async def timed(
    database: Database, work: Callable[[Transaction], Awaitable[None]], cpu: Callable[[], float], *, recorded: bool
) -> tuple[float, float]:
    """Return the seconds and PostgreSQL's CPU seconds of one transaction. The rows that it needs are created before."""
    if work in {change, remove}:
        await once(database, add, recorded=recorded)
    spent, started = cpu(), perf_counter()
    await once(database, work, recorded=recorded)
    wall, spent = perf_counter() - started, cpu() - spent
    if work in {add, change}:
        await once(database, remove, recorded=recorded)
    return wall, spent


async def once(database: Database, work: Callable[[Transaction], Awaitable[None]], *, recorded: bool) -> None:
    async with database.writing(Credential.of_access_token(LEAD), timeout_ms=60_000) as tx:
        await tx.fetch(LOCK, id=LOCATION)
        if recorded:
            await audit.open_entry(
                tx,
                entry_id=f"entry_{uuid4().hex}",
                chain=ACCOUNT,
                action="editDevice",
                location_id=LOCATION,
                request_id=uuid4().hex,
            )
        await work(tx)
        if recorded:
            await audit.seal(tx)


async def edit(tx: Transaction) -> None:
    label = uuid4().hex
    for statement in EDIT:
        await tx.fetch(statement, id=LOCATION, label=label)


async def add(tx: Transaction) -> None:
    await tx.fetch(ADD, id=LOCATION, rows=ROWS)


async def change(tx: Transaction) -> None:
    await tx.fetch(CHANGE)


async def remove(tx: Transaction) -> None:
    await tx.fetch(REMOVE)


async def timed_past(database: Database, edits: int) -> str:
    """Time reading the content at a revision: one in the middle, and the newest."""
    spent = []
    async with database.snapshot(Credential.of_access_token(LEAD), timeout_ms=60_000) as reading:
        for revision in (edits // 2, edits):
            started = perf_counter()
            assert LOCATION in await as_of(reading, [LOCATION], revision)
            spent.append((perf_counter() - started) * 1000)
    return f"Content as of revision {edits // 2} in {spent[0]:.0f} ms, as of revision {edits} in {spent[1]:.0f} ms"


async def prove(owner_url: str) -> str:
    """Time an operator's commands on the audit log of the edits."""
    async with snapshot(owner_url) as connection:
        spent = process_time()
        verdict = await verify(connection)
        spent = process_time() - spent
        size = await connection.fetchval(
            "SELECT pg_total_relation_size('turnup.audit_entry') + pg_total_relation_size('turnup.field_change')"
        )
    assert verdict.broken is None, verdict.broken
    started = perf_counter()
    rebuilt = await replay(owner_url)
    seconds = perf_counter() - started
    assert rebuilt.differences == (), rebuilt.differences
    return (
        f"{verdict.entries} entries with {verdict.changes} changes verified in {verdict.seconds:.2f} s"
        f" ({verdict.entries / verdict.seconds:,.0f} entries/s, {verdict.changes / verdict.seconds:,.0f} changes/s;"
        f" {spent * 1e6 / verdict.changes:.1f} microseconds of Python a change), replayed in {seconds:.2f} s;"
        f" {size / verdict.changes:.0f} bytes a change on disk, indexes included"
    )


Work = tuple[
    Callable[[Transaction], Awaitable[None]], int, int
]  # the work, the number of rounds, the number of rows that it writes
IN_BULK: dict[str, Work] = {
    f"{ROWS} devices added (7 values per row), per row": (add, 20, ROWS),
    f"{ROWS} devices changed (2 values per row), per row": (change, 20, ROWS),
    f"{ROWS} devices removed (7 values per row), per row": (remove, 20, ROWS),
}

if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000))
