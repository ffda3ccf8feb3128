"""One line in the log and one count per request: what they say, and that no client can multiply, blind or lose them."""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr
from starlette.types import Message

from app.db import queries
from app.db.database import Database
from app.db.failures import DatabaseUnavailable
from app.http.connections import EdgeRefusal
from app.http.protocol import CONNECTIONS
from app.main import create_app
from app.settings import Environment, Settings
from app.telemetry.logging import VETTED
from app.telemetry.request_log import ABANDONED, ANSWERED
from tests.harness import CUSTOMER, LEAD, Client
from tests.harness import TestDatabase as WorkerDatabase

from .serving import Wire, a_scope, serving, statements_logged

LOGGER = "turnup.requests"
TOKEN = "operators-token-of-32-characters"
QUERY = "{ viewer { name } }"

Line = dict[str, Any]


class Lines(logging.Handler):
    """Keeps the facts of each line of a request, and its level."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the facts of a record."""
        self.found.append({"message": record.getMessage(), "level": record.levelname, **getattr(record, VETTED)})

    @property
    def only(self) -> Line:
        """The one line."""
        (line,) = self.found
        return line


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The lines of requests, from DEBUG on."""
    logger, lines = logging.getLogger(LOGGER), Lines()
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    yield lines
    logger.removeHandler(lines)
    logger.setLevel(level)


@pytest.fixture
async def own(settings: Settings, database: WorkerDatabase) -> AsyncIterator[Client]:
    """A server that has answered nothing."""
    async with serving(settings, database) as client:
        yield client


async def samples(client: Client) -> dict[str, float]:
    """The samples that are not 0, without buckets and sums of times."""
    text = (await client.http.get("/metrics")).text
    found = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in found if float(value) and "_bucket{" not in name}


async def counts(client: Client, metric: str) -> dict[str, float]:
    """The samples of a metric by their labels."""
    pattern = re.compile(rf"turnup_{metric}\{{(.*)\}}")
    found = ((pattern.fullmatch(name), value) for name, value in (await samples(client)).items())
    return {match[1].replace('"', ""): value for match, value in found if match is not None}


def duration_removed(line: Line) -> Line:
    assert line["duration_ms"] > 0
    assert line["client_ms"] >= 0
    return {name: value for name, value in line.items() if name not in {"duration_ms", "client_ms"}}


# What a line says


async def test_the_line_of_a_query_names_operation_fields_document_user_and_cost(own: Client, lines: Lines) -> None:
    query = """
    query Rollout { mine: viewer { name } ...Places again: viewer { email } }
    fragment Places on Query { locations(first: 2) { nodes { id } } }
    """
    answer = await own.ask(query, CUSTOMER)
    cost = answer.body["extensions"]["cost"]
    assert duration_removed(lines.only) == {
        "message": ANSWERED,
        "level": "INFO",
        "method": "POST",
        "route": "/graphql",
        "status": 200,
        "outcome": "ok",
        "operation_type": "query",
        "operation_name": "Rollout",
        "root_fields": ("viewer", "locations"),
        "document_hash": hashlib.sha256(query.encode()).hexdigest(),
        "user_id": "user-acme",
        "role": "CUSTOMER",
        "statements": 4,
        "price": cost["price"],
        "returned": cost["returned"],
    }
    assert await counts(own, "requests_total") == {
        "field=viewer,outcome=ok": 1,
        "field=locations,outcome=ok": 1,
    }
    assert await counts(own, "signed_in_requests_total") == {"role=CUSTOMER": 1}
    assert await counts(own, "request_duration_seconds_count") == {"field=viewer": 1, "field=locations": 1}
    assert await counts(own, "graphql_requests_total") == {"outcome=ok": 1}
    assert (await samples(own))["turnup_graphql_request_duration_seconds_count"] == 1


OPERATIONS = {
    "a query": "{ locations(first: 3) { nodes { id account { name } devices { nodes { id } } } } }",
    "introspection": "{ __schema { queryType { name } } }",
    "a write and its answer": 'mutation { setCurrentStep(input: {locationId: "location-3", step: DEVICES}) '
    "{ location { id } problems { code } } }",
    "a refused write": 'mutation { approve(input: {locationId: "location-3", expectedDigest: "x", '
    'idempotencyKey: "lines"}) { problems { code } } }',
    "two writes": """mutation {
      a: setCurrentStep(input: {locationId: "location-3", step: DEVICES}) { location { id } problems { code } }
      b: setCurrentStep(input: {locationId: "location-3", step: CONTACTS}) { location { id } problems { code } }
    }""",
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_line_has_the_number_of_statements_that_were_sent(
    own_client: Client, settings: Settings, lines: Lines, operation: str
) -> None:
    statements: list[str] = []
    with statements_logged(statements):
        async with (
            serving(settings, own_client.database, database_url=SecretStr(own_client.database.app_url)) as client,
            Wire(client, statements).recorded() as sent,
        ):
            await client.ask(OPERATIONS[operation])
    assert lines.only["statements"] == len(sent)


async def test_an_error_counts_for_the_root_field_in_its_path(own: Client, lines: Lines) -> None:
    await own.ask("{ viewer { name } hidden: users(first: 1) { totalCount } }", CUSTOMER)
    assert (lines.only["outcome"], lines.only["codes"]) == ("refused", ["FORBIDDEN"])
    assert await counts(own, "requests_total") == {"field=viewer,outcome=ok": 1, "field=users,outcome=refused": 1}
    assert await counts(own, "errors_total") == {"code=FORBIDDEN,field=users": 1}


async def test_a_request_that_executes_nothing_counts_without_a_field_and_its_line_names_the_fields(
    own: Client, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(_database: Database) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(Database, "acquire", unavailable)
    await own.ask(QUERY)
    line = lines.only
    assert (line["level"], line["outcome"], line["codes"]) == ("WARNING", "failed", ["UNAVAILABLE"])
    assert (line["root_fields"], line["statements"]) == (("viewer",), 0)
    assert await counts(own, "requests_total") == {"field=none,outcome=failed": 1}
    assert await counts(own, "errors_total") == {"code=UNAVAILABLE,field=none": 1}


async def test_a_document_that_is_refused_is_known_by_its_hash(own: Client, lines: Lines) -> None:
    await own.ask("{ nothing }")
    assert lines.only["document_hash"] == hashlib.sha256(b"{ nothing }").hexdigest()
    assert lines.only["codes"] == ["GRAPHQL_VALIDATION_FAILED"]


DEEP = "{ location(id: 1) " + "{ devices { nodes " * 8 + "{ id }" + " } }" * 8 + " }"
REFUSED_OPERATIONS: dict[str, tuple[str, dict[str, Any], str, tuple[object, ...]]] = {
    "an unknown field": ("query Broken { nothing }", {}, "GRAPHQL_VALIDATION_FAILED", ("query", "Broken", None)),
    "the chosen one of two": ("query A { nothing } mutation B { nothing }", {"operationName": "B"},
        "GRAPHQL_VALIDATION_FAILED", ("mutation", "B", None)),
    "none of two chosen": ("query A { nothing } query B { nothing }", {}, "GRAPHQL_VALIDATION_FAILED",
        (None, None, None)),
    "too deep": (f"query Deep {DEEP}", {}, "QUERY_TOO_COMPLEX", ("query", "Deep", None)),
    "too dear": ("query Dear { locations(first: 100) { nodes { account { locations(first: 100) { nodes { account { "
        "locations(first: 100) { nodes { id } } } } } } } } }", {}, "QUERY_TOO_COMPLEX",
        ("query", "Dear", ("locations",))),
    "a wrong variable": ("query Typed($first: Int) { locations(first: $first) { totalCount } }",
        {"variables": {"first": "x"}}, "BAD_USER_INPUT", ("query", "Typed", ("locations",))),
    "a name that no operation has": ("query Here { viewer { name } }", {"operationName": "There"}, "BAD_REQUEST",
        (None, None, None)),
    "no document": ("query Broken {", {}, "GRAPHQL_PARSE_FAILED", (None, None, None)),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED_OPERATIONS)
async def test_the_line_of_a_refused_document_names_its_operation_as_far_as_it_is_known(
    own: Client, lines: Lines, kind: str
) -> None:
    query, given, code, known = REFUSED_OPERATIONS[kind]
    headers = {**JSON, "authorization": f"Bearer {own.recent_token(LEAD)}"}
    await own.http.post("/graphql", json={"query": query, **given}, headers=headers)
    line = lines.only
    assert line["codes"] == [code]
    assert (line.get("operation_type"), line.get("operation_name"), line.get("root_fields")) == known
    assert "user_id" not in line, "nobody is looked up for a document that is not executed"


# Every answer


JSON = {"content-type": "application/json"}
REFUSED: dict[str, tuple[str, str, dict[str, Any], str, int, str | None]] = {
    "no token": ("POST", "/graphql", {"headers": JSON}, "/graphql", 401, "UNAUTHENTICATED"),
    "another method": ("PUT", "/graphql", {}, "/graphql", 405, "METHOD_NOT_ALLOWED"),
    "another type": ("POST", "/graphql", {"headers": {"content-type": "text/plain"}}, "/graphql", 415,
        "UNSUPPORTED_MEDIA_TYPE"),
    "no acceptable type": ("POST", "/graphql", {"headers": {"accept": "text/html"}}, "/graphql", 406, "NOT_ACCEPTABLE"),
    "no such path": ("GET", "/nowhere/ada.lovelace", {}, "other", 404, "NOT_FOUND"),
    "no such method": ("DELETE", "/healthz", {}, "/healthz", 405, "METHOD_NOT_ALLOWED"),
    "an invented method": ("BREW", "/nowhere", {}, "other", 404, "NOT_FOUND"),
    "a page": ("GET", "/graphiql/assets/none.js", {}, "/graphiql/assets/{name}", 404, "NOT_FOUND"),
    "a schema": ("GET", "/schemas/provisioning-payload-1.0.0.json", {}, "/schemas/provisioning-payload-1.0.0.json",
        200, None),
    "a preflight": ("OPTIONS", "/graphql", {"headers": {"origin": "http://localhost:3000",
        "access-control-request-method": "POST"}}, "/graphql", 200, None),
    "a refused preflight": ("OPTIONS", "/graphql", {"headers": {"origin": "http://evil.example",
        "access-control-request-method": "POST"}}, "/graphql", 400, "BAD_REQUEST"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
async def test_every_answer_has_one_line_and_one_count(own: Client, lines: Lines, kind: str) -> None:
    method, path, given, route, status, code = REFUSED[kind]
    response = await own.http.request(method, path, **given)
    line = lines.only
    assert (response.status_code, line["status"], line["route"]) == (status, status, route)
    assert line.get("codes") == (None if code is None else [code])
    assert line["method"] == (method if method != "BREW" else "_OTHER")
    assert path == route or path not in str(line)
    assert await counts(own, "responses_total") == {f"route={route},status={status}": 1}
    is_graphql = route == "/graphql" and method != "OPTIONS"
    assert await counts(own, "requests_total") == ({"field=none,outcome=refused": 1} if is_graphql else {})


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"{", 400, "BAD_REQUEST"), (b" " * 2_000_000, 413, "PAYLOAD_TOO_LARGE"), (b"{}", 400, "BAD_REQUEST")],
    ids=["no JSON", "too large", "no query"],
)
async def test_a_body_that_is_refused_counts(own: Client, lines: Lines, body: bytes, status: int, code: str) -> None:
    headers = {**JSON, "authorization": f"Bearer {own.recent_token(LEAD)}"}
    response = await own.http.post("/graphql", content=body, headers=headers)
    assert (response.status_code, lines.only["codes"]) == (status, [code])
    assert await counts(own, "errors_total") == {f"code={code},field=none": 1}


async def test_a_flood_of_anonymous_requests_counts(settings: Settings, database: WorkerDatabase, lines: Lines) -> None:
    async with serving(settings, database, limit_anonymous=2) as client:
        for _ in range(4):
            await client.http.get("/graphiql")
        assert [line["route"] for line in lines.found] == ["/graphiql"] * 4
        assert [line["status"] for line in lines.found][2:] == [429, 429]
        assert lines.found[-1]["codes"] == ["RATE_LIMITED"]


async def test_an_outage_of_the_token_issuer_counts(settings: Settings, database: WorkerDatabase, lines: Lines) -> None:
    issuer = {"jwks_url": "http://127.0.0.1:9/keys"}  # nothing listens on the port for discarding
    async with serving(settings, database, **issuer) as client:
        assert (await client.ask(QUERY)).status == 503
        assert (lines.only["outcome"], lines.only["codes"]) == ("failed", ["UNAVAILABLE"])
        assert await counts(client, "errors_total") == {"code=UNAVAILABLE,field=none": 1}
        assert (await counts(client, "responses_total"))["route=/graphql,status=503"] == 1
        assert (await samples(client))["turnup_key_set_failures_total"] >= 1


async def test_health_checks_and_scrapes_are_for_debugging_and_are_no_graphql_requests(
    own: Client, lines: Lines
) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await own.http.get(path)).status_code == 200
    assert [line["level"] for line in lines.found] == ["DEBUG"] * 3
    assert await counts(own, "responses_total") == {
        "route=/healthz,status=200": 1,
        "route=/readyz,status=200": 1,
        "route=/metrics,status=200": 1,
    }
    assert await counts(own, "requests_total") == {}


def broken(_fields: object) -> None:
    raise LookupError("secret of a bug")


async def test_a_handler_that_raises_has_one_line_with_its_answer(
    settings: Settings, database: WorkerDatabase, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(settings, database) as client:
        monkeypatch.setattr("app.http.graphql.joined", broken)
        response = await client.http.post("/graphql")
    assert response.status_code == 500
    assert (lines.only["level"], lines.only["outcome"], lines.only["codes"]) == ("WARNING", "failed", ["INTERNAL"])


async def test_an_answer_that_breaks_off_has_one_line_and_is_a_failure(own: Client, lines: Lines) -> None:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError("the connection broke")

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    with pytest.raises(OSError, match="broke"):
        await own.app(a_scope("GET", "/healthz"), receive, send)
    assert (lines.only["outcome"], lines.only["codes"], lines.only["status"]) == ("failed", ["INTERNAL"], 200)


async def test_a_client_that_leaves_has_one_line_without_an_answer(own: Client, lines: Lines) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    token = own.recent_token(LEAD).encode()
    fields = [(b"authorization", b"Bearer " + token), (b"content-type", b"application/json")]
    await own.app(a_scope("POST", "/graphql", fields), receive, send)
    assert not sent
    assert duration_removed(lines.only) == {
        "message": ABANDONED, "level": "INFO", "method": "POST", "route": "/graphql",
    }  # fmt: skip
    assert (await samples(own))["turnup_requests_abandoned_total"] == 1
    assert await counts(own, "requests_total") == {}


async def test_a_client_that_sends_and_takes_slowly_makes_no_request_slow(own: Client, lines: Lines) -> None:
    body = orjson.dumps({"query": QUERY})
    arriving: list[Message] = [
        {"type": "http.request", "body": body[-5:], "more_body": False},
        {"type": "http.request", "body": body[:-5], "more_body": True},
    ]
    pause = 0.2

    async def receive() -> Message:
        await asyncio.sleep(0 if len(arriving) == 2 else pause)
        return arriving.pop()

    async def send(message: Message) -> None:
        await asyncio.sleep(pause if message["type"] == "http.response.body" else 0)

    token = own.recent_token(LEAD).encode()
    fields = [(b"authorization", b"Bearer " + token), (b"content-type", b"application/json")]
    began = time.monotonic()
    await own.app(a_scope("POST", "/graphql", fields), receive, send)
    whole = (time.monotonic() - began) * 1000
    line = lines.only
    paused = 2 * pause * 1000 - 5  # timers of some event loops fire a moment early
    assert line["client_ms"] >= paused
    assert 0 < line["duration_ms"] <= whole - paused
    text = (await own.http.get("/metrics")).text
    (measured,) = re.findall(r"^turnup_graphql_request_duration_seconds_sum (.*)$", text, re.MULTILINE)
    assert abs(float(measured) * 1000 - line["duration_ms"]) < 1


async def test_the_line_of_a_client_that_leaves_names_what_it_asked_for(
    own: Client, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.http.departure.PATIENCE_SECONDS", 0.01)
    reading = asyncio.Event()

    async def never_answered(*_arguments: object, **_named: object) -> None:
        reading.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(queries, "page_of", never_answered)
    query = "query Dear { dear: locations(first: 100) { totalCount } }"
    arriving: list[Message] = [{"type": "http.request", "body": orjson.dumps({"query": query})}]

    async def receive() -> Message:
        if arriving:
            return arriving.pop()
        await reading.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        raise AssertionError("nobody is answered")

    token = own.recent_token(CUSTOMER).encode()
    fields = [(b"authorization", b"Bearer " + token), (b"content-type", b"application/json")]
    async with asyncio.timeout(30):
        await own.app(a_scope("POST", "/graphql", fields), receive, send)
    line = duration_removed(lines.only)
    assert line.pop("statements") > 0
    assert line.pop("price") > 0
    assert line == {
        "message": ABANDONED,
        "level": "INFO",
        "method": "POST",
        "route": "/graphql",
        "operation_type": "query",
        "operation_name": "Dear",
        "root_fields": ("locations",),
        "document_hash": hashlib.sha256(query.encode()).hexdigest(),
        "user_id": "user-acme",
        "role": "CUSTOMER",
    }
    assert await counts(own, "signed_in_requests_total") == {"role=CUSTOMER": 1}


@pytest.mark.parametrize("own_share", [True, False])
async def test_a_request_that_the_protocol_refuses_after_it_was_seen_has_the_line_of_that_refusal(
    own: Client, lines: Lines, own_share: bool
) -> None:
    async def send(_message: Message) -> None:
        raise AssertionError("the application answers nobody")

    scope = a_scope("POST", "/graphql", [(b"content-type", b"application/json")])

    async def receive() -> Message:
        scope["state"] |= {"refused": (503, "OVERLOADED"), "own_share": own_share}
        return {"type": "http.disconnect"}

    scope["headers"].append((b"authorization", f"Bearer {own.recent_token(LEAD)}".encode()))
    await own.app(scope, receive, send)
    line = lines.only
    assert (line["message"], line["route"], line["status"], line["codes"]) == (ANSWERED, "none", 503, ["OVERLOADED"])
    outcome = "refused" if own_share else "failed"
    assert (line["outcome"], line["level"]) == (outcome, "INFO" if own_share else "WARNING")
    assert await counts(own, "requests_total") == {f"field=none,outcome={outcome}": 1}
    assert (await counts(own, "responses_total"))["route=none,status=503"] == 1
    assert "turnup_requests_abandoned_total" not in await samples(own)


@pytest.mark.parametrize("own_share", [True, False])
async def test_a_refusal_for_the_share_of_its_client_is_no_failure_of_the_server(
    settings: Settings, lines: Lines, own_share: bool
) -> None:
    app = create_app(settings)
    refusal = EdgeRefusal(
        method="POST", path="/graphql", status=503, code="OVERLOADED", request_id="1", own_share=own_share
    )
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        state[CONNECTIONS].answered(refusal)
    expected = ("refused", "INFO") if own_share else ("failed", "WARNING")
    assert (lines.only["outcome"], lines.only["level"]) == expected


# What clients try


async def test_invented_names_of_operations_hide_no_field(own: Client, lines: Lines) -> None:
    for number in range(260):
        await own.ask(f"query Junk{number} {{ viewer {{ name }} }}")
    before = await series(own)
    for number in range(260, 300):
        await own.ask(f"query Junk{number} {{ invented{number}: viewer {{ name }} }}")
    assert await series(own) == before
    assert await counts(own, "requests_total") == {"field=viewer,outcome=ok": 300}
    assert [line["operation_name"] for line in lines.found if "operation_name" in line][-1] == "Junk299"


async def test_requests_with_many_fields_weigh_as_much_as_those_with_one(own: Client) -> None:
    await own.ask("{ viewer { name } locations(first: 1) { totalCount } statusCounts { count } }")
    await own.ask("{ viewer { name } users(first: 1) { nodes { id } } }", CUSTOMER)
    await own.http.get("/graphql")
    assert await counts(own, "graphql_requests_total") == {"outcome=ok": 1, "outcome=refused": 2}
    assert (await samples(own))["turnup_graphql_request_duration_seconds_count"] == 2, "one executed no field"


async def test_invented_paths_and_methods_add_no_series(settings: Settings, database: WorkerDatabase) -> None:
    async with serving(settings, database, limit_anonymous=10_000) as client:
        for method in ("GET", "JUNK"):
            await client.http.request(method, "/graphql")
            await client.http.request(method, "/junk")
        before = await series(client)
        for number in range(1_000):
            await client.http.request("GET" if number % 2 else f"JUNK{number}", f"/junk{number}")
            await client.http.request(f"JUNK{number}", "/graphql")
        assert await series(client) == before
        assert (await counts(client, "responses_total"))["route=other,status=404"] == 1_002


async def test_many_errors_in_one_request_count_once(own: Client, lines: Lines) -> None:
    fields = " ".join(f"a{number}: hasMoreOverrides" for number in range(28))
    answer = await own.ask(f"{{ locations(first: 100) {{ nodes {{ {fields} }} }} }}", CUSTOMER)
    assert len(answer.codes) >= 3 * 28
    assert (lines.only["codes"], lines.only["root_fields"]) == (["FORBIDDEN"], ("locations",))
    assert await counts(own, "errors_total") == {"code=FORBIDDEN,field=locations": 1}
    assert await counts(own, "requests_total") == {"field=locations,outcome=refused": 1}
    assert await counts(own, "permission_denied_total") == {"field=hasMoreOverrides": 1}


async def test_a_field_that_is_skipped_does_not_count(own: Client) -> None:
    await own.ask("{ viewer { name } locations(first: 1) @skip(if: true) { totalCount } }")
    assert await counts(own, "requests_total") == {"field=viewer,outcome=ok": 1}


async def test_a_long_name_of_an_operation_is_cut(own: Client, lines: Lines) -> None:
    await own.ask(f"query {'n' * 5_000} {QUERY}")
    assert lines.only["operation_name"] == "n" * 128


async def test_neither_values_nor_documents_nor_names_are_in_a_line(own: Client, lines: Lines) -> None:
    query = "query Find($text: String) { locations(first: 1, filter: {search: $text}) { nodes { name } } }"
    await own.ask(query, LEAD, text="Harbour")
    await own.http.get("/graphql", params={"query": QUERY, "variables": '{"text": "Harbour"}'})
    assert not re.search(r"Harbour|search|@|Bearer|example", str(lines.found))


async def series(client: Client) -> set[str]:
    """All series with their labels."""
    text = (await client.http.get("/metrics")).text
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


async def test_many_requests_at_once_have_a_line_each(own: Client, lines: Lines) -> None:
    answers = await asyncio.gather(*[own.ask(f"query Q{number} {QUERY}") for number in range(12)])
    assert [answer.status for answer in answers] == [200] * 12
    assert sorted(line["operation_name"] for line in lines.found) == sorted(f"Q{number}" for number in range(12))


# The token of the metrics


@asynccontextmanager
async def scraping(settings: Settings, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that is not started, which its metrics do not need."""
    transport = httpx.ASGITransport(create_app(settings.model_copy(update=changes)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        yield http


async def test_production_without_a_token_has_no_metrics(settings: Settings) -> None:
    async with scraping(settings, env=Environment.PRODUCTION) as http:
        response = await http.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert (response.status_code, "turnup_" in response.text) == (404, False)


SENT = {
    "none": (None, 401),
    "the token": (f"Bearer {TOKEN}", 200),
    "in lower case": (f"bearer {TOKEN}", 200),
    "another token": (f"Bearer {TOKEN[:-1]}x", 401),
    "a part": (f"Bearer {TOKEN[:-1]}", 401),
    "more": (f"Bearer {TOKEN}x", 401),
    "no scheme": (TOKEN, 401),
    "another scheme": (f"Basic {TOKEN}", 401),
    "nothing": ("Bearer ", 401),
    "bytes": ("Bearer \xff\xfe", 401),
}


@pytest.mark.parametrize("env", Environment)
@pytest.mark.parametrize("sent", SENT)
async def test_a_token_of_the_metrics_is_compared_exactly(settings: Settings, env: Environment, sent: str) -> None:
    field, status = SENT[sent]
    headers = [] if field is None else [(b"authorization", field.encode("latin-1"))]
    async with scraping(settings, env=env, metrics_token=SecretStr(TOKEN)) as http:
        response = await http.get("/metrics", headers=headers)
    assert (response.status_code, "turnup_" in response.text) == (status, status == 200)
    if status == 401:
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert response.headers["www-authenticate"].startswith('Bearer realm="Turnup"')


async def test_an_attempt_on_the_token_has_a_line_that_an_operator_sees(settings: Settings, lines: Lines) -> None:
    async with scraping(settings, metrics_token=SecretStr(TOKEN), limit_anonymous=1) as http:
        await http.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        for _ in range(2):
            await http.get("/metrics", headers={"authorization": "Bearer guessed"})
    scraped, *attempts = [(line["level"], line["status"], line.get("codes")) for line in lines.found]
    assert scraped == ("DEBUG", 200, None)
    assert attempts == [("INFO", 401, ["UNAUTHENTICATED"]), ("INFO", 429, ["RATE_LIMITED"])]


async def test_two_tokens_are_none(settings: Settings) -> None:
    async with scraping(settings, metrics_token=SecretStr(TOKEN)) as http:
        response = await http.get("/metrics", headers=[("authorization", f"Bearer {TOKEN}")] * 2)
    assert response.status_code == 401


async def test_a_scrape_with_the_token_is_answered_when_others_have_used_up_the_bound_of_its_address(
    settings: Settings,
) -> None:
    async with scraping(settings, metrics_token=SecretStr(TOKEN), limit_anonymous=3) as http:
        sent = {"authorization": f"Bearer {TOKEN}"}
        others = [await http.get("/x") for _ in range(4)]
        assert [each.status_code for each in others] == [404, 404, 404, 429]
        assert [(await http.get("/metrics", headers=sent)).status_code for _ in range(5)] == [200] * 5
        guessed = await http.get("/metrics", headers={"authorization": f"Bearer {TOKEN[:-1]}x"})
        elsewhere = await http.get("/x", headers=sent)
        assert (guessed.status_code, elsewhere.status_code) == (429, 429)


async def test_scrapes_with_another_token_are_counted(settings: Settings) -> None:
    async with scraping(settings, metrics_token=SecretStr(TOKEN), limit_anonymous=3) as http:
        sent = {"authorization": f"Bearer {TOKEN[:-1]}x"}
        assert [(await http.get("/metrics", headers=sent)).status_code for _ in range(4)] == [401, 401, 401, 429]
