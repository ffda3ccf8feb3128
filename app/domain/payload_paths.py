"""Where the values of a payload document are in the content.

Partners name values by JSON pointers into the document, such as `/devices/0/macAddress`. Customers know the content, in
which rows are addressed by id: `/devices/phone-1/macAddress`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from app.domain.content import Extension, LocationContent
from app.domain.content_document import Document, content_document, hours_in_order, options_in_order, with_places
from app.domain.json_pointer import pointer_along, position_in, resolved, tokens_of
from app.domain.payload_order import contacts_in_order, devices_in_order, extensions_in_order, users_in_order

Tokens = tuple[str, ...]

_Row = TypeVar("_Row")

# The values that documents derive, by the field that somebody filled in. A mailbox has the main number.
_ENTERED_AS = MappingProxyType({"phoneE164": "phone", "mobileE164": "mobile"})


def content_paths(content: LocationContent, paths: Sequence[str]) -> list[str]:
    """Return the JSON pointers into the content for pointers into its payload document.

    A pointer leads to the value, or else to the innermost object that the content has there. A pointer into a member
    that only the document has, or that neither has, is returned unchanged.
    """
    document = content_document(content) if paths else {}
    return [_content_path(content, document, path) for path in paths]


def _content_path(content: LocationContent, document: Document, path: str) -> str:
    tokens = tokens_of(path)
    if not tokens or tokens[0] not in _MEMBERS:
        return path
    *outer, last = _MEMBERS[tokens[0]](content, tokens[1:])
    place = ("phoneSystem", "mainNumber") if last == "mailboxNumber" else (*outer, _ENTERED_AS.get(last, last))
    return pointer_along(resolved(document, place))


def _at(*member: str) -> Callable[[LocationContent, Tokens], Tokens]:
    """The fields of a member that has no rows, and has the same names in both."""
    return lambda _content, inner: (*member, *inner)


def _contacts(content: LocationContent, inner: Tokens) -> Tokens:
    ordered = contacts_in_order(content.contacts)
    name, *further = inner or ("",)
    if name == "others":
        return _in_rows("contacts", [(row.id,) for row in ordered.others], tuple(further))
    found = next((row.id for purpose, row in ordered.first.items() if purpose.lower() == name), None)
    return ("contacts",) if found is None else ("contacts", found, *further)


def _devices(content: LocationContent, inner: Tokens) -> Tokens:
    devices = devices_in_order(content)
    place = _in_rows("devices", [(row.id,) for row in devices], inner)
    if place[2:] == ("extension",):
        rings = next((row for row in content.extensions if row.device_id == place[1]), None)
        return place if rings is None else _field_of(rings, "number")
    return place


def _users(content: LocationContent, inner: Tokens) -> Tokens:
    users = users_in_order(content)
    place = _in_rows("people", [(person.id,) for person, _ in users], inner)
    if len(place) < 4:  # the member, the id, a list and the position in it
        return place
    held = next(extensions for person, extensions in users if person.id == place[1])
    match place[2]:
        case "extensions":
            return _nth([_field_of(row, "number") for row in held], place[3]) or place
        case "devices":
            return _nth([_field_of(row, "deviceId") for row in held if row.device_id], place[3]) or place
    return place


def _extensions(content: LocationContent, inner: Tokens) -> Tokens:
    place = _in_rows("extensions", [(row.id,) for row in extensions_in_order(content)], inner)
    return (*place[:2], "personId") if place[2:] == ("userId",) else place


def _working_hours(content: LocationContent, inner: Tokens) -> Tokens:
    ordered = hours_in_order(content.working_hours)
    return _in_rows("workingHours", [*_places(ordered, lambda row: str(row.weekday))], inner)


def _call_flow(content: LocationContent, inner: Tokens) -> Tokens:
    options = content.call_flow.options if content.call_flow else ()
    match inner:
        case ("extensions", *further):
            return ("callFlow", "directTargets", *further)
        case ("options", *further):
            places = [*_places(options_in_order(options), lambda option: option.digit)]
            return ("callFlow", *_in_rows("options", places, _of_target(further)))
    return ("callFlow", *_of_target(inner))


def _of_target(inner: Sequence[str]) -> Tokens:
    """The place of a target's field, which the content keeps as the id of the extension."""
    *outer, last = inner or ("",)
    return (*outer, "extensionId") if last == "extension" else tuple(inner)


def _places(rows: Sequence[_Row], group: Callable[[_Row], str]) -> Iterator[Tokens]:
    """The tokens of each row that has no id: its group and the position in it."""
    for place, _ in with_places(rows, group):
        yield tuple(place.split("/"))


def _in_rows(member: str, rows: Sequence[Tokens], inner: Tokens) -> Tokens:
    """The place of a field in a list of rows; `inner` begins with the position of the row in the document."""
    if not inner:
        return (member,)
    row = _nth(rows, inner[0])
    return (member,) if row is None else (member, *row, *inner[1:])


def _nth(places: Sequence[Tokens], token: str) -> Tokens | None:
    position = position_in(token, len(places))
    return None if position is None else places[position]


def _field_of(extension: Extension, field: str) -> Tokens:
    return ("extensions", extension.id, field)


# The place in the content, by the first name of the pointer.
_MEMBERS: Mapping[str, Callable[[LocationContent, Tokens], Tokens]] = MappingProxyType(
    {
        "locationId": _at("location", "id"),
        "locationName": _at("location", "name"),
        "accountId": _at("location", "accountId"),
        "location": _at("location"),
        "contacts": _contacts,
        "phoneSystem": _at("phoneSystem"),
        "devices": _devices,
        "users": _users,
        "extensions": _extensions,
        "workingHours": _working_hours,
        "callFlow": _call_flow,
    }
)
