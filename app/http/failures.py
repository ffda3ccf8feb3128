"""Answers a request that raised an exception with INTERNAL and the request id, and nothing about the exception.

Starlette does this outside of all other middleware: without a request id, without CORS headers, and as plain text.
"""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.refusals import refused, send_response

log = logging.getLogger("turnup.http")


class Failures:
    """Pure ASGI middleware; must be inside the middleware that sets `scope["state"]["request_id"]`.

    The exception is logged, with the request id if the context binds it. When the response has begun, it cannot be
    replaced: the exception is passed on, and the server closes the connection.
    """

    def __init__(self, app: ASGIApp, message: str) -> None:
        """`message` is the sentence of every such answer."""
        self._app = app
        self._message = message

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and answer for it if that fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception:
            if begun:
                raise
            log.exception("request failed", extra={"route": getattr(scope.get("route"), "path", "none")})
            await send_response(refused("INTERNAL", self._message, scope["state"]["request_id"]), send)
