"""Reads the head of an HTTP/1 request, which is complete and of bounded size, and decides where its body ends.

httptools parses the fields. It is lenient about the request line and has no rule for `Host`, so this module checks
both, and accepts only the framings of a body that every server understands in the same way (RFC 9112, section 6).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

import httptools

from app.http.addresses import HIGHEST_PORT
from app.http.refusals import TransportRefused

TARGET_BYTES = 64 * 1024
"""The maximum length of a request target."""
FIELD_BYTES = 32 * 1024
"""The maximum length of all header fields together, with their line ends."""
FIELDS = 100
"""The maximum number of header fields."""
METHOD_BYTES = 32
END = b"\r\n\r\n"

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_REQUEST_LINE = re.compile(rb"(%b{1,%d}) ([!-~]+) HTTP/1\.([01])\r\n" % (_TOKEN, METHOD_BYTES))
_AUTHORITY = re.compile(
    rb"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[(?P<literal>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{0,5}))?"
)
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]+)(/[^?]*)?(?:\?(.*))?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_LINE_BYTES = METHOD_BYTES + TARGET_BYTES + len("  HTTP/1.1\r\n")
_BEGINNING = re.compile(rb"%b{1,%d}(?: |\Z)" % (_TOKEN, METHOD_BYTES))
"""A method, or its beginning; TLS, for example, differs in its first byte."""
_CLOSE = re.compile(rb"(?i)(?:\A|,)[ \t]*close[ \t]*(?:,|\Z)")
_LONE_LF = re.compile(rb"(?<!\r)\n")
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"})


@dataclass(slots=True)
class HttpHead:
    """The head of a request. The names of `fields` are in lower case, the values without surrounding whitespace."""

    method: str
    path: bytes
    query: bytes
    version: str
    fields: list[tuple[bytes, bytes]]
    length: int
    """The length of the body in bytes, 0 when it is chunked."""
    chunked: bool
    keep_alive: bool
    expects_continue: bool


class _Fields:
    """Collects the fields that httptools finds."""

    def __init__(self) -> None:
        self.found: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a field; httptools leaves the whitespace after the value."""
        self.found.append((name.lower(), value.rstrip(b" \t")))


def check_incomplete(received: bytearray, latest: bytes) -> None:
    """Refuse a head that cannot become acceptable any more. `latest` are the bytes that were received last.

    Raises TransportRefused with URI_TOO_LONG, HEADERS_TOO_LARGE, or BAD_REQUEST for what is not HTTP/1.
    """
    if len(received) > FIELD_BYTES:
        _check_size(received, len(received))
    if _BEGINNING.match(received) is None:
        raise _malformed()
    if b"\n" in latest:
        if _LONE_LF.search(received) or _REQUEST_LINE.match(received) is None:
            raise _malformed()
        if received.count(b"\n") > FIELDS + 1:
            raise _fields_too_large()


def read_head(head: bytes) -> HttpHead:
    """Return a complete head. Raises TransportRefused when it is malformed, ambiguous or exceeds a limit."""
    if len(head) > FIELD_BYTES:
        _check_size(head, len(head))
    if head.count(b"\r\n") - 2 > FIELDS:
        raise _fields_too_large()
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise _malformed()
    method, target, minor = line.groups()
    if method == b"CONNECT":
        raise TransportRefused("BAD_REQUEST", "This server is no proxy: CONNECT is not supported.")
    fields = _fields(head)
    framing: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        if name in _FRAMING:
            framing.setdefault(name, []).append(value)
    modern = minor == b"1"
    _check_host(framing.get(b"host", ()), modern)
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        if b"#" in target:
            raise _malformed()
    else:
        path, query = _other_target(method, target, fields)
    length, chunked = _framing(framing.get(b"content-length", ()), framing.get(b"transfer-encoding", ()), modern)
    return HttpHead(
        method=method.decode("ascii"),
        path=path,
        query=query,
        version="1.1" if modern else "1.0",
        fields=fields,
        length=length,
        chunked=chunked,
        keep_alive=modern and _CLOSE.search(b",".join(framing.get(b"connection", ()))) is None,
        expects_continue=modern and b"expect" in framing and framing[b"expect"][0].lower() == b"100-continue",
    )


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    collected = _Fields()
    try:
        httptools.HttpRequestParser(collected).feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # an offer of another protocol, which this server ignores (RFC 9110, section 7.8)
    except httptools.HttpParserError:
        raise _malformed() from None
    return collected.found


def _check_host(hosts: Sequence[bytes], modern: bool) -> None:
    """Accept one well-formed Host. HTTP/1.0 has no Host, and the health checks of some load balancers send none."""
    if not hosts and not modern:
        return
    if len(hosts) != 1 or not _is_authority(hosts[0]):
        raise TransportRefused("BAD_REQUEST", "The request must have exactly one valid Host field.")


def _is_authority(host: bytes) -> bool:
    found = _AUTHORITY.fullmatch(host)
    if found is None or int(found["port"] or 0) > HIGHEST_PORT:
        return False
    if found["literal"] is not None:
        try:
            IPv6Address(found["literal"].decode())
        except ValueError:
            return False
    return True


def _other_target(method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return path and query of a target that is not a path. The host of an absolute one replaces the Host field."""
    if target == b"*" and method == b"OPTIONS":
        return target, b""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or b"#" in target or not _is_authority(absolute[1]):
        raise _malformed()
    fields[:] = [(name, absolute[1] if name == b"host" else value) for name, value in fields]
    return absolute[2] or b"/", absolute[3] or b""


def _framing(lengths: Sequence[bytes], codings: Sequence[bytes], modern: bool) -> tuple[int, bool]:
    """Return the length of the body and whether it is chunked."""
    if codings:
        if [each.lower() for each in codings] != [b"chunked"] or lengths or not modern:
            raise TransportRefused("BAD_REQUEST", "The only supported Transfer-Encoding is chunked, without a length.")
        return 0, True
    if not lengths:
        return 0, False
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise TransportRefused("BAD_REQUEST", "Content-Length must be one number of bytes.")
    return int(lengths[0]), False


def _check_size(received: bytes | bytearray, size: int) -> None:
    line = received.find(b"\r\n", 0, _LINE_BYTES)
    begin = received.find(b" ", 0, METHOD_BYTES + 1) + 1
    if not begin:
        raise _malformed()
    end = size if line < 0 else line - len(b" HTTP/1.1")
    if end - begin > TARGET_BYTES:
        raise _target_too_long()
    if line >= 0 and size - line - len(END) > FIELD_BYTES:
        raise _fields_too_large()


def _malformed() -> TransportRefused:
    return TransportRefused("BAD_REQUEST", "This is not a well-formed HTTP/1.1 request.")


def _target_too_long() -> TransportRefused:
    return TransportRefused("URI_TOO_LONG", f"The request target is longer than {TARGET_BYTES} bytes.")


def _fields_too_large() -> TransportRefused:
    return TransportRefused(
        "HEADERS_TOO_LARGE", f"The header has more than {FIELDS} fields or is larger than {FIELD_BYTES} bytes."
    )
