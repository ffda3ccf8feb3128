"""Measures requests by session and by service token beside the same requests by access token.

`.venv/bin/python -m bench.credentials` starts and fills its own PostgreSQL and one server, and sends the same requests
with each credential in turns. The access token takes part twice: the ratio of the two shows how precise a run is on a
shared machine. `--instructions` counts the server's instructions in callgrind instead, on which other load has no
influence; callgrind does not count PostgreSQL's. Prints Markdown, which docs/performance.md explains.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes

import asyncpg
import orjson
import uvloop

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.db import database
from app.domain.credential import Credential
from app.domain.secrets import SECRET_BYTES, new_secret, secret_sha256, service_token_sha256
from app.operations.context import new_id
from app.postgres import embedded
from bench import peers
from bench.instructions import COUNTED, WARM, count_in_callgrind, counted
from bench.measuring import HttpConnection, Server, bearer, cpu_seconds, post, with_descendants
from bench.requests import CASES, ROOT, body_of, called, filled, in_process

ACCESS_TOKEN, AGAIN, SESSION, SERVICE_TOKEN = "access token", "access token, again", "session", "service token"
MEASURED = (CASES[2], CASES[0])
SIGN_INS = 2_000

BEGIN_SESSION = "SELECT turnup.begin_session($1, NULL, $2, $3, 'bench', 43200, 43200)"
CREATE = """mutation ($expiresAt: DateTime!) {
  createServiceToken(input: {
    userId: "user-lead", name: "bench", accounts: {allOfUser: true}, actions: {allOfUser: true}, expiresAt: $expiresAt
  }) { secret problems { code message } }
}"""


async def credentials(dsn: str) -> tuple[dict[str, Mapping[str, str]], dict[str, Credential]]:
    """Make the lead's three credentials; return the header fields that show them, and what sign-in receives."""
    issuer = DevelopmentIssuer.load_or_create(Path(os.environ["TURNUP_HOME"]))
    token = issuer.issue(peers.SUBJECT, lifetime_seconds=43_200, now=time.time(), audience=AUDIENCE)
    secret = new_secret(token_bytes(SECRET_BYTES))
    connection = await asyncpg.connect(dsn)
    await connection.execute(BEGIN_SESSION, new_id("UserSession"), peers.SUBJECT, secret_sha256(secret))
    await connection.close()
    expires_at = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    async with in_process(peers.app) as app:
        asked = orjson.dumps({"query": CREATE, "variables": {"expiresAt": expires_at}})
        answer = orjson.loads(await called(app, asked, bearer(token)))
    service_token = answer["data"]["createServiceToken"]["secret"]
    fields = {
        ACCESS_TOKEN: bearer(token),
        AGAIN: bearer(token),
        SESSION: {"Cookie": f"turnup_session={secret}", "X-Turnup-CSRF": "1"},
        SERVICE_TOKEN: bearer(service_token),
    }
    received = {
        ACCESS_TOKEN: Credential.of_access_token(peers.SUBJECT),
        AGAIN: Credential.of_access_token(peers.SUBJECT),
        SESSION: Credential.of_session(secret_sha256(secret) or b""),
        SERVICE_TOKEN: Credential.of_service_token(service_token_sha256(service_token) or b""),
    }
    return fields, received


