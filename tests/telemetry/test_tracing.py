"""What is traced, under which names, what it costs when nothing is, and that it is sent where the operator says."""

import asyncio
import threading
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import asyncpg
import pytest
from graphql import (
    ExecutionResult,
    GraphQLField,
    GraphQLList,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    MiddlewareManager,
    graphql,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.execution import has_resolver
from app.telemetry.tracing import NOTHING, OperationError, Tracing, start_tracing, trace_id

from .telemetry_builders import SECRETS, a_schema, an_operation, ancestry, names, the_span


def test_a_statement_lies_within_its_load_its_field_and_its_operation(
    tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    with (
        an_operation(tracing, "query", "Rollout"),
        tracing.field_observer("Location", "devices", ("locations", "nodes", "devices"), 20),
        tracing.observer("batch", "device_by_location", {"batch.size": 20}),
        tracing.observer("sql", "device_by_location", {}),
    ):
        pass
    assert ancestry(spans, "device_by_location") == [
        "query",
        "resolve Location.devices",
        "load device_by_location",
        "device_by_location",
    ]
    attributes = {span.name: dict(span.attributes or {}) for span in spans.get_finished_spans()}
    assert attributes == {
        "query": {"graphql.operation.type": "query", "graphql.operation.name": "Rollout"},
        "resolve Location.devices": {"turnup.field.path": "locations.nodes.devices", "turnup.batch.size": 20},
        "load device_by_location": {"turnup.batch.size": 20},
        "device_by_location": {"db.system.name": "postgresql", "db.query.summary": "device_by_location"},
    }


def test_an_operation_has_the_errors_of_its_response_as_events_without_indexes_and_values(
    tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    errors: list[OperationError] = [("NOT_FOUND", ["locations", "nodes", number, "devices"]) for number in range(11)]
    with tracing.operation() as span:
        assert span is not None
        span.answered({"graphql.operation.type": "query", "turnup.document.hash": "9f86d081"}, errors, None)
    (recorded,) = spans.get_finished_spans()
    assert recorded.name == "query"
    assert recorded.kind is SpanKind.SERVER
    assert recorded.status.status_code is StatusCode.UNSET
    assert (recorded.attributes or {})["turnup.error.count"] == 11
    assert [(event.name, dict(event.attributes or {})) for event in recorded.events] == [
        ("turnup.error", {"turnup.error.code": "NOT_FOUND", "turnup.error.path": "locations.nodes.devices"})
    ] * 10


def test_an_operation_with_a_fault_of_the_server_has_failed(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    with tracing.operation() as span:
        assert span is not None
        span.answered({}, [("TIMEOUT", ())], "TIMEOUT")
    (recorded,) = spans.get_finished_spans()
    assert recorded.name == "GraphQL Operation"
    assert (recorded.status.status_code, (recorded.attributes or {})["error.type"]) == (StatusCode.ERROR, "TIMEOUT")


def test_an_operation_whose_client_left_has_not_failed(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    with (
        pytest.raises(asyncio.CancelledError),
        an_operation(tracing, "query"),
        tracing.field_observer("Query", "locations", ("locations",), 1),
        tracing.observer("sql", "device", {}),
    ):
        raise asyncio.CancelledError
    operation, statement = (the_span(spans.get_finished_spans(), name) for name in ("GraphQL Operation", "device"))
    assert operation.status.status_code is StatusCode.UNSET
    assert "error.type" not in (operation.attributes or {})
    assert (statement.attributes or {})["error.type"] == "CancelledError"


def test_a_statement_outside_of_a_trace_begins_none(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    with tracing.observer("sql", "sign_in", {}), tracing.field_observer("Query", "viewer", ("viewer",), 1):
        pass
    assert names(spans) == []


def test_facts_that_nobody_named_are_not_recorded(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    with an_operation(tracing, "query"), tracing.observer("sql", "sign_in", dict(SECRETS)):
        pass
    assert not any(secret in str(span.to_json()) for span in spans.get_finished_spans() for secret in SECRETS.values())


def test_an_exception_leaves_its_type_and_not_its_message(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    with (
        pytest.raises(LookupError),
        an_operation(tracing, "query", "Rollout"),
        tracing.observer("sql", "device", {}),
    ):
        raise LookupError(SECRETS["email"])
    for span in spans.get_finished_spans():
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert (span.attributes or {})["error.type"] == "LookupError"
        assert SECRETS["email"] not in span.to_json()


def test_a_path_with_aliases_of_a_client_is_cut(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    with an_operation(tracing, "query"), tracing.field_observer("Query", "viewer", ("n" * 10_000,), 1):
        pass
    span = the_span(spans.get_finished_spans(), "resolve Query.viewer")
    assert (span.attributes or {})["turnup.field.path"] == "n" * 128


def test_the_name_of_the_database_is_on_further_statements(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    tracing.name_database("rollouts")
    with an_operation(tracing, "query"), tracing.observer("command", "COMMIT", {}):
        pass
    span = the_span(spans.get_finished_spans(), "COMMIT")
    assert dict(span.attributes or {}) == {
        "db.system.name": "postgresql",
        "db.namespace": "rollouts",
        "db.operation.name": "COMMIT",
        "db.query.summary": "COMMIT",
    }


@pytest.mark.parametrize("translated", [True, False])
def test_a_refused_statement_leaves_the_code_of_postgresql(
    tracing: Tracing, spans: InMemorySpanExporter, translated: bool
) -> None:
    error = asyncpg.exceptions.DeadlockDetectedError(SECRETS["email"])

    def refused() -> None:
        if not translated:
            raise error
        raise LookupError(SECRETS["email"]) from error

    with pytest.raises(Exception, match="acme"), an_operation(tracing, "mutation"), tracing.observer("sql", "x", {}):
        refused()
    statement, operation = (the_span(spans.get_finished_spans(), name) for name in ("x", "GraphQL Operation"))
    assert (statement.attributes or {})["db.response.status_code"] == "40P01"
    assert (statement.attributes or {})["error.type"] == "40P01"
    assert "db.response.status_code" not in (operation.attributes or {})
    assert SECRETS["email"] not in statement.to_json()


async def test_root_fields_are_traced_whether_their_resolvers_wait_or_not(
    tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    def at_once(_source: Any, _info: Any) -> str:
        with tracing.observer("sql", "at_once", {}):
            return "a"

    async def later(_source: Any, _info: Any) -> str:
        await asyncio.sleep(0)
        with tracing.observer("sql", "later", {}):
            return "b"

    def returns_awaitable(source: Any, info: Any) -> Any:
        return later(source, info)

    schema = a_schema(atOnce=at_once, later=later, awaitable=returns_awaitable)
    with an_operation(tracing, "query", "Both"):
        result = await _traced_by_the_reference(tracing, schema, "{ atOnce mine: later awaitable }")
    assert (result.data, result.errors) == ({"atOnce": "a", "mine": "b", "awaitable": "b"}, None)
    assert ancestry(spans, "at_once") == ["query", "resolve Query.atOnce", "at_once"]
    assert ancestry(spans, "resolve Query.later") == ["query", "resolve Query.later"]
    parents = {span.parent.span_id for span in spans.get_finished_spans() if span.name == "later" and span.parent}
    assert parents == {
        span.context.span_id
        for span in spans.get_finished_spans()
        if span.name in {"resolve Query.later", "resolve Query.awaitable"} and span.context
    }
    assert (the_span(spans.get_finished_spans(), "resolve Query.later").attributes or {})["turnup.field.path"] == "mine"


async def test_mutations_are_traced_one_after_the_other(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    async def write(_source: Any, _info: Any) -> str:
        await asyncio.sleep(0)
        return "written"

    schema = a_schema(set_a=write, set_b=write)
    with an_operation(tracing, "mutation"):
        await _traced_by_the_reference(tracing, schema, "mutation { set_a set_b }")
    first, second = (the_span(spans.get_finished_spans(), f"resolve Mutation.set_{each}") for each in "ab")
    assert (first.end_time or 0) <= (second.start_time or 0)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("raises", [False, True])
async def test_a_failed_root_field_leaves_the_type_of_its_error(
    tracing: Tracing, spans: InMemorySpanExporter, waits: bool, raises: bool
) -> None:
    def fail(_source: Any, _info: Any) -> Exception:
        error = PermissionError(SECRETS["email"])
        if raises:
            raise error
        return error

    async def fail_later(source: Any, info: Any) -> Exception:
        return fail(source, info)

    schema = a_schema(viewer=fail_later if waits else fail)
    with an_operation(tracing, "query"):
        result = await _traced_by_the_reference(tracing, schema, "{ viewer }")
    assert result.errors
    span = the_span(spans.get_finished_spans(), "resolve Query.viewer")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "PermissionError"
    assert SECRETS["email"] not in span.to_json()


async def test_the_reference_executor_traces_fields_with_resolvers_for_the_first_object_of_each_list(
    tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    device = GraphQLObjectType(
        "Device",
        {"id": GraphQLField(GraphQLString), "label": GraphQLField(GraphQLString, resolve=lambda *_: "desk")},
    )
    site = GraphQLObjectType(
        "Site", {"devices": GraphQLField(GraphQLList(device), resolve=lambda *_: [{"id": "1"}, {"id": "2"}])}
    )
    query = GraphQLObjectType("Query", {"sites": GraphQLField(GraphQLList(site), resolve=lambda *_: [{}] * 3)})
    with an_operation(tracing, "query"):
        document = "{ __typename sites { devices { __typename id label } } }"
        result = await _traced_by_the_reference(tracing, GraphQLSchema(query), document)
    assert result.errors is None
    assert names(spans) == ["query", "resolve Device.label", "resolve Query.sites", "resolve Site.devices"]
    assert (the_span(spans.get_finished_spans(), "resolve Device.label").attributes or {}) == {
        "turnup.field.path": "sites.devices.label"
    }


def test_the_trace_id_is_known_inside_of_a_trace_only(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    assert trace_id() is None
    with an_operation(tracing, "query"):
        inside = trace_id()
    (span,) = spans.get_finished_spans()
    assert span.context
    assert inside == f"{span.context.trace_id:032x}"


def test_without_a_collector_nothing_is_traced_and_it_costs_next_to_nothing() -> None:
    tracing = start_tracing("1.2.3")
    assert tracing.tracer is None
    assert _handed_out(tracing) == [NOTHING] * 4
    assert _cost(tracing) < 6


def test_within_a_trace_that_is_not_sampled_it_costs_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch, spans: InMemorySpanExporter
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.0")
    tracing = start_tracing("1.2.3", exporters=[spans])
    with an_operation(tracing, "query", "Rollout"):
        assert _handed_out(tracing) == [NOTHING] * 4
        assert _cost(tracing) < 6
    tracing.shutdown()
    assert names(spans) == []


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_spans_are_posted_to_the_collector_of_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with _collector() as collector:
        suffix = "/v1/traces" if "TRACES" in variable else ""
        monkeypatch.setenv(variable, f"http://127.0.0.1:{collector.server_port}{suffix}")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "turnup-west")
        tracing = start_tracing("1.2.3")
        with an_operation(tracing, "query", "Rollout"):
            pass
        tracing.shutdown()
    ((path, body),) = collector.received
    request = ExportTraceServiceRequest.FromString(body)
    resource = {each.key: each.value.string_value for each in request.resource_spans[0].resource.attributes}
    assert path == "/v1/traces"
    assert (resource["service.name"], resource["service.version"]) == ("turnup-west", "1.2.3")
    assert [span.name for span in request.resource_spans[0].scope_spans[0].spans] == ["query"]


@pytest.mark.parametrize(("variable", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_tracing_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv(variable, value)
    assert start_tracing("1.2.3").tracer is None


def test_shutdown_does_not_wait_for_a_collector_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    answering = threading.Event()
    with _collector(before_answer=lambda: answering.wait(30)) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        tracing = start_tracing("1.2.3")
        with an_operation(tracing, "query", "Rollout"):
            pass
        before = time.monotonic()
        tracing.shutdown(seconds=0.3)
        took = time.monotonic() - before
        answering.set()
        _join("tracing-shutdown")
    assert took < 5
    assert _handed_out(tracing) == [NOTHING] * 4


async def _traced_by_the_reference(tracing: Tracing, schema: GraphQLSchema, document: str) -> ExecutionResult:
    middleware = tracing.resolver_middleware(has_resolver)
    return await graphql(schema, document, middleware=MiddlewareManager(middleware))


def _handed_out(tracing: Tracing) -> list[Any]:
    return [
        tracing.observer("sql", "device", {}),
        tracing.observer("batch", "device", {"batch.size": 3}),
        tracing.field_observer("Location", "devices", ("locations", "devices"), 20),
        tracing.operation(),
    ]


def _cost(tracing: Tracing) -> float:
    """The dearer of the two hot calls, entering and leaving included, as a multiple of entering nothing at all."""
    facts: dict[str, Any] = {}
    path = ("locations", "nodes", "devices")

    def nothing() -> None:
        with nullcontext():
            pass

    def statement() -> None:
        with tracing.observer("sql", "device", facts):
            pass

    def resolver() -> None:
        with tracing.field_observer("Location", "devices", path, 20):
            pass

    def best(call: Callable[[], None]) -> float:
        return min(timeit.repeat(call, timer=time.process_time, number=5_000, repeat=10))

    return max(best(statement), best(resolver)) / best(nothing)


class _Collector(ThreadingHTTPServer):
    received: list[tuple[str, bytes]]
    before_answer: Callable[[], object]


class _Collects(BaseHTTPRequestHandler):
    server: _Collector

    def do_POST(self) -> None:
        self.server.received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.before_answer()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        """Keep the test's output clean."""


@contextmanager
def _collector(before_answer: Callable[[], object] = lambda: None) -> Iterator[_Collector]:
    with _Collector(("127.0.0.1", 0), _Collects) as server:
        server.received, server.before_answer = [], before_answer
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _join(name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(10)
