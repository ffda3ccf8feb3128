"""Servers with different settings, and the statements that they send to PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from app.auth.development import DevelopmentIssuer
from app.db import database as pools
from app.db.gauges import MEASURE, READ
from app.http.protocol import HttpConnection
from app.main import create_app
from app.settings import Settings
from tests.harness import Client, TestDatabase


@asynccontextmanager
async def serving(settings: Settings, database: TestDatabase, **changes: Any) -> AsyncIterator[Client]:
    """Yield a client of the real app with these settings."""
    app = create_app(settings.model_copy(update=changes))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        yield Client(http, DevelopmentIssuer.load_or_create(settings.home), database)


@asynccontextmanager
async def over_http(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a real server on a free port of this machine."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            http=HttpConnection,
            ws="none",
        )
    )
    serving = asyncio.ensure_future(server._serve())
    while not server.started:
        assert not serving.done(), "the server ended"
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
            yield http
    finally:
        server.should_exit = True
        await serving


@dataclass
class Wire:
    """A client with a record of the statements that its server sends."""

    client: Client
    statements: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def recorded(self) -> AsyncIterator[list[str]]:
        """Yield a list that contains the statements of the block after its end."""
        start = len(self.statements)
        seen: list[str] = []
        yield seen
        await asyncio.sleep(0)  # the driver calls its query loggers in the next iteration of the event loop
        seen.extend(self.statements[start:])


# The statements of the periodic tasks, which are independent of requests.
_HOUSEKEEPING = (
    "SELECT turnup.audit_settle()",
    "SELECT turnup.forget_old_keys($1)",
    "SELECT turnup.forget_credentials($1)",
    "SELECT turnup.record_uses($1, $2, $3, $4)",
    "SELECT turnup.audit_erase_due($1)",
    MEASURE,
    READ,
)


@contextmanager
def statements_logged(into: list[str]) -> Iterator[None]:
    """Record the statements of all pools that are opened in the block, except for those of periodic tasks."""
    prepare = pools._prepare

    async def prepare_and_log(connection: Any) -> None:
        await prepare(connection)
        connection.add_query_logger(lambda record: None if record.query in _HOUSEKEEPING else into.append(record.query))

    pools._prepare = prepare_and_log
    try:
        yield
    finally:
        pools._prepare = prepare


def tables_of(statements: list[str]) -> list[str]:
    """Return the sorted tables of the statements that read data, without transaction control and sign-in."""
    data = [each for each in statements if "\nFROM turnup." in each]
    return sorted(each.split("\nFROM turnup.")[1].split()[0].strip('"') for each in data)


def a_scope(method: str, path: str, headers: list[tuple[bytes, bytes]] | None = None) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    return {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": "", "scheme": "http",
        "query_string": b"", "headers": headers or [], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
        "http_version": "1.1", "state": {},
    }  # fmt: skip
