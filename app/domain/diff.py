"""The differences between two contents, field by field. Reviewers read them, and a review with differences is stale."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.domain.canonical import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentDifference:
    """The values of one field. `path` is a JSON pointer (RFC 6901) into the document. An absent value is None."""

    path: str
    before: Json
    after: Json


def diff(before: Mapping[str, Json] | None, after: Mapping[str, Json]) -> tuple[ContentDifference, ...]:
    """Return the fields that differ between two content documents, sorted by path.

    `before` is None if nothing was approved yet.
    """
    old = dict(_leaves(before or {}))
    new = dict(_leaves(after))
    return tuple(
        ContentDifference(path=path, before=old.get(path), after=new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def changed_paths(before: Mapping[str, Json] | None, after: Mapping[str, Json]) -> tuple[str, ...]:
    """Return only the paths of `diff`."""
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
