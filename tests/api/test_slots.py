"""The slots of the real app: their number, whose they are, and what operators see."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.auth.development import DevelopmentIssuer
from app.db.database import Database
from app.http import slots as module
from app.http.slots import SLOTS, Fields, Full, RequestSlots
from app.main import create_app
from app.settings import Settings
from tests.harness import CUSTOMER, LEAD, Client, TestDatabase


@asynccontextmanager
async def slotted(
    settings: Settings, database: TestDatabase, **changes: Any
) -> AsyncIterator[tuple[Client, RequestSlots]]:
    """Yield a client of the app with these settings, and the slots that the app gives to its connections."""
    app = create_app(settings.model_copy(update=changes))
    async with (
        app.router.lifespan_context(app) as state,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        assert state is not None
        yield Client(http, DevelopmentIssuer.load_or_create(settings.home), database), state[SLOTS]


def fields_of(client: Client, who: str) -> Fields:
    """The header fields of a request."""
    return [(b"authorization", f"Bearer {client.recent_token(who)}".encode())]


async def test_a_user_is_known_after_the_first_request_with_a_token(settings: Settings, database: TestDatabase) -> None:
    async with slotted(settings, database, limit_requests=4, limit_request_burst=0) as (client, slots):
        fields = fields_of(client, LEAD)
        assert slots.work(fields).user is None
        await client.ask("{ viewer { name } }")
        assert slots.work(fields).user == "user-lead"
        assert slots.work(fields_of(client, CUSTOMER)).user is None
        assert slots.work([*fields, *fields]).user is None


async def test_operators_see_requests_in_progress_and_refused_ones(settings: Settings, database: TestDatabase) -> None:
    async with slotted(settings, database, limit_requests=2, limit_request_burst=0) as (client, slots):
        fields = fields_of(client, LEAD)
        await client.ask("{ viewer { name } }")
        assert [slots.work(fields).begin(), slots.work(fields).begin()] == [None, Full.USER]
        slots.refusal(Full.USER, "abc", fields)
        said = (await client.http.get("/metrics")).text
        assert 'turnup_requests_refused_total{reason="user"} 1.0' in said
        assert "turnup_requests_in_progress 1.0" in said


async def test_requests_that_have_waited_long_for_the_turn_of_their_user_leave_their_slots_to_others(
    settings: Settings, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = [0]
    monkeypatch.setattr(module, "WAITED_SECONDS", 0.0)
    monkeypatch.setattr(Database, "waiting_in_bulkheads", lambda _: waiting[0])
    async with slotted(settings, database, limit_requests=2, limit_request_burst=0) as (client, slots):
        for who in (LEAD, CUSTOMER):
            await client.ask("{ viewer { name } }", who)
        assert [slots.work(fields_of(client, who)).begin() for who in (LEAD, CUSTOMER)] == [None, None]
        assert slots.work([]).refused() is Full.SERVER
        waiting[0] = 1
        assert slots.work([]).refused() is None


async def test_an_address_beyond_its_anonymous_requests_floods(settings: Settings, database: TestDatabase) -> None:
    async with slotted(settings, database, limit_anonymous=1) as (client, slots):
        fields = fields_of(client, LEAD)
        await client.ask("{ viewer { name } }")
        assert not slots.work([], "127.0.0.1").of_flood
        await client.ask("{ viewer { name } }", None)
        assert slots.work([], "127.0.0.1").of_flood
        assert not slots.work([], "127.0.0.2").of_flood
        assert not slots.work(fields, "127.0.0.1").of_flood, "a token that was verified before"
