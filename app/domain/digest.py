"""Digests of contents and documents: SHA-256 over canonical JSON, in lower-case hex.

The digest of a content has a version: the lowest version whose document can express the content. It is stored with the
digest.
"""

import re
import unicodedata
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from app.domain.canonical import Json, canonical
from app.domain.content import LocationContent
from app.domain.content_document import Document, content_document
from app.domain.content_field import is_empty, later_fields


def content_digest(content: LocationContent) -> str:
    """Return the digest of a content. It excludes account name, timestamps, sequence and actor. Strings are in NFC."""
    return digest_of(content_document(content))


def digest_version(content: LocationContent) -> int:
    """Return the version of a content's digest: that of its newest field that is not empty, at least 1."""
    return _version(content)


def digest_of(document: Document) -> str:
    """Return the digest of a content document."""
    written = canonical(document)
    if not written.isascii():  # ASCII is in NFC
        written = canonical(_in_nfc(document))
    return sha256(written).hexdigest()


def document_digest(document: Mapping[str, Json]) -> str:
    """Return the digest of a payload document. Partners use it to check that the document was not altered."""
    return sha256(canonical(document)).hexdigest()


def is_digest(text: str) -> bool:
    """Whether the text has the form of a digest."""
    return _DIGEST.fullmatch(text) is not None


def _version(row: Any) -> int:
    version = 1
    for field in later_fields(row.__class__):
        held = getattr(row, field.name)
        if not is_empty(held):
            rows = (held if field.many else (held,)) if field.is_structured else ()
            version = max(version, field.since, *map(_version, rows))
    return version


_DIGEST = re.compile("[0-9a-f]{64}")


def _in_nfc(value: Json) -> Json:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {name: _in_nfc(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_nfc(part) for part in value]
    return value
