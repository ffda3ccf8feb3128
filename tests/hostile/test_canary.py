"""What other users notice of an attack: the latency of a small query while four connections attack."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.measuring import RawConnection
from tests.contract.served import ROOT, Served, served, turnup
from tests.harness import CUSTOMER, LEAD, LEAD_2, LISTED_CUSTOMER, PARTNER

from .attackers import ATTACKS, CONNECTIONS
from .case import Case

ROUNDS = 3
IDLE, ATTACKED = 150, 60
"""The number of canary queries per round without an attack, and per attack."""
PER_ATTACKER = 0.05
"""The maximum by which one attacking connection delays the slowest percent of other queries, in seconds."""
PAUSE = 0.01
ADDRESS = "127.0.0.2"
CANARY = Case("canary", document='{ viewer { name } location(id: "location-1") { name status } }')


def p99(latencies: list[float]) -> float:
    """Return the latency that one percent of the queries exceeds."""
    return sorted(latencies)[int(len(latencies) * 0.99)]


def scheduled(process: int) -> tuple[float, float]:
    """Return the seconds that the main thread of a process ran, and that it was ready to run but others ran."""
    ran, waited, _ = Path(f"/proc/{process}/schedstat").read_text(encoding="utf-8").split()
    return int(ran) / 1e9, int(waited) / 1e9


async def latencies_of(server: Served, queries: int) -> list[float]:
    """Send canary queries one after the other, from an address of its own; return their latencies in seconds.

    If other processes keep the server from running, all latencies are divided by the factor by which they slow it down.
    """
    ran, waited = scheduled(server.process)
    request = CANARY.request(server.token(LEAD_2))
    connection = await RawConnection.open(urlsplit(server.origin).port or 0, ADDRESS)
    found = []
    for _ in range(queries):
        await asyncio.sleep(PAUSE)
        began = time.perf_counter()
        response = await connection.ask(request)
        found.append(time.perf_counter() - began)
        assert "errors" not in json.loads(response.body), response.body
    connection.close()
    ran, waited = (now - before for now, before in zip(scheduled(server.process), (ran, waited), strict=True))
    return [latency * ran / (ran + waited) for latency in found]


@asynccontextmanager
async def attackers(server: Served) -> AsyncIterator[Callable[[str], int]]:
    """Yield a function that switches the attack and returns the number of requests sent so far."""
    process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, "-m", "tests.hostile.attackers", str(urlsplit(server.origin).port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    tell, hear = process.stdin, process.stdout

    def switch(attack: str) -> int:
        tell.write(f"{attack}\n")
        tell.flush()
        return int(hear.readline())

    try:
        tell.write(json.dumps([server.token(who) for who in (LEAD, CUSTOMER, LISTED_CUSTOMER, PARTNER)]) + "\n")
        switch("")
        yield switch
    finally:
        tell.close()
        process.wait(30)
        hear.close()


@pytest.mark.slow
async def test_four_attacking_connections_delay_the_queries_of_others_by_at_most_50_ms_each(
    record_property: Callable[[str, object], None],
) -> None:
    idle: list[float] = []
    attacked: dict[str, list[float]] = {attack: [] for attack in ATTACKS}
    with served(TURNUP_GRAPHIQL="false") as server:
        turnup(server.home, "seed", "--locations", "100").check_returncode()
        async with attackers(server) as switch:
            for _ in range(ROUNDS):
                switch("")
                idle += await latencies_of(server, IDLE)
                for attack in ATTACKS:
                    before = switch(attack)
                    attacked[attack] += await latencies_of(server, ATTACKED)
                    assert switch("") > before, attack
    allowed = p99(idle) + CONNECTIONS * PER_ATTACKER
    figures = {attack: p99(latencies) for attack, latencies in attacked.items()}
    said = ", ".join(f"{attack} {seconds * 1000:.0f} ms" for attack, seconds in figures.items())
    record_property("tried", f"p99 idle {p99(idle) * 1000:.0f} ms, attacked by {said}")
    sys.stdout.write(f"\nidle {p99(idle) * 1000:.1f} ms, {said}\n")
    assert {attack: seconds for attack, seconds in figures.items() if seconds > allowed} == {}
