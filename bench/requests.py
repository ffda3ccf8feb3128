"""Measures requests over HTTP against the reference executor, bare Python, PostgreSQL alone and Node: `make bench`.

Starts and fills its own PostgreSQL, starts each server in its own processes, checks that all return the same data, and
measures them in turns, so that the ratios of a run are meaningful on a shared machine. Prints Markdown, which
docs/performance.md explains.
"""

import argparse
import asyncio
import cProfile
import io
import os
import pstats
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import asyncpg
import orjson
import uvloop
from starlette.types import ASGIApp

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.db import database, queries
from app.db.migrate import migrate
from app.db.scoping import Shape
from app.db.seed import MANY, of_many, seed_many
from app.operations.demo import load_demo
from app.postgres import embedded
from bench import node_peers, peers, picture
from bench.measuring import HttpConnection, Server, bearer, cpu_seconds, post, sink, with_descendants

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = (1, 8, 32)
PAGE = 50


@dataclass(frozen=True, slots=True)
class Case:
    """One request. `batch` is the number of requests per measurement."""

    name: str
    query: str
    operation: str
    first: int
    batch: int
    slow_batch: int


CASES = (
    Case("nested page of 50", peers.NESTED, "Nested", 50, 30, 3),
    Case("the same, typed", peers.TYPED, "Typed", 50, 30, 3),
    Case("one location nested", peers.NESTED, "Nested", 1, 150, 30),
    Case("flat 100", peers.FLAT, "Flat", 100, 150, 30),
)
REFERENCE, OURS, UNTOLD, TRACED = "reference", "breadth first", "breadth first, no tokens", "breadth first, traced 10 %"
BARE, BUILT, BEFORE = "bare asyncpg", "PostgreSQL's JSON", "before"
BARE_KINDS = {BARE, BUILT, node_peers.BARE}
RATED = (CASES[0], CASES[2])


def asks(server: str, case: Case) -> bool:
    """Whether a server supports a case; the bare servers do not support __typename."""
    return server not in BARE_KINDS or case.operation != "Typed"


