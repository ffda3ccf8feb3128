"""The cases that docs/graphql-over-http.md lists: each request has the listed answer from a real server."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from app.auth.development import DevelopmentIssuer
from app.main import create_app
from app.settings import Settings
from tests.docs.pages import page, table
from tests.harness import LEAD, Client
from tests.harness import TestDatabase as WorkerDatabase

from .serving import over_http

JSON, RESPONSE_JSON = "application/json", "application/graphql-response+json"
FIELD = re.compile(r"([A-Z][A-Za-z-]*):(?: (.*))?")


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    name: str
    request: list[str]
    draft: str
    answer: list[str]
    audits: list[str]
    difference: str

    def __repr__(self) -> str:
        return self.name


def spans(cell: str) -> list[str]:
    """The code of a cell, of which the outer backticks are off; or its words."""
    return cell.split("` `")


def cases() -> list[Case]:
    rows = table(page("docs/graphql-over-http.md"), "Cases of the specification")
    return [
        Case(name, spans(request), draft, spans(answer), [] if audits == "none" else audits.split(), difference)
        for name, request, draft, answer, audits, difference in rows
    ]


@pytest.fixture(scope="module")
async def served(settings: Settings, database: WorkerDatabase) -> AsyncIterator[Client]:
    """A client of the app in a real server."""
    async with server(settings, database) as client:
        yield client


@asynccontextmanager
async def server(settings: Settings, database: WorkerDatabase, **changes: Any) -> AsyncIterator[Client]:
    async with over_http(create_app(settings.model_copy(update=changes))) as http:
        yield Client(http, DevelopmentIssuer.load_or_create(settings.home), database)


def as_listed(client: Client, parts: list[str], **extra: str) -> httpx.Request:
    """The request that a row lists."""
    (method, *query), rest = parts[0].split(" ?", 1), parts[1:]
    fields = {"Accept": RESPONSE_JSON, "Authorization": f"Bearer {client.recent_token(LEAD)}"}
    fields |= ({"Content-Type": JSON} if method == "POST" else {}) | extra
    body = ""
    for part in rest:
        field = FIELD.fullmatch(part)
        if field is None:
            body = part
        elif field[2]:
            fields[field[1]] = field[2]
        else:
            del fields[field[1]]
    pairs = [each.partition("=") for each in "".join(query).split("&")] if query else []
    target = "/graphql?" + "&".join(f"{name}={quote(value)}" for name, _, value in pairs) if pairs else "/graphql"
    return httpx.Request(method, client.http.base_url.join(target), headers=fields, content=body.encode())


QUERY = ["POST", '{"query": "{ __typename }"}']
Sent = Callable[[Settings, WorkerDatabase, Client], Awaitable[httpx.Response]]


async def by_hand(client: Client, method: str, target: str, body: bytes = b"", length: int = 0) -> httpx.Response:
    """Send what httpx does not send: a long target, and a body that is shorter than its length."""

    def exchange() -> httpx.Response:
        url = client.http.base_url
        connection = HTTPConnection(url.host, url.port, timeout=60)
        with closing(connection):
            connection.putrequest(method, target)
            for name, value in as_listed(client, [method]).headers.items():
                if name not in {"host", "content-length"}:
                    connection.putheader(name, value)
            if length:
                connection.putheader("Content-Length", str(length))
            connection.endheaders(body)
            answer = connection.getresponse()
            return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())

    return await asyncio.to_thread(exchange)


async def unfinished(settings: Settings, database: WorkerDatabase, _: Client) -> httpx.Response:
    async with server(settings, database, limit_body_seconds=0.5) as client:
        return await by_hand(client, "POST", "/graphql", b'{"query": ', 100)


async def large(_: Settings, __: WorkerDatabase, client: Client) -> httpx.Response:
    return await client.http.send(as_listed(client, ["POST", json.dumps({"query": "#" * 2 * 1024 * 1024})]))


async def long(_: Settings, __: WorkerDatabase, client: Client) -> httpx.Response:
    return await by_hand(client, "GET", f"/graphql?query={'a' * 70_000}")


async def heavy(_: Settings, __: WorkerDatabase, client: Client) -> httpx.Response:
    return await client.http.send(as_listed(client, QUERY, **{"X-Note": "a" * 70_000}))


async def beyond_the_slots(settings: Settings, database: WorkerDatabase, _: Client) -> httpx.Response:
    async with server(settings, database, limit_requests=1, limit_request_burst=0) as client:
        owner = await asyncpg.connect(database.owner_url)
        try:
            async with owner.transaction():
                await owner.execute('LOCK TABLE turnup."user" IN ACCESS EXCLUSIVE MODE')
                tasks = [asyncio.ensure_future(client.http.send(as_listed(client, QUERY))) for _ in range(2)]
                done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(waiting)
        finally:
            await owner.close()
        return done.pop().result()


IN_WORDS: dict[str, Sent] = {
    "a body that never ends": unfinished,
    "a body of 2 MiB": large,
    "a URL of 70,000 characters": long,
    "a header field of 70,000 characters": heavy,
    "a request beside as many as there are slots": beyond_the_slots,
}


def shown(response: httpx.Response) -> list[str]:
    """An answer as the table lists it: its status, its media type, and what its body has."""
    body = response.json()
    media_type, _, charset = response.headers["content-type"].partition("; ")
    assert charset == "charset=utf-8"
    return [str(response.status_code), media_type, *contents(body)]


def contents(body: Any) -> list[str]:
    if isinstance(body, list):
        return [f"[{', '.join(code for each in body for code in contents(each))}]"]
    if "data" in body:
        return [name for name in ("data", "errors") if name in body]
    (error,) = body["errors"]
    return [error["extensions"]["code"]]


@pytest.mark.parametrize("case", cases(), ids=repr)
async def test_a_case_of_the_specification_is_answered_as_listed(
    settings: Settings, database: WorkerDatabase, served: Client, case: Case
) -> None:
    in_words = IN_WORDS.get(case.request[0])
    if in_words:
        response = await in_words(settings, database, served)
    else:
        response = await served.http.send(as_listed(served, case.request))
    status, *expected = case.answer
    if expected[0] != JSON:
        expected.insert(0, RESPONSE_JSON)
    assert shown(response) == [status, *expected]
    assert "allow" in response.headers or status != "405"


@pytest.mark.parametrize("case", cases(), ids=repr)
def test_a_case_that_is_answered_otherwise_than_the_draft_says_has_the_reason(case: Case) -> None:
    statuses = re.findall(r"\b\dxx|\d{3}\b", case.draft) or ["200" if "data" in case.answer else "400"]
    follows = any(re.fullmatch(each.replace("x", "."), case.answer[0]) for each in statuses)
    assert follows == (case.difference == "none")
    reasons = page("docs/graphql-over-http.md").partition("\n### Where the server differs from the draft\n")[2]
    assert follows or f"- **{case.difference}.**" in reasons


BATCHES = {0: None, 1: 1, 20: 20, 21: None, 1_000: None}


@pytest.mark.parametrize(("size", "answers"), BATCHES.items())
async def test_a_batch_gets_one_error_per_request_up_to_a_bound(served: Client, size: int, answers: int | None) -> None:
    batch = json.dumps([{"query": "{ __typename }"}] * size)
    response = await served.http.send(as_listed(served, ["POST", batch]))
    errors = response.json() if answers else [response.json()]
    assert (response.status_code, contents(errors)) == (400, [f"[{', '.join(['BAD_REQUEST'] * (answers or 1))}]"])
    assert "one JSON object" in errors[0]["errors"][0]["message"]
    assert all(each == errors[0] for each in errors)
