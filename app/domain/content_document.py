"""A location's content as one JSON document, the common ground of digest, review and readiness paths.

Rows with an id are members named by it, hours are listed by weekday and menu options by digit, so that
`/devices/phone-1/macAddress` is a JSON pointer (RFC 6901) that survives the coming and going of other rows.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from datetime import time
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from app.domain.canonical import Json
from app.domain.content import (
    CallFlow,
    CallFlowOption,
    Contact,
    Device,
    Extension,
    LocationContent,
    Person,
    Target,
    WorkingHours,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Document: TypeAlias = dict[str, Json]


_T = TypeVar("_T")


def content_document(content: LocationContent) -> Document:
    """Every field of the content, named as in the API; the same document in whatever order the rows arrive."""
    return {
        "location": {
            "id": content.location_id,
            "accountId": content.account_id,
            "name": content.name,
            "address": _members(content.address),
            "timezone": content.timezone,
        },
        "contacts": _by_id(content.contacts),
        "phoneSystem": _members(content.phone_system) if content.phone_system else None,
        "devices": _by_id(content.devices),
        "people": _by_id(content.people),
        "extensions": _by_id(content.extensions),
        "workingHours": _grouped(hours_in_order(content.working_hours), lambda interval: str(interval.weekday)),
        "callFlow": _call_flow(content.call_flow) if content.call_flow else None,
    }


def pointer_to(member: str, row_id: str, field: str) -> str:
    """The JSON pointer to a field of a row that is named by its id, such as `/people/person-1/firstName`."""
    return f"/{member}/{row_id}/{_in_camel_case(field)}"


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
    return tuple(getattr(target, field.name) or "" for field in fields(target))


def _call_flow(call_flow: CallFlow) -> Document:
    options = options_in_order(call_flow.options)
    return _members(call_flow) | {"options": _grouped(options, lambda option: option.digit)}


def _by_id(rows: Iterable[Contact | Device | Person | Extension]) -> Document:
    return {row.id: _members(row) for row in rows}


def _grouped(rows: Iterable[_T], name: Callable[[_T], str]) -> Document:
    groups: dict[str, list[Json]] = {}
    for row in rows:
        groups.setdefault(name(row), []).append(_json(row))
    return dict(groups)


def _members(row: "DataclassInstance") -> Document:
    return {member: _json(getattr(row, name)) for name, member in _member_names(type(row))}


@cache
def _member_names(kind: "type[DataclassInstance]") -> tuple[tuple[str, str], ...]:
    """The fields of a kind of row with the names of their members; an id is the name of the whole row instead."""
    return tuple((field.name, _in_camel_case(field.name)) for field in fields(kind) if field.name != "id")


def _in_camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _json(value: Any) -> Json:  # Any: a field holds any of a dozen types, told apart here
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, time):
        return value.strftime("%H:%M")
    if isinstance(value, tuple):
        return [_json(part) for part in value]
    return _members(value)
