"""The base of the tests: one embedded cluster per run, one database per worker, tokens, a client of the real app."""

from __future__ import annotations

import asyncio
import json
import os
import time
import timeit
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import asyncpg
import httpx
import pytest
from graphql import GraphQLInputField, GraphQLInputObjectType, get_introspection_query, is_required_input_field, parse
from pydantic import SecretStr

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.db.database import Database
from app.domain.credential import Credential
from app.domain.secrets import SERVICE_TOKEN_MARK
from app.limiting.limiter import Limiter
from app.main import create_app
from app.settings import Settings

# The variables with the URLs of the run's databases, by role; tests that create roles skip without the last one.
APP_URL, OWNER_URL, SUPERUSER_URL = "TURNUP_TEST_APP_URL", "TURNUP_TEST_OWNER_URL", "TURNUP_TEST_SUPERUSER_URL"
TEMPLATE, EMPTY_TEMPLATE = "turnup_template", "turnup_empty"
"""The template databases: both migrated, the first with the demo data, the second without rows."""

LEAD = "lead@turnup.example"
LEAD_2 = "lead2@turnup.example"
SCOPED_LEAD = "acme.lead@turnup.example"
AUDITOR = "auditor@turnup.example"
CUSTOMER = "customer@acme.example"
LISTED_CUSTOMER = "north@acme.example"
OTHER_CUSTOMER = "customer@birch.example"
PARTNER = "partner@carrier.example"
OTHER_PARTNER = "partner@pbx.example"
NOON = 1_800_000_000.0
"""The start of a minute in Unix seconds, at which tests freeze clocks."""

YARDSTICK_SECONDS = 0.0016
"""The parse time of the introspection query on the reference processor."""
SECURITY_YARDSTICK_SECONDS = 0.0007
"""Its parse time on the processor of the figures in docs/security.md, which is faster."""
_YARDSTICK = get_introspection_query()


def by_token(subject: str) -> Credential:
    """The credential of an access token with this subject."""
    return Credential.of_access_token(subject)


@dataclass(frozen=True, slots=True)
class TestDatabase:
    """A database of this test worker, migrated and filled with the demo data."""

    __test__: ClassVar[bool] = False

    app_url: str
    owner_url: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A GraphQL answer over HTTP."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]
    raw: bytes

    @property
    def without_id(self) -> Answer:
        """The same answer without the id of its request."""
        own = self.headers["x-request-id"]
        headers = {name: value for name, value in self.headers.items() if name != "x-request-id"}
        raw = self.raw.replace(own.encode(), b"")
        return Answer(self.status, json.loads(raw), headers, raw)

    @property
    def data(self) -> Any:
        """The data; fails the test when there are errors."""
        assert "errors" not in self.body, str(self.body["errors"])  # pytest shows a string in full, but shortens lists
        return self.body["data"]

    @property
    def codes(self) -> list[str]:
        """The codes of all errors, in order."""
        return [error["extensions"]["code"] for error in self.body.get("errors", [])]


def least_fields(kind: GraphQLInputObjectType) -> Mapping[str, GraphQLInputField]:
    """The fields of the smallest values of an input: those that are required, and the first of a @oneOf input."""
    if kind.is_one_of:
        return dict(list(kind.fields.items())[:1])
    return {name: each for name, each in kind.fields.items() if is_required_input_field(each)}


def granting(account: str, *locations: str) -> dict[str, Any]:
    """A GrantInput: to these locations of an account, or to all of them if none are named."""
    scope = {"locationIds": list(locations)} if locations else {"allLocations": True}
    return {"accountId": account, "scope": scope}


@dataclass(frozen=True, slots=True)
class Ended:
    """The exit status and the output of a command."""

    status: int
    out: str
    error: str


Turnup = Callable[..., Awaitable[Ended]]


class Client:
    """Sends requests to the app as one of the demo people, with a real token."""

    def __init__(self, http: httpx.AsyncClient, issuer: DevelopmentIssuer, database: TestDatabase) -> None:
        self.http = http
        self.database = database
        self._issuer = issuer
        self._tokens: dict[str, tuple[float, str]] = {}

    @property
    def app(self) -> Any:
        """The application, which tests call with messages that httpx does not send."""
        return self.http._transport.app  # type: ignore[attr-defined] # - httpx has no public name for it

    def token(self, subject: str, lifetime_seconds: int = 600) -> str:
        """Return a token of the development issuer."""
        return self._issuer.issue(subject, lifetime_seconds=lifetime_seconds, now=time.time(), audience=AUDIENCE)

    def recent_token(self, subject: str) -> str:
        """Return a token that is valid for some more minutes, possibly one that was sent before.

        A service token takes the place of a subject.
        """
        if subject.startswith(SERVICE_TOKEN_MARK):
            return subject
        issued_at, token = self._tokens.get(subject, (0.0, ""))
        if not 0 <= time.time() - issued_at < 300:
            issued_at, token = self._tokens[subject] = time.time(), self.token(subject)
        return token

    async def ask(
        self, query: str, who: str | None = LEAD, /, *, headers: Mapping[str, str] | None = None, **variables: Any
    ) -> Answer:
        """POST a query as a demo person; None sends no token."""
        sent = {} if who is None else {"authorization": f"Bearer {self.recent_token(who)}"}
        response = await self.http.post(
            "/graphql", json={"query": query, "variables": variables}, headers={**sent, **(headers or {})}
        )
        return Answer(response.status_code, response.json(), response.headers, response.content)


