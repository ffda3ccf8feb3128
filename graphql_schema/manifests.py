"""Reads manifests of trusted documents, as graphql-codegen, relay-compiler and Apollo's tool write them.

graphql-codegen's client preset and relay-compiler write an object from hash to text. Apollo's
generate-persisted-query-manifest writes a list of operations with ids and bodies. Every hash is computed again here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from graphql_schema.documents import hash_of

APOLLO_FORMAT = "apollo-persisted-query-manifest"
PREFIX = "sha256:"
"""What graphql-codegen writes before a hash, after appendix A of the GraphQL-over-HTTP draft."""
LONGEST_SHOWN = 80
"""The characters of an id or a name that a message quotes."""
_NAMED = re.compile(r"\b(?:query|mutation|subscription)\s+([_A-Za-z][_0-9A-Za-z]*)")


class ManifestRefused(Exception):  # noqa: N818 - says what was found
    """A manifest cannot be used. The `problem` is one sentence for operators, without the text of documents."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Listed(NamedTuple):
    """A document of a manifest."""

    text: str
    file: str


def texts_of(content: bytes) -> dict[str, str]:
    """Return the texts of the documents in a manifest by their SHA-256. Raises ManifestRefused."""
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError):  # ValueError: not UTF-8 or not JSON
        raise ManifestRefused("it is not JSON in UTF-8") from None
    texts: dict[str, str] = {}
    for identifier, text in _entries(manifest):
        hashed = hash_of(text)
        if identifier.removeprefix(PREFIX) != hashed:
            raise ManifestRefused(
                f"the id {identifier[:LONGEST_SHOWN]} of {described(text)} is not the SHA-256 of its text, which is "
                f"{hashed}"
            )
        texts[hashed] = text
    if not texts:
        raise ManifestRefused("it contains no operation")
    return texts


def described(text: str) -> str:
    """Return what a message calls a document: the first operation that its text seems to name."""
    named = _NAMED.search(text)
    return f"operation {named[1][:LONGEST_SHOWN]}" if named else "an operation without a name"


def _entries(manifest: object) -> Iterator[tuple[str, str]]:
    """Yield the id and the text of each document."""
    if isinstance(manifest, dict) and manifest.get("format") == APOLLO_FORMAT:
        operations = manifest.get("operations")
        if manifest.get("version") != 1 or not isinstance(operations, list):
            raise ManifestRefused(f"it is not version 1 of {APOLLO_FORMAT}")
        for each in operations:
            if not isinstance(each, Mapping):
                raise ManifestRefused("an item of its operations is not an object")
            yield _texts(each.get("id"), each.get("body"))
    elif isinstance(manifest, dict):
        for identifier, text in manifest.items():
            yield _texts(identifier, text)
    else:
        raise ManifestRefused("it is not a JSON object")


def _texts(identifier: object, text: object) -> tuple[str, str]:
    if not isinstance(identifier, str) or not isinstance(text, str):
        raise ManifestRefused("it does not map hashes to texts, nor list operations with `id` and `body`")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ManifestRefused("a text in it contains an unpaired surrogate") from None
    return identifier, text
