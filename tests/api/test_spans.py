"""The traces of real requests: which spans they have, what of their time the spans cover, and what no span contains."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import SecretStr

from app.auth.development import DevelopmentIssuer, _public_jwk
from app.main import create_app
from app.settings import Executor, Settings
from app.telemetry import Telemetry
from app.telemetry.errors import start_error_tracking
from app.telemetry.metrics import start_metrics
from app.telemetry.tracing import start_tracing
from app.version import VERSION
from tests.auth.auth_builders import serving as key_server
from tests.docs.pages import page
from tests.harness import CUSTOMER, LEAD, Client, TestDatabase, own_database
from tests.oracle import database_is_consistent
from tests.outages.proxy import FaultProxy, Mode, socket_of
from tests.telemetry.span_types import type_of

QUERY = "query Devices { locations(first: 5) { nodes { id name devices { id label extension { number } } } } }"
DEVICE = '{ node(id: "phone-1") { ... on Device { revision } } }'
EDIT = """
mutation Edit($revision: Int!, $label: String) {
  editDevice(input: {deviceId: "phone-1", expectedRevision: $revision, label: $label}) {
    device { label revision } problems { code }
  }
}
"""
ROUND_TRIP_SECONDS = 0.02


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@asynccontextmanager
async def tracing_to(
    spans: InMemorySpanExporter, settings: Settings, database: TestDatabase, **changes: Any
) -> AsyncIterator[Client]:
    """A client of a server whose spans end up in `spans`."""
    telemetry = Telemetry(
        tracing=start_tracing(VERSION, exporters=[spans]),
        metrics=start_metrics(VERSION),
        errors=start_error_tracking(None, service_version=VERSION, environment="development"),
    )
    app = create_app(settings.model_copy(update={"executor": Executor.BREADTH_FIRST, **changes}), telemetry)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        yield Client(http, DevelopmentIssuer.load_or_create(settings.home), database)


@pytest.fixture
async def traced(settings: Settings, database: TestDatabase, spans: InMemorySpanExporter) -> AsyncIterator[Client]:
    async with tracing_to(spans, settings, database) as client:
        yield client


@pytest.fixture(scope="module")
async def edited_database() -> AsyncIterator[TestDatabase]:
    """A database whose device these tests edit."""
    async with own_database() as made:
        yield made


async def edit(client: Client, spans: InMemorySpanExporter) -> list[ReadableSpan]:
    """Edit a device, and return the spans of that request."""
    revision = (await client.ask(DEVICE, CUSTOMER)).data["node"]["revision"]
    spans.clear()
    answer = await client.ask(EDIT, CUSTOMER, revision=revision, label=f"Desk {revision}")
    assert answer.data["editDevice"]["problems"] == []
    return list(spans.get_finished_spans())


def outline(found: Iterable[ReadableSpan]) -> str:
    """The spans of a trace by their beginnings, each indented below its parent."""
    parts = sorted(found, key=lambda span: (span.start_time or 0, -(span.end_time or 0)))
    children: dict[int | None, list[ReadableSpan]] = {}
    for span in parts:
        children.setdefault(span.parent.span_id if span.parent else None, []).append(span)

    def lines(parent: int | None, depth: int) -> Iterable[str]:
        for span in children.get(parent, ()):
            yield "  " * depth + span.name
            yield from lines(span.context.span_id, depth + 1)

    return "\n".join(lines(None, 0))


def covered(found: Iterable[ReadableSpan], within: ReadableSpan) -> float:
    """The share of a span's time in which at least one of the others was open."""
    begin, end = within.start_time or 0, within.end_time or 0
    together, until = 0, begin
    for span in sorted(found, key=lambda each: each.start_time or 0):
        first, last = max(span.start_time or 0, until), min(span.end_time or 0, end)
        if last > first:
            together += last - first
            until = last
    return together / (end - begin)


def leaves(found: Iterable[ReadableSpan]) -> list[ReadableSpan]:
    """The spans that have no child."""
    listed = list(found)
    parents = {span.parent.span_id for span in listed if span.parent}
    return [span for span in listed if span.context.span_id not in parents]


def request_of(found: Iterable[ReadableSpan]) -> ReadableSpan:
    """The span of the HTTP request."""
    (request,) = [span for span in found if span.parent is None]
    return request


async def test_a_query_is_traced_by_transaction_resolved_field_loader_batch_and_statement(
    traced: Client, spans: InMemorySpanExporter
) -> None:
    (await traced.ask(QUERY, LEAD)).data  # noqa: B018 - fails on errors
    assert (
        outline(spans.get_finished_spans())
        == """\
POST /graphql
  admit request
  query
    prepare document
    wait for connection
    BEGIN
    sign_in
    resolve Query.locations
      page location
    resolve Location.devices
      load many device by location_id
        many device by location_id
    resolve Device.extension
      load one extension by device_id
        one extension by device_id
    COMMIT"""
    )


