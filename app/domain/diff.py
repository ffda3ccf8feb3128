"""What differs between two contents, field by field: what a reviewer reads, and what makes a review stale."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.domain.canonical import Json
from app.domain.content import LocationContent
from app.domain.content_document import content_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field's values; `path` is a JSON pointer (RFC 6901) into the content document, None stands for absent."""

    path: str
    before: Json
    after: Json


def diff(before: LocationContent | None, after: LocationContent) -> tuple[Change, ...]:
    """Every field that differs, in the order of its path; `before` is None when nothing was approved yet."""
    old = dict(_leaves(content_document(before))) if before else {}
    new = dict(_leaves(content_document(after)))
    return tuple(
        Change(path=path, before=old.get(path), after=new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def changed_paths(before: LocationContent | None, after: LocationContent) -> tuple[str, ...]:
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
