"""Measures bulk mutations against single mutations and against one transaction of hand-written SQL.

Run as `make bench-bulk`, or `.venv/bin/python -m bench.bulk [ROUNDS]`. 1, 10 and 100 locations are submitted and then
approved: by one bulk mutation, by one mutation per location, and by SQL that knows the writes in advance and decides
nothing, but locks, claims, audits and writes the same rows. The three take turns, each with its own locations; the app
runs in this process over ASGI, with signed tokens. Prints the table of docs/performance.md: medians of all
rounds, and the statements that reached PostgreSQL, BEGIN and COMMIT included.
"""

import asyncio
import json
import secrets
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, time
from typing import Any

import asyncpg
import httpx
from pydantic import SecretStr

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.db import database as pools
from app.db import demo
from app.db.content_rows import TableRow
from app.db.migrate import migrate
from app.db.seed import location_rows, new_id
from app.domain.content import LocationContent
from app.domain.content_document import content_document
from app.domain.digest import content_digest
from app.domain.vocabulary import LocationStatus
from app.main import create_app
from app.operations.demo import load_demo
from app.postgres import embedded
from app.settings import Settings

SIZES = (1, 10, 100)
# No request may be rate limited.
BUDGETS = dict.fromkeys(
    ("limit_objects", "limit_edits", "limit_submits", "limit_approvals", "limit_bulk_calls", "limit_bulk_items"),
    1_000_000_000,
)
ACCOUNT, LEAD, REVIEWER = "account-1", "lead@turnup.example", "lead2@turnup.example"
ITEMS = "results { index locationId outcome problem { code message } location { status } } summary { applied }"
SINGLE = "location { status } problems { code }"
DOCUMENTS = {
    "submitOnboarding": (
        f"mutation($input: SubmitOnboardingInput!) {{ submitOnboarding(input: $input) {{ {SINGLE} }} }}"
    ),
    "approve": f"mutation($input: ApproveInput!) {{ approve(input: $input) {{ {SINGLE} }} }}",
    "editDevice": "mutation($input: EditDeviceInput!) { editDevice(input: $input) { problems { code } } }",
    "bulkUpdateStatus": f"mutation($input: BulkUpdateStatusInput!) {{ bulkUpdateStatus(input: $input) {{ {ITEMS} }} }}",
    "bulkApprove": f"mutation($input: BulkApproveInput!) {{ bulkApprove(input: $input) {{ {ITEMS} }} }}",
}
OPEN = """
SELECT turnup.audit_open(e, $2, $3, l, $4, NULL, NULL, 'APPLIED', NULL)
FROM unnest($1::text[], $5::text[]) WITH ORDINALITY AS o (e, l, place) ORDER BY place
"""
LOCK = "SELECT id FROM turnup.location WHERE id = ANY ($1) ORDER BY id FOR UPDATE"
CLAIM = """
INSERT INTO turnup.mac_claim (mac, account_id, location_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS c (m, a, l) ORDER BY m ON CONFLICT DO NOTHING RETURNING mac
"""
REQUEST = """
INSERT INTO turnup.approval
    (id, account_id, location_id, location_revision, digest, content, requested_by, requested_at)
SELECT a.id, l.account_id, l.id, l.revision + 1, a.digest, a.content::jsonb, $5, now()
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS a (id, location_id, digest, content)
JOIN turnup.location l ON l.id = a.location_id
"""
SESSION = """
UPDATE turnup.onboarding_session SET submitted_at = now(), submitted_by = $2, revision = revision + 1
WHERE location_id = ANY ($1) AND closed_at IS NULL
"""
DECIDE = """
UPDATE turnup.approval a
SET status = 'APPROVED', decided_by = $3, decided_at = now(), location_revision = l.revision + 1
FROM unnest($1::text[], $2::text[]) AS r (location_id, digest)
JOIN turnup.location l ON l.id = r.location_id
WHERE a.location_id = r.location_id AND a.status = 'PENDING' AND a.digest = r.digest
"""
CHANGE = """
INSERT INTO turnup.status_change (id, account_id, location_id, verb, changed_by)
SELECT c.id, $5, c.location_id, $3, $4 FROM unnest($1::text[], $2::text[]) AS c (id, location_id)
"""
MOVE = """
UPDATE turnup.location l SET status = $3, status_change_id = c.id, revision = revision + 1, updated_at = now()
FROM unnest($1::text[], $2::text[]) AS c (id, location_id) WHERE l.id = c.location_id
"""
KEEP = """
INSERT INTO turnup.idempotency_key (user_id, key, mutation, fingerprint, outcome)
VALUES ($1, $2, 'by hand', sha256(convert_to($2, 'UTF8')), $3)
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A location, with the values that the SQL by hand needs."""

    id: str
    macs: tuple[str, ...]
    digest: str
    document: str


