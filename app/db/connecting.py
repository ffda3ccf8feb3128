"""Opens every connection to PostgreSQL, and finds out whether a pooler is between this process and the server.

A connection notices that its peer is gone (TCP keep-alive and user timeout, on both ends), and settings bound what its
session on the server waits for. PgBouncer refuses such settings when a connection starts. They are therefore sent only
to PostgreSQL itself; behind a pooler they must be settings of the role (`turnup roles --sql`).
"""

import asyncio
import socket
from asyncio.staggered import staggered_race
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from functools import partial
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import orjson

from app.session_settings import (
    APP,
    KEEPALIVE_IDLE_SECONDS,
    KEEPALIVE_INTERVAL_SECONDS,
    KEEPALIVE_PROBES,
    OWNER,
    USER_TIMEOUT_MS,
    SessionSetting,
    Transport,
)

CONNECT_SECONDS = 10.0
"""Seconds in which a connection must be open and signed in."""
NEXT_HOST_SECONDS = 0.3
"""Seconds after which the next host of a URL is tried as well, when one does not answer.

A health check reaches the third host in time.
"""
QUESTION_SECONDS = 2.0
"""Seconds for an answer while the kind of a pooler is determined."""
ROUNDS = 16
"""Attempts to see a client's transactions on different server connections.

In a busy pool of n server connections an attempt fails with the probability 1 / n, unless there is only one.
"""
ROUNDS_SECONDS = 3.0
"""Seconds after which no further attempt begins: on a slow network each takes a second, and the server must start."""

_SETTINGS = {"application_name": "turnup", "timezone": "UTC"}
"""Settings that every connection starts with. Poolers follow them per client."""

# The options of a client's socket by name; a platform has the ones that its socket module names.
_SOCKET_OPTIONS = {
    "TCP_KEEPIDLE": KEEPALIVE_IDLE_SECONDS,
    "TCP_KEEPALIVE": KEEPALIVE_IDLE_SECONDS,  # macOS
    "TCP_KEEPINTVL": KEEPALIVE_INTERVAL_SECONDS,
    "TCP_KEEPCNT": KEEPALIVE_PROBES,
    "TCP_USER_TIMEOUT": USER_TIMEOUT_MS,
}

_EFFECTIVE = f"""
SELECT name, setting::bigint, true AS "{Transport.ANY}", tcp AS "{Transport.TCP}",
       tcp AND version() LIKE '%linux%' AS "{Transport.TCP_ON_LINUX}"
FROM pg_settings, (SELECT inet_server_addr() IS NOT NULL AS tcp) AS server WHERE name = ANY ($1)
"""


class Pooler(StrEnum):
    """What a URL leads to: PostgreSQL itself, or a pooler that lends a server connection per session or transaction."""

    NONE = "none"
    SESSION = "session mode"
    TRANSACTION = "transaction mode"


class Unfit(Exception):  # noqa: N818 - says what was found
    """The connections of a URL would not do what this server relies on. The message names the variable."""


async def connect(url: str, **options: Any) -> Any:
    """Return an open connection. Without further options, every server and pooler accepts its start-up settings.

    `options` are those of asyncpg: for the app's connections the ones that `app_options` returns. A setting in the
    URL's query replaces the one of the options. Raises TimeoutError, after CONNECT_SECONDS unless `timeout` is given,
    OSError, ValueError and asyncpg's exceptions.
    """
    chosen = {name for name, _ in parse_qsl(urlsplit(url).query)}
    settings = {**_SETTINGS, **options.pop("server_settings", {})}
    settings = {name: value for name, value in settings.items() if name not in chosen}
    connecting = {"timeout": CONNECT_SECONDS} | options | {"server_settings": settings}
    connection = await _first([partial(asyncpg.connect, each, **connecting) for each in _each_host(url)])
    _notice_a_lost_peer(connection)
    return connection


def _each_host(url: str) -> Sequence[str]:
    """Return a URL per host. The driver tries hosts one after the other, and a silent one takes all of the time.

    A preference for standbys is about all hosts together.
    """
    split = urlsplit(url)
    query = dict(parse_qsl(split.query))
    if query.get("target_session_attrs") == "prefer-standby":
        return [url]
    signed_in, at, hosts = split.netloc.rpartition("@")
    if hosts:
        scheme, _, *rest = split
        return [urlunsplit((scheme, f"{signed_in}{at}{host}", *rest)) for host in hosts.split(",")]
    if "host" not in query:
        return [url]
    names, ports = query["host"].split(","), query.get("port", "").split(",")
    if len(ports) == 1:
        ports *= len(names)
    if len(ports) != len(names):
        return [url]  # the driver says what is wrong
    places = ({"host": name, "port": port} if port else {"host": name} for name, port in zip(names, ports, strict=True))
    *place_in_url, _, fragment = split
    return [urlunsplit((*place_in_url, urlencode(query | place), fragment)) for place in places]


async def _first(attempts: Sequence[Callable[[], Awaitable[Any]]]) -> Any:
    """Return the connection of the first host that accepts one. Raises the exception of the last one if none does."""
    if len(attempts) == 1:
        return await attempts[0]()
    connection, _, failures = await staggered_race(attempts, NEXT_HOST_SECONDS)
    if connection is None:
        raise next(each for each in reversed(failures) if each is not None)
    return connection


