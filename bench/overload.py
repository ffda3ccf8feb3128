"""Offers a server less and more load than it can handle, and measures its answers: `make bench-overload`.

Per case, in each round: the peak P, which is the most requests per second that one worker completes for a few clients
that wait for each response; then arrivals at 0.8 P and at 2 P that wait for nobody. Exits with 1 when a target is
missed.
The server has one processor; PostgreSQL and the clients, which are this process, share another one.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import uvloop

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.postgres import embedded
from bench import peers
from bench.measuring import Server, bearer, post
from bench.requests import ROOT, filled

LOCATIONS = 500
BELOW, ABOVE = 0.8, 2.0
CLIENTS = 8
"""Clients at the peak; fewer than the server has slots."""
MOST_CONNECTIONS = 150
"""Connections of all arrivals together, within the limit of one address. Further arrivals wait; their time counts."""
DRAIN_SECONDS = 30.0
HEALTH_SECONDS = 0.05

SLOWER, FEWER = 2.0, 0.9
"""The targets: the p99 above the peak to that below, and the accepted requests per second to P."""

SMALL = "query Small($id: ID!) { location(id: $id) { id name status timezone updatedAt account { id name } } }"
RENAME = """mutation Rename($input: UpdateLocationInput!) {
  updateLocation(input: $input) { location { sections { section revision } } problems { message } }
}"""
SMALL_CASE, PAGE_CASE, MIX_CASE = "small query by id", "nested page of 50", "one write per nine small queries"
CASES = (SMALL_CASE, PAGE_CASE, MIX_CASE)
ACCEPTED, REFUSED = b"http/1.1 200", b"http/1.1 503"
HEALTH = {path: f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in ("/healthz", "/readyz")}


class Workload:
    """The requests of a case, of several users in turns."""

    def __init__(self, case: str, tokens: list[str], account: str, locations: list[str]) -> None:
        self._case = case
        self._tokens = tokens
        self._account = account
        self._locations = locations
        self._unwritten = deque((location, 1) for location in locations)
        self._count = 0

    def next(self) -> tuple[bytes, Callable[[bytes | None], None]]:
        """Return a request, and what to call with the body of its response, None if it was refused."""
        self._count += 1
        token = self._tokens[self._count % len(self._tokens)]
        if self._case == PAGE_CASE:
            return self._post(peers.NESTED, {"first": 50, "account": self._account}, token), _checked
        if self._case == MIX_CASE and self._count % 10 == 0:
            return self._write(token)
        return self._post(SMALL, {"id": random.choice(self._locations)}, token), _checked

    def _write(self, token: str) -> tuple[bytes, Callable[[bytes | None], None]]:
        location, revision = self._unwritten.popleft()

        def written(body: bytes | None) -> None:
            if body is None:
                self._unwritten.append((location, revision))
                return
            changed = _checked(body)["updateLocation"]
            if changed["problems"]:
                sys.exit(str(changed["problems"]))
            (now,) = (each["revision"] for each in changed["location"]["sections"] if each["section"] == "LOCATION")
            self._unwritten.append((location, now))

        name = f"Written {location} {self._count}"
        given = {"locationId": location, "expectedRevision": revision, "name": name}
        return self._post(RENAME, {"input": given}, token), written

    @staticmethod
    def _post(query: str, variables: dict[str, Any], token: str) -> bytes:
        return post(orjson.dumps({"query": query, "variables": variables}), bearer(token))


def _checked(body: bytes | None) -> Any:
    if body is None:
        return None
    if b'"errors"' in body:
        sys.exit(body[:2_000].decode())
    return orjson.loads(body)["data"] if b"updateLocation" in body else None


@dataclass(slots=True)
class Run:
    """The results of one period: seconds from arrival to response, and the codes of other errors."""

    seconds: float
    accepted: list[float] = field(default_factory=list)
    in_time: int = 0
    refused: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    others: Counter[str] = field(default_factory=Counter)
    health: list[float] = field(default_factory=list)
    sick: Counter[str] = field(default_factory=Counter)
    ended: bool = False

    @property
    def rate(self) -> float:
        """Accepted requests per second; a request counts when it is answered within the period."""
        return self.in_time / self.seconds


class Client(asyncio.Protocol):
    """A keep-alive connection, which costs the clients' processor as little as possible."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answered: Callable[[bytes, bytes], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport: Any = transport

    def send(self, request: bytes, answered: Callable[[bytes, bytes], None]) -> None:
        """Send a request; `answered` is called with the head and the body of its response."""
        self._answered = answered
        self.transport.write(request)

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Send a request; return the head and the body of its response."""
        response: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()
        self.send(request, lambda head, body: response.set_result((head, body)))
        return await response

    def data_received(self, data: bytes) -> None:
        """Take a part of a response."""
        self._received += data
        at = self._received.find(b"\r\n\r\n")
        if at < 0:
            return
        head = bytes(self._received[: at + 2]).lower()
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        if len(self._received) < at + 4 + length:
            return
        body = bytes(self._received[at + 4 : at + 4 + length])
        del self._received[: at + 4 + length]
        answered, self._answered = self._answered, None
        assert answered is not None
        answered(head, body)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail, unless nothing is awaited."""
        if self._answered is not None:
            sys.exit(f"The server closed a connection without a response: {error}")


