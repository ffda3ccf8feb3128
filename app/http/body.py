"""Reads request bodies: limits their size, and accepts only JSON that every parser understands in the same way.

Duplicate keys, NaN and infinities, unpaired surrogates and deep nesting are refused, so that the code after this check
never sees them. RFC 8259 and RFC 7493 leave their handling to the parser, and parsers differ.
"""

import codecs
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar, NoReturn, TypedDict

from starlette.requests import ClientDisconnect
from starlette.types import Receive

__all__ = [
    "BadRequest",
    "BatchRefused",
    "BodyLimits",
    "BodyRefused",
    "GraphQLParameters",
    "PayloadTooLarge",
    "parse_json",
    "parse_json_body",
    "read_body",
]


def _uncounted(_size: int) -> None:
    pass


async def read_body(
    receive: Receive,
    maximum: int,
    headers: Iterable[tuple[bytes, bytes]] = (),
    add: Callable[[int], None] = _uncounted,
) -> bytes:
    """Read an ASGI request's body of at most `maximum` bytes; stop at the first byte beyond it.

    A Content-Length above the maximum is refused before anything is read; a smaller one is not trusted. `add` is called
    with the size of each chunk and may raise an exception. Raises PayloadTooLarge, BadRequest when the length is not a
    number, ClientDisconnect.
    """
    for name, value in headers:
        if name.lower() == b"content-length":
            _check_declared(value, maximum)
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > maximum:
            raise PayloadTooLarge(maximum)
        add(len(chunk))
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def parse_json_body(raw: bytes, limits: "BodyLimits") -> "GraphQLParameters":
    """Parse the body of an application/json GraphQL request.

    The result has all keys, None where absent; other keys are ignored. Raises PayloadTooLarge, or BadRequest with the
    problem.
    """
    body = parse_json(raw, limits)
    if isinstance(body, list):
        raise BatchRefused(len(body))
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    for key, kind, words in OPTIONAL_KEYS:
        if not isinstance(body.get(key), kind | None):
            raise BadRequest(f"`{key}` must be {words} or null.")
    query = body.get("query")
    if query is not None and not isinstance(query, str):
        raise BadRequest("`query` must be a string.")
    document_hash = _document_hash(body)
    if query is None and document_hash is None:
        raise BadRequest("`query` is missing.")
    return {
        "query": query,
        "documentHash": document_hash,
        "operationName": body.get("operationName"),
        "variables": body.get("variables"),
        "extensions": body.get("extensions"),
    }


OPTIONAL_KEYS: tuple[tuple[str, type, str], ...] = (
    ("operationName", str, "a string"),
    ("variables", dict, "an object"),
    ("extensions", dict, "an object"),
)


def _document_hash(body: Mapping[str, Any]) -> str | None:
    """The SHA-256 by which a body names its document, None if the body has only the text of it.

    It is in `documentId` (appendix A, proposed for GraphQL over HTTP) or in `extensions.persistedQuery` (Apollo, urql).
    Raises BadRequest for a hash that is malformed, and for one that is not that of the text beside it.
    """
    named = {DOCUMENT_ID: body.get("documentId")}
    persisted = (body.get("extensions") or {}).get("persistedQuery")
    if persisted is not None:
        if not isinstance(persisted, dict):
            raise BadRequest("`extensions.persistedQuery` must be an object or null.")
        if persisted.get("version") != 1:
            raise BadRequest("`extensions.persistedQuery.version` must be 1.")
        named[SHA256_HASH] = persisted.get("sha256Hash") or ""
    hashes = {name: _sha256_of(name, value) for name, value in named.items() if value is not None}
    if len(set(hashes.values())) > 1:
        raise BadRequest(f"{DOCUMENT_ID} and {SHA256_HASH} name different documents.")
    for name, value in hashes.items():
        if body.get("query") is not None and value != sha256(body["query"].encode()).hexdigest():
            raise BadRequest(f"{name} is not the SHA-256 of `query`.")
        return value
    return None


def _sha256_of(name: str, value: object) -> str:
    found = HASH.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise BadRequest(f"{name} must be a SHA-256 in 64 lower-case hexadecimal digits, which may follow sha256:.")
    return found[1]


DOCUMENT_ID, SHA256_HASH = "`documentId`", "`extensions.persistedQuery.sha256Hash`"
HASH = re.compile("(?:sha256:)?([0-9a-f]{64})")


