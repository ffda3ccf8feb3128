"""Secrets that sign in: their form, and the digest by which alone they are stored and compared.

A plain secret is 32 random bytes in base64url: the value of a session cookie, and the secret of an invitation link.
A service token is `turnup_<8 characters>_<43 characters><6 characters>`: a prefix that may be shown and searched for, a
plain secret, and a checksum. Secret scanners recognise it, and a mistyped one is refused without asking the database.

The digest is SHA-256 of the text as it is sent. It needs no salt, because the text has 256 random bits. A text in
another spelling has another digest, and most are no well-formed secret at all.
"""

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from string import ascii_lowercase, ascii_uppercase, digits
from zlib import crc32

SECRET_BYTES = 32
PREFIX_BYTES = 5
SERVICE_TOKEN_BYTES = PREFIX_BYTES + SECRET_BYTES
SERVICE_TOKEN_MARK = "turnup_"  # noqa: S105 - the beginning of every service token
PREFIX_LENGTH = 8
CHECKSUM_LENGTH = 6

_PREFIX_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_CHECKSUM_ALPHABET = digits + ascii_uppercase + ascii_lowercase

# The last of 43 characters encodes four bits, so it is one of 16 characters of base64url.
_PLAIN = "[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
_SECRET = re.compile(rf"{_PLAIN}\Z", re.ASCII)
_SERVICE_TOKEN = re.compile(
    rf"({SERVICE_TOKEN_MARK}[{_PREFIX_ALPHABET}]{{{PREFIX_LENGTH}}}_{_PLAIN})([A-Za-z0-9]{{{CHECKSUM_LENGTH}}})\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class NewServiceToken:
    """A service token when it is made: `text` is shown once and stored nowhere."""

    text: str = field(repr=False)
    prefix: str
    sha256: bytes = field(repr=False)


def new_secret(randomness: bytes) -> str:
    """Return a plain secret of SECRET_BYTES bytes from a cryptographic source."""
    if len(randomness) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} random bytes")
    return urlsafe_b64encode(randomness).rstrip(b"=").decode()


def secret_sha256(text: str) -> bytes | None:
    """Return the digest of a plain secret, or None if the text cannot be one."""
    return _digest(text) if _SECRET.match(text) else None


def new_service_token(randomness: bytes) -> NewServiceToken:
    """Return a service token of SERVICE_TOKEN_BYTES bytes from a cryptographic source."""
    if len(randomness) != SERVICE_TOKEN_BYTES:
        raise ValueError(f"a service token has {SERVICE_TOKEN_BYTES} random bytes")
    number = int.from_bytes(randomness[:PREFIX_BYTES], "big")
    prefix = _written(number, _PREFIX_ALPHABET, PREFIX_LENGTH)
    unchecked = f"{SERVICE_TOKEN_MARK}{prefix}_{new_secret(randomness[PREFIX_BYTES:])}"
    text = unchecked + _checksum(unchecked)
    return NewServiceToken(text, prefix, _digest(text))


def service_token_sha256(text: str) -> bytes | None:
    """Return the digest of a service token, or None if its form or its checksum is wrong."""
    found = _SERVICE_TOKEN.match(text)
    return _digest(text) if found and _checksum(found[1]) == found[2] else None


def _checksum(unchecked: str) -> str:
    return _written(crc32(unchecked.encode()), _CHECKSUM_ALPHABET, CHECKSUM_LENGTH)


def _written(number: int, alphabet: str, length: int) -> str:
    written = ""
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        written = alphabet[digit] + written
    return written


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()