class Arrivals:
    """Requests that arrive at given times, whether or not earlier ones were answered."""

    def __init__(self, port: int, workload: Workload) -> None:
        self._port = port
        self._workload = workload
        self._idle: list[Client] = []
        self._connections = 0
        self._waiting: deque[float] = deque()
        self._unanswered = 0
        self._all_answered = asyncio.Event()
        self._connecting: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Close all connections."""
        for client in self._idle:
            client.transport.abort()

    async def run(self, rate: float, seconds: float, *, uniform: bool) -> Run:
        """Return the results of a period with this number of arrivals per second, when all are answered."""
        run = Run(seconds)
        loop = asyncio.get_running_loop()
        watching = asyncio.create_task(self._watch(run))
        at = began = loop.time()
        while at < began + seconds:
            now = loop.time()
            while at <= now and at < began + seconds:
                self._arrive(at, run)
                at += 1 / rate if uniform else random.expovariate(rate)
            await asyncio.sleep(max(0.001, at - loop.time()))
        run.ended = True
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._all_answered.wait()
        except TimeoutError:
            sys.exit(f"{self._unanswered} requests were not answered within {DRAIN_SECONDS} s")
        await watching
        return run

    def _arrive(self, at: float, run: Run) -> None:
        self._unanswered += 1
        self._all_answered.clear()
        while self._idle:
            client = self._idle.pop()
            if not client.transport.is_closing():  # the server closes connections that are idle for long
                self._send(client, at, run)
                return
            self._connections -= 1
        self._waiting.append(at)
        if self._connections < MOST_CONNECTIONS:
            self._connections += 1
            connecting = asyncio.create_task(self._connect(run))
            self._connecting.add(connecting)
            connecting.add_done_callback(self._connecting.discard)

    async def _connect(self, run: Run) -> None:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(Client, "127.0.0.1", self._port)
        if self._waiting:
            self._send(client, self._waiting.popleft(), run)
        else:
            self._idle.append(client)

    def _send(self, client: Client, at: float, run: Run) -> None:
        request, done = self._workload.next()
        loop = asyncio.get_running_loop()

        def answered(head: bytes, body: bytes) -> None:
            taken = loop.time() - at
            if head.startswith(ACCEPTED):
                run.accepted.append(taken)
                run.in_time += not run.ended
                done(body)
            elif head.startswith(REFUSED) and b'"OVERLOADED"' in body:
                run.refused.append(taken)
                run.without_retry_after += b"\r\nretry-after: " not in head
                done(None)
            else:
                run.others[f"{head[9:12].decode()} {body[:300].decode()}"] += 1
                done(None)
            self._unanswered -= 1
            if not self._unanswered:
                self._all_answered.set()
            if self._waiting:
                self._send(client, self._waiting.popleft(), run)
            else:
                self._idle.append(client)

        client.send(request, answered)

    async def _watch(self, run: Run) -> None:
        """Ask for the health again and again, on connections of its own."""
        loop = asyncio.get_running_loop()
        asked = [
            (request, await loop.create_connection(Client, "127.0.0.1", self._port)) for request in HEALTH.values()
        ]
        try:
            while not run.ended:
                for request, (_, client) in asked:
                    began = loop.time()
                    head, _ = await client.ask(request)
                    run.health.append(loop.time() - began)
                    if not head.startswith(ACCEPTED):
                        run.sick[head[9:12].decode()] += 1
                await asyncio.sleep(HEALTH_SECONDS)
        finally:
            for _, (transport, _) in asked:
                transport.abort()


async def peak(port: int, workload: Workload, seconds: float) -> float:
    """Return the requests per second that the server completes for clients that wait for each response."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    count = 0

    async def keep_asking() -> None:
        nonlocal count
        transport, client = await loop.create_connection(Client, "127.0.0.1", port)
        while loop.time() < began + seconds:
            request, done = workload.next()
            head, body = await client.ask(request)
            accepted = head.startswith(ACCEPTED)
            done(body if accepted else None)
            count += accepted
        transport.abort()

    await asyncio.gather(*(keep_asking() for _ in range(CLIENTS)))
    return count / (loop.time() - began)


