"""Clients close or reset their connections at random moments: nothing stays open, and writes are whole or absent.

They leave before the whole request is sent, while it is executed, and before the whole response is read.
"""

import asyncio
import json
import random
import socket
import struct
import sys
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, unique
from itertools import product
from pathlib import Path

import pytest
from graphql import get_introspection_query

from bench.measuring import resident_bytes
from tests.harness import EMPTY_TEMPLATE, own_database
from tests.lanes import scaled
from tests.operations.scenario import document
from tests.oracle import database_is_consistent

from .callers import CALLERS, QUERIES, Call, Load, Met, Sessions, gauges, until_empty, until_pool_is_idle
from .ground import Ground, ground_on
from .servers import Servers, stem_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="servers are forked, and end with who started them")

ROUND = 200
"""The clients between two checks."""
ROUNDS = 5
"""The rounds on one database. A replay rebuilds every row, so that it takes longer after each."""
AT_ONCE = 20
MUTATIONS_PER_CLIENT = 0.3
HELD_PER_ROUND = 24
"""The clients that leave while PostgreSQL does not answer, because a lock is held."""
HELD_SECONDS = 1.5
"""The longest stay of such a client. The server watches for clients that leave after one second."""
MOST_GROWTH = 64 * 1024 * 1024
"""The maximum growth of the server's memory after the first round, in bytes."""
RECEIVED_BYTES = 4096
"""The receive buffer of a client, so that the server cannot send a whole response at once."""
RESETS = struct.pack("ii", 1, 0)
LARGE = get_introspection_query()


@unique
class Until(StrEnum):
    """What a client does before it leaves."""

    HALF_SENT = "half of the body sent"
    SENT = "request sent"
    HALF_READ = "part of the response read"


@unique
class Leaving(StrEnum):
    """How a client leaves."""

    CLOSE = "close"
    RESET = "reset"
    HALF_CLOSE = "half-close"
    """It ends its side first, and closes later."""


KINDS = tuple(product(Until, Leaving))


@dataclass(frozen=True)
class Visit:
    """A request, and how its client leaves."""

    request: bytes
    until: Until
    leaving: Leaving
    seconds: float

    async def run(self, port: int) -> None:
        """Send the request and leave."""
        loop = asyncio.get_running_loop()
        with socket.socket() as end:
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
            await loop.sock_connect(end, ("127.0.0.1", port))
            body = self.request.index(b"\r\n\r\n") + 4
            sent = random.randrange(body, len(self.request)) if self.until is Until.HALF_SENT else len(self.request)
            await loop.sock_sendall(end, self.request[:sent])
            if self.leaving is Leaving.HALF_CLOSE:
                end.shutdown(socket.SHUT_WR)
            if self.until is Until.HALF_READ:
                await loop.sock_recv(end, random.randint(1, RECEIVED_BYTES))
            else:
                await asyncio.sleep(self.seconds)
            if self.leaving is Leaving.RESET:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)


def request_of(token: str, query: str, request_id: str, **variables: object) -> bytes:
    """Return a request to /graphql as bytes."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nX-Request-Id: {request_id}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Visitors:
    """Clients of the load's server that leave."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._ground = load.ground
        self.left: Counter[str] = Counter()

    async def requests(self, number: int) -> list[bytes]:
        """Return requests of as many clients. The calls of their mutations wait to be sent again."""
        await self._load.arrange(len(self._load.waiting) + int(number * MUTATIONS_PER_CLIENT))
        calls = [call for call in self._load.waiting if not call.attempts]
        sent = [self._call(call) for call in calls] + [self._query() for _ in range(number - len(calls))]
        random.shuffle(sent)
        return sent

    async def visit(self, requests: list[bytes], longest: float) -> None:
        """Send requests, some at a time; each client leaves after at most so many seconds."""
        visits = deque(self._visit(request, index, longest) for index, request in enumerate(requests))
        async with asyncio.TaskGroup() as clients:
            for _ in range(AT_ONCE):
                clients.create_task(self._run(visits))

    def _visit(self, request: bytes, index: int, longest: float) -> Visit:
        until, leaving = KINDS[index % len(KINDS)]
        self.left[leaving] += 1
        return Visit(request, until, leaving, random.uniform(0, longest))

    async def _run(self, visits: deque[Visit]) -> None:
        port = self._ground.client.http.base_url.port
        assert port is not None
        while visits:
            await visits.popleft().run(port)

    def _call(self, call: Call) -> bytes:
        call.attempts += 1
        call.may_be_done = True
        sending = call.sending
        token = self._ground.client.recent_token(sending.who)
        mutation = document(sending.mutation, sending.select)
        return request_of(token, mutation, call.request_ids[-1], input=dict(sending.given))

    def _query(self) -> bytes:
        who, query = random.choice((*QUERIES, ("customer", LARGE)))
        return request_of(self._ground.client.recent_token(getattr(self._ground, who)), query, "query")


