"""Many writers over many accounts at once: no deadlock surfaces, chains stay whole, the log rebuilds everything."""

import asyncio
import sys
from collections import Counter
from random import Random
from time import monotonic

import asyncpg
import pytest

from app import audit
from app.audit.verify import snapshot
from app.db.database import Database, Transaction
from tests.harness import LEAD, by_token
from tests.harness import TestDatabase as Databases
from tests.lanes import scaled
from tests.oracle import database_is_consistent

from .trail import an_id, definer, enter, run

WRITERS, ACCOUNTS = 8, 20


async def test_eight_writers_over_twenty_accounts_meet_in_no_deadlock(copy: Databases) -> None:
    await storm(copy, each=50)


@pytest.mark.slow
async def test_eight_writers_over_twenty_accounts_meet_in_no_deadlock_for_long(copy: Databases) -> None:
    await storm(copy, each=scaled(1_000))


async def storm(place: Databases, *, each: int) -> None:
    """Let all writers make `each` transactions at once."""
    async with definer(place.owner_url, system="ARRANGE") as connection:
        for n in range(ACCOUNTS):
            await connection.execute("INSERT INTO turnup.account (id, name) VALUES ($1, $1)", f"account-s{n}")
            await connection.execute(
                """INSERT INTO turnup.location (id, account_id, name)
                   SELECT $1 || '-' || k, 'account-s' || $1, $1 FROM generate_series(0, 1) k""",
                str(n),
            )
    pool = await Database.open(place.app_url, size=WRITERS)
    began = monotonic()
    done = await asyncio.gather(*(writer(pool, Random(n), each) for n in range(WRITERS)))
    seconds = monotonic() - began
    await pool.close()
    total = sum(done, Counter())
    await database_is_consistent(place)
    async with snapshot(place.owner_url) as reading:
        newest = await reading.fetchval("SELECT sum(number) FROM turnup.chain_head WHERE chain LIKE 'account-s%'")
    assert newest == ACCOUNTS + total["entries"]
    assert total["deadlocks"] == 0
    assert total["rolled back"] > 0
    assert total["committed"] + total["rolled back"] == WRITERS * each
    sys.stdout.write(f"\n{seconds:.0f} s: {total['committed']} transactions, {total['entries']} entries\n")


async def writer(pool: Database, random: Random, transactions: int) -> Counter[str]:
    """Change a few accounts at a time as operations do: locations in order, changes, heads last. Some give up."""
    counts: Counter[str] = Counter()
    for _ in range(transactions):
        chosen = sorted(f"{random.randrange(ACCOUNTS)}-{random.randrange(2)}" for _ in range(random.randint(1, 6)))
        locations = sorted(set(chosen))
        try:
            async with pool.writing(by_token(LEAD), timeout_ms=20_000) as tx:
                await run(tx, "SELECT id FROM turnup.location WHERE id = ANY ($1) ORDER BY id FOR UPDATE", locations)
                for location in random.sample(locations, k=len(locations)):
                    await enter(tx, f"account-s{location.split('-')[0]}", location)
                    await change(tx, location, random)
                if random.random() < 0.1:
                    await run(tx, "SELECT 1 / 0")
                await audit.seal(tx)
        except asyncpg.DivisionByZeroError:
            counts["rolled back"] += 1
        except asyncpg.DeadlockDetectedError:
            counts["deadlocks"] += 1
        else:
            counts.update({"committed": 1, "entries": len(locations)})
    return counts


async def change(tx: Transaction, location: str, random: Random) -> None:
    """Touch the location, and add, rename or remove people."""
    await run(
        tx, "UPDATE turnup.location SET line1 = $2, revision = revision + 1 WHERE id = $1", location, an_id("line")
    )
    account = f"account-s{location.split('-', maxsplit=1)[0]}"
    act = random.randrange(3)
    if act == 0:
        await run(
            tx,
            "INSERT INTO turnup.person (id, account_id, location_id, first_name) VALUES ($1, $2, $3, 'Ada')",
            an_id("person"),
            account,
            location,
        )
    elif act == 1:
        await run(tx, "UPDATE turnup.person SET last_name = $2 WHERE location_id = $1", location, an_id("name"))
    else:
        await run(tx, "DELETE FROM turnup.person WHERE location_id = $1", location)
