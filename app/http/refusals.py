"""Refusals: the JSON body, the status and the header fields of a request that is answered before it is executed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import orjson
from starlette.types import Send

RESPONSE_JSON = "application/graphql-response+json"
PLAIN_JSON = "application/json"
UNTRANSFORMED = "no-store, no-transform"
"""The Cache-Control of a response with a secret: compressed beside what a client sent, its size would tell of it."""
CHALLENGE = 'Bearer realm="Turnup"'
"""The challenge of a 401 (RFC 6750, section 3) to a request without a token."""
INVALID_TOKEN = f'{CHALLENGE}, error="invalid_token"'
RETRY_SECONDS = 1
"""The seconds after which a client may repeat a request that got 503, unless the refusal names others."""

# The status of a refused request, by error code. The status of a transport code does not depend on the media type of
# the response; that of a GraphQL code does. Network layers of Relay send the text after a status of 400 or more alone,
# so the codes of persisted queries are transport codes.
TRANSPORT_STATUS = {
    "PERSISTED_QUERY_NOT_FOUND": 400,
    "PERSISTED_QUERY_NOT_SUPPORTED": 400,
    "BAD_REQUEST": 400,
    "UNAUTHENTICATED": 401,
    "DOCUMENT_NOT_TRUSTED": 403,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "REQUEST_TIMEOUT": 408,
    "PAYLOAD_TOO_LARGE": 413,
    "URI_TOO_LONG": 414,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    "HEADERS_TOO_LARGE": 431,
    "INTERNAL": 500,
    "OVERLOADED": 503,
    "UNAVAILABLE": 503,
    "TIMEOUT": 504,
}
GRAPHQL_STATUS = {
    "GRAPHQL_PARSE_FAILED": 400,
    "GRAPHQL_VALIDATION_FAILED": 400,
    "QUERY_TOO_COMPLEX": 400,
    "BAD_USER_INPUT": 400,
}


class TransportRefused(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """The request is refused before GraphQL executes it.

    `headers` are added to the response, `facts` to the extensions of its error; RATE_LIMITED needs `retryAfterMs`.
    `own_share` is whether the client used up its own share of the server, and not everybody together the server.
    """

    def __init__(
        self,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        facts: Mapping[str, Any] | None = None,
        own_share: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.headers = headers or {}
        self.facts = facts or {}
        self.own_share = own_share


def refusal_body(code: str, message: str, request_id: str, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the body of a request that was refused before GraphQL executed it."""
    return {"errors": [{"message": message, "extensions": {"code": code, **(facts or {}), "requestId": request_id}}]}


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response in the form that ASGI expects."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def encoded(
    body: dict[str, Any], executed: bool, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response with its status: 200 for a GraphQL result, by error code for a refused request."""
    content = orjson.dumps(body, option=orjson.OPT_UTC_Z)
    extra = dict(headers or {})
    fields = [
        (b"content-type", _CONTENT_TYPE[media_type]),
        (b"content-length", b"%d" % len(content)),
        (b"cache-control", extra.pop("Cache-Control", "no-store").encode("latin-1")),
        (b"vary", b"Accept, Accept-Encoding, Authorization, Cookie"),
    ]
    if executed:
        return Response(200, [*fields, *_encoded_fields(extra)], content)
    error = body["errors"][0]["extensions"]
    status = _status(error["code"], media_type)
    if status == 401:
        # RFC 9110 requires a challenge with every 401, including those for missing or suspended users.
        extra.setdefault("WWW-Authenticate", INVALID_TOKEN)
    if status == 429:
        extra.setdefault("Retry-After", str(ceil(error["retryAfterMs"] / 1000)))  # RFC 9110 counts whole seconds
    if status == 503:
        extra.setdefault("Retry-After", str(RETRY_SECONDS))
    if status == 405:
        extra.setdefault("Allow", "POST")
    return Response(status, [*fields, *_encoded_fields(extra)], content)


def _encoded_fields(headers: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
    return ((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())


def refused(
    code: str,
    message: str,
    request_id: str,
    headers: Mapping[str, str] | None = None,
    *,
    facts: Mapping[str, Any] | None = None,
    media_type: str = PLAIN_JSON,
) -> Response:
    """Return the response to a request that was refused before GraphQL executed it."""
    return encoded(refusal_body(code, message, request_id, facts), False, media_type, headers)


def repeated(response: Response, times: int) -> Response:
    """Return a response whose body is an array of so many copies of the body."""
    body = b"[" + b",".join([response.body] * times) + b"]"
    changed = {b"content-length": b"%d" % len(body)}
    return Response(response.status, [(name, changed.get(name, value)) for name, value in response.headers], body)


async def send_response(response: Response, send: Send) -> None:
    """Send a whole response."""
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    await send({"type": "http.response.body", "body": response.body})


_CONTENT_TYPE = {media: f"{media}; charset=utf-8".encode() for media in (PLAIN_JSON, RESPONSE_JSON)}


def _status(code: str, media_type: str) -> int:
    if code in TRANSPORT_STATUS:
        return TRANSPORT_STATUS[code]
    return GRAPHQL_STATUS.get(code, 400) if media_type == RESPONSE_JSON else 200
