"""JSON pointers (RFC 6901): `/devices/0/macAddress` leads to one value in a document."""

import re
from collections.abc import Iterable, Mapping

from app.domain.canonical import Json

_POINTER = re.compile(r"(/([^~]|~[01])*)?", re.DOTALL)
_POSITION = re.compile("0|[1-9][0-9]*", re.ASCII)


def tokens_of(pointer: str) -> tuple[str, ...] | None:
    """Return the names and positions along a pointer, or None for text that is no pointer."""
    if _POINTER.fullmatch(pointer) is None:
        return None
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def pointer_along(tokens: Iterable[str]) -> str:
    """Return the pointer along these names and positions."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def position_in(token: str, length: int) -> int | None:
    """Return the position that a token names in a list of this length, or None if it names none."""
    position = int(token) if _POSITION.fullmatch(token) else length
    return position if position < length else None


def resolved(document: Json, tokens: Iterable[str]) -> tuple[str, ...]:
    """Return as many of the tokens, from the first, as lead to a value in the document."""
    value, along = document, []
    for token in tokens:
        if isinstance(value, Mapping) and token in value:
            value = value[token]
        elif isinstance(value, (list, tuple)) and (position := position_in(token, len(value))) is not None:
            value = value[position]
        else:
            break
        along.append(token)
    return tuple(along)


def resolves(document: Json, pointer: str) -> bool:
    """Return whether a pointer leads to a value in the document. The empty pointer leads to the whole document."""
    tokens = tokens_of(pointer)
    return tokens is not None and resolved(document, tokens) == tokens
