"""The app under test with settings of its own, and the statements that reach PostgreSQL while it answers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from app.auth.development import DevelopmentIssuer
from app.db import database as pools
from app.main import create_app
from app.settings import Settings
from tests.harness import Client, TestDatabase


@asynccontextmanager
async def serving(settings: Settings, database: TestDatabase, **changes: Any) -> AsyncIterator[Client]:
    """A client of the real app with these settings, as long as the block runs."""
    app = create_app(settings.model_copy(update=changes))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        yield Client(http, DevelopmentIssuer.load_or_create(settings.home), database)


@dataclass
class Wire:
    """A client whose app's statements are written down as they were sent."""

    client: Client
    statements: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def recorded(self) -> AsyncIterator[list[str]]:
        """The statements that are sent while the block runs, once it has ended."""
        start = len(self.statements)
        seen: list[str] = []
        yield seen
        await asyncio.sleep(0)  # the driver tells its loggers in the loop's next turn
        seen.extend(self.statements[start:])


# What a server does every half minute of its own accord, whatever it is asked.
_HOUSEKEEPING = (
    "SELECT turnup.audit_settle()",
    "SELECT turnup.forget_old_keys($1)",
    "SELECT turnup.audit_erase_due($1)",
)


@contextmanager
def statements_logged(into: list[str]) -> Iterator[None]:
    """Every pool that opens while the block runs writes down what its connections are told to answer requests."""
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
    """The table each data statement reads, sorted; what begins, signs in and commits is left out."""
    data = [each for each in statements if "\nFROM turnup." in each]
    return sorted(each.split("\nFROM turnup.")[1].split()[0].strip('"') for each in data)
