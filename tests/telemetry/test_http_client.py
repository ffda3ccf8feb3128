"""The span of a request to the identity provider, and what it must not record."""

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.telemetry.http_client import ObservedTransport
from app.telemetry.tracing import Tracing

from .span_types import type_of
from .telemetry_builders import SECRETS, an_operation, names, the_span

URL = "https://login.example/token"


def answering(tracing: Tracing, status: int, seen: list[httpx.Request] | None = None) -> httpx.AsyncClient:
    """A client whose provider answers with this status; 0 does not answer."""

    def answered(request: httpx.Request) -> httpx.Response:
        (seen if seen is not None else []).append(request)
        if not status:
            raise httpx.ConnectTimeout(SECRETS["email"])
        return httpx.Response(status)

    return httpx.AsyncClient(transport=ObservedTransport(httpx.MockTransport(answered), tracing))


async def test_a_request_to_the_provider_is_a_client_span_of_the_current_trace(
    tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    async with answering(tracing, 200) as client:
        with an_operation(tracing, "query"):
            await client.post(f"{URL}?code={SECRETS['token']}", content=SECRETS["email"])
    span = the_span(spans.get_finished_spans(), "POST")
    assert span.kind is SpanKind.CLIENT
    assert span.parent
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "url.full": URL,
        "server.address": "login.example",
        "server.port": 443,
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
    }
    assert type_of(span) is not None


@pytest.mark.parametrize(("status", "error"), [(404, "404"), (503, "503"), (0, "ConnectTimeout")])
async def test_a_provider_that_refuses_or_does_not_answer_is_a_failed_span(
    tracing: Tracing, spans: InMemorySpanExporter, status: int, error: str
) -> None:
    async with answering(tracing, status) as client:
        with an_operation(tracing, "query"):
            try:
                await client.get(URL)
            except httpx.ConnectTimeout:
                assert not status
    span = the_span(spans.get_finished_spans(), "GET")
    assert (span.status.status_code, (span.attributes or {})["error.type"]) == (StatusCode.ERROR, error)
    assert SECRETS["email"] not in span.to_json()


async def test_the_provider_gets_no_trace_context(tracing: Tracing) -> None:
    seen: list[httpx.Request] = []
    async with answering(tracing, 200, seen) as client:
        with an_operation(tracing, "query"):
            await client.get(URL)
    assert not {"traceparent", "tracestate", "baggage"} & set(seen[0].headers)


async def test_a_request_outside_of_a_trace_begins_none(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    async with answering(tracing, 200) as client:
        await client.get(URL)
    assert names(spans) == []
