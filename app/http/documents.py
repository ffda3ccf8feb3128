"""A document that anybody may fetch by GET: the metrics, the payload's JSON Schema."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def document_route(path: str, render: Callable[[], bytes], content_type: str) -> Route:
    """A route that answers with what `render` returns at that moment."""

    async def document(_request: Request) -> Response:
        # A header instead of a media type: Starlette would add a character set of its own.
        return Response(render(), headers={"content-type": content_type, "cache-control": "no-store"})

    return Route(path, document)
