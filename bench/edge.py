"""Measures the HTTP edge: what a request costs beside uvicorn's own protocols, and what attacks do to the memory.

`python -m bench.edge speed` serves the product behind each protocol and prints the CPU time per request, in turns.
`python -m bench.edge attacks` starts `turnup serve`, attacks it from this machine with bounded load, and prints the
growth of the server process and whether the server still answers. `--checkout` attacks the server of another checkout.
"""

import argparse
import asyncio
import os
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import h11
import orjson
import uvicorn

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.db.migrate import migrate
from app.http import heads
from app.http.protocol import HttpConnection as OurConnection
from app.operations.demo import load_demo
from app.postgres import embedded
from bench.measuring import HttpConnection, Server, bearer, post

ROOT = Path(__file__).resolve().parent.parent
LEAD = "lead@turnup.example"
MEGABYTE = 1_000_000
START_SECONDS = 120.0

# Speed

OURS, OVER_H11, HTTPTOOLS, H11 = "ours", "ours over h11", "uvicorn httptools", "uvicorn h11"
PROTOCOLS: dict[str, Any] = {OURS: OurConnection, OVER_H11: OurConnection, HTTPTOOLS: "httptools", H11: "h11"}
GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"


def serve(kind: str, port: int) -> None:
    """Serve the product behind a protocol."""
    if kind == OVER_H11:
        heads._fields = fields_by_h11
    uvicorn.run(
        "app.main:from_environment",
        factory=True,
        http=PROTOCOLS[kind],
        ws="none",
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
    )


def fields_by_h11(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the fields of a head, parsed by h11."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=len(head))
    connection.receive_data(head)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    return list(request.headers)


async def measure_speed(rounds: int, home: Path, cluster: embedded.Cluster) -> None:
    """Print the least CPU time per request of any round, and its ratio to uvicorn's default protocol."""
    owner, app = cluster.dsn("turnup_owner", "turnup"), cluster.dsn("turnup_app", "turnup")
    os.environ |= {"TURNUP_HOME": str(home), "DATABASE_URL": app, "TURNUP_LIMIT_OBJECTS": "1000000000"}
    await migrate(owner)
    await load_demo(owner, app)
    issuer = DevelopmentIssuer.load_or_create(home)
    token = issuer.issue(LEAD, lifetime_seconds=43_200, now=time.time(), audience=AUDIENCE)
    small = post(orjson.dumps({"query": "{ viewer { role } }"}), bearer(token))
    padding = {"padding": "x" * (1024 * 1024 - 100)}
    large = post(orjson.dumps({"query": "{ viewer { role } }", "extensions": padding}), bearer(token))
    cases = {"GET /healthz": (GET, 400), "small query": (small, 200), "query of 1 MiB": (large, 20)}
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ports = {kind: free_port() for kind in PROTOCOLS}
    command = [sys.executable, "-m", "bench.edge", "serve"]
    servers = [Server(kind, port, [*command, kind, str(port)], env) for kind, port in ports.items()]
    try:
        for server in servers:
            await server.ready()
        await compare(rounds, servers, cases)
    finally:
        for server in servers:
            server.stop()


async def compare(rounds: int, servers: list[Server], cases: dict[str, tuple[bytes, int]]) -> None:
    """Measure the servers in turns."""
    print("| case | protocol | CPU ms per request | to uvicorn's httptools | p50 ms |\n|---|---|---|---|---|")
    for case, (request, count) in cases.items():
        cpu: dict[str, list[float]] = {server.name: [] for server in servers}
        waits: dict[str, list[float]] = {server.name: [] for server in servers}
        for turn in range(rounds + 1):
            for server in servers:
                connection = await HttpConnection.open(server.port)
                began = server.cpu()
                for _ in range(count):
                    sent = time.perf_counter()
                    await connection.ask(request)
                    if turn:
                        waits[server.name].append(time.perf_counter() - sent)
                if turn:  # the first one warms up
                    cpu[server.name].append((server.cpu() - began) / count * 1000)
                connection.close()
        for name, each in cpu.items():
            print(  # the least: other work on the machine only adds
                f"| {case} | {name} | {min(each):.3f} | {min(each) / min(cpu[HTTPTOOLS]):.2f} "
                f"| {statistics.median(waits[name]) * 1000:.2f} |",
                flush=True,
            )


# Attacks


@dataclass
class Target:
    """A server under attack."""

    port: int
    process: int
    peak: int = 0

    def look(self) -> int:
        """Return the resident bytes of the server process, and remember the most."""
        status = Path(f"/proc/{self.process}/status").read_text(encoding="ascii")
        size = int(status.partition("VmRSS:")[2].split()[0]) * 1024
        self.peak = max(self.peak, size)
        return size

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        """Connect from an address of the loopback network; sending and receiving never block."""
        connection = socket.create_connection(("127.0.0.1", self.port), 10, (source, 0))
        connection.setblocking(False)
        return connection

    def status(self, path: str, source: str) -> str:
        """Return the status and the time of the slowest of five requests, each on a new connection."""
        return max((self._status(path, source) for _ in range(5)), key=lambda each: int(each.split()[-2]))

    def _status(self, path: str, source: str) -> str:
        began = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5, source_address=(source, 0))
        try:
            connection.request("GET", path)
            status = str(connection.getresponse().status)
        except (OSError, HTTPException) as error:
            status = type(error).__name__
        finally:
            connection.close()
        return f"{status} in {(time.perf_counter() - began) * 1000:.0f} ms"


