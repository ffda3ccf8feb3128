"""A second opinion on documents: the keywords of JSON Schema 2020-12 that the payload schema uses, by the book."""

import re
from collections.abc import Iterator
from typing import Any

TYPES = {
    "any": lambda _: True,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
# What each keyword asserts, and of which type of value; other values pass it. A keyword not named here fails the test.
ASSERTIONS = {
    "type": ("any", lambda value, wanted, _: TYPES[wanted](value)),
    "enum": ("any", lambda value, wanted, _: value in wanted),
    "required": ("object", lambda value, wanted, _: set(wanted) <= value.keys()),
    "additionalProperties": ("object", lambda value, _, schema: value.keys() <= schema["properties"].keys()),
    "pattern": ("string", lambda value, wanted, _: re.search(wanted, value) is not None),
    "minLength": ("string", lambda value, wanted, _: len(value) >= wanted),
    "maxLength": ("string", lambda value, wanted, _: len(value) <= wanted),
    "minItems": ("array", lambda value, wanted, _: len(value) >= wanted),
    "minimum": ("integer", lambda value, wanted, _: value >= wanted),
    "maximum": ("integer", lambda value, wanted, _: value <= wanted),
}
# Keywords that assert nothing about a document; `format` is an annotation by default in 2020-12.
ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description", "format"}


def violations(document: Any, schema: dict[str, Any]) -> list[str]:
    """Every place where the document breaks the schema, with the keyword that it breaks."""
    return list(_violations(document, schema, schema, ""))


def _violations(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str) -> Iterator[str]:
    for keyword, wanted in schema.items():
        if keyword in ANNOTATIONS:
            continue
        if keyword == "$ref":
            yield from _violations(value, root["$defs"][wanted.rpartition("/")[2]], root, path)
        elif keyword == "anyOf":
            if all(list(_violations(value, option, root, path)) for option in wanted):
                yield f"{path} anyOf"
        elif keyword == "properties":
            for name in wanted.keys() & (value.keys() if isinstance(value, dict) else ()):
                yield from _violations(value[name], wanted[name], root, f"{path}/{name}")
        elif keyword == "items":
            for position, part in enumerate(value if isinstance(value, list) else ()):
                yield from _violations(part, wanted, root, f"{path}/{position}")
        elif not _holds(keyword, wanted, value, schema):
            yield f"{path} {keyword}"


def _holds(keyword: str, wanted: Any, value: Any, schema: dict[str, Any]) -> bool:
    kind, holds = ASSERTIONS[keyword]
    return not TYPES[kind](value) or holds(value, wanted, schema)
