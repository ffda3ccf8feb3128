"""Documents that are the same for everybody while a version runs: made at the first request, with an entity tag."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from threading import Lock

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
KEPT = "public, max-age=300, must-revalidate"
"""Caches may keep the document for five minutes: so long an upgrade may go unnoticed."""
_OF_PAGES = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Published:
    """One document. Its entity tag is a hash of its content."""

    def __init__(
        self, render: Callable[[], bytes], content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """`render` makes the document; it is called once, in a thread. `headers` are added to each response."""
        self._render = render
        self._headers = {"content-type": content_type, "cache-control": KEPT, **_OF_PAGES, **(headers or {})}
        self._lock = Lock()
        self._made: tuple[bytes, str] | None = None

    def route(self, path: str) -> Route:
        """Return a route that answers GET and HEAD, and with 304 a client that has the document (RFC 9110, 13.1.2)."""
        return Route(path, self._answer)

    def _answer(self, request: Request) -> Response:  # not async: Starlette calls it in a thread
        content, tag = self._document()
        headers = {**self._headers, "etag": tag}
        sent = ",".join(request.headers.getlist("if-none-match"))
        known = {each.strip().removeprefix("W/") for each in sent.split(",")}
        if known & {tag, "*"}:
            del headers["content-type"]
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)

    def _document(self) -> tuple[bytes, str]:
        with self._lock:
            if self._made is None:
                content = self._render()
                self._made = content, f'"{sha256(content).hexdigest()[:32]}"'
            return self._made
