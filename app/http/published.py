"""Documents that are the same for everybody while a version runs: made at the first request, and kept with a tag."""

from collections.abc import Callable, Mapping
from threading import Lock

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.caching import PUBLIC, entity_tag, revalidated
from app.http.content_coding import LEVELS_TO_KEEP, Coding, accept_encoding, accepted, compressed

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
_OF_PAGES = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Published:
    """One document, which any cache may keep."""

    def __init__(
        self, render: Callable[[], bytes], content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """`render` makes the document; it is called once, in a thread. `headers` are added to each response."""
        self._render = render
        self._headers = {"content-type": content_type, "cache-control": PUBLIC, "vary": "Accept-Encoding", **_OF_PAGES}
        self._headers |= headers or {}
        self._lock = Lock()
        self._made: dict[Coding | None, bytes] = {}
        """The document, as it is and in the codings that clients asked for."""

    def route(self, path: str) -> Route:
        """Return a route that answers GET and HEAD, and with 304 a client that has the document (RFC 9110, 13.1.2)."""
        return Route(path, self._answer)

    def _answer(self, request: Request) -> Response:  # not async: Starlette calls it in a thread
        coding = accepted(accept_encoding(request.scope)).coding
        with self._lock:
            if None not in self._made:
                self._made[None] = self._render()
            document = self._made[None]
            if coding is not None and coding not in self._made:
                self._made[coding] = compressed(document, coding, LEVELS_TO_KEEP)
        headers = self._headers if coding is None else {**self._headers, "content-encoding": coding}
        return revalidated(request, Response(self._made[coding], headers=headers), entity_tag(document))