class Bench:
    """The app, a connection of its role for SQL by hand, and the statements that both sent."""

    def __init__(self, http: httpx.AsyncClient, issuer: DevelopmentIssuer, by_hand: Any, sent: list[str]) -> None:
        self.http = http
        self.by_hand = by_hand
        self.sent = sent
        self._tokens = {
            who: issuer.issue(who, lifetime_seconds=36_000, now=time(), audience=AUDIENCE) for who in (LEAD, REVIEWER)
        }

    async def ask(self, who: str, mutation: str, **given: Any) -> Any:
        """Return the payload of a mutation; end the run if it was refused."""
        response = await self.http.post(
            "/graphql",
            json={
                "query": DOCUMENTS[mutation],
                "variables": {"input": {**given, "idempotencyKey": secrets.token_hex(12)}},
            },
            headers={"authorization": f"Bearer {self._tokens[who]}"},
        )
        body = response.json()
        assert "errors" not in body, body
        done = body["data"][mutation]
        assert not done.get("problems"), done
        return done

    async def bulk(self, action: str, places: list[Place]) -> None:
        if action == "submit":
            ids = [place.id for place in places]
            done = await self.ask(LEAD, "bulkUpdateStatus", locationIds=ids, status="PENDING_APPROVAL")
        else:
            items = [{"locationId": place.id, "expectedDigest": place.digest} for place in places]
            done = await self.ask(REVIEWER, "bulkApprove", items=items)
        assert done["summary"]["applied"] == len(places), done

    async def single(self, action: str, places: list[Place]) -> None:
        for place in places:
            if action == "submit":
                await self.ask(LEAD, "submitOnboarding", locationId=place.id)
            else:
                await self.ask(REVIEWER, "approve", locationId=place.id, expectedDigest=place.digest)

    async def sql(self, action: str, places: list[Place]) -> None:
        """One transaction: sign in, lock, open entries, claim, write, store the key, seal."""
        db, ids = self.by_hand, [place.id for place in places]
        digests, documents = [place.digest for place in places], [place.document for place in places]
        async with db.transaction():
            user = await db.fetchval(
                "SELECT id FROM turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, 60000)",
                LEAD if action == "submit" else REVIEWER,
            )
            await db.fetch(LOCK, ids)
            await db.fetch(OPEN, [new_id("AuditEntry") for _ in ids], ACCOUNT, action, "by hand", ids)
            if action == "submit":
                claims = [(mac, ACCOUNT, place.id) for place in places for mac in place.macs]
                await db.fetch(CLAIM, *(list(column) for column in zip(*claims, strict=True)))
                await db.execute(REQUEST, [new_id("Approval") for _ in ids], ids, digests, documents, user)
                await db.execute(SESSION, ids, user)
            else:
                await db.execute(DECIDE, ids, digests, user)
            changes = [new_id("StatusChange") for _ in ids]
            await db.execute(CHANGE, changes, ids, action.upper(), user, ACCOUNT)
            await db.execute(MOVE, changes, ids, "PENDING_APPROVAL" if action == "submit" else "APPROVED")
            await db.execute(KEEP, user, secrets.token_hex(12), json.dumps(ids))
            await db.fetch("SELECT turnup.audit_seal()")

    async def reopen(self, places: list[Place]) -> None:
        """Return approved locations to a status in which they can be submitted."""
        given = {"locationIds": [place.id for place in places], "status": "IN_PROGRESS", "reason": "Another round"}
        done = await self.ask(LEAD, "bulkUpdateStatus", **given)
        assert done["summary"]["applied"] == len(places), done


WAYS = {"bulk": Bench.bulk, "single": Bench.single, "sql": Bench.sql}


async def main(owner_url: str, app_url: str, home: Path, rounds: int) -> None:
    """Fill a database, measure in turns, print."""
    await migrate(owner_url)
    await load_demo(owner_url, app_url)
    groups = await fill(owner_url)
    seconds: defaultdict[tuple[str, int, str], list[float]] = defaultdict(list)
    counts: dict[tuple[str, int, str], int] = {}
    async with running(app_url, home) as bench:
        for number in range(rounds + 1):
            for size in SIZES:
                ways = list(WAYS)[number % 3 :] + list(WAYS)[: number % 3]
                for action in ("submit", "approve"):
                    for way in ways:
                        start, began = len(bench.sent), perf_counter()
                        await WAYS[way](bench, action, groups[way, size])
                        seconds[action, size, way].append(perf_counter() - began)
                        await asyncio.sleep(
                            0
                        )  # the driver calls its query loggers in the next iteration of the event loop
                        counts[action, size, way] = len(bench.sent) - start
                for way in ways:
                    await bench.reopen(groups[way, size])
        version = await bench.by_hand.fetchval("SHOW server_version")
    show(version, rounds, {case: statistics.median(each[1:]) * 1000 for case, each in seconds.items()}, counts)


