"""What a traced request looks like: request, operation, a span for each root resolver and loader batch, and SQL."""

from collections.abc import AsyncIterator

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.auth.development import DevelopmentIssuer
from app.main import create_app
from app.settings import Settings
from app.telemetry import Telemetry
from app.telemetry.errors import start_error_tracking
from app.telemetry.metrics import start_metrics
from app.telemetry.tracing import start_tracing
from app.version import VERSION
from tests.harness import LEAD, Client, TestDatabase

QUERY = "query Devices { locations(first: 5) { nodes { id name devices { id label extension { number } } } } }"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def traced(settings: Settings, database: TestDatabase, spans: InMemorySpanExporter) -> AsyncIterator[Client]:
    telemetry = Telemetry(
        tracing=start_tracing(VERSION, exporters=[spans]),
        metrics=start_metrics(VERSION),
        errors=start_error_tracking(None, service_version=VERSION, environment="development"),
    )
    app = create_app(settings, telemetry)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        yield Client(http, DevelopmentIssuer.load_or_create(settings.home), database)


def tree(spans: InMemorySpanExporter) -> list[tuple[str, str | None]]:
    """Every span with its parent, in the order in which they ended."""
    found: tuple[ReadableSpan, ...] = spans.get_finished_spans()
    names = {span.context.span_id: span.name for span in found}
    return [(span.name, names.get(span.parent.span_id) if span.parent else None) for span in found]


async def test_a_query_is_traced_by_resolved_field_loader_batch_and_statement(
    traced: Client, spans: InMemorySpanExporter
) -> None:
    (await traced.ask(QUERY, LEAD)).data  # noqa: B018 - fails on errors
    assert tree(spans) == [
        ("sql sign_in", "graphql query Devices"),
        ("sql page location", "resolve Query.locations"),
        ("resolve Query.locations", "graphql query Devices"),
        ("sql many device by location_id", "load many device by location_id"),
        ("load many device by location_id", "resolve Location.devices"),
        ("resolve Location.devices", "graphql query Devices"),
        ("sql one extension by device_id", "load one extension by device_id"),
        ("load one extension by device_id", "resolve Device.extension"),
        ("resolve Device.extension", "graphql query Devices"),
        ("graphql query Devices", "POST /graphql"),
        ("POST /graphql", None),
    ]


async def test_a_batch_says_how_many_keys_it_loads(traced: Client, spans: InMemorySpanExporter) -> None:
    await traced.ask(QUERY, LEAD)
    sizes = {
        span.name: (span.attributes or {})["turnup.batch.size"]
        for span in spans.get_finished_spans()
        if "load" in span.name
    }
    assert sizes["load many device by location_id"] == 5