async def test_the_page_of_traces_shows_the_trace_of_an_edit(
    settings: Settings, edited_database: TestDatabase, spans: InMemorySpanExporter
) -> None:
    async with tracing_to(spans, settings, edited_database, database_url=SecretStr(edited_database.app_url)) as client:
        shown = outline(await edit(client, spans))
    said = page("docs/tracing.md").partition("\n## The trace of an edit\n")[2].partition("```text\n")[2]
    assert said.partition("\n```")[0] == shown


async def test_the_round_trips_of_an_edit_cover_its_time_when_the_database_is_far_away(
    settings: Settings, edited_database: TestDatabase, spans: InMemorySpanExporter
) -> None:
    with FaultProxy(socket_of(edited_database.app_url)) as network:
        url = SecretStr(network.url(edited_database.app_url))
        async with tracing_to(spans, settings, edited_database, database_url=url, pool_size=1) as client:
            await edit(client, spans)  # prepares the statements of the connection
            network.set(Mode.LATENCY, latency_seconds=ROUND_TRIP_SECONDS / 2)
            found = await edit(client, spans)
    request = request_of(found)
    assert (request.end_time or 0) - (request.start_time or 0) > 10 * ROUND_TRIP_SECONDS * 1e9
    assert covered(leaves(found), request) >= 0.95, outline(found)


async def test_the_children_of_an_edits_request_cover_its_time_when_the_database_is_near(
    settings: Settings, edited_database: TestDatabase, spans: InMemorySpanExporter
) -> None:
    url = SecretStr(edited_database.app_url)
    async with tracing_to(spans, settings, edited_database, database_url=url) as client:
        shares = []
        for _ in range(5):  # the processor is shared with other tests
            found = await edit(client, spans)
            request = request_of(found)
            children = [span for span in found if span.parent and span.parent.span_id == request.context.span_id]
            shares.append(covered(children, request))
    assert max(shares) >= 0.95


async def test_an_edit_that_waits_for_its_location_says_so(
    settings: Settings, edited_database: TestDatabase, spans: InMemorySpanExporter
) -> None:
    url = SecretStr(edited_database.app_url)
    async with tracing_to(spans, settings, edited_database, database_url=url, limit_location_connections=1) as client:
        revision = (await client.ask(DEVICE, CUSTOMER)).data["node"]["revision"]
        edits = (client.ask(EDIT, CUSTOMER, revision=revision, label=label) for label in ("This", "That"))
        await asyncio.gather(*edits)
    await database_is_consistent(edited_database)
    waits = [span for span in spans.get_finished_spans() if span.name == "wait for location"]
    assert len(waits) == 1
    assert type_of(waits[0]) is not None


@pytest.mark.parametrize("executor", Executor)
async def test_both_executors_have_a_span_per_field_with_a_resolver(
    settings: Settings, database: TestDatabase, spans: InMemorySpanExporter, executor: Executor
) -> None:
    async with tracing_to(spans, settings, database, executor=executor) as client:
        (await client.ask(QUERY, LEAD)).data  # noqa: B018 - fails on errors
    found = spans.get_finished_spans()
    paths = {span.name: attributes_of(span)["turnup.field.path"] for span in found if "resolve" in span.name}
    assert paths == {
        "resolve Query.locations": "locations",
        "resolve Location.devices": "locations.nodes.devices",
        "resolve Device.extension": "locations.nodes.devices.extension",
    }
    (batch,) = [span for span in found if span.name == "load many device by location_id"]
    assert batch.parent
    assert [span.name for span in found if span.context.span_id == batch.parent.span_id] == ["resolve Location.devices"]


async def test_a_batch_says_how_many_keys_it_loads(traced: Client, spans: InMemorySpanExporter) -> None:
    await traced.ask(QUERY, LEAD)
    sizes = {
        span.name: attributes_of(span)["turnup.batch.size"]
        for span in spans.get_finished_spans()
        if "load" in span.name
    }
    assert sizes["load many device by location_id"] == 5


async def test_every_span_has_a_type_that_the_page_of_traces_lists(
    settings: Settings, edited_database: TestDatabase, spans: InMemorySpanExporter
) -> None:
    url = SecretStr(edited_database.app_url)
    async with tracing_to(spans, settings, edited_database, database_url=url) as client:
        found = await edit(client, spans)
        await client.ask(QUERY, LEAD)
        await client.ask("{ nothing }", LEAD)
        await client.http.get("/graphiql/of/nobody")
        await client.http.request("PROPFIND", "/graphql")
    for span in [*found, *spans.get_finished_spans()]:
        assert type_of(span) is not None, span.to_json()
    in_the_database = [attributes_of(span) for span in found if "db.system.name" in attributes_of(span)]
    assert {each["db.namespace"] for each in in_the_database} == {urlsplit(edited_database.app_url).path[1:]}


