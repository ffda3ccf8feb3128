"""Observes HTTP requests: a server span per request, its ids in every log line written for it, and its own line.

OpenTelemetry's own ASGI middleware records the query string, which may contain a GET query's variables, and exception
messages, which may contain personal data.
"""

import re
from collections.abc import Collection, Mapping
from os import environ
from time import perf_counter

from opentelemetry.context import Context, attach, detach
from opentelemetry.environment_variables import OTEL_PROPAGATORS
from opentelemetry.trace import Span, Tracer, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.current_ids import bind_request
from app.telemetry.logging import plain_text
from app.telemetry.request_log import METHODS, OTHER_METHOD, RequestLog
from app.telemetry.spans import REDACTED, SpanType, mark_failed
from app.telemetry.tracing import Tracing

TRACE_ID_FIELD = b"x-trace-id"
"""The header field with the trace id of every traced response, whether the trace is recorded or not."""
TRACE_CONTEXT = "tracecontext"
"""The name of W3C Trace Context in OTEL_PROPAGATORS."""

_METHOD = re.compile(r"[A-Z-]{1,20}")
"""The methods that the HTTP parser knows. The name of one that is in no convention is recorded only in this form."""

_propagator = TraceContextTextMapPropagator()


class ObservedRequests:
    """Pure ASGI middleware; must be inside the middleware that sets `scope["state"]["request_id"]`.

    A caller's `traceparent` is continued, unless OTEL_PROPAGATORS leaves out `tracecontext`. Its `tracestate` is
    ignored: spans and log lines would contain its values, and the server passes it to nobody. The route is the one that
    Starlette's router stored in the scope.

    The state of the scope has what the application knows about its answer: the `summary` of a GraphQL request, the
    facts that were known of one that its client has `abandoned`, or the `code` with which it was refused. `refused` is
    set if the server has answered in place of the application, and `own_share` is whether the client was refused
    because it used up its own share. `receive_seconds` is the time in which the body arrived.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing, requests: RequestLog, untraced: Collection[str] = ()) -> None:
        """`untraced` are the paths whose requests have no spans and no trace id, such as health checks."""
        self._app = app
        self._tracing = tracing
        self._requests = requests
        self._untraced = frozenset(untraced)
        propagators = environ.get(OTEL_PROPAGATORS, TRACE_CONTEXT).split(",")
        self._continues = TRACE_CONTEXT in map(str.strip, propagators)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Observe an HTTP request; pass everything else on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.get("state", {})
        request_id, client_request_id = state.get("request_id", ""), state.get("client_request_id")
        if client_request_id is not None:  # it can be a MAC address
            client_request_id = plain_text(client_request_id)
        with bind_request(request_id, client_request_id):
            tracer = self._tracing.tracer
            if tracer is None or scope["path"] in self._untraced:
                await self._reported(scope, receive, send)
            else:
                await self._traced(tracer, _ids(request_id, client_request_id), scope, receive, send)

    async def _reported(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        responded: float | None = None
        status: int | None = None
        crashed = True

        async def send_noted(message: Message) -> None:
            nonlocal responded, status
            if message["type"] == "http.response.start":
                responded, status = perf_counter(), message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
            crashed = False
        finally:
            ended = perf_counter()
            sending = 0.0 if responded is None else ended - responded
            self._requests.ended(scope, status, ended - began, sending, crashed=crashed)

    async def _traced(self, tracer: Tracer, ids: Mapping[str, str], scope: Scope, receive: Receive, send: Send) -> None:
        span = tracer.start_span(
            _named_method(scope),
            context=_propagator.extract(_trace_headers(scope)) if self._continues else Context(),
            kind=SpanType.REQUEST.kind,
            attributes={**_attributes(scope), **ids},
        )
        trace_id = format_trace_id(span.get_span_context().trace_id).encode()

        async def send_observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (TRACE_ID_FIELD, trace_id)]}
                _note_status(span, message["status"])
            await send(message)

        # Attached even when it is not sampled, so that the work inside starts no trace of its own.
        token = attach(set_span_in_context(span))
        try:
            await self._reported(scope, receive, send_observed)
        except BaseException as error:
            mark_failed(span, type(error).__qualname__)
            raise
        finally:
            detach(token)
            refused = scope.get("state", {}).get("refused")
            if refused is not None:
                _note_status(span, refused[0])
            _name_by_route(span, scope)
            span.end()


def _named_method(scope: Scope) -> str:
    """Return the method as it is in the name of a span."""
    return scope["method"] if scope["method"] in METHODS else "HTTP"


def _attributes(scope: Scope) -> dict[str, str | int]:
    """Return the attributes that are known when a request begins. None is a text that the client chose freely."""
    method: str = scope["method"]
    attributes: dict[str, str | int] = {
        "http.request.method": method if method in METHODS else OTHER_METHOD,
        "url.scheme": scope.get("scheme", "http"),
        "url.path": REDACTED,
        "network.protocol.version": scope.get("http_version", "1.1"),
    }
    if method not in METHODS and _METHOD.fullmatch(method):
        attributes["http.request.method_original"] = method
    address, port = scope.get("server") or (None, None)
    if address is not None:
        attributes["server.address"] = address
    if port is not None:
        attributes["server.port"] = port
    return attributes


def _ids(request_id: str, client_request_id: str | None) -> dict[str, str]:
    ids = {"turnup.request_id": request_id}
    return ids if client_request_id is None else ids | {"turnup.client_request_id": client_request_id}


def _trace_headers(scope: Scope) -> Mapping[str, str]:
    sent = [value for name, value in scope["headers"] if name == b"traceparent"]
    return {"traceparent": sent[0].decode("latin-1")} if len(sent) == 1 else {}


def _note_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        mark_failed(span, str(status))


def _name_by_route(span: Span, scope: Scope) -> None:
    """Name the span by the route, which is also its path unless it has parameters: the client chose their values."""
    route = getattr(scope.get("route"), "path", None)
    if route:
        span.update_name(f"{_named_method(scope)} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("url.path", route)