def part(times: list[float], share: float) -> float:
    """Return a percentile in milliseconds; 0 without times."""
    return sorted(times)[int(len(times) * share)] * 1000 if times else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """The peaks of a case, one per round, and the runs below and above them. Properties are medians of the rounds."""

    peaks: list[float]
    below: list[Run]
    above: list[Run]

    @property
    def slow_below(self) -> float:
        """The p99 of accepted requests below the peak, in milliseconds."""
        return statistics.median(part(run.accepted, 0.99) for run in self.below)

    @property
    def slow_above(self) -> float:
        """The p99 of accepted requests above the peak, in milliseconds."""
        return statistics.median(part(run.accepted, 0.99) for run in self.above)

    @property
    def accepted(self) -> float:
        """The accepted requests per second above the peak, in parts of the peak of the same round."""
        return statistics.median(run.rate / most for run, most in zip(self.above, self.peaks, strict=True))

    @property
    def refused_below(self) -> float:
        """The share of requests that are refused below the peak."""
        return statistics.median(len(run.refused) / (len(run.refused) + len(run.accepted)) for run in self.below)

    @property
    def wrong(self) -> dict[str, int]:
        """Responses that must not occur, by kind: other errors, refusals without Retry-After, health checks not 200."""
        found: Counter[str] = Counter()
        for run in (*self.below, *self.above):
            found += run.others
            found += Counter({f"health {status}": count for status, count in run.sick.items()})
            found["without Retry-After"] += run.without_retry_after
        return dict(+found)

    @property
    def met(self) -> bool:
        """Whether the targets were met."""
        return self.slow_above <= SLOWER * self.slow_below and self.accepted >= FEWER and not self.wrong

    def line(self) -> str:
        """Return the cells of the table."""
        cells = (
            f"{statistics.median(self.peaks):.0f}",
            f"{self.slow_below:.0f}",
            f"{self.slow_above:.0f}",
            f"{self.slow_above / self.slow_below:.2f}",
            f"{self.accepted:.2f}",
            f"{self.refused_below:.1%}",
            f"{statistics.median(part(run.refused, 0.99) for run in self.above):.0f}",
            f"{statistics.median(part(run.health, 0.99) for run in self.above):.0f}",
        )
        return " | ".join(cells)


async def measured(port: int, workload: Workload, *, rounds: int, seconds: float, uniform: bool = False) -> Figures:
    """Measure the peak, then a period below and one above it, in each round."""
    await peak(port, workload, seconds / 2)  # warms up
    arrivals = Arrivals(port, workload)
    figures = Figures([], [], [])
    for _ in range(rounds):
        most = await peak(port, workload, seconds)
        figures.peaks.append(most)
        figures.below.append(await arrivals.run(BELOW * most, seconds, uniform=uniform))
        figures.above.append(await arrivals.run(ABOVE * most, seconds, uniform=uniform))
    arrivals.close()
    return figures