async def main(options: argparse.Namespace, home: Path, cluster: embedded.Cluster) -> None:
    """Fill the database, measure, print."""
    account, version = await filled(cluster, home, options.locations)
    if options.instructions:
        await count_in_callgrind("bench.credentials", account, home)
        return
    print(f"PostgreSQL {version}, Python {sys.version.split()[0]}, {options.rounds} rounds in turns\n")
    fields, received = await credentials(os.environ["DATABASE_URL"])
    postmaster = int((cluster.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
    await measure_requests(options, account, fields, postmaster)
    await measure_sign_in(options.rounds, received)


async def measure_requests(
    options: argparse.Namespace, account: str, fields: Mapping[str, Mapping[str, str]], postmaster: int
) -> None:
    """Print the CPU time per request of server and PostgreSQL, and its ratio to that of an access token."""
    command = [sys.executable, "-m", "bench.peers", "app", str(options.port), "1"]
    server = Server("app", options.port, command, {**os.environ, "PYTHONPATH": str(ROOT)})
    names = list(fields)
    print("| case | credential | server, ms | PostgreSQL, ms | to access token |\n|---|---|---|---|---|")
    try:
        await server.ready()
        for case in MEASURED:
            requests = {name: post(body_of(case, account), fields[name]) for name in names}
            spent: dict[str, list[tuple[float, float]]] = defaultdict(list)
            connection = await HttpConnection.open(server.port)
            for number in range(options.rounds + 1):
                shift = number % len(names)
                for name in names[shift:] + names[:shift]:
                    own, theirs = server.cpu(), cpu_seconds(with_descendants(postmaster))
                    for _ in range(case.batch):
                        await connection.ask(requests[name])
                    own, theirs = server.cpu() - own, cpu_seconds(with_descendants(postmaster)) - theirs
                    if number:  # the first round warms up
                        spent[name].append((own / case.batch * 1000, theirs / case.batch * 1000))
            connection.close()
            for name in names:
                own, theirs = (statistics.median(part) for part in zip(*spent[name], strict=True))
                print(f"| {case.name} | {name} | {own:.3f} | {theirs:.3f} | {ratio(spent, name):.3f} |", flush=True)
    finally:
        server.stop()


def ratio(spent: Mapping[str, list[tuple[float, float]]], name: str) -> float:
    """Return the median of each round's ratio of the CPU of server and PostgreSQL to that with an access token."""
    pairs = zip(spent[name], spent[ACCESS_TOKEN], strict=True)
    return statistics.median(sum(measured) / sum(compared) for measured, compared in pairs)


async def measure_sign_in(rounds: int, received: Mapping[str, Credential]) -> None:
    """Print PostgreSQL's CPU time per sign-in alone, each in a transaction of its own."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    backend = connection.get_server_pid()
    spent: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for name, shown in received.items():
            values = (shown.kind.value, shown.subject, shown.issuer, shown.secret_sha256, 15_000)
            began = cpu_seconds([backend])
            for _ in range(SIGN_INS):
                async with connection.transaction():
                    await connection.fetchrow(database.SIGN_IN, *values)
            if number:
                spent[name].append((cpu_seconds([backend]) - began) / SIGN_INS * 1e6)
    await connection.close()
    print("\nPostgreSQL's CPU per transaction that only signs in:\n\n| credential | microseconds |\n|---|---|")
    for name, each in spent.items():
        print(f"| {name} | {statistics.median(each):.0f} |")


async def count(account: str, folder: Path) -> None:
    """Inside callgrind: warm up each case with each credential, then count it."""
    fields, _ = await credentials(os.environ["DATABASE_URL"])
    async with in_process(peers.app) as app:
        for case in MEASURED:
            body = body_of(case, account)
            for name, signed_in in fields.items():
                for _ in range(WARM):
                    await called(app, body, signed_in)
                with counted(folder) as millions:
                    for _ in range(COUNTED):
                        await called(app, body, signed_in)
                print(f"| {case.name} | {name} | {millions[0] / COUNTED:.3f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.credentials", description=__doc__)
    parser.add_argument("--locations", type=int, default=2_000, metavar="N", help="how many to fill in (2000)")
    parser.add_argument("--rounds", type=int, default=30, metavar="N", help="how often each is measured (30)")
    parser.add_argument("--port", type=int, default=8300, help="the server's port (8300)")
    parser.add_argument("--instructions", action="store_true", help="count instructions instead of time")
    parser.add_argument("--inside", nargs=2, metavar=("ACCOUNT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        uvloop.run(count(given.inside[0], Path(given.inside[1])))
    elif given.instructions and shutil.which("valgrind") is None:
        sys.exit("NOT COUNTED: this needs valgrind (apt-get install valgrind).")
    else:
        with tempfile.TemporaryDirectory(prefix="turnup-bench-") as scratch:
            scenario = (Path(scratch) / "home").resolve()
            with embedded.start(scenario) as postgres:
                uvloop.run(main(given, scenario, postgres.cluster))
            embedded.erase(scenario)
