"""Tracing: spans for the time of a request, from the HTTP request down to each SQL statement.

A span contains names, counts and types, never values, messages or documents: those may contain personal data.
"""

from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from inspect import isawaitable
from os import environ
from threading import Thread
from types import TracebackType
from typing import Any

from graphql import GraphQLFieldResolver, GraphQLResolveInfo, GraphQLSchema
from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    OTEL_SDK_DISABLED,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)

Attributes = Mapping[str, str | int]

NOTHING: AbstractContextManager[None] = nullcontext()
"""The context for everything that is not recorded; shared, because it is stateless."""

LONGEST_NAME = 128  # characters; a client chooses the names of operations and aliases
SHUTDOWN_SECONDS = 5.0

_UNTRACED = "turnup_untraced"  # the attribute in which a wrapped resolver keeps the original


def start_tracing(service_version: str, *, exporters: Sequence[SpanExporter] | None = None) -> "Tracing":
    """Start tracing as configured by OpenTelemetry's environment variables; without an OTLP endpoint nothing is traced.

    `exporters` replaces the configured ones: each receives every span when it ends.
    """
    if exporters is None:
        processors: list[SpanProcessor] = [BatchSpanProcessor(OTLPSpanExporter())] if _exports() else []
    else:
        processors = [SimpleSpanProcessor(exporter) for exporter in exporters]
    if not processors:
        return Tracing(None)
    resource = Resource.create({"service.name": "turnup", "service.version": service_version})
    # The SDK's own exit handler waits 30 seconds for a collector that does not respond.
    provider = TracerProvider(resource=resource.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return Tracing(provider)


def trace_id() -> str | None:
    """Return the id of the current trace, 32 hexadecimal digits, or None outside of a trace."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


def mark_failed(span: Span, kind: str) -> None:
    """Set the span's status to an error of this kind (a type or a code), without a message."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


class Tracing:
    """Creates spans. When nothing is recorded, each method returns one shared context that does nothing."""

    __slots__ = ("_provider", "_tracer")

    def __init__(self, provider: TracerProvider | None) -> None:
        self._provider = provider
        self._tracer: Tracer | None = None if provider is None else provider.get_tracer("turnup")

    @property
    def tracer(self) -> Tracer | None:
        """The tracer, or None when nothing is traced."""
        return self._tracer

    def observer(self, kind: str, name: str, facts: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Return a span around a round trip ("sql"), a loader's batch ("batch") or an "operation".

        This is the observer that the database takes. Of the facts, only `batch.size`, `graphql.operation.type` and
        `graphql.document.hash` are recorded.
        """
        if self._tracer is None:
            return NOTHING
        if kind == "operation":
            operation_type = str(facts.get("graphql.operation.type", "query"))
            return self.operation_span(operation_type, name or None, facts.get("graphql.document.hash"))
        if not get_current_span().is_recording():
            return NOTHING
        if kind == "sql":
            attributes: Attributes = {"db.system.name": "postgresql", "db.operation.name": name}
            return _Recorded(self._tracer, f"sql {name}", attributes, SpanKind.CLIENT)
        return _Recorded(self._tracer, f"load {name}", {"turnup.batch.size": int(facts.get("batch.size", 0))})

    def operation_span(
        self, operation_type: str, name: str | None, document_hash: str | None = None
    ) -> AbstractContextManager[None]:
        """Return a span around a GraphQL operation: `graphql query Rollout`. Outside a request it starts a trace."""
        if self._tracer is None or _in_unrecorded_trace():
            return NOTHING
        attributes = {"graphql.operation.type": operation_type}
        if document_hash:
            attributes["graphql.document.hash"] = document_hash
        span_name = f"graphql {operation_type}"
        if name:
            attributes["graphql.operation.name"] = name[:LONGEST_NAME]
            span_name = f"{span_name} {name[:LONGEST_NAME]}"
        return _Recorded(self._tracer, span_name, attributes)

    def field_observer(
        self, parent_type: str, field_name: str, path: tuple[str, ...], batch_size: int
    ) -> AbstractContextManager[None]:
        """Return a span around one field with a resolver, for all objects of its level: `resolve Location.devices`."""
        if self._tracer is None or not get_current_span().is_recording():
            return NOTHING
        attributes: Attributes = {"graphql.field.path": ".".join(path)[:LONGEST_NAME], "turnup.batch.size": batch_size}
        return _Recorded(self._tracer, f"resolve {parent_type}.{field_name}", attributes)

    def trace_root_fields(self, schema: GraphQLSchema) -> None:
        """Wrap the resolver of each query and mutation in a span: `resolve Query.locations`.

        For executors without field observers. Wrapping again replaces the earlier wrapper.
        """
        for root in (schema.query_type, schema.mutation_type):
            for field_name, field in root.fields.items() if root else ():
                if field.resolve is not None:
                    resolve = getattr(field.resolve, _UNTRACED, field.resolve)
                    field.resolve = self._traced(f"{root}.{field_name}", resolve)

    def shutdown(self, seconds: float = SHUTDOWN_SECONDS) -> None:
        """Send pending spans and stop; after at most `seconds` the remaining spans are dropped."""
        self._tracer = None
        if self._provider is not None:
            stopping = Thread(target=self._provider.shutdown, name="tracing-shutdown", daemon=True)
            stopping.start()
            stopping.join(seconds)

    def _traced(self, coordinate: str, resolve: GraphQLFieldResolver) -> GraphQLFieldResolver:
        @wraps(resolve)
        def traced(source: Any, info: GraphQLResolveInfo[Any], *args: Any, **arguments: Any) -> Any:
            tracer = self._tracer
            if tracer is None or not get_current_span().is_recording():
                return resolve(source, info, *args, **arguments)
            span = tracer.start_span(f"resolve {coordinate}", attributes={"graphql.field.path": _dotted(info)})
            token = attach(set_span_in_context(span))
            try:
                result = resolve(source, info, *args, **arguments)
            except BaseException as error:
                _end(span, error)
                raise
            finally:
                detach(token)
            if isawaitable(result):
                return _ended_after(span, result)
            # A resolver may return its error instead of raising it.
            _end(span, result if isinstance(result, Exception) else None)
            return result

        setattr(traced, _UNTRACED, resolve)
        return traced


def _exports() -> bool:
    if environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return bool(environ.get(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) or environ.get(OTEL_EXPORTER_OTLP_ENDPOINT))


def _in_unrecorded_trace() -> bool:
    span = get_current_span()
    return not span.is_recording() and span.get_span_context().is_valid


def _dotted(info: GraphQLResolveInfo[Any]) -> str:
    return ".".join(str(key) for key in info.path.as_list())[:LONGEST_NAME]


async def _ended_after(span: Span, result: Awaitable[Any]) -> Any:
    token = attach(set_span_in_context(span))
    try:
        value = await result
    except BaseException as error:
        _end(span, error)
        raise
    finally:
        detach(token)
    _end(span, value if isinstance(value, Exception) else None)
    return value


def _end(span: Span, error: BaseException | None) -> None:
    if error is not None:
        mark_failed(span, type(error).__qualname__)
    span.end()


class _Recorded:
    """A span that is current between enter and exit; an exception sets its type on the span."""

    __slots__ = ("_attributes", "_kind", "_name", "_span", "_token", "_tracer")

    def __init__(self, tracer: Tracer, name: str, attributes: Attributes, kind: SpanKind = SpanKind.INTERNAL) -> None:
        self._tracer = tracer
        self._name = name
        self._attributes = attributes
        self._kind = kind

    def __enter__(self) -> None:
        self._span = self._tracer.start_span(self._name, kind=self._kind, attributes=self._attributes)
        self._token = attach(set_span_in_context(self._span))

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        detach(self._token)
        _end(self._span, error)
