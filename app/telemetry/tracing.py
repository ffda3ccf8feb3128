"""Tracing: spans for the time of a request, from the HTTP request down to each round trip. `spans` declares them."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from inspect import isawaitable
from os import environ
from threading import Thread
from types import TracebackType
from typing import Any

from graphql import GraphQLField, GraphQLResolveInfo
from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    OTEL_SDK_DISABLED,
)
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import Span, Tracer, format_trace_id, get_current_span, set_span_in_context

from app.telemetry.collector import CollectorSession
from app.telemetry.delivery import CountedSpans, log
from app.telemetry.logging import SERVICE
from app.telemetry.resource import resource_of
from app.telemetry.spans import (
    ERROR_CODE,
    ERROR_EVENT,
    ERROR_PATH,
    LONGEST_PATH,
    MOST_ERRORS,
    SCHEMA_URL,
    UNKNOWN_OPERATION,
    Attributes,
    SpanType,
    mark_failed,
)

NOTHING: AbstractContextManager[None] = nullcontext()
"""The context for everything that is not recorded; shared, because it is stateless."""

SHUTDOWN_SECONDS = 5.0

OperationError = tuple[str, Sequence[str | int]]
"""The code and the path of an error in a response."""
IsResolved = Callable[[GraphQLField, str], bool]
"""Whether a field has a resolver of its own, by its definition and its name."""


def start_tracing(
    service_version: str,
    *,
    exporters: Sequence[SpanExporter] | None = None,
    dropped: Callable[[int], None] = lambda _count: None,
) -> "Tracing":
    """Start tracing as configured by OpenTelemetry's environment variables; without an OTLP endpoint nothing is traced.

    `exporters` replaces the configured ones: each receives every span when it ends. `dropped` is called with the number
    of spans that were not delivered.
    """
    if exporters is None:
        processors: list[SpanProcessor] = [_to_collector(dropped)] if _exports() else []
    else:
        processors = [SimpleSpanProcessor(exporter) for exporter in exporters]
    if not processors:
        return Tracing(None)
    # The SDK's own exit handler waits 30 seconds for a collector that does not respond.
    provider = TracerProvider(resource=resource_of(service_version), shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return Tracing(provider)


def trace_id() -> str | None:
    """Return the id of the current trace, 32 hexadecimal digits, or None outside of a trace."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


