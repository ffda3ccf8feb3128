"""Public documents served by GET: the metrics, the payload's JSON Schema."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def document_route(path: str, render: Callable[[], bytes], content_type: str) -> Route:
    """Return a route that responds with the current result of `render`."""

    async def document(_request: Request) -> Response:
        # A header instead of a media type: Starlette would append its own charset.
        return Response(render(), headers={"content-type": content_type, "cache-control": "no-store"})

    return Route(path, document)
