"""The differences between two documents, field by field: of contents, for reviewers, and of payloads, for partners."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.canonical import Json
from app.domain.content_document import with_places


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


# The members of a payload document that are of the payload itself, not of the location.
_OF_THE_PAYLOAD = frozenset({"timestamp", "metadata"})
# The members that place a row without an id; several rows can have the same one.
_GROUPS = ("digit", "weekday")


def payload_changes(before: Mapping[str, Json], after: Mapping[str, Json]) -> tuple[ContentDifference, ...]:
    """Return the fields that differ between two payload documents, sorted by path, without `timestamp` and `metadata`.

    Rows have the places that they have in content documents, so that an added row does not move the others: a row with
    an id is named by its id, a menu option by its digit, an interval by its weekday. A list of plain values is one
    field.
    """
    return tuple(sorted(_changes(_of_location(before), _of_location(after), ""), key=lambda change: change.path))


def _of_location(document: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in document.items() if name not in _OF_THE_PAYLOAD}


def _changes(before: Json, after: Json, path: str) -> Iterator[ContentDifference]:
    """Yield the fields that differ. Parts that are equal as a whole are skipped: most are, and a document is large."""
    if before == after or (_is_empty(before) and _is_empty(after)):
        return
    old, new = _members(before), _members(after)
    if old is None or new is None:
        yield ContentDifference(path=path, before=before, after=after)
        return
    for name in old.keys() | new.keys():
        yield from _changes(old.get(name), new.get(name), f"{path}/{name}")


def _is_empty(value: Json) -> bool:
    return value is None or value == []


def _members(value: Json) -> Mapping[str, Json] | None:
    """The members of an object or the named rows of a list; no members if it is empty; None for a field."""
    if value is None or isinstance(value, Mapping):
        return value or {}
    if isinstance(value, (list, tuple)) and all(isinstance(each, Mapping) for each in value):
        return _named_rows(value)
    return None


def _named_rows(rows: Sequence[Any]) -> Mapping[str, Json]:
    if all("id" in each for each in rows):
        return {each["id"]: {name: value for name, value in each.items() if name != "id"} for each in rows}
    group = next((name for name in _GROUPS if all(name in each for each in rows)), None)
    if group is None:
        return {str(position): each for position, each in enumerate(rows)}
    return dict(with_places(rows, lambda row: str(row[group])))


def _leaves(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from _leaves(member, f"{path}/{name}")
    elif isinstance(value, (list, tuple)):
        for position, part in enumerate(value):
            yield from _leaves(part, f"{path}/{position}")
    else:
        yield path, value
