"""Shows a person a page where a program would get JSON: for requests to pages that are refused in front of them."""

from collections.abc import Collection, Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.pages import page

KEPT = ("Allow", "Retry-After")
"""The header fields of a refusal that its page has as well."""
SENTENCES: Mapping[int, tuple[str, str]] = {
    HTTPStatus.TOO_MANY_REQUESTS: ("Too many requests", "Wait a minute, then reload this page."),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("Something went wrong", "The error is in the log of the server. Begin again."),
}
"""The title and the text of the page for a status."""
OTHERWISE = ("This page cannot be shown", "The request is not one that a browser sends for it.")


class PageRefusals:
    """Pure ASGI middleware; must be outside of what refuses in JSON."""

    def __init__(self, app: ASGIApp, paths: Collection[str]) -> None:
        """`paths` are those of pages."""
        self._app = app
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back, with a page for a refusal that is none."""
        if scope["type"] != "http" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        replaced = False

        async def send_page(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                headers, status = Headers(scope=message), message["status"]
                if status >= 400 and not headers.get("content-type", "").startswith("text/html"):
                    replaced = True
                    title, text = SENTENCES.get(status, OTHERWISE)
                    kept = {name: headers[name] for name in KEPT if name in headers}
                    await page(title, text, status=status, headers=kept)(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receive, send_page)