def parse_json(raw: bytes, limits: "BodyLimits", name: str = "The body") -> object:
    """Parse strict JSON. `name` is the subject of the error messages (a GET request's `variables` are JSON too).

    Integers are exact and within 64 bits. Raises PayloadTooLarge or BadRequest.
    """
    if len(raw) > limits.size:
        raise PayloadTooLarge(limits.size)
    if raw.startswith(codecs.BOM_UTF8):
        raise BadRequest(
            f"{name} begins with a byte order mark (BOM), which JSON does not allow. Send UTF-8 without it."
        )
    if raw.startswith(WIDE_BOMS) or b"\0" in raw[:4]:
        raise BadRequest(f"{name} is not UTF-8 but UTF-16 or UTF-32. Send UTF-8 without a byte order mark (BOM).")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"{name} is not UTF-8, from byte {error.start} on.") from None
    _check_shape(text, limits, name)
    try:
        value: object = STRICT.decode(text)
        if SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise BadRequest(f"{name} is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).") from None
    except UnicodeEncodeError:
        raise BadRequest(f"{name} contains an unpaired surrogate.") from None
    except _NotStrict as error:
        raise BadRequest(f"{name} {error}.") from None
    return value


def _check_declared(length: bytes, maximum: int) -> None:
    if not length.isdigit():
        raise BadRequest("Content-Length must be a number of bytes.")
    digits = length.lstrip(b"0")
    if len(digits) > len(str(maximum)) or int(digits or b"0") > maximum:
        raise PayloadTooLarge(maximum)


def _check_shape(text: str, limits: "BodyLimits", name: str) -> None:
    """Check depth and number of values before the parser recurses into them or builds them.

    For most bodies counting characters is enough; otherwise the text is scanned up to the first one beyond a limit.
    """
    opened = text.count("[") + text.count("{")
    if opened <= limits.depth and opened + text.count(",") <= limits.values:
        return
    values = depth = 0
    for found in MARK.finditer(text):
        if not found[1]:
            return
        step = STEPS[found[1]]
        depth += step
        values += step >= 0
        if values > limits.values:
            raise BadRequest(f"{name} contains more than {limits.values} values.")
        if depth > limits.depth:
            raise BadRequest(f"{name} is nested more than {limits.depth} levels deep.")
        if depth < 0:
            return  # not JSON, as the parser says about the same character


WIDE_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)  # UTF-32 LE begins like UTF-16 LE
# A bracket or comma, or the end, after anything that is none and after whole strings, even one that does not end.
# It matches everywhere and never goes back, so that the time is linear.
MARK = re.compile(r'(?:[^"\[\]{},]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))*+([\[\]{},]|\Z)', re.DOTALL)
STEPS: Mapping[str, int] = {"[": 1, "{": 1, ",": 0, "]": -1, "}": -1}
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _NotStrict(f"has the key {json.dumps(twice[:50])} twice in one object")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(1 << 63) <= int(digits) < 1 << 63:
        raise _NotStrict("contains an integer that exceeds 64 bits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _NotStrict("contains a number that exceeds the range of a double")
    return value


def _constant(word: str) -> NoReturn:
    raise _NotStrict(f"contains {word}, which is not JSON")


class GraphQLParameters(TypedDict):
    """The parameters of a request, named as in GraphQL over HTTP, except for the hash of the document."""

    query: str | None
    """None if the document is named by its hash alone."""
    documentHash: str | None
    """The SHA-256 by which the request names its document; it is that of `query` if both are given."""
    operationName: str | None
    variables: dict[str, object] | None
    extensions: dict[str, object] | None


@dataclass(frozen=True, kw_only=True)
class BodyLimits:
    """The limits of a body; a value equal to a limit is accepted.

    `size` is in bytes, `depth` in levels of arrays and objects. `values` limits the work of parsing and of coercing
    variables; it counts opening brackets and commas, which is about the number of values.
    """

    size: int = 1024 * 1024
    depth: int = 64
    values: int = 5_000


class BodyRefused(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """The body was refused; `code` is the code of the error, the message is for the client."""

    code: ClassVar[str]


class PayloadTooLarge(BodyRefused):
    """The body is larger than the limit."""

    code = "PAYLOAD_TOO_LARGE"

    def __init__(self, maximum: int) -> None:
        super().__init__(f"The body is larger than {maximum} bytes.")


class BadRequest(BodyRefused):
    """The body is not a GraphQL request in strict JSON."""

    code = "BAD_REQUEST"


class BatchRefused(BadRequest):
    """The body is an array: several requests in one, each of which its client expects to be answered."""

    def __init__(self, requests: int) -> None:
        super().__init__("Batching is not supported: the body must be one JSON object, not an array.")
        self.requests = requests


class _NotStrict(Exception):  # noqa: N818 - never leaves this module
    """JSON that the parser accepts but this module refuses; the message is the predicate of a sentence."""


STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
