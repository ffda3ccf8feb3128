"""Decodes chunked request bodies (RFC 9112, section 7.1) in bounded memory; ignores extensions and trailers.

httptools does not report where a body ends within the received bytes, which the server must know to leave the next
request unread.
"""

import re

LINE_BYTES = 256
"""The maximum length of the line before a chunk, with its extensions."""
CHUNKS = 16_384
"""The maximum number of chunks. Smaller chunks than 64 bytes, throughout a body of 1 MiB, exceed it."""
TRAILER_BYTES = 8 * 1024
"""The maximum length of the trailer, with its line ends."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER_FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class MalformedChunks(Exception):  # noqa: N818 - named for what was received
    """The body is not chunked as RFC 9112 requires, or exceeds a limit."""


class Chunks:
    """The decoder of one body."""

    def __init__(self) -> None:
        self._kept = b""
        """Received bytes that are no complete line yet; shorter than the longest line."""
        self._left = 0
        """The bytes of the current chunk that are still to come."""
        self._in_chunk = False
        self._in_trailer = False
        self._count = 0
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Return the decoded bytes, and the bytes after the body's end or, before it, None. Raises MalformedChunks."""
        data = self._kept + data if self._kept else data
        pieces: list[bytes] = []
        at = 0
        while True:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
            if self._left:
                self._kept = b""
                return b"".join(pieces), None
            if self._in_chunk:
                end = data[at : at + 2]
                if end != b"\r\n"[: len(end)]:
                    raise MalformedChunks
                if len(end) < 2:
                    self._kept = end
                    return b"".join(pieces), None
                self._in_chunk = False
                at += 2
            most = TRAILER_BYTES - self._trailer_bytes if self._in_trailer else LINE_BYTES
            end_of_line = data.find(b"\r\n", at, at + most + 2)
            if end_of_line < 0:
                self._keep(data, at, most)
                return b"".join(pieces), None
            line = data[at:end_of_line]
            at = end_of_line + 2
            if not self._in_trailer:
                self._begin_chunk(line)
            elif line:
                self._skip_trailer_field(line)
            else:
                return b"".join(pieces), data[at:]

    def _begin_chunk(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line)
        self._count += 1
        if size is None or self._count > CHUNKS:
            raise MalformedChunks
        self._left = int(size[1], 16)
        self._in_chunk = self._left > 0
        self._in_trailer = self._left == 0

    def _skip_trailer_field(self, line: bytes) -> None:
        """Skip a field of the trailer: it must never become a header field (RFC 9110, section 6.5.1)."""
        self._trailer_bytes += len(line) + 2
        if _TRAILER_FIELD.fullmatch(line) is None:
            raise MalformedChunks

    def _keep(self, data: bytes, at: int, most: int) -> None:
        """Keep an incomplete line for the next call."""
        line = data[at:]
        if len(line) > most + 1 or b"\n" in line:
            raise MalformedChunks
        self._kept = line