def show(
    version: str, rounds: int, ms: dict[tuple[str, int, str], float], counts: dict[tuple[str, int, str], int]
) -> None:
    """Print the table. The first round is a warm-up and is not counted."""
    print(f"PostgreSQL {version}, medians of {rounds} rounds: milliseconds (statements)\n")
    print("| what | locations | bulk | single mutations | SQL by hand | bulk / by hand | single / bulk |")
    print("|---|---|---|---|---|---|---|")
    for action in ("submit", "approve"):
        for size in SIZES:
            cells = [f"{ms[action, size, way]:.1f} ({counts[action, size, way]})" for way in WAYS]
            bulk, single, sql = (ms[action, size, way] for way in WAYS)
            print(f"| {action} | {size} | {' | '.join(cells)} | {bulk / sql:.1f} | {single / bulk:.1f} |")


@asynccontextmanager
async def running(app_url: str, home: Path) -> AsyncIterator[Bench]:
    """The app on a database, and SQL by hand on a connection like the app's own."""
    sent: list[str] = []
    prepare = pools._prepare

    async def prepare_and_log(connection: Any) -> None:
        await prepare(connection)
        connection.add_query_logger(lambda record: sent.append(record.query))

    pools._prepare = prepare_and_log
    by_hand = await asyncpg.connect(app_url, statement_cache_size=512, max_cached_statement_lifetime=0)
    await prepare_and_log(by_hand)
    await by_hand.reset_type_codec("jsonb", schema="pg_catalog")
    app = create_app(Settings(database_url=SecretStr(app_url), home=home).model_copy(update=BUDGETS))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http,
    ):
        yield Bench(http, DevelopmentIssuer.load_or_create(home), by_hand, sent)
    await by_hand.close()


async def fill(owner_url: str) -> dict[tuple[str, int], list[Place]]:
    """Return complete locations for each way and size, with four devices, people and extensions each."""
    names = [(way, size, number) for way in WAYS for size in SIZES for number in range(size)]
    groups: defaultdict[tuple[str, int], list[Place]] = defaultdict(list)
    rows: list[TableRow] = []
    for number, (way, size, _) in enumerate(names, start=8_192):
        content = content_of(number)
        macs = tuple(device.mac_address for device in content.devices if device.mac_address)
        document = json.dumps(content_document(content))
        groups[way, size].append(Place(content.location_id, macs, content_digest(content), document))
        rows += location_rows(content, LocationStatus.IN_PROGRESS, "user-acme")
    await insert(owner_url, rows)
    return groups


async def insert(owner_url: str, rows: Iterable[TableRow]) -> None:
    """Insert rows, each with its table, without audit entries."""
    owner = await asyncpg.connect(owner_url)
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await owner.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await insert_rows(owner, rows)
    await owner.execute("ANALYZE")
    await owner.close()


async def insert_rows(connection: Any, rows: Iterable[TableRow]) -> None:
    """Insert rows in the transaction of a connection, table by table in the order of their first rows."""
    values: defaultdict[tuple[str, tuple[str, ...]], list[tuple[Any, ...]]] = defaultdict(list)
    for table, row in rows:
        values[table.name, tuple(row)].append(tuple(row.values()))
    for (name, columns), records in values.items():
        places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
        await connection.executemany(f'INSERT INTO turnup."{name}" ({", ".join(columns)}) VALUES ({places})', records)


def content_of(number: int) -> LocationContent:
    """Return the content of a demo branch with unique MAC addresses and numbers."""
    branch = next(each for each in demo.BRANCHES if each.desks == 4)
    content = demo.content_of(
        replace(branch, number=number, account_id=ACCOUNT, name=f"Acme Medical - Branch {number}")
    )
    (contact,), phones = content.contacts, content.phone_system
    assert phones is not None
    return replace(
        content,
        contacts=(replace(contact, phone="+1 212 555 0201", e164="+12125550201"),),
        phone_system=replace(phones, main_number="+1 212 555 0301", main_number_e164="+12125550301"),
        devices=tuple(
            replace(device, mac_address=f"805ec0{number:04x}{place:02x}")
            for place, device in enumerate(content.devices)
        ),
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="turnup-bench-") as folder:
        home = Path(folder) / "home"
        with embedded.start(home) as postgres:
            cluster = postgres.cluster
            urls = cluster.dsn("turnup_owner", "turnup"), cluster.dsn("turnup_app", "turnup")
            asyncio.run(main(*urls, home, int(sys.argv[1]) if len(sys.argv) > 1 else 9))
        embedded.erase(home)
