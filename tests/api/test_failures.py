"""What is said when something of ours fails: a bug, a slow statement, a database that is gone, a pool that is empty."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest
from pydantic import SecretStr
from starlette.types import Message

from app import main
from app.db import queries
from app.db.database import Database
from app.settings import Settings
from graphql_schema.errors import INTERNAL_MESSAGE
from tests.builders_db import committed
from tests.harness import CUSTOMER, LEAD, WAITERS, Answer, Client, drop_database, until_waiting, with_database
from tests.harness import TestDatabase as WorkerDatabase

from .serving import serving

LOCATIONS = "{ locations { totalCount } }"
SECRET = "password=hunter2"


async def raises_a_secret(*_arguments: Any, **_named: Any) -> Any:
    raise RuntimeError(SECRET)


@asynccontextmanager
async def held(database: WorkerDatabase, asked: Any) -> AsyncIterator["asyncio.Task[Answer]"]:
    """A request that waits for a lock on the locations while the block runs."""
    async with committed(database) as connection:
        await connection.execute("LOCK TABLE turnup.location IN ACCESS EXCLUSIVE MODE")
        task = asyncio.ensure_future(asked)
        await until_waiting(connection, task)
        yield task


async def test_a_bug_in_a_field_says_a_constant_sentence_and_the_other_fields_go_on(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "page_of", raises_a_secret)
    answer = await client.ask("{ locations { totalCount } viewer { name } }", LEAD)
    assert (answer.status, answer.body["data"], answer.body["errors"]) == (
        200,
        {"locations": None, "viewer": {"name": "Lena Ortiz"}},
        [
            {
                "locations": [{"line": 1, "column": 3}],
                "path": ["locations"],
                "message": INTERNAL_MESSAGE,
                "extensions": {"code": "INTERNAL", "requestId": answer.headers["x-request-id"]},
            }
        ],
    )


async def test_a_bug_before_the_fields_says_the_same_sentence(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Database, "_sign_in", raises_a_secret)
    answer = await client.ask(LOCATIONS, LEAD)
    extensions = {"code": "INTERNAL", "requestId": answer.headers["x-request-id"]}
    errors = [{"message": INTERNAL_MESSAGE, "extensions": extensions}]
    assert (answer.status, answer.body) == (500, {"errors": errors})


async def test_a_bug_leaves_a_connection_that_others_can_use(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(queries, "page_of", raises_a_secret)
        for _ in range(12):
            await client.ask(LOCATIONS)
    assert (await client.ask(LOCATIONS)).data == {"locations": {"totalCount": 12}}


async def test_a_request_beyond_its_deadline_ends_with_timeout(settings: Settings, database: WorkerDatabase) -> None:
    async with (
        serving(settings, database, limit_deadline_seconds=0.3) as client,
        committed(database) as connection,
    ):
        await connection.execute("LOCK TABLE turnup.location IN ACCESS EXCLUSIVE MODE")
        answer = await client.ask(LOCATIONS)
    assert answer.codes == ["TIMEOUT"]  # PostgreSQL's clock and ours run to the same moment; either may end it


async def test_a_statement_that_is_cancelled_for_its_time_is_a_timeout_for_all_that_still_had_to_be_read(
    client: Client, database: WorkerDatabase
) -> None:
    readiness = 'readiness(locationId: "location-1") { code }'
    query = f"{{ viewer {{ name }} locations {{ totalCount }} accounts {{ totalCount }} {readiness} }}"
    async with held(database, client.ask(query)) as asked:
        app = await asyncpg.connect(database.app_url)
        await app.execute(f"SELECT pg_cancel_backend(pid) {WAITERS}")
        await app.close()
        answer = await asked
    nothing = {"locations": None, "accounts": None, "readiness": None}
    assert (answer.body["data"], answer.codes) == ({"viewer": {"name": "Lena Ortiz"}, **nothing}, ["TIMEOUT"] * 3)


async def test_when_every_connection_is_in_use_for_too_long_the_next_request_is_refused(
    settings: Settings, database: WorkerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Database.open.__func__.__kwdefaults__, "wait_seconds", 0.2)  # type: ignore[attr-defined]
    async with serving(settings, database, pool_size=1) as client:
        async with held(database, client.ask(LOCATIONS)) as asked:
            refused = await client.ask("{ viewer { name } }", CUSTOMER)
        first = await asked
    assert (refused.status, refused.codes, first.status) == (503, ["OVERLOADED"], 200)
    assert int(refused.headers["retry-after"]) > 0


class Cable:
    """A socket that leads to the real PostgreSQL and can be cut."""

    def __init__(self, url: str) -> None:
        query = parse_qs(urlsplit(url).query)
        self._host = query.get("host", [urlsplit(url).hostname or ""])[0]
        self._port = int(query.get("port", [str(urlsplit(url).port or 5432)])[0])
        self._folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
        self._writers: list[asyncio.StreamWriter] = []
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0]
        self.url = f"postgresql://{user}@{parts.path}?host={self._folder}&port=5432"

    async def connect(self) -> None:
        self._server = await asyncio.start_unix_server(self._passed_on, self._folder / ".s.PGSQL.5432")

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        (self._folder / ".s.PGSQL.5432").unlink(missing_ok=True)
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def put_away(self) -> None:
        await self.cut()
        shutil.rmtree(self._folder)

    async def _passed_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._host.startswith("/"):
            there = await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        else:
            there = await asyncio.open_connection(self._host, self._port)
        self._writers += [writer, there[1]]
        for source, target in ((reader, there[1]), (there[0], writer)):
            task = asyncio.ensure_future(self._pump(source, target))
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()


@pytest.fixture
async def cable(database: WorkerDatabase) -> AsyncIterator[Cable]:
    made = Cable(database.app_url)
    await made.connect()
    yield made
    await made.put_away()


async def test_without_its_database_the_server_says_unavailable_until_it_is_back(
    settings: Settings, database: WorkerDatabase, cable: Cable
) -> None:
    heard = []
    async with serving(settings, database, database_url=SecretStr(cable.url)) as client:
        for change in (None, cable.cut, cable.connect):
            if change is not None:
                await change()
            answer = await client.ask(LOCATIONS)
            ready = await client.http.get("/readyz")
            alive = await client.http.get("/healthz")
            heard.append((answer.status, answer.codes, ready.status_code, without_id(ready), alive.status_code))
    up = (200, list[str](), 200, {"status": "ready", "database": True, "migrations": True, "writes": True}, 200)
    down = not_ready("database, migrations, writes", database=False, migrations=False, writes=False)
    assert heard == [up, (503, ["UNAVAILABLE"], 503, down, 200), up]


async def test_whether_the_database_answers_is_a_metric_without_anybody_asking_for_readiness(
    settings: Settings, database: WorkerDatabase, cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "CHECK_SECONDS", 0.02)
    async with serving(settings, database, database_url=SecretStr(cable.url)) as client:
        others = {"turnup_migrations_current": 1, "turnup_database_writes": 1}
        assert await gauges(client) == {"turnup_database_up": 1, **others}
        for change, up in ((cable.cut, 0), (cable.connect, 1)):
            await change()
            async with asyncio.timeout(30):
                wanted = {"turnup_database_up": up, **others}
                while await gauges(client) != wanted:  # noqa: ASYNC110 - a server that knows no events of the test
                    await asyncio.sleep(0.01)


async def gauges(client: Client) -> dict[str, float]:
    """What the metrics say about the database."""
    lines = (await client.http.get("/metrics")).text.splitlines()
    samples = dict(line.split() for line in lines if line.startswith(("turnup_database_", "turnup_migrations_")))
    return {name: float(value) for name, value in samples.items()}


def not_ready(failed: str, **states: bool) -> dict[str, Any]:
    """The body of `/readyz`, without the id of the request."""
    message = f"The server is not ready: failed checks: {failed}."
    errors = [{"message": message, "extensions": {"code": "UNAVAILABLE"}}]
    return {"status": "not ready", **states, "errors": errors}


def without_id(response: httpx.Response) -> dict[str, Any]:
    """The body of a response without the id of the request, which its errors must have."""
    body: dict[str, Any] = response.json()
    for error in body.get("errors", ()):
        assert error["extensions"].pop("requestId") == response.headers["x-request-id"]
    return body


async def test_a_database_that_goes_away_in_the_middle_of_a_statement_is_unavailable(
    settings: Settings, database: WorkerDatabase, cable: Cable
) -> None:
    async with (
        serving(settings, database, database_url=SecretStr(cable.url)) as client,
        held(database, client.ask("{ locations { totalCount } accounts { totalCount } }")) as asked,
    ):
        await cable.cut()
        answer = await asked
    assert set(answer.codes) == {"UNAVAILABLE"}


async def test_a_database_without_migrations_is_alive_and_not_ready(
    settings: Settings, database: WorkerDatabase
) -> None:
    name = f"turnup_test_{uuid4().hex[:12]}"
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(f"CREATE DATABASE {name}")
    try:
        async with serving(settings, database, database_url=SecretStr(with_database(database.app_url, name))) as client:
            ready = await client.http.get("/readyz")
            alive = await client.http.get("/healthz")
    finally:
        await owner.close()
        await drop_database(database.owner_url, name)
    assert (ready.status_code, without_id(ready)) == (
        503,
        not_ready("migrations", database=True, migrations=False, writes=True),
    )
    assert int(ready.headers["retry-after"]) > 0
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})


async def test_a_client_that_leaves_before_its_request_is_whole_is_no_failure_of_ours(client: Client) -> None:
    app, sent = client.app, list[Message]()
    arriving: list[Message] = [
        {"type": "http.request", "body": b'{"query": ', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return arriving.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "root_path": ""}
    token = f"Bearer {client.token(LEAD)}".encode()
    headers = [(b"content-type", b"application/json"), (b"authorization", token)]
    await app({**scope, "headers": headers}, receive, send)
    assert (sent, arriving) == ([], [])


@asynccontextmanager
async def left_while_waiting(
    client: Client, database: WorkerDatabase, monkeypatch: pytest.MonkeyPatch, query: str
) -> AsyncIterator[tuple["asyncio.Task[None]", list[Message], asyncpg.Connection]]:
    """A request that waits for a lock on the locations, and whose client has left."""
    monkeypatch.setattr("app.http.departure.PATIENCE_SECONDS", 0.05)
    left, sent = asyncio.Event(), list[Message]()
    arriving: list[Message] = [{"type": "http.request", "body": orjson.dumps({"query": query})}]

    async def receive() -> Message:
        if arriving:
            return arriving.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    token = f"Bearer {client.token(LEAD)}".encode()
    headers = [(b"content-type", b"application/json"), (b"authorization", token)]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "root_path": ""}
    app = client.app
    async with committed(database) as connection:
        await connection.execute("LOCK TABLE turnup.location IN ACCESS EXCLUSIVE MODE")
        task = asyncio.ensure_future(app({**scope, "headers": headers}, receive, send))
        await until_waiting(connection, task)
        left.set()
        yield task, sent, connection


async def test_a_client_that_leaves_ends_the_statement_that_it_waited_for(
    client: Client, database: WorkerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with left_while_waiting(client, database, monkeypatch, LOCATIONS) as (task, sent, connection):
        async with asyncio.timeout(30):
            await task
        assert sent == []
        assert await connection.fetchval(f"SELECT count(*) {WAITERS}") == 0
    assert (await client.ask("{ viewer { name } }")).status == 200


@pytest.mark.usefixtures("replayed")
async def test_a_write_is_finished_although_its_client_leaves(
    own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = 'mutation { setCurrentStep(input: {locationId: "location-3", step: PEOPLE}) { problems { code } } }'
    async with left_while_waiting(own_client, own_client.database, monkeypatch, step) as (task, sent, _):
        await asyncio.sleep(0.2)
        assert not task.done()
    await task
    assert sent[0]["status"] == 200
    session = 'query { location(id: "location-3") { session { currentStep } } }'
    assert (await own_client.ask(session)).data == {"location": {"session": {"currentStep": "PEOPLE"}}}
