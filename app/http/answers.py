"""Gives every answer the same form: a request id, `nosniff`, JSON for a refusal, and no body for HEAD.

The router, the CORS middleware and other parts of Starlette refuse requests in plain text. All of their refusals are
translated here, so that a new one has a code without anybody listing it.
"""

import re
import secrets
from collections.abc import Iterable
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.refusals import PLAIN_JSON, TRANSPORT_STATUS, refused

LONGEST_REASON = 200  # characters

# The last code of a status counts. 503 is UNAVAILABLE here: what is OVERLOADED is refused as JSON.
CODES = {status: code for code, status in TRANSPORT_STATUS.items()}
NO_SUCH_PATH = "The server has no such path."

_OF_THE_BODY = frozenset({
    b"accept-ranges", b"cache-control", b"content-encoding", b"content-length", b"content-type", b"etag",
    b"last-modified",
})  # fmt: skip
_CLIENT_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}\Z")


class UniformAnswers:
    """Pure ASGI middleware; stores a new id of the request in `scope["state"]["request_id"]`, unless the server has.

    The id that the client sent does not identify the request, because anybody can send any id again. If it is
    well-formed, it is stored beside the other, in `scope["state"]["client_request_id"]`, else None.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id, and the answer back in its form."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        request_id = state.setdefault("request_id", new_request_id())
        state["client_request_id"] = client_request_id(scope["headers"])
        head = scope["method"] == "HEAD"
        text_refusal: Message | None = None  # the head of a refusal that is not JSON; it waits for the text
        translated = False

        async def send_uniform(message: Message) -> None:
            nonlocal text_refusal, translated
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                if message["status"] >= 400 and not _has_form(headers.get("content-type", "")):
                    text_refusal = message
                    return
            elif translated:
                return  # the rest of the text
            elif text_refusal is not None:
                translated = True
                start, message = _translated(text_refusal, message, request_id)
                await send(start)
            if head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app(scope, receive, send_uniform)


def code_of(status: int) -> str:
    """Return the code of a refusal with this status."""
    return CODES.get(status, "BAD_REQUEST" if status < 500 else "INTERNAL")


def new_request_id() -> str:
    """Return a new id of a request."""
    return secrets.token_hex(16)


def client_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the client's own id of its request, None if it sent none or none that is well-formed."""
    sent = [value for name, value in headers if name == b"x-request-id"]
    return sent[0].decode() if len(sent) == 1 and _CLIENT_REQUEST_ID.match(sent[0]) else None


def _has_form(content_type: str) -> bool:
    """Return whether a refusal is JSON, or a page for a browser."""
    media = content_type.partition(";")[0].strip().lower()
    return media in {PLAIN_JSON, "text/html"} or media.endswith("+json")


def _translated(start: Message, body: Message, request_id: str) -> tuple[Message, Message]:
    """Return head and body of a refusal as JSON with a code; the status and the other header fields are kept."""
    status = start["status"]
    code = code_of(status)
    kept = [(name, value) for name, value in start["headers"] if name not in _OF_THE_BODY]
    allowed = dict(kept).get(b"allow", b"").decode("latin-1")
    if code == "NOT_FOUND":
        sentence = NO_SUCH_PATH
    elif code == "METHOD_NOT_ALLOWED" and allowed:
        sentence = f"This path allows only {allowed}."
    else:
        reason = body.get("body", b"").decode(errors="replace")[:LONGEST_REASON].strip().rstrip(".")
        sentence = f"{reason or HTTPStatus(status).phrase}."
    response = refused(code, sentence, request_id)
    fields = [*((name, value) for name, value in response.headers if name in _OF_THE_BODY), *kept]
    return (
        {"type": "http.response.start", "status": status, "headers": fields},
        {"type": "http.response.body", "body": response.body},
    )