async def main(options: argparse.Namespace, home: Path, cluster: embedded.Cluster) -> None:
    """Fill the databases, measure, print."""
    if options.node:
        try:
            print(f"{node_peers.install()}\n")
        except node_peers.NodeMissingError as error:
            print(f"**The Node servers are left out: {error}**\n")
            options.node = False
    sizes = [1_000, 1_000_000] if options.million else [1_000]
    account, version = await filled(cluster, home, options.locations)
    print(
        f"{options.locations:,} locations, PostgreSQL {version}, Python {sys.version.split()[0]},"
        f" {os.cpu_count()} cores, {options.workers} worker(s) a server, {options.rounds} rounds in turns\n"
    )
    issuer = DevelopmentIssuer.load_or_create(home)
    token = issuer.issue(peers.SUBJECT, lifetime_seconds=43_200, now=time.time(), audience=AUDIENCE)
    if options.profile:
        await profiled(options.profile, account, token)
        return
    bodies = {case: body_of(case, account) for case in CASES}
    requests = {case: post(body, bearer(token)) for case, body in bodies.items()}
    kinds = {OURS: "app", BARE: "bare", BUILT: "built"}
    counted = {name: await statements_of(kind, bodies, token) for name, kind in kinds.items()}
    postmaster = int((cluster.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
    async with servers(options) as running:
        sizes_seen = await same_answers(running, requests)
        for server in running:
            if server.name in node_peers.KINDS:
                asked = {case: request for case, request in requests.items() if asks(server.name, case)}
                counted[server.name] = await node_peers.statements_of(cluster, server, asked)
        cpu = await cpu_of(running, requests, postmaster, options.rounds)
        print_cpu(cpu, counted, sizes_seen)
        if options.node:
            print(f"\n{node_peers.LEGEND}")
        if not options.cpu:
            print_rates(await rates_of(running, requests, options.seconds))
    if not options.cpu:
        print(f"\nA lead's pages of {PAGE} locations, ordered by name, EXPLAIN (ANALYZE, BUFFERS):\n")
        print("| locations | page | rows read | buffers | ms |\n|---|---|---|---|---|")
        for size in sizes:
            await print_pages(cluster, size)


async def filled(cluster: embedded.Cluster, home: Path, locations: int) -> tuple[str, str]:
    """Set up the database with this many locations; return an account and PostgreSQL's version."""
    owner, app = cluster.dsn("turnup_owner", "turnup"), cluster.dsn("turnup_app", "turnup")
    os.environ |= {"TURNUP_HOME": str(home), "DATABASE_URL": app, "TURNUP_LIMIT_OBJECTS": "1000000000"}
    await migrate(owner)
    if await load_demo(owner, app):
        await seed_many(owner, locations)
    connection = await asyncpg.connect(owner)
    await connection.execute("SET ROLE turnup_definer")
    account = await connection.fetchval("SELECT id FROM turnup.account WHERE name LIKE 'Load test %'")
    version = await connection.fetchval("SHOW server_version")
    await connection.close()
    return account, version


def body_of(case: Case, account: str) -> bytes:
    """Return the JSON of the request."""
    variables = {"first": case.first, "account": account}
    return orjson.dumps({"query": case.query, "operationName": case.operation, "variables": variables})


@asynccontextmanager
async def servers(options: argparse.Namespace) -> AsyncIterator[list[Server]]:
    """Yield all servers, warmed up, for the duration of the block."""
    first = options.port
    tracing = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{first}",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
    }
    kinds: dict[str, tuple[str, Path, dict[str, str]]] = {
        REFERENCE: ("app", ROOT, {"TURNUP_EXECUTOR": "reference"}),
        OURS: ("app", ROOT, {}),
        UNTOLD: ("app_without_tokens", ROOT, {}),
        TRACED: ("app", ROOT, tracing),
        BARE: ("bare", ROOT, {}),
        BUILT: ("built", ROOT, {}),
    }
    if options.against:
        kinds[BEFORE] = ("app", options.against.resolve(), {})
    collector = await sink(first)
    running: list[Server] = []
    try:
        # All pools together have fewer connections than the cluster allows.
        shared = {**os.environ, "TURNUP_POOL_SIZE": str((8 if options.node else 10) // options.workers)}
        for port, (name, (kind, root, env)) in enumerate(kinds.items(), first + 1):
            path = ":".join(map(str, dict.fromkeys([root, ROOT])))
            command = [sys.executable, "-m", "bench.peers", kind, str(port), str(options.workers)]
            running.append(Server(name, port, command, {**shared, **env, "PYTHONPATH": path}))
        for port, name in enumerate(node_peers.KINDS if options.node else (), first + 1 + len(kinds)):
            command = node_peers.command(name, port)
            running.append(Server(name, port, command, {**shared, **node_peers.ENVIRONMENT}))
        for server in running:
            await server.ready()
        yield running
    finally:
        for server in running:
            server.stop()
        collector.close()


async def same_answers(running: list[Server], requests: dict[Case, bytes]) -> dict[Case, int]:
    """Warm up every server and check that all return the same data; return the sizes of the product's answers."""
    sizes: dict[Case, int] = {}
    for case, request in requests.items():
        answers: dict[str, Any] = {}
        for server in running:
            if not asks(server.name, case):
                continue
            found: list[bytes] = []
            connections = [await HttpConnection.open(server.port) for _ in range(8)]
            for _ in range(node_peers.WARM_UP if server.name in node_peers.KINDS else 3):
                found = await asyncio.gather(*(connection.ask(request) for connection in connections))
            for connection in connections:
                connection.close()
            answers[server.name] = instants(orjson.loads(found[0])["data"])
            if server.name == OURS:
                sizes[case] = len(found[0])
        differing = [name for name, answer in answers.items() if answer != answers[OURS]]
        if differing:
            sys.exit(f"{case.name}: {', '.join(differing)} answered otherwise")
        assert len(answers[OURS]["locations"]["nodes"]) == case.first
    return sizes


def instants(value: Any) -> Any:
    """Return the data with times in one form: PostgreSQL and Python omit different zeros."""
    if isinstance(value, dict):
        return {key: instants(each)[:19] if key == "updatedAt" else instants(each) for key, each in value.items()}
    return [instants(each) for each in value] if isinstance(value, list) else value


Spent = dict[tuple[Case, str], list[tuple[float, float]]]


async def cpu_of(running: list[Server], requests: dict[Case, bytes], postmaster: int, rounds: int) -> Spent:
    """Return the CPU milliseconds per request of server and PostgreSQL, with one connection, in turns."""
    spent: Spent = defaultdict(list)
    for number in range(rounds):
        shift = number % len(running)
        for case, request in requests.items():
            for server in running[shift:] + running[:shift]:
                if not asks(server.name, case):
                    continue
                count = case.slow_batch if server.name == REFERENCE else case.batch
                began, began_database = server.cpu(), cpu_seconds(with_descendants(postmaster))
                connection = await HttpConnection.open(server.port)
                for _ in range(count):
                    await connection.ask(request)
                connection.close()
                ours, theirs = server.cpu() - began, cpu_seconds(with_descendants(postmaster)) - began_database
                spent[case, server.name].append((ours / count * 1000, theirs / count * 1000))
    return spent


def print_cpu(spent: Spent, counted: dict[str, dict[Case, int]], sizes: dict[Case, int]) -> None:
    """Print the medians and the ratios within each round."""
    print("CPU milliseconds per request, server + PostgreSQL: medians. Ratios: the median of each round's ratio.\n")
    print(picture.HEAD)
    print("|---|---|---|---|---|---|---|---|---|")
    for (case, name), pairs in spent.items():
        to_reference = ratio(pairs, spent[case, REFERENCE])
        to_bare = ratio(pairs, spent[case, BARE]) if (case, BARE) in spent else None
        cells = [
            case.name,
            name,
            f"{statistics.median(own for own, _ in pairs):.2f}",
            f"{statistics.median(theirs for _, theirs in pairs):.2f}",
            f"1/{1 / to_reference:.1f}",
            "" if to_bare is None else f"{to_bare:.2f}",
            f"{ratio(pairs, spent[case, OURS]):.2f}",
            str(counted.get(name, counted[OURS])[case]),
            f"{sizes[case]:,}" if name == OURS else "",
        ]
        print(f"| {' | '.join(cells)} |")


def ratio(pairs: list[tuple[float, float]], others: list[tuple[float, float]]) -> float:
    """Return the median of the ratios of two servers' CPU, computed per round."""
    return statistics.median(own / other for (own, _), (other, _) in zip(pairs, others, strict=True))


Rates = dict[tuple[Case, int, str], tuple[float, list[float]]]


async def rates_of(running: list[Server], requests: dict[Case, bytes], seconds: float) -> Rates:
    """Return the requests per second and the latencies for each number of connections."""
    rates: Rates = {}
    for case in RATED:
        for count in CONNECTIONS:
            for server in running:
                connections = [await HttpConnection.open(server.port) for _ in range(count)]
                waits: list[float] = []
                began = time.perf_counter()
                await asyncio.gather(
                    *(kept_asking(each, requests[case], began + seconds, waits) for each in connections)
                )
                rates[case, count, server.name] = (len(waits) / (time.perf_counter() - began), waits)
                for connection in connections:
                    connection.close()
    return rates


async def kept_asking(connection: HttpConnection, request: bytes, until: float, waits: list[float]) -> None:
    """Send requests until the time is over."""
    while (began := time.perf_counter()) < until:
        await connection.ask(request)
        waits.append(time.perf_counter() - began)


def print_rates(rates: Rates) -> None:
    """Print throughput and latency."""
    columns = " | ".join(f"{count} connection{'s' if count > 1 else ''}" for count in CONNECTIONS)
    print(f"\nRequests per second (p50 / p99 in ms); the client shares the machine.\n\n| case | server | {columns} |")
    print(f"|---|---|{'---|' * len(CONNECTIONS)}")
    for case, name in dict.fromkeys((case, name) for case, _, name in rates):
        cells = []
        for count in CONNECTIONS:
            rate, waits = rates[case, count, name]
            waits = sorted(waits)
            p50, p99 = (waits[int(len(waits) * part)] * 1000 for part in (0.5, 0.99))
            cells.append(f"{rate:.0f} ({p50:.1f} / {p99:.1f})")
        print(f"| {case.name} | {name} | {' | '.join(cells)} |")


@asynccontextmanager
async def in_process(factory: Callable[[], ASGIApp]) -> AsyncIterator[ASGIApp]:
    """Yield an app in this process, started."""
    app = factory()
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    outgoing: asyncio.Queue[Any] = asyncio.Queue()
    incoming.put_nowait({"type": "lifespan.startup"})
    life: asyncio.Task[None] = asyncio.create_task(app({"type": "lifespan", "state": {}}, incoming.get, outgoing.put))  # type: ignore[arg-type] # - the callables are typed more loosely than ASGI
    assert (await outgoing.get())["type"] == "lifespan.startup.complete"
    yield app
    incoming.put_nowait({"type": "lifespan.shutdown"})
    await life


async def called(app: ASGIApp, body: bytes, signed_in: Mapping[str, str]) -> bytes:
    """Send a request by POST without a network; `signed_in` are the header fields that sign it in."""
    status, answer = await exchanged(app, "POST", b"", body, signed_in)
    assert status == 200, answer
    return answer


async def exchanged(
    app: ASGIApp, method: str, query: bytes, body: bytes, fields: Mapping[str, str]
) -> tuple[int, bytes]:
    """Send a request to /graphql without a network; return the status and the body of the response."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": query,
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json"),
            *((name.lower().encode(), value.encode()) for name, value in fields.items()),
            (b"content-length", str(len(body)).encode()),
        ],
    }
    sent: list[Any] = []

    arriving = [{"type": "http.request", "body": body}]

    async def receive() -> Any:
        return arriving.pop() if arriving else await asyncio.Event().wait()  # the client stays connected

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


async def statements_of(kind: str, bodies: dict[Case, bytes], token: str) -> dict[Case, int]:
    """Return the number of statements per case, including BEGIN and COMMIT."""
    seen: list[str] = []
    prepare = database._prepare

    async def logged(connection: Any) -> None:
        await prepare(connection)
        connection.add_query_logger(lambda record: seen.append(record.query))

    database._prepare = logged
    counts: dict[Case, int] = {}
    try:
        async with in_process(getattr(peers, kind)) as app:
            for case, body in bodies.items():
                await called(app, body, bearer(token))
                await asyncio.sleep(0.01)  # the driver calls its query loggers later
                seen.clear()
                await called(app, body, bearer(token))
                await asyncio.sleep(0.01)
                counts[case] = len(seen)
    finally:
        database._prepare = prepare
    return counts


async def profiled(file: Path, account: str, token: str) -> None:
    """Write cProfile's report, and sampled stacks in the folded format of flame graphs."""
    text = io.StringIO()
    async with in_process(peers.app) as app:
        for case in (CASES[0], CASES[2]):
            body = body_of(case, account)
            ask = partial(called, app, body, bearer(token))
            for _ in range(20):
                await ask()
            began = time.process_time()
            for _ in range(case.batch * 5):
                await ask()
            each = (time.process_time() - began) / case.batch / 5 * 1000
            profile = cProfile.Profile()
            profile.enable()
            for _ in range(case.batch * 5):
                await ask()
            profile.disable()
            text.write(f"{case.name}: {each:.2f} ms CPU per request unprofiled; below, {case.batch * 5} requests\n")
            pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(45)
            with sampled() as stacks:
                for _ in range(case.batch * 10):
                    await ask()
            folded = file.with_name(f"{file.name}.{case.operation}-{case.first}.folded")
            folded.write_text("".join(f"{stack} {count}\n" for stack, count in stacks.items()), encoding="utf-8")
            print(f"{case.name}: {each:.2f} ms CPU per request in process; stacks in {folded}")
    await asyncio.to_thread(file.write_text, text.getvalue(), encoding="utf-8")
    print(f"The profile is in {file}.")


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """Yield the number of samples per stack, taken every millisecond of CPU."""
    stacks: Counter[str] = Counter()

    def note(_signal: int, frame: FrameType | None) -> None:
        names: list[str] = []
        while frame is not None:
            names.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}")
            frame = frame.f_back
        stacks[";".join(reversed(names))] += 1

    old = signal.signal(signal.SIGPROF, note)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    try:
        yield stacks
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, old)


async def print_pages(cluster: embedded.Cluster, size: int) -> None:
    """Print the reads of the first page and of one in the middle."""
    name = f"pages_{size}"
    embedded.drop_database(cluster, name)
    embedded.create_database(cluster, name, "template1")
    await migrate(cluster.dsn("turnup_owner", name))
    owner = await asyncpg.connect(cluster.dsn("turnup_owner", name))
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await owner.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await owner.execute(
            'INSERT INTO turnup."user" (id, subject, name, email, role, all_accounts)'
            " VALUES ('user-lead', $1, 'Lead', $1, 'IMPLEMENTATION_LEAD', true)",
            peers.SUBJECT,
        )
        mark = secrets.token_hex(4)
        for text in MANY[:2]:
            await owner.execute(of_many(text, mark, size))
    await owner.execute("SET ROLE turnup_definer")
    await owner.execute("VACUUM ANALYZE turnup.location")
    page = size // PAGE // 2
    behind = await owner.fetchrow("SELECT name, id FROM turnup.location ORDER BY name, id OFFSET $1", page * PAGE - 1)
    await owner.close()
    app = await asyncpg.connect(cluster.dsn("turnup_app", name))
    for number, after in ((1, None), (page + 1, behind)):
        statement = queries._page(queries.LOCATIONS_BY_NAME, Shape.EVERYTHING, frozenset(), after is not None)
        values = {"limit": PAGE + 1, **({} if after is None else {"after_0": after[0], "after_1": after[1]})}
        plan: Any = None
        async with app.transaction(isolation="repeatable_read", readonly=True):
            await app.fetchrow(database.SIGN_IN, *peers.SIGNED_IN)
            for _ in range(3):  # the first time also reads PostgreSQL's catalogue
                [plan] = orjson.loads(
                    await app.fetchval(
                        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.sql}", *statement.arguments(values)
                    )
                )
        top = plan["Plan"]
        buffers = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
        print(f"| {size:,} | {number:,} | {top['Actual Rows']:.0f} | {buffers} | {plan['Execution Time']:.2f} |")
    await app.close()


