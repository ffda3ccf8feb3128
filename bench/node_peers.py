"""The Node servers of bench/node: their commands, their packages, and their statements per case."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg

from app.postgres import embedded
from bench.measuring import HttpConnection, Server

HERE = Path(__file__).resolve().parent / "node"
BARE = "bare Node"
KINDS = {
    BARE: "bare",
    "graphql-js + dataloader": "graphql-js",
    "Mercurius, JIT, dataloader": "mercurius",
    "Yoga, JIT, dataloader": "yoga",
}
# Otherwise graphql-js checks repeatedly whether each type belongs to its own copy.
ENVIRONMENT = {"NODE_ENV": "production"}
OPTIONS = ["--max-semi-space-size=64"]  # MB; with the default, garbage collection takes over a tenth of a nested page
WARM_UP = 100  # rounds of eight requests; V8 continues to optimise for several hundred
LEGEND = """The Node servers read no token, and limit, log, trace and audit nothing. They use the product's schema,
role, policies, sign-in and transaction, and prepared statements, which they send without waiting for earlier answers.
All but the bare one have a dataloader per relation, and cache documents parsed, validated and, with JIT, compiled."""


class NodeMissingError(Exception):
    """The Node servers cannot be started here; the message gives the reason."""


def command(name: str, port: int) -> list[str]:
    """Return the command that starts a server."""
    return ["node", *OPTIONS, str(HERE / "server.js"), KINDS[name], str(port)]


def install() -> str:
    """Install bench/node/node_modules from the lock file; return the versions. Raises NodeMissingError."""
    npm = shutil.which("npm")
    if not shutil.which("node") or not npm:
        raise NodeMissingError("this machine lacks node or npm")
    lock, installed = HERE / "package-lock.json", HERE / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        ended = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--loglevel=error"], cwd=HERE, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise NodeMissingError(f"npm ci failed:\n{ended.stderr}{ended.stdout}")
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    wanted = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return ", ".join([f"Node {node}", *(f"{package} {version}" for package, version in wanted.items())])


async def statements_of(cluster: embedded.Cluster, server: Server, requests: Mapping[Any, bytes]) -> dict[Any, int]:
    """Return the number of statements per request, from PostgreSQL's log."""
    superuser = await asyncpg.connect(cluster.dsn("postgres", "postgres"))
    connection = await HttpConnection.open(server.port)
    counts: dict[Any, int] = {}
    try:
        await superuser.execute("ALTER SYSTEM SET log_statement = 'all'")
        await superuser.execute("ALTER SYSTEM SET log_line_prefix = '%a: '")  # the kind of server
        await _reloaded(superuser)
        marks = tuple(f"{KINDS[server.name]}: LOG:  {how}" for how in ("statement: ", "execute "))
        for case, request in requests.items():
            seen = cluster.log.stat().st_size
            await connection.ask(request)
            lines = cluster.log.read_bytes()[seen:].decode().splitlines()
            counts[case] = sum(line.startswith(marks) for line in lines)
    finally:
        connection.close()
        await superuser.execute("ALTER SYSTEM RESET log_statement")
        await superuser.execute("ALTER SYSTEM RESET log_line_prefix")
        await _reloaded(superuser)
        await superuser.close()
    return counts


async def _reloaded(superuser: "asyncpg.Connection[asyncpg.Record]") -> None:
    await superuser.execute("SELECT pg_reload_conf()")
    await asyncio.sleep(0.5)  # each backend reloads on a signal