async def connect_as_owner(url: str) -> Any:
    """Return an open connection with the bounds of the owner's role, for commands. Raises what `connect` raises.

    The bounds are session settings: a pooler in transaction mode would give them to others.
    """
    connection = await connect(url)
    try:
        await connection.execute(
            "; ".join(f"SET {each.name} = '{each.text}'" for each in OWNER), timeout=CONNECT_SECONDS
        )
    except BaseException:
        connection.terminate()
        raise
    return connection


async def convert_json(connection: Any) -> None:
    """Have a connection return json and jsonb as Python values, and accept them as parameters, with bytes in them."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=_json, decoder=orjson.loads)


def _json(value: Any) -> str:
    return orjson.dumps(value, default=_bytea).decode()


def _bytea(value: Any) -> str:
    """Bytes in the form in which PostgreSQL reads them from a text."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError


@asynccontextmanager
async def as_definer(owner_url: str) -> AsyncIterator[Any]:
    """Yield a connection of the owner that acts as the definer, in a transaction. Raises what `connect` raises."""
    connection = await connect_as_owner(owner_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE turnup_definer")
            yield connection
    finally:
        await connection.close()


async def app_options(url: str, *, transaction_pooling: bool) -> Mapping[str, Any]:
    """Return the options of `connect` for the app's connections to a URL.

    With `transaction_pooling`, statements are not kept prepared, and no session settings are sent, whatever the URL
    leads to. Otherwise this opens one connection to find a pooler, and a second one to determine its mode. Raises
    Unfit for a pooler in transaction mode, and what `connect` raises.
    """
    if transaction_pooling:
        return {"statement_cache_size": 0}
    pooler = await pooler_at(url)
    if pooler is Pooler.TRANSACTION:
        raise Unfit(
            "DATABASE_URL leads to a pooler in transaction mode: set TURNUP_TRANSACTION_POOLING=true, "
            "or connect to PostgreSQL itself or to a pooler in session mode"
        )
    if pooler is Pooler.SESSION:
        return {}
    return {"server_settings": {each.name: each.text for each in APP}}


async def check_owner(url: str) -> None:
    """Raise Unfit for a pooler in transaction mode: commands rely on locks and settings of a session."""
    if await pooler_at(url) is Pooler.TRANSACTION:
        raise Unfit(
            "TURNUP_OWNER_DATABASE_URL leads to a pooler in transaction mode: "
            "use a URL of PostgreSQL itself or of a pooler in session mode"
        )


async def check_bounds(connection: Any, declared: Sequence[SessionSetting] = APP) -> None:
    """Raise Unfit when a session of the app may wait for longer than declared."""
    found = {row["name"]: row for row in await connection.fetch(_EFFECTIVE, [each.name for each in declared])}
    for each in declared:
        row = found.get(each.name)
        if row is not None and (not row[each.transport] or 0 < row["setting"] <= each.value):
            continue
        state = f"is {row['setting']}{each.unit}" if row is not None and row["setting"] else "is not set"
        raise Unfit(
            f"DATABASE_URL: {each.name} {state}, but must be at most {each.text}: "
            "run the output of turnup roles --sql again; a pooler must then open new connections to the server"
        )


async def pooler_at(url: str) -> Pooler:
    """Return what a URL leads to. Opens two connections at most, and asks each for CONNECT_SECONDS at most.

    A pooler gives its clients other keys for cancelling than PostgreSQL does. In transaction mode, transactions of one
    client run on several server connections, and those of several clients on one. Raises what `connect` raises.
    """
    ours = await connect(url, statement_cache_size=0)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            backend = await _backend(ours)
        if backend == ours.get_server_pid():
            return Pooler.NONE
        other = await connect(url, statement_cache_size=0)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await _mode(ours, backend, other)
        finally:
            other.terminate()
    finally:
        ours.terminate()


async def _mode(ours: Any, backend: int, other: Any) -> Pooler:
    """Return the mode of a pooler: whether our connection keeps its server connection while another is in use."""
    until = monotonic() + ROUNDS_SECONDS
    for attempt in range(ROUNDS):
        if attempt and monotonic() > until:
            break
        theirs = await _answer(_backend_in_transaction(other))
        if theirs == backend or await _answer(_backend(ours)) != backend:
            return Pooler.TRANSACTION
        if theirs is None:  # no server connection is free, and ours answers all the same: it keeps its own
            return Pooler.SESSION
        await other.execute("ROLLBACK")
    return Pooler.SESSION


async def _answer(question: Awaitable[int]) -> int | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(QUESTION_SECONDS):
            return await question
    return None


async def _backend_in_transaction(connection: Any) -> int:
    await connection.execute("BEGIN")
    return await _backend(connection)


async def _backend(connection: Any) -> int:
    """Return the process id of the connection's session on the server."""
    return int(await connection.fetchval("SELECT pg_backend_pid()"))


def _notice_a_lost_peer(connection: Any) -> None:
    """Have the operating system close the connection when its peer is gone. Unix sockets have no such peer."""
    client = connection._transport.get_extra_info("socket")
    if client.family == socket.AF_UNIX:
        return
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SOCKET_OPTIONS.items():
        if hasattr(socket, name):
            client.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
