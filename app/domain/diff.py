"""What differs between two contents, field by field: what a reviewer reads, and what makes a review stale."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.domain.canonical import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentDifference:
    """One field's values; `path` is a JSON pointer (RFC 6901) into the content document, None stands for absent."""

    path: str
    before: Json
    after: Json


def diff(before: Mapping[str, Json] | None, after: Mapping[str, Json]) -> tuple[ContentDifference, ...]:
    """Every field that differs between two content documents, in the order of its path.

    `before` is None when nothing was approved yet.
    """
    old = dict(_leaves(before or {}))
    new = dict(_leaves(after))
    return tuple(
        ContentDifference(path=path, before=old.get(path), after=new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def changed_paths(before: Mapping[str, Json] | None, after: Mapping[str, Json]) -> tuple[str, ...]:
    """The paths of `diff` alone."""
    return tuple(change.path for change in diff(before, after))


def _leaves(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from _leaves(member, f"{path}/{name}")
    elif isinstance(value, (list, tuple)):
        for position, part in enumerate(value):
            yield from _leaves(part, f"{path}/{position}")
    else:
        yield path, value
