"""Bounds the requests to paths that need no token."""

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.health import LIVENESS, READINESS
from app.http.refusals import TransportRefused, refused, send_response

# The endpoint of `/graphql` counts by itself: it knows which requests have a valid token. Health checks are answered
# during a flood.
UNCOUNTED_PATHS = frozenset({"/graphql", "/graphql/", LIVENESS, READINESS})


class AnonymousRequests:
    """Pure ASGI middleware; must be inside the middleware that sets `scope["state"]["request_id"]`."""

    def __init__(self, app: ASGIApp, count: Callable[[Scope], None]) -> None:
        """`count` counts a request; it may raise TransportRefused."""
        self._app = app
        self._count = count

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, or answer it with the refusal."""
        if scope["type"] != "http" or scope["path"] in UNCOUNTED_PATHS:
            return self._app(scope, receive, send)  # not awaited here, which would take another step per event
        return self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._count(scope)
        except TransportRefused as refusal:
            request_id = scope["state"]["request_id"]
            response = refused(refusal.code, str(refusal), request_id, refusal.headers, facts=refusal.facts)
            await send_response(response, send)
            return
        await self._app(scope, receive, send)
