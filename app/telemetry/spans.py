"""The spans that the server records: names, kinds and attributes, after OpenTelemetry's semantic conventions 1.44.0.

An attribute that the conventions do not have begins with `turnup.`. Names and attributes contain names of the code, of
the schema and of the document, codes and counts, never values: those may contain personal data.
"""

from collections.abc import Mapping
from enum import Enum, unique

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

Attributes = Mapping[str, str | int]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
UNKNOWN_OPERATION = "GraphQL Operation"
"""The name of an operation's span when its type is unknown, because the document was refused."""

LONGEST_PATH = 128
"""The characters of a path in a span. A client chooses the aliases in it."""
MOST_ERRORS = 10
"""The errors of a response that have an event; further ones are only counted."""
ERROR_EVENT = "turnup.error"
"""The event of an error in a response."""
ERROR_CODE, ERROR_PATH = "turnup.error.code", "turnup.error.path"

REDACTED = "REDACTED"
"""The value in place of a text that a client chose, as in the conventions."""


@unique
class SpanType(Enum):
    """Each type of span, as docs/tracing.md prints it: the pattern of its names, its kind, and all its attributes."""

    REQUEST = (
        "{http.request.method} {http.route}",
        SpanKind.SERVER,
        (
            "http.request.method",
            "http.request.method_original",
            "http.route",
            "http.response.status_code",
            "url.scheme",
            "url.path",
            "server.address",
            "server.port",
            "network.protocol.version",
            "error.type",
            "turnup.request_id",
            "turnup.client_request_id",
        ),
    )
    OPERATION = (
        "{graphql.operation.type}",
        SpanKind.SERVER,
        (
            "graphql.operation.type",
            "graphql.operation.name",
            "error.type",
            "turnup.document.hash",
            "turnup.error.count",
        ),
    )
    STEP = ("{step}", SpanKind.INTERNAL, ("error.type",))
    RESOLVER = (
        "resolve {type}.{field}",
        SpanKind.INTERNAL,
        ("turnup.field.path", "turnup.batch.size", "error.type"),
    )
    BATCH = ("load {statement}", SpanKind.INTERNAL, ("turnup.batch.size", "error.type"))
    STATEMENT = (
        "{db.query.summary}",
        SpanKind.CLIENT,
        ("db.system.name", "db.namespace", "db.query.summary", "db.response.status_code", "error.type"),
    )
    COMMAND = (
        "{db.operation.name}",
        SpanKind.CLIENT,
        (
            "db.system.name",
            "db.namespace",
            "db.operation.name",
            "db.query.summary",
            "db.response.status_code",
            "error.type",
        ),
    )
    REDIS = (
        "{db.operation.name} {db.stored_procedure.name}",
        SpanKind.CLIENT,
        ("db.system.name", "db.operation.name", "db.stored_procedure.name", "db.operation.batch.size", "error.type"),
    )
    PROVIDER = (
        "{http.request.method}",
        SpanKind.CLIENT,
        (
            "http.request.method",
            "url.full",
            "server.address",
            "server.port",
            "http.response.status_code",
            "network.protocol.version",
            "error.type",
        ),
    )

    def __init__(self, pattern: str, kind: SpanKind, attributes: tuple[str, ...]) -> None:
        self.pattern = pattern
        self.kind = kind
        self.attributes = frozenset(attributes)

    def begin(self, tracer: Tracer, name: str, attributes: Attributes) -> Span:
        """Begin a span of this type."""
        return tracer.start_span(name, kind=self.kind, attributes=attributes)


def mark_failed(span: Span, kind: str) -> None:
    """Set the span's status to an error of this kind (a type or a code), without a message."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
