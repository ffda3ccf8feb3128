"""Whatever a mutation changes of a location, or of an object in it, moves the `updatedAt` that clients poll by."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Table

from app.db import tables
from app.domain.vocabulary import LocationStatus

from .inputs import OF_A_LOCATION, arranged, good_input
from .scenario import Scenario

S = LocationStatus
# What a location shows to nobody: the claims of addresses, and what is kept for the audit log and for retries.
_UNSEEN = {tables.mac_claim, tables.audit_entry, tables.field_change, tables.idempotency_key, tables.erasure_due}
_OF_LOCATION = [
    table
    for table in tables.metadata.sorted_tables
    if "location_id" in table.c and table not in _UNSEEN and table is not tables.grant_location
]

# These serve the payload that is there for the content.
SERVES_AGAIN = {"generatePayload", "bulkGeneratePayloads"}


def _facts(table: Table) -> str:
    return (
        f"SELECT location_id AS id, '{table.name}' || jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text)::text AS facts"
        f' FROM turnup."{table.name}" t GROUP BY 1'
    )


FACTS = (
    "SELECT l.id, l.updated_at, to_jsonb(l) - 'updated_at' || to_jsonb(array_agg(f.facts ORDER BY f.facts)) AS facts"
    f" FROM turnup.location l LEFT JOIN ({' UNION ALL '.join(map(_facts, _OF_LOCATION))}) f ON f.id = l.id"
    " GROUP BY l.id"
)


async def facts(scenario: Scenario) -> dict[str, tuple[Any, str]]:
    """The time of the last change of each location, and all rows of it and in it."""
    return {row["id"]: (row["updated_at"], str(row["facts"])) for row in await scenario.connection.fetch(FACTS)}


def situations() -> Iterator[Any]:
    for mutation in sorted(OF_A_LOCATION):
        for live in (False, True):
            yield pytest.param(mutation, live, id=f"{mutation}{'-live' if live else ''}")


@pytest.mark.parametrize(("mutation", "live"), list(situations()))
async def test_whatever_a_mutation_changes_in_a_location_moves_its_time_and_nothing_else_does(
    scenario: Scenario, mutation: str, live: bool
) -> None:
    who, here = await arranged(scenario, mutation, live=live)
    other = await scenario.a_location(S.IN_PROGRESS)
    before = await facts(scenario)
    sent = await scenario.send(who, mutation, **good_input(mutation, here, other))
    assert sent.outcome == "DONE", sent
    after = await facts(scenario)
    changed = {location for location in before if after[location][1] != before[location][1]}
    later = {location for location in before if after[location][0] > before[location][0]}
    assert later == changed
    assert changed or mutation in SERVES_AGAIN


async def test_a_refused_attempt_is_in_the_audit_log_and_moves_no_time(scenario: Scenario) -> None:
    location = await scenario.a_location(S.COMPLETED)
    query = "query($id: ID!) { location(id: $id) { updatedAt auditLog { code } } }"
    before = (await scenario.client.ask(query, scenario.lead, id=location.id)).data["location"]
    sent = await scenario.send(scenario.customer, "removeDevice", deviceId=location.device, expectedRevision=1)
    assert sent.outcome == "LOCKED"
    after = (await scenario.client.ask(query, scenario.lead, id=location.id)).data["location"]
    assert after == {**before, "auditLog": [{"code": "LOCKED"}, *before["auditLog"]]}