def silent(target: Target, connections: int = 1_010) -> list[socket.socket]:
    """Open connections and send nothing."""
    found = [target.connect() for _ in range(connections)]
    watch(target, 1.0)
    return found


def flood(target: Target, connections: int = 3_000) -> list[socket.socket]:
    """Open silent connections from another process, and open each again when it is closed, for eight seconds."""
    command = [sys.executable, "-m", "bench.edge", "flood", str(target.port), str(connections)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    watch(target, 2.0)
    return []


def reopen(port: int, connections: int, seconds: float = 8.0) -> None:
    """Keep this number of silent connections open."""
    poller = select.poll()
    held: dict[int, socket.socket] = {}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        while len(held) < connections and time.monotonic() < until:
            try:
                connection = socket.create_connection(("127.0.0.1", port), 10)
            except OSError:
                return  # the server has ended
            held[connection.fileno()] = connection
            poller.register(connection, select.POLLIN)
            if len(held) == connections:
                print("All are open.", flush=True)
        for descriptor, _ in poller.poll(10):
            poller.unregister(descriptor)
            held.pop(descriptor).close()


def pipelined(target: Target) -> list[socket.socket]:
    """Send requests and never read a response."""
    connection = target.connect()
    pour(target, connection, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1_000, 100 * MEGABYTE)
    return [connection]


def endless_fields(target: Target) -> list[socket.socket]:
    """Send header fields without end."""
    connection = target.connect()
    connection.setblocking(True)
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    connection.setblocking(False)
    pour(target, connection, b"".join(b"x-%d: %b\r\n" % (n, b"y" * 50) for n in range(1_000)), 100 * MEGABYTE)
    return [connection]


def endless_value(target: Target) -> list[socket.socket]:
    """Send one header field without end."""
    connection = target.connect()
    connection.setblocking(True)
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nx: ")
    connection.setblocking(False)
    pour(target, connection, b"y" * 65_536, 100 * MEGABYTE)
    return [connection]


def endless_trailer(target: Target) -> list[socket.socket]:
    """Send the fields of a trailer without end."""
    connection = target.connect()
    connection.setblocking(True)
    connection.sendall(b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    connection.setblocking(False)
    pour(target, connection, b"x: y\r\n" * 10_000, 100 * MEGABYTE)
    return [connection]


def half_bodies(target: Target, connections: int = 300) -> list[socket.socket]:
    """Send the larger part of many bodies, without a token."""
    head = post(b"", {}).partition(b"Content-Length")[0] + b"Content-Length: 1048576\r\n\r\n"
    found = []
    for _ in range(connections):
        connection = target.connect()
        with suppress(OSError):
            connection.setblocking(True)
            connection.sendall(head)
            connection.setblocking(False)
            pour(target, connection, b" " * 65_000, 650_000, patience=0.05)
        found.append(connection)
    watch(target, 1.0)
    return found


def pour(target: Target, connection: socket.socket, data: bytes, most: int, patience: float = 2.0) -> None:
    """Send up to `most` bytes, until the server closes or has read nothing for a time."""
    sent, last, looked = 0, time.monotonic(), 0.0
    while sent < most and time.monotonic() < last + patience:
        try:
            sent += connection.send(data)
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.001)
        except OSError:
            break
        if time.monotonic() > looked + 0.05:
            looked = time.monotonic()
            target.look()


def watch(target: Target, seconds: float) -> None:
    """Look at the memory for a time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        target.look()
        time.sleep(0.02)


ATTACKS: dict[str, Callable[[Target], list[socket.socket]]] = {
    "1,010 silent connections": silent,
    "3,000 silent connections, opened again and again": flood,
    "pipelining without reading, 100 MB offered": pipelined,
    "endless header fields, 100 MB offered": endless_fields,
    "an endless header field, 100 MB offered": endless_value,
    "an endless trailer, 100 MB offered": endless_trailer,
    "300 half bodies without a token": half_bodies,
}


def measure_attacks(checkout: Path) -> None:
    """Attack a fresh server with each kind, and print the growth of its process."""
    print("| attack | growth, MB | /healthz from the same address | /readyz from another one |\n|---|---|---|---|")
    home = Path(tempfile.mkdtemp(prefix="turnup-bench-"))
    try:
        for name, attack in ATTACKS.items():
            with turnup(checkout, home) as target:
                target.status("/healthz", "127.0.0.3")
                before = target.look()
                attacking = attack(target)
                same, other = target.status("/healthz", "127.0.0.1"), target.status("/readyz", "127.0.0.2")
                target.look()
                print(f"| {name} | {(target.peak - before) / MEGABYTE:.1f} | {same} | {other} |", flush=True)
                for each in attacking:
                    each.close()
    finally:
        until = time.monotonic() + 30
        while True:
            try:
                embedded.erase(home)
                break
            except embedded.EmbeddedPostgresError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def turnup(checkout: Path, home: Path) -> Iterator[Target]:
    """Run `turnup serve` of a checkout while the block runs."""
    port = free_port()
    ours = ("TURNUP_", "DATABASE_URL", "PYTHON")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    process = subprocess.Popen(
        [checkout / ".venv" / "bin" / "python", "-m", "app.cli", "serve"],
        cwd=checkout,
        env={**env, "TURNUP_HOME": str(home), "TURNUP_GRAPHIQL": "false", "PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        target = Target(port, process.pid)
        until = time.monotonic() + START_SECONDS
        while not target.status("/readyz", "127.0.0.3").startswith("200"):
            if process.poll() is not None or time.monotonic() > until:
                sys.exit("The server did not start.")
            time.sleep(0.1)
        yield target
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.edge", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    speed = commands.add_parser("speed", help="CPU time per request behind each protocol")
    speed.add_argument("--rounds", type=int, default=20, metavar="N", help="measurements of each server (20)")
    attacks = commands.add_parser("attacks", help="memory of the server under attack")
    attacks.add_argument("--checkout", type=Path, default=ROOT, metavar="DIR", help="the server's checkout (this one)")
    flooding = commands.add_parser("flood")
    flooding.add_argument("port", type=int)
    flooding.add_argument("connections", type=int)
    serving = commands.add_parser("serve")
    serving.add_argument("kind", choices=PROTOCOLS)
    serving.add_argument("port", type=int)
    given = parser.parse_args()
    if given.command == "serve":
        serve(given.kind, given.port)
    elif given.command == "flood":
        reopen(given.port, given.connections)
    elif given.command == "attacks":
        measure_attacks(given.checkout.resolve())
    else:
        with tempfile.TemporaryDirectory(prefix="turnup-bench-") as scratch:
            scenario = (Path(scratch) / "home").resolve()
            with embedded.start(scenario) as postgres:
                asyncio.run(measure_speed(given.rounds, scenario, postgres.cluster))
            embedded.erase(scenario)
