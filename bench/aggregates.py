"""Measures PostgreSQL's CPU per statement that reads aggregates: `.venv/bin/python -m bench.aggregates`."""

import asyncio
import json
import statistics
import tempfile
from pathlib import Path

import asyncpg

from app.db.aggregates import AGGREGATES, PREVIEWED
from app.db.migrate import migrate
from app.db.seed import seed_many
from app.postgres import embedded

LOCATIONS, MANY = 300, 100
ROUNDS, WARM = 7, 8
EACH = {1: 60, MANY: 10}
DEVICES = [{"macAddress": f"00:04:F2:00:00:{n:02X}", "model": "VVX 450", "label": "x" * 40} for n in range(6)]
DOCUMENT = json.dumps({"version": "1.0.0", "devices": DEVICES, "notes": "y" * 6000}, separators=(",", ":"))
USERS = """
INSERT INTO turnup."user" (id, subject, name, email, role, all_accounts)
VALUES ('lead', 'lead', 'lead', 'lead@x.example', 'IMPLEMENTATION_LEAD', true),
       ('partner', 'partner', 'partner', 'partner@x.example', 'PARTNER', false)
"""
GRANTS = """
INSERT INTO turnup."grant" (id, user_id, account_id, all_locations) SELECT 'grant', 'partner', id, true
FROM turnup.account LIMIT 1
"""
# Per location, one payload that the partner acknowledged, and one that awaits its receipt, with other addresses per
# location.
PAYLOADS = """
INSERT INTO turnup.provisioning_payload
    (id, account_id, location_id, sequence, version, state, document, document_digest, content_digest,
     location_revision, generated_by, released_by, released_at)
SELECT l.id || s, l.account_id, l.id, s, '1.0.0', CASE s WHEN 1 THEN 'ACKNOWLEDGED' ELSE 'RELEASED' END,
       replace($1, '00:04:F2', upper('00:' || substr(md5(l.id), 1, 2) || ':' || substr(md5(l.id), 3, 2))),
       repeat('0', 64), repeat('0', 64), 1, 'lead', 'lead', now()
FROM turnup.location l, generate_series(1, 2) s
"""
RECIPIENTS = """
INSERT INTO turnup.payload_recipient (id, account_id, location_id, payload_id, user_id, purpose, required, live)
SELECT id, account_id, location_id, id, 'partner', 'OTHER', true, sequence = 1 FROM turnup.provisioning_payload
"""
LIVE = "UPDATE turnup.provisioning_payload SET live = true WHERE sequence = 1"
RECEIPTS = """
INSERT INTO turnup.receipt (id, account_id, location_id, payload_id, kind, document_digest, received_by)
SELECT id, account_id, location_id, id, 'ACKNOWLEDGED', document_digest, 'partner' FROM turnup.provisioning_payload
WHERE sequence = 1
"""


async def fill(owner: asyncpg.Connection, payloads: int) -> list[str]:
    """Add the users, and to each location its payloads; return the ids of the locations."""
    await owner.execute("SET ROLE turnup_definer; SELECT set_config('turnup.unaudited', 'on', false)")
    if payloads:
        await owner.execute(PAYLOADS, DOCUMENT)
        await owner.execute(RECIPIENTS)
        await owner.execute(LIVE)
        await owner.execute(RECEIPTS)
    else:
        await owner.execute(USERS)
        await owner.execute(GRANTS)
    await owner.execute("RESET ROLE")
    await owner.execute("VACUUM ANALYZE")
    await owner.execute("SET ROLE turnup_definer")
    return [row["id"] for row in await owner.fetch("SELECT id FROM turnup.location ORDER BY id")]


def spent_by(process: int) -> float:
    """Return the milliseconds of CPU that a process has spent."""
    return int(Path(f"/proc/{process}/schedstat").read_text(encoding="utf-8").split()[0]) / 1e6


async def cpu_of(app: asyncpg.Connection, sql: str, ids: list[str]) -> float:
    """Return the milliseconds of CPU per execution, as the median of the rounds."""
    found: list[float] = []
    for each in [WARM] + [EACH[len(ids)]] * ROUNDS:
        before = spent_by(app.get_server_pid())
        for _ in range(each):
            async with app.transaction(readonly=True):
                await app.execute("SELECT turnup.sign_in('ACCESS_TOKEN', 'lead', NULL, NULL, 50000)")
                await app.fetch(sql, ids)
        found.append((spent_by(app.get_server_pid()) - before) / each)
    return statistics.median(found[1:])


async def main(owner_url: str, app_url: str) -> None:
    """Print the table."""
    await migrate(owner_url)
    await seed_many(owner_url, LOCATIONS)
    owner = await asyncpg.connect(owner_url)
    statements = {"write": AGGREGATES, "read": PREVIEWED}
    for payloads in (0, 2):
        ids = await fill(owner, payloads)
        for count in EACH:
            for what, statement in statements.items():
                app = await asyncpg.connect(app_url)
                spent = await cpu_of(app, statement.sql, ids[:count])
                print(f"| {what} | {count} | {payloads} | {spent:.2f} |", flush=True)
                await app.close()
    await owner.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="turnup-bench-") as folder:
        home = Path(folder).resolve()
        with embedded.start(home) as postgres:
            cluster = postgres.cluster
            asyncio.run(main(cluster.dsn("turnup_owner", "turnup"), cluster.dsn("turnup_app", "turnup")))
        embedded.erase(home)
