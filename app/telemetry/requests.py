"""Creates a server span per HTTP request, and binds the request ids to every log line written for it.

OpenTelemetry's own ASGI middleware records the query string, which may contain a GET query's variables, and exception
messages, which may contain personal data.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from opentelemetry.context import attach, detach
from opentelemetry.trace import Span, SpanKind, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from app.telemetry.tracing import Tracing, mark_failed

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})

_propagator = TraceContextTextMapPropagator()


def bind_request(request_id: str, client_request_id: str | None = None) -> AbstractContextManager[None]:
    """Add the request id, and the one that the client sent, to every log line written in this context."""
    return bound_contextvars(**_ids("", request_id, client_request_id))


class ObservedRequests:
    """Pure ASGI middleware; must be inside the middleware that sets `scope["state"]["request_id"]`.

    A caller's `traceparent` is continued. Its `tracestate` is ignored: spans and log lines would contain its values,
    and the server passes it to nobody. The route is the one that Starlette's router stored in the scope.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Observe an HTTP request; pass everything else on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.get("state", {})
        request_id, client_request_id = state.get("request_id", ""), state.get("client_request_id")
        with bind_request(request_id, client_request_id):
            tracer = self._tracing.tracer
            if tracer is None:
                await self._app(scope, receive, send)
            else:
                await self._traced(tracer, _ids("turnup.", request_id, client_request_id), scope, receive, send)

    async def _traced(self, tracer: Tracer, ids: Mapping[str, str], scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        span = tracer.start_span(
            method,
            context=_propagator.extract(_trace_headers(scope)),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": method,
                "url.scheme": scope.get("scheme", "http"),
                **ids,
            },
        )

        async def send_observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", message["status"])
                if message["status"] >= 500:
                    mark_failed(span, str(message["status"]))
            await send(message)

        # Attached even when it is not sampled, so that the work inside starts no trace of its own.
        token = attach(set_span_in_context(span))
        try:
            await self._app(scope, receive, send_observed if span.is_recording() else send)
        except BaseException as error:
            mark_failed(span, type(error).__qualname__)
            raise
        finally:
            detach(token)
            _name_by_route(span, method, scope)
            span.end()


def _ids(prefix: str, request_id: str, client_request_id: str | None) -> dict[str, str]:
    ids = {f"{prefix}request_id": request_id}
    return ids if client_request_id is None else ids | {f"{prefix}client_request_id": client_request_id}


def _trace_headers(scope: Scope) -> Mapping[str, str]:
    sent = [value for name, value in scope["headers"] if name == b"traceparent"]
    return {"traceparent": sent[0].decode("latin-1")} if len(sent) == 1 else {}


def _name_by_route(span: Span, method: str, scope: Scope) -> None:
    route = getattr(scope.get("route"), "path", None)
    if route:
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
