"""Measures what row-level security costs: 300 child rows, and a page of 20 of 1,000 locations, for each kind of user.

Run as `.venv/bin/python -m bench.policies`. The same statements run on copies of the tables without policies as the
baseline, on the same connection, in interleaved rounds; PostgreSQL's own execution time (EXPLAIN ANALYZE without
clocks in its nodes) and the driver's round trip are reported, the median of all rounds. Prints a Markdown table, and
the median ratio of a lead's statements to those on copies with the policies from before leads could be limited.
"""

import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from app.db import queries, tables
from app.db.loaders import many_statement
from app.db.migrate import migrate
from app.db.scoping import Shape
from app.db.seed import seed_many
from app.db.statements import Statement, joined
from app.postgres import embedded

LOCATIONS, WIDE, DEVICES, PAGE, ROUNDS = 1_000, 10, 30, 20, 300
WHO = {
    "lead": ("IMPLEMENTATION_LEAD", 0, Shape.EVERYTHING),
    "lead of one account": ("IMPLEMENTATION_LEAD", 0, Shape.ACCOUNTS),
    "customer, all locations": ("CUSTOMER", 0, Shape.ACCOUNTS),
    "customer, 10 listed": ("CUSTOMER", 10, Shape.LISTED),
    "customer, 1,000 listed": ("CUSTOMER", 1_000, Shape.LISTED),
}
CASES = ("300 devices", f"page of {PAGE}")
BASELINE = "lead, without policies"
FORMER = "lead, before there were leads of some accounts"
# The policies of that time: one condition for all leads.
CUSTOMER = (
    "(account_id = (select nullif(current_setting('turnup.account', true), '')) AND"
    " ((select nullif(current_setting('turnup.locations', true), '')) IS NULL OR"
    " (select nullif(current_setting('turnup.locations', true), '')::jsonb) ? {column}))"
)
LEAD = f"(select current_setting('turnup.role', true) = 'IMPLEMENTATION_LEAD') OR {CUSTOMER}"
PARTNER = "(select nullif(current_setting('turnup.accounts', true), '')::jsonb) ? account_id"
POLICIES = {"device": LEAD.format(column="location_id"), "location": f"{LEAD.format(column='id')} OR {PARTNER}"}
# The copies of the tables, by the name of their schema.
COPIES = {"plain": BASELINE, "former": FORMER}


@dataclass(frozen=True, slots=True)
class Work:
    """One measurement: the user, the statement and its values."""

    who: str
    subject: str
    case: str
    statement: Statement
    arguments: list[Any]


async def main(owner_url: str, app_url: str) -> None:
    """Fill a database, measure, print."""
    account = await fill(owner_url)
    app = await asyncpg.connect(app_url)
    await app.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=orjson.loads)
    works = [work async for work in all_aggregates(app, account)]
    executions, trips = defaultdict(list), defaultdict(list)
    for number in range(ROUNDS):
        for work in works[number % len(works) :] + works[: number % len(works)]:
            execution, trip, rows = await measured(app, work)
            assert rows == (WIDE * DEVICES if work.case == CASES[0] else min(PAGE, 10 if "10 l" in work.who else PAGE))
            executions[work.who, work.case].append(execution)
            trips[work.who, work.case].append(trip)
    version = await app.fetchval("SHOW server_version")
    await app.close()
    print(f"PostgreSQL {version}, medians of {ROUNDS} rounds, milliseconds: execution in PostgreSQL (round trip)\n")
    print(f"| viewer | {' | '.join(CASES)} |\n|---|{'---|' * len(CASES)}")
    for who in (BASELINE, FORMER, *WHO):
        cells = [
            f"{statistics.median(executions[who, case]):.2f} ({statistics.median(trips[who, case]):.2f})"
            for case in CASES
        ]
        print(f"| {who} | {' | '.join(cells)} |")
    for case in CASES:
        pairs = zip(executions["lead", case], executions[FORMER, case], strict=True)
        print(
            f"\n{case}: a lead's execution takes {statistics.median(now / then for now, then in pairs):.3f} of before"
        )