async def test_the_fetch_of_the_issuers_keys_is_part_of_the_request_that_waits_for_it(
    settings: Settings, database: TestDatabase, spans: InMemorySpanExporter
) -> None:
    jwk = _public_jwk(DevelopmentIssuer.load_or_create(settings.home)._key)
    async with key_server(jwk) as keys, tracing_to(spans, settings, database, jwks_url=keys.url) as client:
        (await client.ask("{ viewer { role } }", LEAD)).data  # noqa: B018 - fails on errors
    fetch, admission = named("GET", spans), named("admit request", spans)
    assert fetch.parent
    assert fetch.parent.span_id == admission.context.span_id
    assert attributes_of(fetch)["url.full"] == keys.url


async def test_a_page_of_another_origin_may_send_its_trace_and_read_the_id_of_ours(
    settings: Settings, database: TestDatabase, spans: InMemorySpanExporter
) -> None:
    origin = "https://app.example"
    async with tracing_to(spans, settings, database, cors_origins=(origin,)) as client:
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "traceparent,tracestate"}
        preflight = await client.http.options("/graphql", headers={"origin": origin, **asked})
        answer = await client.ask("{ viewer { role } }", LEAD, headers={"origin": origin})
    assert preflight.status_code == 200
    assert "X-Trace-Id" in answer.headers["access-control-expose-headers"]


async def test_the_errors_of_an_answer_are_events_of_its_operation(traced: Client, spans: InMemorySpanExporter) -> None:
    document = 'query Two { mine: location(id: "location-1") { overrides { id } } none: location(id: "no") { id } }'
    answer = await traced.ask(document, CUSTOMER)
    operation = named("query", spans)
    assert [dict(event.attributes or {}) for event in operation.events] == [
        {"turnup.error.code": error["extensions"]["code"], "turnup.error.path": ".".join(error["path"])}
        for error in answer.body["errors"]
    ]
    assert attributes_of(operation) == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Two",
        "turnup.document.hash": sha256(document.encode()).hexdigest(),
        "turnup.error.count": len(answer.codes),
    }
    assert operation.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("document", "type_"),
    [("{", None), ("{ nothing }", "query"), ("query A { __typename } query B { __typename }", None)],
)
async def test_a_refused_document_has_an_operation_with_its_hash_and_errors(
    traced: Client, spans: InMemorySpanExporter, document: str, type_: str | None
) -> None:
    answer = await traced.ask(document, LEAD)
    operation = named(type_ or "GraphQL Operation", spans)
    assert [attributes_of(event)["turnup.error.code"] for event in operation.events] == answer.codes
    assert attributes_of(operation) == {
        "turnup.document.hash": sha256(document.encode()).hexdigest(),
        "turnup.error.count": len(answer.codes),
        **({"graphql.operation.type": type_} if type_ else {}),
    }


async def test_an_operation_that_the_server_fails_is_a_failed_span_and_tells_no_message(
    settings: Settings, database: TestDatabase, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tracing_to(spans, settings, database) as client:

        async def lost(*_arguments: object, **_options: object) -> None:
            raise ConnectionResetError("at ada.lovelace@acme.example")

        monkeypatch.setattr(asyncpg.Connection, "fetchrow", lost)
        answer = await client.ask(QUERY, LEAD)
    assert answer.codes == ["UNAVAILABLE"]
    operation, statement = named("query", spans), named("sign_in", spans)
    assert operation.status.status_code is statement.status.status_code is StatusCode.ERROR
    assert attributes_of(operation)["error.type"] == "UNAVAILABLE"
    assert attributes_of(statement)["error.type"] == "DatabaseUnavailable"
    assert not any("lovelace" in span.to_json() for span in spans.get_finished_spans())


async def test_health_checks_and_metrics_have_no_trace_and_every_other_answer_has_one(
    traced: Client, spans: InMemorySpanExporter
) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert "x-trace-id" not in (await traced.http.get(path)).headers
    assert spans.get_finished_spans() == ()
    answers = [
        await traced.http.get("/nowhere"),
        await traced.http.post("/graphql", json={"query": "{ viewer { role } }"}),
    ]
    assert [answer.status_code for answer in answers] == [404, 401]
    traces = [f"{span.context.trace_id:032x}" for span in spans.get_finished_spans() if span.parent is None]
    assert [answer.headers["x-trace-id"] for answer in answers] == traces


def named(name: str, spans: InMemorySpanExporter) -> ReadableSpan:
    """The one span of this name."""
    (span,) = [each for each in spans.get_finished_spans() if each.name == name]
    return span


def attributes_of(recorded: ReadableSpan | Event) -> Mapping[str, Any]:
    """The attributes of a span or an event."""
    return recorded.attributes or {}