def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let callers of new pools wait for a connection for a minute, for tests with many callers."""
    monkeypatch.setitem(Database.open.__func__.__kwdefaults__, "wait_seconds", 60.0)  # type: ignore[attr-defined]


def slowness(yardstick_seconds: float = YARDSTICK_SECONDS) -> float:
    """Return how many times slower this processor currently is than the one that parses in this time; at least 1.

    Each of five measurements lasts some milliseconds, as what they are compared with: a processor that is shared is
    quick for shorter times.
    """
    parses = 20
    taken = min(timeit.repeat(lambda: parse(_YARDSTICK), timer=time.process_time, number=parses, repeat=5))
    return max(1.0, taken / parses / yardstick_seconds)


def is_within(taken: float, most: float, yardstick_seconds: float = YARDSTICK_SECONDS) -> bool:
    """Return whether work that took `taken` seconds takes less than `most` on a processor that is not slow."""
    return taken < most or taken / slowness(yardstick_seconds) < most


def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Freeze the clocks of new limiters, so that no minute ends within a test."""
    defaults = Limiter.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "clock", lambda: NOON)


@contextmanager
def counted(statements: list[str]) -> Iterator[list[str]]:
    """Yield the statements recorded while the block runs."""
    start = len(statements)
    seen: list[str] = []
    yield seen
    seen.extend(statements[start:])


# The sessions that wait for a lock on a table of this database; other workers have databases on the same server.
WAITERS = """FROM pg_locks WHERE NOT granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


async def until_waiting(connection: asyncpg.Connection[asyncpg.Record], asked: asyncio.Task[Any]) -> None:
    """Return when another connection to this database waits for a lock."""
    async with asyncio.timeout(30):
        while not await connection.fetchval(f"SELECT EXISTS (SELECT {WAITERS})"):
            assert not asked.done(), "nothing was waited for"
            await asyncio.sleep(0.01)


async def first_row(
    connection: asyncpg.Connection[asyncpg.Record], statement: str, *arguments: object
) -> asyncpg.Record:
    """Return the first row of a query; fails the test when there is none."""
    row = await connection.fetchrow(statement, *arguments)
    assert row is not None
    return row


async def early_in_a_minute(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Return with at least ten seconds left in the database's minute, so that counts fall into one minute."""
    second = await connection.fetchval("SELECT extract(second FROM clock_timestamp())::float")
    if second > 50:
        await asyncio.sleep(60.1 - second)


def with_database(url: str, name: str) -> str:
    """Return a URL with another database name, in any URL form."""
    head, _, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


def home_of(folder: Path) -> Path:
    """Return the home of a test run's embedded cluster."""
    return folder / "home"


@asynccontextmanager
async def own_database(template: str = TEMPLATE) -> AsyncIterator[TestDatabase]:
    """Yield a database copied from a template, and drop it after the block."""
    owner_url, name = os.environ[OWNER_URL], f"turnup_test_{uuid4().hex[:12]}"
    await run_as_owner(
        f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {name} TO turnup_app",
    )
    try:
        yield TestDatabase(with_database(os.environ[APP_URL], name), with_database(owner_url, name))
    finally:
        await drop_database(owner_url, name)


async def run_as_owner(*statements: str) -> None:
    """Run statements in the owner's maintenance database, each in its own transaction."""
    connection = await asyncpg.connect(os.environ[OWNER_URL])
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def drop_database(owner_url: str, name: str) -> None:
    """Drop a database and end its connections.

    PostgreSQL's autovacuum worker, which the owner may not terminate, may be connected to it; wait a few seconds for
    it.
    """
    connection = await asyncpg.connect(owner_url)
    try:
        for _ in range(50):
            with suppress(asyncpg.InsufficientPrivilegeError, asyncpg.ObjectInUseError):
                await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"{name} is still in use")
    finally:
        await connection.close()


ORIGIN = "http://127.0.0.1:8000"
# A provider that is asked only when somebody signs in with a browser. Cookies are those of a loopback address.
BROWSER_SIGN_IN = {
    "public_url": ORIGIN,
    "oidc_issuer": "https://id.example",
    "oidc_client_id": "turnup",
}
BROWSER_SIGN_IN_VARIABLES = {f"TURNUP_{name.upper()}": value for name, value in BROWSER_SIGN_IN.items()}
SIGN_IN_URL = f"{ORIGIN}/auth/login"


@asynccontextmanager
async def served(database: TestDatabase, home: Path, **changes: object) -> AsyncIterator[Client]:
    """A client of the real app on a database, with browser sign-in, and with settings that differ."""
    settings = Settings(database_url=SecretStr(database.app_url), home=home)
    settings = settings.model_copy(update={**BROWSER_SIGN_IN, **changes})
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as http,
    ):
        yield Client(http, DevelopmentIssuer.load_or_create(home), database)
