"""The changes of payloads since the acknowledged ones: read for a whole page at once, and bounded."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from app.db import tables
from app.domain.vocabulary import PayloadState, Role
from resolvers import payload_changes
from tests.builders_db import (
    NOON,
    a_grant,
    a_location,
    a_payload,
    a_receipt,
    a_user,
    an_account,
    committed,
    forget,
    insert,
)
from tests.harness import TestDatabase as WorkerDatabase

from .serving import Wire, tables_of

LOCATIONS = 20
QUERY = """query Changes($first: Int!) {
  provisioningPayloads(first: $first) { nodes { id changesSinceAcknowledged { path before after } } } }"""


@pytest.fixture(scope="module")
async def partner(database: WorkerDatabase) -> AsyncIterator[str]:
    """A partner with payloads of twenty locations: one that it acknowledged, and one with other phones."""
    async with committed(database) as connection:
        account = await an_account(connection)
        user = await a_user(connection, Role.PARTNER)
        await a_grant(connection, user, account)
        for place in range(LOCATIONS):
            location = await a_location(connection, account)
            for sequence, state in enumerate((PayloadState.ACKNOWLEDGED, PayloadState.RELEASED), 1):
                more = {"document": json.dumps(a_document(sequence)), "generated_at": NOON + timedelta(minutes=place)}
                payload = await a_payload(connection, location, sequence=sequence, state=state, **more)
                key = {"account_id": account, "location_id": location, "payload_id": payload}
                row = {"id": f"recipient-{payload}"[:64], "user_id": user, "purpose": "CARRIER", "required": True}
                await insert(connection, tables.payload_recipient, **key, **row)
                if state is PayloadState.ACKNOWLEDGED:
                    await a_receipt(connection, payload, user)
    yield user
    await forget(database, [account], [user])


def a_document(sequence: int) -> dict[str, Any]:
    devices = [{"id": "phone-1", "macAddress": f"80:5E:C0:00:00:0{sequence}"}]
    return {"version": "1.0.0", "devices": devices, "metadata": {"sequence": sequence}}


async def test_a_page_of_changes_takes_as_many_statements_for_two_payloads_as_for_forty(
    wire: Wire, partner: str
) -> None:
    statements: list[list[str]] = []
    for first in (2, 2 * LOCATIONS):
        async with wire.recorded() as seen:
            answer = await wire.client.ask(QUERY, partner, first=first)
        found = [each["changesSinceAcknowledged"] for each in answer.data["provisioningPayloads"]["nodes"]]
        swap = {
            "path": "/devices/phone-1/macAddress",
            "before": "80:5E:C0:00:00:01",
            "after": "80:5E:C0:00:00:02",
        }
        assert (found.count(None), found.count([swap])) == (first // 2, first // 2)
        statements.append(seen)
    few, many = statements
    assert len(few) == len(many)
    assert tables_of(many).count("provisioning_payload") == 3, "the page, the earlier payloads and their documents"


async def test_more_changes_than_any_operation_returns_end_the_operation(
    wire: Wire, partner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payload_changes, "MOST_ROWS", LOCATIONS - 1)
    answer = await wire.client.ask(QUERY, partner, first=2 * LOCATIONS)
    assert (answer.codes, answer.body.get("data")) == (["QUERY_TOO_COMPLEX"], None)
