"""A location's content as one JSON document: the input of the digest, of reviews and of readiness paths.

The document is derived from the content's dataclasses. Rows with an id are members named by it, hours are listed by
weekday and menu options by digit, so that `/devices/phone-1/macAddress` is a JSON pointer (RFC 6901) that stays valid
when other rows are added or removed.

Version 1 of the document has every field that was declared for it, empty ones as null. A field of a later version
is absent when it is empty: adding one changes no existing document.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from datetime import time
from functools import cache
from typing import Any, TypeAlias, TypeVar

from app.domain.canonical import Json
from app.domain.content import CallFlowOption, LocationContent, Target, WorkingHours
from app.domain.content_field import ContentField, content_fields, is_empty

Document: TypeAlias = dict[str, Json]

_T = TypeVar("_T")


def content_document(content: LocationContent) -> Document:
    """Every field of the content, named as in the API; the same document in whatever order the rows arrive."""
    of_location, of_children = _members_of_location()
    return {"location": _written(content, of_location), **_written(content, of_children)}


def pointer_to(member: str, row_id: str, field: str) -> str:
    """The JSON pointer to a field of a row that is named by its id, such as `/people/person-1/firstName`.

    `member` and `field` are the names of the content's fields.
    """
    return f"/{in_camel_case(member)}/{row_id}/{in_camel_case(field)}"


def in_camel_case(name: str) -> str:
    """A field's name as documents and the API write it."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def hours_in_order(intervals: Iterable[WorkingHours]) -> list[WorkingHours]:
    """Intervals from Monday on, each day's from the earliest on."""
    return sorted(intervals, key=lambda row: (row.weekday, row.opens, row.closes, row.passes_midnight))


def options_in_order(options: Iterable[CallFlowOption]) -> list[CallFlowOption]:
    """Menu options by digit; those that share a digit by where they lead."""
    return sorted(options, key=lambda option: (option.digit, *_rank(option.target)))


def with_places(rows: Iterable[_T], group: Callable[[_T], str]) -> Iterator[tuple[str, _T]]:
    """Each row with its place in the document, `group/position`."""
    counts: Counter[str] = Counter()
    for row in rows:
        name = group(row)
        yield f"{name}/{counts[name]}", row
        counts[name] += 1


def _rank(target: Target) -> tuple[str, ...]:
    return tuple(str(getattr(target, field.name) or "") for field in fields(target))


# A field: its name in Python, its name in the document, how its value is written, whether an empty one is left out.
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
    """The members of a kind of row; an id is the name of the whole row instead."""
    return tuple(_member(field) for field in content_fields(kind) if field.name != "id")


@cache
def _members_of_location() -> tuple[tuple[_Member, ...], tuple[_Member, ...]]:
    """The members of `location`, and of the document beside it."""
    declared = content_fields(LocationContent)
    children = [field for field in declared if field.is_structured and (field.many or field.optional)]
    return tuple(_member(field) for field in declared if field not in children), tuple(map(_member, children))


def _member(field: ContentField) -> _Member:
    name = "id" if field.name == "location_id" else in_camel_case(field.name)
    return field.name, name, _writer(field), field.since > 1


def _writer(field: ContentField) -> Callable[[Any], Json]:
    if field.is_structured:
        _members(field.kind)  # a field in it that cannot be written stops the import
        return _lister(field.kind) if field.many else _optional(_row)
    if field.many:
        return list
    if issubclass(field.kind, str):
        return _optional(str)  # an enumeration's member too
    if issubclass(field.kind, time):
        return _optional(lambda value: value.strftime("%H:%M"))
    return lambda value: value


def _lister(kind: type) -> Callable[[Any], Json]:
    if any(field.name == "id" for field in content_fields(kind)):
        return _by_id
    if kind not in _GROUPED:
        raise TypeError(f"{kind.__name__} has no id, so _GROUPED must say how the document lists it")
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


# How rows without an id are listed.
_GROUPED: dict[type, Callable[[Any], Json]] = {
    WorkingHours: lambda rows: _grouped(hours_in_order(rows), lambda interval: str(interval.weekday)),
    CallFlowOption: lambda rows: _grouped(options_in_order(rows), lambda option: option.digit),
}

_members_of_location()