async def main(options: argparse.Namespace, home: Path, cluster: embedded.Cluster) -> bool:
    """Fill the database, start the server, and measure each case."""
    account, version = await filled(cluster, home, LOCATIONS)
    mark = account.partition("-")[2]
    locations = [f"location-{mark}-{n}" for n in range(1, LOCATIONS + 1)]
    subjects = await add_users(cluster, options.users)
    issuer = DevelopmentIssuer.load_or_create(home)
    tokens = [issuer.issue(each, lifetime_seconds=43_200, now=time.time(), audience=AUDIENCE) for each in subjects]
    budgets = {"TURNUP_LIMIT_EDITS": "1000000000"}
    env = {**os.environ, **budgets, "PYTHONPATH": ":".join(map(str, dict.fromkeys([options.checkout.resolve(), ROOT])))}
    command = [sys.executable, "-m", "bench.peers", "app", str(options.port), "1"]
    with pinned(0):
        server = Server("turnup", options.port, command, env)
    try:
        await server.ready()
        print(
            f"{options.users} users, {'uniform' if options.uniform else 'Poisson'} arrivals, {options.rounds} rounds of"
            f" {options.seconds:g} s, PostgreSQL {version}, Python {sys.version.split()[0]}, {os.cpu_count()} cores\n"
        )
        print(
            f"| case | P, per s | p99 at {BELOW:g} P, ms | p99 at {ABOVE:g} P, ms | ratio (at most {SLOWER:g}) "
            f"| accepted at {ABOVE:g} P, of P (at least {FEWER:g}) | refused at {BELOW:g} P "
            f"| p99 of refusals at {ABOVE:g} P, ms | p99 of health at {ABOVE:g} P, ms |\n|{'---|' * 9}",
            flush=True,
        )
        met = True
        with pinned(1):
            for case in options.cases:
                workload = Workload(case, tokens, account, locations)
                figures = await measured(
                    options.port, workload, rounds=options.rounds, seconds=options.seconds, uniform=options.uniform
                )
                print(f"| {case} | {figures.line()} |", flush=True)
                if figures.wrong:
                    print(f"wrong: {figures.wrong}", flush=True)
                met = met and figures.met
    finally:
        server.stop()
    return met


async def add_users(cluster: embedded.Cluster, count: int) -> list[str]:
    """Add leads to the database; return their subjects."""
    subjects = [f"lead-{n}@bench.example" for n in range(1, count + 1)]
    owner = await asyncpg.connect(cluster.dsn("turnup_owner", "turnup"))
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await owner.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await owner.executemany(
            'INSERT INTO turnup."user" (id, subject, name, email, role, all_accounts)'
            " VALUES ('user-bench-' || $1, $2, 'Lead', $2, 'IMPLEMENTATION_LEAD', true)",
            [(str(number), subject) for number, subject in enumerate(subjects)],
        )
    await owner.close()
    return subjects


@contextmanager
def pinned(number: int) -> Iterator[None]:
    """Run this process, and those that it starts, on one of its processors; on Linux, if it has several."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    if len(allowed) > 1:
        os.sched_setaffinity(0, {sorted(allowed)[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench-overload", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="periods below and above the peak (5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a period (4)")
    parser.add_argument("--users", type=int, default=12, metavar="N", help="users that ask in turns (12)")
    parser.add_argument("--uniform", action="store_true", help="equal times between arrivals instead of random ones")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="measure these cases only")
    parser.add_argument("--checkout", type=Path, default=ROOT, metavar="DIR", help="the server's checkout (this one)")
    parser.add_argument("--port", type=int, default=18_500, help="the server's port (18500)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="turnup-bench-") as folder:
        scenario = (Path(folder) / "home").resolve()
        with pinned(1):
            postgres = embedded.start(scenario)
        with postgres:
            met = uvloop.run(main(given, scenario, postgres.cluster))
        embedded.erase(scenario)
    sys.exit(not met)
