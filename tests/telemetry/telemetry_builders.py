"""A small schema, and spans read as a tree."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, GraphQLString
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.telemetry.tracing import Tracing

SECRETS = {
    "token": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJsZWFkIn0.c2lnbmF0dXJl",
    "email": "ada.lovelace@acme.example",
    "mac": "00:1b:54:aa:bb:cc",
    "phone": "+1 415 555 0132",
    "query_string": "query=%7Bviewer%7D&variables=%7B%22site%22%3A%22Harbour%22%7D",
}


def a_schema(**resolvers: object) -> GraphQLSchema:
    """A schema whose root fields are strings with these resolvers; those beginning with `set_` are mutations."""
    fields = {name: GraphQLField(GraphQLString, resolve=resolve) for name, resolve in resolvers.items()}  # type: ignore[arg-type]
    mutations = {name: field for name, field in fields.items() if name.startswith("set_")}
    queries = {name: field for name, field in fields.items() if name not in mutations}
    return GraphQLSchema(
        GraphQLObjectType("Query", queries or {"plain": GraphQLField(GraphQLString)}),
        GraphQLObjectType("Mutation", mutations) if mutations else None,
    )


@contextmanager
def an_operation(tracing: Tracing, kind: str, name: str | None = None) -> Iterator[None]:
    """The span of an operation of this type and name, answered without errors unless the block raises."""
    with tracing.operation() as span:
        yield
        if span is not None:
            named = {} if name is None else {"graphql.operation.name": name}
            span.answered({"graphql.operation.type": kind, **named}, (), None)


def names(exporter: InMemorySpanExporter) -> list[str]:
    """The names of the finished spans, sorted."""
    return sorted(span.name for span in exporter.get_finished_spans())


def ancestry(exporter: InMemorySpanExporter, name: str) -> list[str]:
    """The names from the outermost span down to the one of this name."""
    finished = exporter.get_finished_spans()
    by_id = {span.context.span_id: span for span in finished if span.context}
    line: list[str] = []
    span: ReadableSpan | None = the_span(finished, name)
    while span is not None:
        line.insert(0, span.name)
        span = by_id.get(span.parent.span_id) if span.parent else None
    return line


def the_span(spans: Sequence[ReadableSpan], name: str) -> ReadableSpan:
    """The one span of this name."""
    (span,) = [span for span in spans if span.name == name]
    return span
