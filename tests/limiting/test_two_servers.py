"""Two servers that count in one Redis share each user's budgets, and go on without it as the rules say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from pydantic import SecretStr

from app.auth.development import DevelopmentIssuer
from app.limiting import stores
from app.main import create_app
from app.settings import Settings
from tests.harness import LEAD, Client, TestDatabase, at_noon, patient

from .redis_server import RedisServer

pytestmark = pytest.mark.xdist_group("redis")

EDIT = 'mutation { addDevice(input: {locationId: "location-99", brand: YEALINK}) { problems { code } } }'
READ = "{ locations(first: 1) { nodes { id } } }"


@pytest.fixture
async def servers(
    settings: Settings, database: TestDatabase, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Client]]:
    """Two of them, whose limiters' clocks stand still, and with time for a crowd on a busy machine."""
    at_noon(monkeypatch)
    patient(monkeypatch)
    for seconds in ("COMMAND_SECONDS", "QUEUE_SECONDS"):
        monkeypatch.setattr(stores, seconds, 60)
    changes = {"redis_url": SecretStr(redis_server.url), "limit_edits": 37, "limit_deadline_seconds": 60.0}
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(_serving(settings.model_copy(update=changes), database)) for _ in range(2)
        ]


@asynccontextmanager
async def _serving(settings: Settings, database: TestDatabase) -> AsyncIterator[Client]:
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        yield Client(http, DevelopmentIssuer.load_or_create(settings.home), database)


async def test_200_parallel_edits_at_two_servers_are_allowed_exactly_as_often_as_the_budget_says(
    servers: list[Client],
) -> None:
    answers = await asyncio.gather(*(server.ask(EDIT, LEAD) for _ in range(100) for server in servers))
    assert sum("errors" not in each.body for each in answers) == 37
    assert {code for each in answers for code in each.codes} == {"RATE_LIMITED"}


async def test_servers_that_lose_redis_serve_reads_and_refuse_writes(
    servers: list[Client], redis_server: RedisServer
) -> None:
    redis_server.stop()
    for server in servers:
        assert (await server.ask(READ)).codes == []
        refused = await server.ask(EDIT)
        assert refused.codes == ["UNAVAILABLE"]
        assert refused.body["errors"][0]["extensions"]["outcome"] == "NONE"