class Tracing:
    """Creates spans. When nothing is recorded, each method returns one shared context that does nothing."""

    __slots__ = ("_database", "_provider", "_tracer")

    def __init__(self, provider: TracerProvider | None) -> None:
        self._provider = provider
        self._tracer: Tracer | None = None if provider is None else provider.get_tracer(SERVICE, schema_url=SCHEMA_URL)
        self._database: Attributes = {"db.system.name": "postgresql"}

    @property
    def tracer(self) -> Tracer | None:
        """The tracer, or None when nothing is traced."""
        return self._tracer

    def name_database(self, name: str) -> None:
        """Add the name of the database to the spans of further statements."""
        self._database = {**self._database, "db.namespace": name}

    def observer(self, kind: str, name: str, facts: Mapping[str, Any]) -> AbstractContextManager[Any]:
        """Return a span within the current one.

        `kind` is a statement ("sql"), a command of SQL ("command"), a loader's batch ("batch"), a step of the request
        ("step") or a call of Redis ("redis"). Of the facts, `batch.size` and those that the type of span declares are
        recorded.
        """
        tracer = self._tracer
        if tracer is None or not get_current_span().is_recording():
            return NOTHING
        attributes: dict[str, Any] = {}
        match kind:
            case "sql":
                span_type, attributes = SpanType.STATEMENT, {**self._database, "db.query.summary": name}
            case "command":
                said = {"db.operation.name": name, "db.query.summary": name}
                span_type, attributes = SpanType.COMMAND, {**self._database, **said}
            case "batch":
                span_type, attributes = SpanType.BATCH, {"turnup.batch.size": int(facts["batch.size"])}
                name = f"load {name}"
            case "redis":
                said = {key: value for key, value in facts.items() if key in SpanType.REDIS.attributes}
                span_type, attributes = SpanType.REDIS, {"db.system.name": "redis", **said}
            case _:
                span_type = SpanType.STEP
        return Recorded(tracer, span_type, name, attributes)

    def operation(self) -> "AbstractContextManager[OperationSpan | None]":
        """Return a span around the answer to a GraphQL request. Outside of an HTTP request it starts a trace."""
        if self._tracer is None or _in_unrecorded_trace():
            return NOTHING
        return OperationSpan(self._tracer)

    def field_observer(
        self, parent_type: str, field_name: str, path: tuple[str, ...], batch_size: int
    ) -> AbstractContextManager[Any]:
        """Return a span around one field with a resolver, for all objects of its level: `resolve Location.devices`."""
        if self._tracer is None or not get_current_span().is_recording():
            return NOTHING
        attributes: Attributes = {"turnup.field.path": dotted(path), "turnup.batch.size": batch_size}
        return Recorded(self._tracer, SpanType.RESOLVER, f"resolve {parent_type}.{field_name}", attributes)

    def resolver_middleware(self, is_resolved: IsResolved) -> Callable[..., Any]:
        """Return a middleware of graphql-core that creates a span for each field with a resolver of its own.

        graphql-core resolves a field for one object at a time. The first object of each list has spans, so that their
        number depends on the document and not on the data.
        """
        known: dict[tuple[str, str], bool] = {}

        def is_traced(info: GraphQLResolveInfo[Any]) -> bool:
            place = info.parent_type.name, info.field_name
            if place not in known:
                definition = None if place[0].startswith("__") else info.parent_type.fields.get(info.field_name)
                known[place] = definition is not None and is_resolved(definition, info.field_name)
            return known[place] and _is_first(info) and get_current_span().is_recording()

        def traced(resolve: Callable[..., Any], source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
            tracer = self._tracer
            if tracer is None or not is_traced(info):
                return resolve(source, info, **arguments)
            name = f"resolve {info.parent_type.name}.{info.field_name}"
            span = SpanType.RESOLVER.begin(tracer, name, {"turnup.field.path": dotted(info.path.as_list())})
            token = attach(set_span_in_context(span))
            try:
                result = resolve(source, info, **arguments)
            except BaseException as error:
                _end(SpanType.RESOLVER, span, error)
                raise
            finally:
                detach(token)
            if isawaitable(result):
                return _ended_after(span, result)
            # A resolver may return its error instead of raising it.
            _end(SpanType.RESOLVER, span, result if isinstance(result, Exception) else None)
            return result

        return traced

    def shutdown(self, seconds: float = SHUTDOWN_SECONDS) -> None:
        """Send pending spans and stop; after at most `seconds` the remaining spans are dropped."""
        self._tracer = None
        if self._provider is not None:
            stopping = Thread(target=self._provider.shutdown, name="tracing-shutdown", daemon=True)
            stopping.start()
            stopping.join(seconds)


class Recorded:
    """A span that is current between enter and exit; an exception sets its type, or its SQLSTATE, on the span."""

    __slots__ = ("_attributes", "_name", "_span", "_token", "_tracer", "_type")

    def __init__(self, tracer: Tracer, span_type: SpanType, name: str, attributes: Attributes) -> None:
        self._tracer = tracer
        self._type = span_type
        self._name = name
        self._attributes = attributes

    def __enter__(self) -> Span:
        """Begin the span."""
        self._span = self._type.begin(self._tracer, self._name, self._attributes)
        self._token = attach(set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """End the span."""
        detach(self._token)
        _end(self._type, self._span, error)


class OperationSpan(Recorded):
    """The span of a GraphQL operation, which is named when it is answered."""

    __slots__ = ()

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer, SpanType.OPERATION, UNKNOWN_OPERATION, {})

    def __enter__(self) -> "OperationSpan":  # type: ignore[override] # - the span is not for its users
        """Begin the span."""
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the span. It has not failed if it was cancelled: the client has left, or the server ends."""
        super().__exit__(kind, None if isinstance(error, CancelledError) else error, traceback)

    def answered(self, operation: Attributes, errors: Sequence[OperationError], fault: str | None) -> None:
        """Record the operation and the errors of its response.

        `operation` are attributes, of which the operation's type names the span. `fault` is a code of the errors that
        is the server's fault, if there is one.
        """
        span = self._span
        span.set_attributes(operation)
        span.update_name(str(operation.get("graphql.operation.type", UNKNOWN_OPERATION)))
        if errors:
            span.set_attribute("turnup.error.count", len(errors))
        for code, path in errors[:MOST_ERRORS]:
            span.add_event(ERROR_EVENT, {ERROR_CODE: code, ERROR_PATH: dotted(path)})
        if fault is not None:
            mark_failed(span, fault)


def dotted(path: Iterable[str | int]) -> str:
    """Return a path as response keys with dots between them, without the indexes of lists."""
    return ".".join(key for key in path if isinstance(key, str))[:LONGEST_PATH]


def _to_collector(dropped: Callable[[int], None]) -> CountedSpans:
    session = CollectorSession("spans", log)
    return CountedSpans(OTLPSpanExporter(session=session), dropped, session.tell)


def _exports() -> bool:
    if environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return bool(environ.get(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) or environ.get(OTEL_EXPORTER_OTLP_ENDPOINT))


def _in_unrecorded_trace() -> bool:
    span = get_current_span()
    return not span.is_recording() and span.get_span_context().is_valid


def _is_first(info: GraphQLResolveInfo[Any]) -> bool:
    """Return whether the path of a field leads through the first object of each list only."""
    path: Any = info.path
    while path is not None:
        if type(path.key) is int and path.key > 0:
            return False
        path = path.prev
    return True


async def _ended_after(span: Span, result: Awaitable[Any]) -> Any:
    token = attach(set_span_in_context(span))
    try:
        value = await result
    except BaseException as error:
        _end(SpanType.RESOLVER, span, error)
        raise
    finally:
        detach(token)
    _end(SpanType.RESOLVER, span, value if isinstance(value, Exception) else None)
    return value


def _end(span_type: SpanType, span: Span, error: BaseException | None) -> None:
    if error is not None:
        state = _sqlstate(error) if "db.response.status_code" in span_type.attributes else None
        if state is not None:
            span.set_attribute("db.response.status_code", state)
        mark_failed(span, state or type(error).__qualname__)
    span.end()


def _sqlstate(error: BaseException) -> str | None:
    """Return the code with which PostgreSQL refused a statement: of the driver's exception, or of the one it became."""
    for each in (error, error.__cause__):
        state = getattr(each, "sqlstate", None)
        if isinstance(state, str):
            return state
    return None
