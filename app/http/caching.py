"""What a cache may keep of a response, and how it asks whether that is still current (RFC 9111; RFC 9110, section 13).

All entity tags are weak: one tag names a content in each content coding.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import Response

REVALIDATED = "private, no-cache"
"""The Cache-Control of an answer for one user: only the client's own cache keeps it, and asks before each use."""
PUBLIC = "public, max-age=300, must-revalidate"
"""The Cache-Control of a document that is the same for everybody and changes only with the version of the server: an
upgrade may go unnoticed for five minutes."""
IMMUTABLE = "public, max-age=31536000, immutable"
"""The Cache-Control of a file whose name contains a hash of its content."""
NOT_MODIFIED = 304

_OF_THE_BODY = frozenset({b"content-encoding", b"content-length", b"content-type"})
_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def entity_tag(*content: bytes) -> str:
    """Return the weak tag of a content: 128 bits of BLAKE2b, which needs no support of the processor to be quick."""
    digest = blake2b(digest_size=16)
    for each in content:
        digest.update(each)
    return f'W/"{digest.hexdigest()}"'


def is_current(if_none_match: str | None, tag: str) -> bool:
    """Return whether the client has the content with this tag, by the weak comparison of If-None-Match.

    `*` is any content. None of what is malformed is a tag.
    """
    if if_none_match is None:
        return False
    return if_none_match == "*" or set(_TAG.findall(if_none_match)).issuperset(_TAG.findall(tag))


def not_modified(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the fields of a 304 response, by those of the 200 response that it replaces (RFC 9110, section 15.4.5)."""
    return [(name, value) for name, value in fields if name not in _OF_THE_BODY]


def revalidated(request: Request, response: Response, tag: str) -> Response:
    """Give a response this tag. Return it, or 304 without a body if the client has the content."""
    response.headers["etag"] = tag
    if not is_current(", ".join(request.headers.getlist("if-none-match")), tag):
        return response
    empty = Response(status_code=NOT_MODIFIED)
    empty.raw_headers = not_modified(response.raw_headers)
    return empty
