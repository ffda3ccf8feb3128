"""What a server writes to its log while the database is away."""

import asyncio
import json
import time
from signal import SIGTERM

import httpx
import pytest

from tests.harness import LEAD

from .proxy import Mode
from .servers import Surroundings
from .test_outages import STOP_SECONDS
from .traffic import READ, Traffic

pytestmark = pytest.mark.slow

ANSWERED = "request.answered"
POOL = "asyncpg.pool"
IDS = ("request_id", "trace_id", "span_id")
LINES_SECONDS = 60.0
MOST_LINES = 2
"""Lines of the pool that the test waits for; it writes them a second or more apart."""


async def test_no_line_after_that_of_a_request_has_its_ids_when_the_database_goes_away(
    surroundings: Surroundings,
) -> None:
    async with surroundings.serving(TURNUP_LOG_FORMAT="json") as served:
        async with httpx.AsyncClient(base_url=served.url, timeout=30, trust_env=False) as http:
            traffic = Traffic(http)
            assert "errors" not in (await traffic.graphql(READ, LEAD)).json()
            surroundings.database.set(Mode.BLACK_HOLE)
            # The request ends its connection at its deadline, and what restores the connection begins in the request.
            assert "errors" in (await traffic.graphql(READ, LEAD)).json()
            surroundings.database.set(Mode.RESET)
            until = time.monotonic() + LINES_SECONDS
            while len(served.process.lines(f'"{POOL}"')) < MOST_LINES:
                assert time.monotonic() < until, served.process.printed
                await asyncio.sleep(0.1)
        surroundings.database.set(Mode.PASS)
        await served.process.end(STOP_SECONDS, SIGTERM)
        lines = [json.loads(line) for line in served.process.printed.splitlines()]
    answered: dict[str, set[str]] = {name: set() for name in IDS}
    late = []
    for line in lines:
        late += [line for name in IDS if line.get(name) in answered[name]]
        if line["message"] == ANSWERED:
            for name in IDS:
                answered[name] |= {line[name]} if name in line else set()
    assert late == []
    assert answered["trace_id"]