async def fill(owner_url: str) -> str:
    """Create 1,000 locations with 6 devices (ten with 30), the copies, and a user of each kind."""
    await migrate(owner_url)
    await seed_many(owner_url, LOCATIONS)
    owner = await asyncpg.connect(owner_url)
    async with owner.transaction():
        for copy in COPIES:
            await owner.execute(f"CREATE SCHEMA {copy}; GRANT USAGE, CREATE ON SCHEMA {copy} TO turnup_definer")
        await owner.execute("SET LOCAL ROLE turnup_definer; SELECT set_config('turnup.unaudited', 'on', true)")
        account = await owner.fetchval("SELECT id FROM turnup.account")
        await owner.execute(
            """INSERT INTO turnup.device (id, account_id, location_id, brand, model)
               SELECT l.id || '-extra-' || n, l.account_id, l.id, 'POLY', 'VVX 450'
               FROM (SELECT * FROM turnup.location ORDER BY name LIMIT $1) l, generate_series(7, $2) n""",
            WIDE,
            DEVICES,
        )
        for who, (role, listed, shape) in WHO.items():
            await owner.execute(
                'INSERT INTO turnup."user" (id, subject, name, email, role, account_id, all_accounts)'
                " VALUES ($1, $2, $2, $2, $3, $4, $5)",
                who_id(who),
                who,
                role,
                account if role == "CUSTOMER" else None,
                shape is Shape.EVERYTHING,
            )
            if shape is not Shape.EVERYTHING:
                await owner.execute(
                    'INSERT INTO turnup."grant" (id, user_id, account_id, all_locations) VALUES ($1, $1, $2, $3)',
                    who_id(who),
                    account,
                    not listed,
                )
                await owner.execute(
                    """INSERT INTO turnup.grant_location
                       SELECT $1, account_id, id FROM turnup.location ORDER BY name LIMIT $2""",
                    who_id(who),
                    listed,
                )
        for copy, (table, condition) in product(COPIES, POLICIES.items()):
            await owner.execute(f"CREATE TABLE {copy}.{table} (LIKE turnup.{table} INCLUDING ALL)")
            await owner.execute(f"INSERT INTO {copy}.{table} SELECT * FROM turnup.{table}")
            await owner.execute(f"GRANT SELECT ON {copy}.{table} TO turnup_app")
            if copy == "former":
                await owner.execute(f"ALTER TABLE {copy}.{table} ENABLE ROW LEVEL SECURITY")
                await owner.execute(f"CREATE POLICY app_all ON {copy}.{table} TO turnup_app USING ({condition})")
        for copy in COPIES:
            await owner.execute(f"RESET ROLE; GRANT USAGE ON SCHEMA {copy} TO turnup_app")
    await owner.execute("ANALYZE")
    for copy, table in product(COPIES, POLICIES):
        await owner.execute(f"SET ROLE turnup_definer; ANALYZE {copy}.{table}")
    await owner.close()
    return str(account)


def who_id(who: str) -> str:
    return "user-" + "".join(letter for letter in who if letter.isalnum())


async def all_aggregates(app: asyncpg.Connection, account: str) -> Any:
    """Measure both cases for every kind of user, and for the baseline."""
    async with app.transaction():
        await app.execute("SELECT turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, 60000)", "lead")
        found = [row["id"] for row in await app.fetch("SELECT id FROM turnup.location ORDER BY name")]
    devices = many_statement(tables.device.c.location_id)
    for who, (_, listed, shape) in WHO.items():
        page = queries._page(queries.LOCATIONS_BY_NAME, shape, frozenset(), False)
        values = {"scope_accounts": account, "scope_locations": joined(found[:listed]), "limit": PAGE}
        yield Work(who, who, CASES[0], devices, [joined(found[:WIDE])])
        yield Work(who, who, CASES[1], page, page.arguments(values))
        if shape is Shape.EVERYTHING:
            for case, statement, arguments in (
                (CASES[0], devices, [joined(found[:WIDE])]),
                (CASES[1], page, page.arguments(values)),
            ):
                for copy, called in COPIES.items():
                    copied = replace(statement, sql=statement.sql.replace("turnup.", f"{copy}."))
                    yield Work(called, who, case, copied, arguments)


async def measured(app: asyncpg.Connection, work: Work) -> tuple[float, float, int]:
    """Return the milliseconds of the execution and of the round trip, and the number of rows."""
    async with app.transaction(isolation="repeatable_read", readonly=True):
        await app.execute("SELECT turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, 60000)", work.subject)
        began = time.perf_counter()
        rows = await app.fetch(work.statement.sql, *work.arguments)
        trip = time.perf_counter() - began
        [plan] = await app.fetchval(
            f"EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, FORMAT JSON) {work.statement.sql}", *work.arguments
        )
    return plan["Execution Time"], trip * 1000, len(rows)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="turnup-bench-") as folder:
        home = Path(folder) / "home"
        with embedded.start(home) as postgres:
            cluster = postgres.cluster
            asyncio.run(main(cluster.dsn("turnup_owner", "turnup"), cluster.dsn("turnup_app", "turnup")))
        embedded.erase(home)