def options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--locations", type=int, default=20_000, metavar="N", help="how many to fill in (20000)")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="how often each CPU figure is taken (7)")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each rate is measured (1)")
    parser.add_argument("--workers", type=int, default=1, choices=(1, 2), help="processes of each server (1)")
    parser.add_argument("--cpu", action="store_true", help="CPU only: no rates, no pages")
    parser.add_argument("--node", action="store_true", help="measure servers on Node.js too; one worker each")
    parser.add_argument("--million", action="store_true", help="explain the pages of 1,000,000 locations too")
    parser.add_argument("--against", type=Path, metavar="DIR", help="measure another checkout's app too, as 'before'")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="profile the app in process and write it there")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep the database here, and use it again")
    parser.add_argument("--port", type=int, default=18_400, help="the first of twelve ports to use (18400)")
    given = parser.parse_args()
    if given.node and given.workers > 1:
        parser.error("--node compares servers of one worker")
    return given


if __name__ == "__main__":
    given = options()
    with tempfile.TemporaryDirectory(prefix="turnup-bench-") as folder:
        scenario = given.home or Path(folder) / "home"
        with embedded.start(scenario.resolve()) as postgres:
            uvloop.run(main(given, scenario.resolve(), postgres.cluster))
        if given.home is None:
            embedded.erase(scenario)
