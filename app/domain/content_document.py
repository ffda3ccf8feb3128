"""A location's content as a JSON document, which digests, reviews and the paths of issues use.

The document is derived from the content's dataclasses. Rows with ids are members of objects with the id as the name.
Hours, without their ids, are grouped by weekday, and menu options by digit. A JSON pointer (RFC 6901) such as
`/devices/phone-1/macAddress` therefore stays valid when other rows are added or removed.

Version 1 of the document has all fields that were declared for it; empty fields are null. An empty field of a later
version is absent, so that adding a field changes no existing document.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from datetime import time
from functools import cache
from typing import Any, TypeAlias, TypeVar

from app.domain.canonical import Json
from app.domain.content import CallFlowOption, LocationContent, Target, WorkingHours
from app.domain.content_field import ContentField, content_fields, in_camel_case, is_empty

Document: TypeAlias = dict[str, Json]

_T = TypeVar("_T")


def content_document(content: LocationContent) -> Document:
    """Return all fields of the content with their names in camel case. The order of the rows has no effect."""
    of_location, of_children = _members_of_location()
    return {"location": _written(content, of_location), **_written(content, of_children)}


def pointer_to(member: str, row_id: str, field: str) -> str:
    """Return the JSON pointer to a field of a row with an id, such as `/people/person-1/firstName`.

    `member` and `field` are the names of fields of the content.
    """
    return f"/{in_camel_case(member)}/{row_id}/{in_camel_case(field)}"


def is_named_by_id(kind: type) -> bool:
    """Whether the document names the rows of a class by their ids, instead of grouping them."""
    return kind not in _GROUPED and any(field.name == "id" for field in content_fields(kind))


def hours_in_order(intervals: Iterable[WorkingHours]) -> list[WorkingHours]:
    """Return the intervals sorted by weekday and time."""
    return sorted(intervals, key=lambda row: (row.weekday, row.opens, row.closes, row.passes_midnight))


def options_in_order(options: Iterable[CallFlowOption]) -> list[CallFlowOption]:
    """Return the menu options sorted by digit; options with the same digit are sorted by target."""
    return sorted(options, key=lambda option: (option.digit, *_rank(option.target)))


def with_places(rows: Iterable[_T], group: Callable[[_T], str]) -> Iterator[tuple[str, _T]]:
    """Yield each row with its position in the document, `group/position`."""
    counts: Counter[str] = Counter()
    for row in rows:
        name = group(row)
        yield f"{name}/{counts[name]}", row
        counts[name] += 1


def _rank(target: Target) -> tuple[str, ...]:
    return tuple(str(getattr(target, field.name) or "") for field in fields(target))


# A field: its Python name, its name in the document, how its value is written, whether it is omitted if empty.
_Member = tuple[str, str, Callable[[Any], Json], bool]


def _written(value: Any, members: Iterable[_Member]) -> Document:
    document: Document = {}
    for name, member, write, is_later in members:
        held = getattr(value, name)
        if not (is_later and is_empty(held)):
            document[member] = write(held)
    return document


def _row(value: Any) -> Document:
    return _written(value, _members(value.__class__))


@cache
def _members(kind: type) -> tuple[_Member, ...]:
    """The members of a kind of row. The id is not a member; it names the row."""
    return tuple(_member(field) for field in content_fields(kind) if field.name != "id")


@cache
def _members_of_location() -> tuple[tuple[_Member, ...], tuple[_Member, ...]]:
    """The members of `location`, and the other members of the document."""
    declared = content_fields(LocationContent)
    children = [field for field in declared if field.is_structured and (field.many or field.optional)]
    return tuple(_member(field) for field in declared if field not in children), tuple(map(_member, children))


def _member(field: ContentField) -> _Member:
    name = "id" if field.name == "location_id" else in_camel_case(field.name)
    return field.name, name, _writer(field), field.since > 1


def _writer(field: ContentField) -> Callable[[Any], Json]:
    if field.is_structured:
        _members(field.kind)  # raises at import for a field that cannot be written
        return _lister(field.kind) if field.many else _optional(_row)
    if field.many:
        return list
    if issubclass(field.kind, str):
        return _optional(str)  # includes enum members
    if issubclass(field.kind, time):
        return _optional(lambda value: value.strftime("%H:%M"))
    return lambda value: value


def _lister(kind: type) -> Callable[[Any], Json]:
    if is_named_by_id(kind):
        return _by_id
    if kind not in _GROUPED:
        raise TypeError(f"{kind.__name__} has no id, so _GROUPED must declare how the document groups it")
    return _GROUPED[kind]


def _optional(write: Callable[[Any], Json]) -> Callable[[Any], Json]:
    return lambda value: None if value is None else write(value)


def _by_id(rows: Iterable[Any]) -> Document:
    return {row.id: _row(row) for row in rows}


def _grouped(rows: Iterable[_T], name: Callable[[_T], str]) -> Document:
    groups: dict[str, list[Json]] = {}
    for row in rows:
        groups.setdefault(name(row), []).append(_row(row))
    return dict(groups)


# The groups of rows without ids, and of rows whose ids are not part of the document.
_GROUPED: dict[type, Callable[[Any], Json]] = {
    WorkingHours: lambda rows: _grouped(hours_in_order(rows), lambda interval: str(interval.weekday)),
    CallFlowOption: lambda rows: _grouped(options_in_order(rows), lambda option: option.digit),
}

_members_of_location()
