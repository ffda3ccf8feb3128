"""Hostile documents, variables, bodies and heads: the server answers each with a code, at little cost."""

import json
import sys
from collections.abc import Callable
from random import randrange

import pytest

from app.http.refusals import TRANSPORT_STATUS
from tests.contract.served import UNLIMITED, Served, served
from tests.harness import CUSTOMER, LEAD_2, Client
from tests.lanes import scaled

from .attacker import Attacker
from .families import FAMILIES, KINDS, hostile, mixture
from .judging import CODES

MOST_GROWTH = 400 * 1024 * 1024
"""The maximum growth of the server's memory during a lane or a campaign, in bytes. Most of it are its caches."""
CANARY = '{ viewer { name role } account(id: "account-1") { id name } deviceModels(first: 3) { nodes { id } } }'


@pytest.mark.parametrize("family", [name for kind in ("documents", "variables", "bodies") for name in KINDS[kind]])
async def test_a_hostile_request_is_answered_with_data_or_with_a_code(client: Client, family: str) -> None:
    for index in range(2):
        case = hostile(1, family, index)
        head, _, body = case.request(client.recent_token(CUSTOMER)).partition(b"\r\n\r\n")
        fields = [line.partition(": ")[::2] for line in head.decode("latin-1").split("\r\n")[1:]]
        response = await client.http.post("/graphql", content=body, headers=fields)
        answer = response.json()
        first = answer[0] if isinstance(answer, list) else answer  # a batch is refused with one error for each item
        codes = {error["extensions"]["code"] for error in first.get("errors", [])}
        assert "data" in first or codes
        assert codes <= CODES, case
        assert response.status_code in {200, 400, *TRANSPORT_STATUS.values()}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_hostile_request_is_determined_by_seed_family_and_index(family: str) -> None:
    assert hostile(3, family, 5).request("t") == hostile(3, family, 5).request("t")
    assert len({hostile(3, family, index).request("t") for index in range(20)}) > 1


def canary(server: Served) -> str:
    """Return what a user who attacks nobody is answered."""
    return json.dumps(server.ask(CANARY, LEAD_2))


@pytest.mark.slow
async def test_hostile_requests_cost_little_and_leave_the_server_as_it_was(
    record_property: Callable[[str, object], None],
) -> None:
    count, seed = scaled(500), randrange(2**32)
    with served(TURNUP_GRAPHIQL="false", TURNUP_LIMIT_DEADLINE_SECONDS="60", **UNLIMITED) as server:
        before = canary(server)
        attacker = Attacker(server)
        sent = await attacker.attack(mixture(seed, count))
        after = canary(server)
    sys.stdout.write(f"\n{attacker.codes.most_common()}, {attacker.grown / 1e6:+.0f} MB\n")
    assert attacker.found == [], "\n".join([f"{sent} requests, seed {seed}:", *attacker.found[:50]])
    assert attacker.grown < MOST_GROWTH
    assert after == before
    record_property(
        "tried",
        f"{sent:,} hostile requests of {len(FAMILIES)} families, {attacker.codes['data']:,} of them executed;"
        f" at most {attacker.slowest * 1000:.0f} ms of CPU beyond the price; memory {attacker.grown / 1e6:+.0f} MB",
    )
