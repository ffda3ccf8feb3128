"""Which of the declared types of spans a recorded span is."""

import re

from opentelemetry.sdk.trace import Event, ReadableSpan

from app.telemetry.spans import ERROR_CODE, ERROR_EVENT, ERROR_PATH, UNKNOWN_OPERATION, SpanType


def type_of(span: ReadableSpan) -> SpanType | None:
    """The declared type that the kind, the name, the attributes and the events of a span match; None if none does."""
    for each in SpanType:
        if span.kind is each.kind and set(span.attributes or {}) <= each.attributes and _is_named(span, each):
            return each if all(map(_is_declared, span.events)) else None
    return None


def _is_named(span: ReadableSpan, span_type: SpanType) -> bool:
    """Whether the name is what the type says, without the words for attributes that the span does not have."""
    values = {name: str(value) for name, value in (span.attributes or {}).items()}
    if values.get("http.request.method") == "_OTHER":
        values["http.request.method"] = "HTTP"

    def expected(part: re.Match[str]) -> str:
        if part[1] in values:
            return re.escape(values[part[1]])
        return "" if part[1] in span_type.attributes else ".+"

    words = (re.sub(r"{([^}]+)}", expected, word) for word in span_type.pattern.split())
    return re.fullmatch(" ".join(filter(None, words)) or UNKNOWN_OPERATION, span.name) is not None


def _is_declared(event: Event) -> bool:
    return event.name == ERROR_EVENT and set(event.attributes or {}) == {ERROR_CODE, ERROR_PATH}