async def a_round(load: Load, *, clients: int) -> Visitors:
    """Let clients leave a server that works, and one that waits for a lock; then settle their calls by their keys."""
    ground = load.ground
    visitors, sessions = Visitors(load), Sessions(ground.client.database.app_url)
    await visitors.visit(await visitors.requests(clients - HELD_PER_ROUND), 1.2 * load.usual_seconds)
    await rests(ground, sessions)
    held = await visitors.requests(HELD_PER_ROUND)
    async with ground.connection.transaction():
        await ground.connection.execute("LOCK TABLE turnup.device IN ACCESS EXCLUSIVE MODE")
        await visitors.visit(held, HELD_SECONDS)
        await rests(ground, sessions)  # nothing waits for the lock, although it is still held
    await load.run()
    await load.check()
    await rests(ground, sessions)
    await database_is_consistent(ground.client.database)
    await ground.check_invariants()
    return visitors


async def rests(ground: Ground, sessions: Sessions) -> None:
    """Wait until the server has no request, no open transaction and no connection of those who left."""
    http = ground.client.http
    await until_pool_is_idle(http)
    await sessions.until_idle()

    async def connections() -> list[float]:
        return [each for each in await gauges(http, "turnup_connections") if each > CALLERS]

    await until_empty(connections)


async def departures(home: Path, met: Met, *, clients: int) -> tuple[Counter[str], int]:
    """Let as many clients leave; returns how they left, and by how many bytes the server's memory grew at most."""
    left: Counter[str] = Counter()
    grown = 0
    with stem_of(home) as servers:
        for first in range(0, clients, ROUND * ROUNDS):
            async with own_database(EMPTY_TEMPLATE) as database, ground_on(database, home) as ground:
                number = min(ROUND * ROUNDS, clients - first)
                grown = max(grown, await one_server(ground, servers, met, left, clients=number))
    return left, grown


async def one_server(ground: Ground, servers: Servers, met: Met, left: Counter[str], *, clients: int) -> int:
    """Let clients leave one server, in rounds; returns by how many bytes its memory grew after the first round."""
    sizes: list[int] = []
    async with servers.serving(ground):
        load = Load(ground, met)
        await load.learn()
        for first in range(0, clients, ROUND):
            left += (await a_round(load, clients=min(ROUND, clients - first))).left
            sizes.append(resident_bytes(servers.pid))
    return max(sizes) - sizes[0]


async def test_clients_that_leave_take_nothing_with_them(tmp_path: Path) -> None:
    met = Met()
    left, _ = await departures(tmp_path, met, clients=60)
    assert left.total() == 60


@pytest.mark.slow
async def test_many_clients_that_leave_take_nothing_with_them(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    clients, met = min(scaled(2_000), 10_000), Met()
    left, grown = await departures(tmp_path, met, clients=clients)
    assert left.total() == clients
    assert met.applied_unanswered > clients / 20
    assert met.calls - met.applied_unanswered > clients / 20
    assert grown < MOST_GROWTH
    ways = ", ".join(f"{number:,} by {way}" for way, number in left.items())
    told = (
        f"{clients:,} clients that left ({ways}); of {met.calls:,} mutations {met.applied_unanswered:,} were finished"
        f" and {met.calls - met.applied_unanswered:,} absent; memory {grown / 1e6:+.0f} MB"
    )
    sys.stdout.write(f"\n{told}\n")
    record_property("tried", told)
