"""Compresses responses by the request's Accept-Encoding (RFC 9110, section 12.5.3), with zstd or gzip.

A response with `no-transform` is left as it is: it has a secret, of which the size of a compressed response would tell.
"""

import asyncio
import gzip
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = [
    "LEAST_BYTES",
    "LEVELS_TO_KEEP",
    "MOST_BYTES",
    "ON_THE_LOOP_BYTES",
    "Coding",
    "CompressedResponses",
    "accept_encoding",
    "accepted",
    "compressed",
    "zstd",
]

LEAST_BYTES = 1_024
"""A body that is not larger is sent as it is, unless the client accepts it in no other form than compressed."""
ON_THE_LOOP_BYTES = 256 * 1024
"""A larger body is compressed in a thread. This much takes 0.2 to 2 ms."""
COMPRESSIBLE = re.compile(r"text/.+|application/(?:.+\+)?json|application/openmetrics-text|image/svg\+xml|font/ttf")
MOST_REMEMBERED = 64
"""Values of Accept-Encoding that are remembered; each is shorter than the header of a request may be."""

_WEIGHT = re.compile(r"[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*")


class Coding(StrEnum):
    """A content coding, the preferred one first."""

    ZSTD = "zstd"
    GZIP = "gzip"


_ALIASES = {"x-gzip": Coding.GZIP.value}  # RFC 9110, section 8.4.1.3
_COMPRESSORS: Mapping[Coding, Callable[[bytes, int], bytes]] = {
    Coding.ZSTD: zstd.compress,
    Coding.GZIP: lambda body, level: gzip.compress(body, level, mtime=0),
}
LEVELS = {Coding.ZSTD: 3, Coding.GZIP: 4}
"""The level for a response that is made for one request."""
MOST_BYTES = {Coding.ZSTD: 8 * 1024 * 1024, Coding.GZIP: 2 * 1024 * 1024}
"""A larger response is sent as it is: to compress this much of a text takes up to 25 ms of the processor."""
LEVELS_TO_KEEP = {Coding.ZSTD: 9, Coding.GZIP: 9}
"""The level for a file that is compressed once. The window of zstd must not exceed 8 MiB (RFC 9659)."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The coding that a client prefers, None to send the body as it is; and whether it also accepts it as it is."""

    coding: Coding | None
    identity: bool = True


@lru_cache(MOST_REMEMBERED)
def accepted(accept_encoding: str | None) -> Accepted:
    """Return what the value of Accept-Encoding asks for. An element that is malformed counts as refused.

    A client that accepts nothing that the server has gets the body as it is: a mutation was executed already.
    """
    if not accept_encoding:
        return Accepted(None)
    weights: dict[str, float] = {}
    for element in accept_encoding.split(","):
        name, separator, parameters = element.partition(";")
        weight = _WEIGHT.fullmatch(separator + parameters)
        coding = name.strip(" \t").lower()
        weights.setdefault(_ALIASES.get(coding, coding), float(weight[1]) if weight else 0.0 if separator else 1.0)
    others = weights.get("*", 0.0)
    best = max(Coding, key=lambda each: weights.get(each, others))
    quality = weights.get(best, others)
    as_it_is = weights.get("identity", others if "*" in weights else None)
    if quality == 0.0 or quality < weights.get("identity", 0.0):
        return Accepted(None)
    return Accepted(best, identity=as_it_is != 0.0)


def compressed(body: bytes, coding: Coding, levels: Mapping[Coding, int] = LEVELS) -> bytes:
    """Return the body in this coding."""
    return _COMPRESSORS[coding](body, levels[coding])


class CompressedResponses:
    """Pure ASGI middleware; compresses responses that the application sends as a whole. Parts are passed on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the response back in a coding that its client accepts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start: Message | None = None  # the head of a response that may be compressed; it waits for the body

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _may_be_compressed(message):
                start = message
                return
            if start is not None:
                head, start = start, None
                if not message.get("more_body", False):
                    message = {**message, "body": await _coded(scope, head, message.get("body", b""))}
                await send(head)
            await send(message)

        await self._app(scope, receive, send_compressed)


def accept_encoding(scope: Scope) -> str | None:
    """Return the value of Accept-Encoding, with repeated fields joined, or None."""
    values = Headers(scope=scope).getlist("accept-encoding")
    return ", ".join(values) if values else None


def _may_be_compressed(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return (
        start["status"] == 200  # refusals are small, and UniformAnswers reads those that are text
        and COMPRESSIBLE.fullmatch(media_type) is not None
        and "content-encoding" not in headers
        and "no-transform" not in headers.get("cache-control", "").lower()
    )


async def _coded(scope: Scope, start: Message, body: bytes) -> bytes:
    """Return the body as it is sent, and let the head say so."""
    headers = MutableHeaders(scope=start)
    if "accept-encoding" not in headers.get("vary", "").lower():
        headers.add_vary_header("Accept-Encoding")
    wanted = accepted(accept_encoding(scope))
    if wanted.coding is None or len(body) > MOST_BYTES[wanted.coding] or (wanted.identity and len(body) <= LEAST_BYTES):
        return body
    if len(body) <= ON_THE_LOOP_BYTES:
        smaller = compressed(body, wanted.coding)
    else:
        smaller = await asyncio.to_thread(compressed, body, wanted.coding)
    if wanted.identity and len(smaller) >= len(body):
        return body
    headers["Content-Encoding"] = wanted.coding
    headers["Content-Length"] = str(len(smaller))
    return smaller
