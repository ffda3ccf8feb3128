"""Over HTTP: the server span of a request, the trace it continues, and what it must not record."""

import json
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from io import StringIO

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.answers import client_request_id
from app.telemetry.logging import MASK, start_logging
from app.telemetry.metrics import start_metrics
from app.telemetry.request_log import RequestLog
from app.telemetry.requests import ObservedRequests
from app.telemetry.tracing import Tracing, start_tracing

from .telemetry_builders import SECRETS, an_operation, ancestry, names, the_span

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
NOT_SAMPLED = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-00"}


async def test_the_server_span_is_the_root_of_operation_field_load_and_statement(
    tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    await _ask(tracing, "POST", "/graphql")
    assert ancestry(spans, "device") == [
        "POST /graphql",
        "query",
        "resolve Query.locations",
        "load device",
        "device",
    ]
    span = the_span(spans.get_finished_spans(), "POST /graphql")
    assert span.kind is SpanKind.SERVER
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/graphql",
        "network.protocol.version": "1.1",
        "server.address": "test",
        "turnup.client_request_id": "client-1",
        "turnup.request_id": "request-1",
        "url.path": "/graphql",
        "url.scheme": "http",
    }


async def test_a_callers_trace_is_continued(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    await _ask(tracing, "POST", "/graphql", SAMPLED)
    span = the_span(spans.get_finished_spans(), "POST /graphql")
    assert span.context
    assert f"{span.context.trace_id:032x}" == TRACE


STATES = [
    f"vendor={SECRETS['email']}",
    f"vendor={SECRETS['email']},vendor={SECRETS['email']}",
    f"Vendor Key={SECRETS['email']}",
    f"{SECRETS['email']}",
    ",".join(f"a{number}={SECRETS['email']}" for number in range(40)),
    f"vendor={SECRETS['email']}" + "x" * 10_000,
]


@pytest.mark.usefixtures("_logging_restored")
@pytest.mark.parametrize("state", STATES, ids=range(len(STATES)))
@pytest.mark.parametrize("parent", [SAMPLED["traceparent"], NOT_SAMPLED["traceparent"], "nonsense", SECRETS["email"]])
async def test_what_a_caller_puts_into_its_trace_fields_is_neither_logged_nor_recorded(
    tracing: Tracing, spans: InMemorySpanExporter, parent: str, state: str
) -> None:
    stream = StringIO()
    start_logging(development=False, level="DEBUG", stream=stream)
    fields = {"traceparent": parent, "tracestate": state, "baggage": state, "b3": state, "uber-trace-id": state}
    await _ask(tracing, "POST", "/graphql", fields)
    recorded = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "answering" in stream.getvalue()
    for told in (stream.getvalue(), recorded):
        assert "ada.lovelace" not in told
        assert "vendor" not in told
        assert "masked" not in told


async def test_a_trace_with_two_parents_is_not_continued(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    async for client in _client(tracing):
        fields = [("traceparent", SAMPLED["traceparent"]), ("traceparent", SAMPLED["traceparent"])]
        await client.post("/graphql", headers=fields)
    span = the_span(spans.get_finished_spans(), "POST /graphql")
    assert span.parent is None


async def test_nothing_is_recorded_within_a_trace_that_its_caller_does_not_sample(
    tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    await _ask(tracing, "POST", "/graphql", NOT_SAMPLED)
    assert names(spans) == []


async def test_nothing_is_recorded_within_a_request_that_is_not_sampled(
    monkeypatch: pytest.MonkeyPatch, spans: InMemorySpanExporter
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    tracing = start_tracing("1.2.3", exporters=[spans])
    await _ask(tracing, "POST", "/graphql")
    assert names(spans) == []


async def test_neither_query_string_nor_headers_reach_a_span(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    headers = {"authorization": f"Bearer {SECRETS['token']}", "x-mail": SECRETS["email"]}
    await _ask(tracing, "GET", f"/graphql?{SECRETS['query_string']}", headers)
    recorded = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "GET /graphql" in recorded
    assert not any(secret in recorded for secret in (*SECRETS.values(), "variables", "Harbour", "Bearer"))


async def test_a_path_that_is_no_route_names_no_span(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    await _ask(tracing, "GET", f"/people/{SECRETS['email']}")
    (span,) = spans.get_finished_spans()
    assert span.name == "GET"
    assert SECRETS["email"] not in span.to_json()


@pytest.mark.parametrize(("method", "recorded"), [("PROPFIND", "PROPFIND"), ("ADA+LOVELACE", None), ("A" * 30, None)])
async def test_an_unknown_method_names_no_span_and_is_recorded_if_it_has_the_form_of_a_method(
    tracing: Tracing, spans: InMemorySpanExporter, method: str, recorded: str | None
) -> None:
    await _ask(tracing, method, "/graphql")
    (span,) = spans.get_finished_spans()
    assert span.name == "HTTP /graphql"
    assert (span.attributes or {})["http.request.method"] == "_OTHER"
    assert (span.attributes or {}).get("http.request.method_original") == recorded


@pytest.mark.parametrize("sampled", [True, False])
async def test_every_traced_answer_names_its_trace_whether_it_is_sampled_or_not(
    tracing: Tracing, spans: InMemorySpanExporter, sampled: bool
) -> None:
    answers = [
        answer
        async for client in _client(tracing)
        for answer in [
            await client.get("/graphql", headers=SAMPLED if sampled else NOT_SAMPLED),
            await client.get("/unavailable", headers=SAMPLED if sampled else NOT_SAMPLED),
            await client.get("/nowhere", headers=SAMPLED if sampled else NOT_SAMPLED),
        ]
    ]
    assert [answer.headers.get_list("x-trace-id") for answer in answers] == [[TRACE]] * 3
    assert bool(names(spans)) is sampled


async def test_an_answer_that_is_not_traced_names_no_trace(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    async for client in _client(tracing, untraced={"/unavailable"}):
        assert "x-trace-id" not in (await client.get("/unavailable", headers=SAMPLED)).headers
    async for client in _client(start_tracing("1.2.3")):
        assert "x-trace-id" not in (await client.get("/graphql", headers=SAMPLED)).headers
    assert names(spans) == []


@pytest.mark.parametrize(
    ("propagators", "continued"), [("none", False), ("baggage", False), ("b3, tracecontext", True)]
)
async def test_a_callers_trace_is_continued_only_if_the_operator_wants_it(
    monkeypatch: pytest.MonkeyPatch,
    tracing: Tracing,
    spans: InMemorySpanExporter,
    propagators: str,
    continued: bool,
) -> None:
    monkeypatch.setenv("OTEL_PROPAGATORS", propagators)
    await _ask(tracing, "POST", "/graphql", SAMPLED)
    span = the_span(spans.get_finished_spans(), "POST /graphql")
    assert span.context
    assert (f"{span.context.trace_id:032x}" == TRACE) is continued
    assert (span.parent is not None) is continued


@pytest.mark.parametrize("headers", [SAMPLED, {"traceparent": f"00-{1:032x}-b7ad6b7169203331-01"}])
async def test_a_caller_whose_trace_is_not_continued_cannot_choose_that_it_is_recorded(
    monkeypatch: pytest.MonkeyPatch, spans: InMemorySpanExporter, headers: Mapping[str, str]
) -> None:
    monkeypatch.setenv("OTEL_PROPAGATORS", "none")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.0")
    await _ask(start_tracing("1.2.3", exporters=[spans]), "POST", "/graphql", headers)
    assert names(spans) == []


async def test_a_crashed_request_leaves_the_type_of_its_exception(
    tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    with pytest.raises(LookupError):
        await _ask(tracing, "GET", "/crash")
    span = the_span(spans.get_finished_spans(), "GET /crash")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "LookupError"
    assert SECRETS["email"] not in span.to_json()


async def test_an_answer_of_5xx_is_a_failed_span(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    await _ask(tracing, "GET", "/unavailable")
    span = the_span(spans.get_finished_spans(), "GET /unavailable")
    assert (span.status.status_code, (span.attributes or {})["error.type"]) == (StatusCode.ERROR, "503")


@pytest.mark.parametrize(("status", "failed"), [(503, True), (408, False), (400, False)])
async def test_an_answer_in_place_of_the_application_has_its_status_in_the_span(
    tracing: Tracing, spans: InMemorySpanExporter, status: int, failed: bool
) -> None:
    await _ask(tracing, "POST", f"/refused/{status}")
    span = the_span(spans.get_finished_spans(), "POST /refused/{status}")
    attributes = span.attributes or {}
    assert attributes["http.response.status_code"] == status
    assert (attributes.get("error.type"), span.status.status_code is StatusCode.ERROR) == (
        (str(status), True) if failed else (None, False)
    )


@pytest.mark.usefixtures("_logging_restored")
@pytest.mark.parametrize("traced", [True, False])
async def test_lines_logged_within_a_request_carry_its_id(tracing: Tracing, traced: bool) -> None:
    stream = StringIO()
    start_logging(development=False, stream=stream)
    await _ask(tracing if traced else start_tracing("1.2.3"), "POST", "/graphql", SAMPLED)
    logging.getLogger("turnup").info("after")
    within, after = [line for line in stream.getvalue().splitlines() if '"logger":"turnup"' in line]
    assert '"request_id":"request-1"' in within
    assert '"client_request_id":"client-1"' in within
    assert (f'"trace_id":"{TRACE}"' in within) is traced
    assert "request_id" not in after


@pytest.mark.usefixtures("_logging_restored")
@pytest.mark.parametrize(("sent", "shown"), [("00-15-5D-0A-0A-0A", MASK), ("client-2", "client-2")])
async def test_an_id_of_a_client_that_looks_like_a_mac_address_is_masked_in_lines_and_in_the_span(
    tracing: Tracing, spans: InMemorySpanExporter, sent: str, shown: str
) -> None:
    stream = StringIO()
    start_logging(development=False, stream=stream)
    await _ask(tracing, "POST", "/graphql", {"x-request-id": sent})
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["message"] for line in lines} == {"answering", "request.answered"}
    assert {line["client_request_id"] for line in lines} == {shown}
    span = the_span(spans.get_finished_spans(), "POST /graphql")
    assert (span.attributes or {})["turnup.client_request_id"] == shown


async def test_what_is_not_http_passes_untouched(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> dict[str, object]:
        return {}

    async def send(_message: object) -> None:
        pass

    await ObservedRequests(app, tracing, a_request_log())({"type": "lifespan"}, receive, send)
    assert (seen, names(spans)) == (["lifespan"], [])


def a_request_log() -> RequestLog:
    """A log of requests of an application without an API."""
    return RequestLog(
        start_metrics("1.2.3"),
        paths=(),
        graphql=(),
        quiet=(),
        code_of=str,
        outcome_of=lambda codes, own_share: "failed" if codes and not own_share else "ok",
    )


async def _ask(tracing: Tracing, method: str, target: str, headers: Mapping[str, str] | None = None) -> None:
    async for client in _client(tracing):
        await client.request(method, target, headers=headers)


async def _client(tracing: Tracing, untraced: Collection[str] = ()) -> AsyncIterator[httpx.AsyncClient]:
    async def graphql(_request: Request) -> PlainTextResponse:
        logging.getLogger("turnup").info("answering")
        with (
            an_operation(tracing, "query", "Rollout"),
            tracing.field_observer("Query", "locations", ("locations",), 1),
            tracing.observer("batch", "device", {"batch.size": 2}),
            tracing.observer("sql", "device", {}),
        ):
            return PlainTextResponse("{}")

    async def crash(_request: Request) -> PlainTextResponse:
        raise LookupError(SECRETS["email"])

    async def unavailable(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("", 503)

    async def refused(request: Request) -> PlainTextResponse:
        """What the server has answered instead; nobody gets the response of the application."""
        request.scope["state"]["refused"] = (int(request.path_params["status"]), "CODE")
        return PlainTextResponse("")

    app = Starlette(
        routes=[
            Route("/graphql", graphql, methods=["GET", "POST"]),
            Route("/crash", crash),
            Route("/unavailable", unavailable),
            Route("/refused/{status}", refused, methods=["POST"]),
        ],
        middleware=[
            Middleware(_NumbersRequests),
            Middleware(ObservedRequests, tracing=tracing, requests=a_request_log(), untraced=untraced),
        ],
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


class _NumbersRequests:
    """Gives the one request its id, as the product's own middleware does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = client_request_id(scope["headers"]) or "client-1"
        scope.setdefault("state", {}).update(request_id="request-1", client_request_id=sent)
        await self._app(scope, receive, send)
