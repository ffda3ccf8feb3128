"""A bulk call of many large locations that are far from ready: it answers in time, and little of it is kept."""

from typing import Any

import asyncpg

from app.db.seed import seed_many
from app.operations.idempotency import MOST_KEPT
from tests.harness import LEAD, Client

UPDATE = """
mutation Update($ids: [ID!]!, $key: String!) {
  bulkUpdateStatus(input: {locationIds: $ids, status: PENDING_APPROVAL, idempotencyKey: $key}) {
    results {
      outcome problem { code ... on NotReady { issues { code severity path message fix blocks } } }
    }
    summary { applied unchanged refused } replayed
  }
}
"""
# Devices without model and address and extensions that begin with zero, none of which belongs to anybody.
UNREADY = (
    """INSERT INTO turnup.device (id, account_id, location_id, brand)
       SELECT id || '-device-' || n, account_id, id, 'YEALINK'
       FROM turnup.location, generate_series(1, $1::int) n WHERE id = ANY ($2::text[])""",
    """INSERT INTO turnup.extension (id, account_id, location_id, number)
       SELECT id || '-extension-' || n, account_id, id, '0' || n
       FROM turnup.location, generate_series(1, $1::int) n WHERE id = ANY ($2::text[])""",
)
READY = "location-7"


async def unready_locations(owner_url: str, count: int, *, rows: int) -> list[str]:
    """So many locations with so many faulty devices and extensions each."""
    await seed_many(owner_url, count)
    connection = await asyncpg.connect(owner_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE turnup_definer")
            await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
            found = await connection.fetch("SELECT id FROM turnup.location WHERE name LIKE 'Load test%' ORDER BY id")
            ids = [row["id"] for row in found]
            for statement in UNREADY:
                await connection.execute(statement, rows, ids)
    finally:
        await connection.close()
    return ids


async def submitted(client: Client, ids: list[str]) -> dict[str, Any]:
    done = (await client.ask(UPDATE, LEAD, ids=ids, key="large")).data["bulkUpdateStatus"]
    assert isinstance(done, dict)
    return done


async def kept_bytes(owner_url: str) -> int:
    """How much is kept of the calls that were made."""
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute("SET ROLE turnup_definer")
        return int(await connection.fetchval("SELECT sum(octet_length(outcome::text)) FROM turnup.idempotency_key"))
    finally:
        await connection.close()


async def test_of_99_locations_with_a_thousand_findings_each_less_than_a_megabyte_is_kept(own_client: Client) -> None:
    owner_url = own_client.database.owner_url
    ids = [READY, *await unready_locations(owner_url, 99, rows=200)]
    first = await submitted(own_client, ids)
    assert first["summary"] == {"applied": 1, "unchanged": 0, "refused": 99}
    assert await kept_bytes(owner_url) < 1_000_000
    again = await submitted(own_client, ids)
    assert (again["replayed"], again["summary"]) == (True, first["summary"])
    for told, retold in zip(first["results"][1:], again["results"][1:], strict=True):
        every, kept = ([without_order(each) for each in item["problem"]["issues"]] for item in (told, retold))
        assert (len(every) > 1000, len(kept)) == (True, MOST_KEPT)
        assert kept == [issue for issue in every if issue in kept], "they are told in the same order"
        assert all("SUBMIT" in issue["blocks"] for issue in kept), "those that stand in the way go first"


def without_order(issue: dict[str, Any]) -> dict[str, Any]:
    """An issue with its gates as the set that they are."""
    return {**issue, "blocks": set(issue["blocks"])}
