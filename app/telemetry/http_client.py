"""Creates a client span per request to the identity provider."""

import httpx
from opentelemetry.trace import get_current_span

from app.telemetry.spans import Attributes, SpanType, mark_failed
from app.telemetry.tracing import Recorded, Tracing

PORTS = {"http": 80, "https": 443}


class ObservedTransport(httpx.AsyncBaseTransport):
    """Passes requests on to a transport, within a span if the current trace is recorded.

    The span ends when the head of the response has arrived. The request carries no trace context: the provider belongs
    to others.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, tracing: Tracing) -> None:
        """`transport` is closed with this one."""
        self._transport = transport
        self._tracing = tracing

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises what the transport raises."""
        tracer = self._tracing.tracer
        if tracer is None or not get_current_span().is_recording():
            return await self._transport.handle_async_request(request)
        with Recorded(tracer, SpanType.PROVIDER, request.method, _attributes(request)) as span:
            response = await self._transport.handle_async_request(request)
            span.set_attribute("http.response.status_code", response.status_code)
            span.set_attribute("network.protocol.version", response.http_version.removeprefix("HTTP/"))
            if response.status_code >= 400:
                mark_failed(span, str(response.status_code))
        return response

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


def _attributes(request: httpx.Request) -> Attributes:
    """Return the attributes of a request. The URL is of the provider's configuration; a query is left out."""
    url = request.url
    return {
        "http.request.method": request.method,
        "url.full": str(url.copy_with(query=None)),
        "server.address": url.host,
        "server.port": url.port or PORTS[url.scheme],
    }
