"""The place of a value in the content: its section, the object that has it, and its field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from app.domain.content import LocationContent
from app.domain.content_document import is_named_by_id
from app.domain.content_field import ContentField, content_fields, in_camel_case
from app.domain.json_pointer import tokens_of
from app.domain.vocabulary import Section

# Maps the first name of a path to its section.
SECTION_OF = MappingProxyType(
    {
        "location": Section.LOCATION,
        "contacts": Section.CONTACTS,
        "phoneSystem": Section.PHONE_SYSTEM,
        "devices": Section.DEVICES,
        "people": Section.PEOPLE,
        "extensions": Section.EXTENSIONS,
        "workingHours": Section.WORKING_HOURS,
        "callFlow": Section.CALL_FLOW,
    }
)
# The members of the content whose rows are named by their ids.
_WITH_IDS = frozenset(
    in_camel_case(member.name)
    for member in content_fields(LocationContent)
    if member.is_structured and is_named_by_id(member.kind)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPlace:
    """A place in the content. `object_id` is the id of the row, `field` is the innermost field's name in the API."""

    section: Section | None = None
    object_id: str | None = None
    field: str | None = None


def place_of(path: str) -> ContentPlace:
    """Return the place in the content that a JSON pointer leads to; what the pointer does not name is None."""
    member, *inner = tokens_of(path) or ("",)
    section = SECTION_OF.get(member)
    if section is None:
        return ContentPlace()
    object_id = inner.pop(0) if inner and member in _WITH_IDS else None
    names = [token for token in inner if token[:1].isalpha()]  # the others are positions, weekdays and keys of a menu
    return ContentPlace(section=section, object_id=object_id, field=_innermost(member, names))


def _innermost(member: str, names: Sequence[str]) -> str | None:
    """The API's name of the field that a path leads to; a name that the content does not have is returned unchanged."""
    fields = _fields(LocationContent)
    if member in fields:
        fields = _fields(fields[member].kind)
    found = None
    for name in names:
        field = fields.get(name)
        found = name if field is None else field.api_name
        fields = _fields(field.kind) if field is not None and field.is_structured else {}
    return found


@cache
def _fields(kind: type) -> Mapping[str, ContentField]:
    """The fields of a kind of content by their names in documents."""
    return {in_camel_case(field.name): field for field in content_fields(kind)}
