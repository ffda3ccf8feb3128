"""Refuses requests for another protocol and closes their connection.

After an `Upgrade` header, or CONNECT, uvicorn's parser treats the bytes after the request head as another protocol.
When no other protocol is spoken, it parses them again as HTTP: the body of such a request would be executed as the next
request.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.refusals import PLAIN_JSON, encoded, refusal_body

SENTENCE = "This server changes to no other protocol: send no Upgrade header, and no CONNECT."


class NoUpgrades:
    """Pure ASGI middleware; must be inside the middleware that sets `scope["state"]["request_id"]`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an ordinary request on; refuse others with 400."""
        if scope["type"] != "http" or not _asks_for_another(scope):
            await self._app(scope, receive, send)
            return
        body = refusal_body("BAD_REQUEST", SENTENCE, scope["state"]["request_id"])
        response = encoded(body, False, PLAIN_JSON, {"Connection": "close"})
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        await send({"type": "http.response.body", "body": response.body})


def _asks_for_another(scope: Scope) -> bool:
    return scope["method"] == "CONNECT" or any(name == b"upgrade" for name, _ in scope["headers"])
