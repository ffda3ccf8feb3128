"""Documents served by GET that are made anew for each request, such as the metrics, which can need a token."""

from collections.abc import Callable
from hmac import compare_digest

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from app.http.refusals import CHALLENGE, INVALID_TOKEN


def document_route(path: str, render: Callable[[], bytes], content_type: str, *, token: str | None = None) -> Route:
    """Return a route that responds with the current result of `render`. With a `token`, requests need it as bearer."""

    async def document(request: Request) -> Response:
        if token is not None and not has_token(request.scope, token):
            challenge = INVALID_TOKEN if "authorization" in request.headers else CHALLENGE
            return PlainTextResponse(f"{path} needs its bearer token", 401, {"WWW-Authenticate": challenge})
        # A header instead of a media type: Starlette would append its own charset.
        return Response(render(), headers={"content-type": content_type, "cache-control": "no-store"})

    return Route(path, document)


def has_token(scope: Scope, token: str) -> bool:
    """Return whether a request has this token, in a time that does not depend on how much of it is right."""
    sent = Headers(scope=scope).getlist("authorization")
    scheme, _, credentials = sent[0].partition(" ") if len(sent) == 1 else ("", "", "")
    return scheme.lower() == "bearer" and compare_digest(credentials.strip().encode(), token.encode())
