"""Declarations of content fields, which the row mapper, the document and the digest read."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_SINCE, _UNIQUE, _API_NAME = "turnup.since", "turnup.unique_in_account", "turnup.api_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentField:
    """The declaration of a field.

    `api_name` is its name in the API: in objects, inputs, paths of problems and `Issue.field`. `kind` is the class of
    its value, or of each value if `many`. `optional` fields can be None. `default` is `MISSING` if the field has no
    default.
    """

    name: str
    api_name: str
    kind: type
    optional: bool
    many: bool
    default: Any
    since: int
    unique_in_account: bool

    @property
    def is_structured(self) -> bool:
        """Whether the value is a dataclass with fields of its own."""
        return is_dataclass(self.kind)


def content_field(
    *, default: Any = MISSING, since: int = 1, unique_in_account: bool = False, api_name: str | None = None
) -> Any:
    """Declare a field of the content.

    `since` is the digest version that introduced the field. A field of a later version than 1 is optional: an empty
    value (None or no items) is omitted from the document, so that existing digests stay valid. Raises ValueError if
    such a field has another default. If `unique_in_account`, the comparison key of the value is stored in the column
    `<name>_key`. `api_name` is the name in the API if it differs from the name in camel case.
    """
    if since > 1 and not is_empty(default):
        raise ValueError(f"the default of a content field of digest version {since} must be empty, not {default!r}")
    return field(default=default, metadata={_SINCE: since, _UNIQUE: unique_in_account, _API_NAME: api_name})


def in_camel_case(name: str) -> str:
    """Return the name of a field in documents."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def is_empty(value: Any) -> bool:
    """Whether the value is empty: None or no items."""
    return value is None or value == ()


@cache
def content_fields(kind: type) -> tuple[ContentField, ...]:
    """Return the fields of a content dataclass, in order. Raises TypeError for a type that content cannot have."""
    hints = get_type_hints(kind)
    return tuple(
        ContentField(
            name=each.name,
            api_name=each.metadata.get(_API_NAME) or in_camel_case(each.name),
            **_type_of(f"{kind.__name__}.{each.name}", hints[each.name]),
            default=each.default,
            since=each.metadata.get(_SINCE, 1),
            unique_in_account=each.metadata.get(_UNIQUE, False),
        )
        for each in fields(kind)
    )


@cache
def later_fields(kind: type) -> tuple[ContentField, ...]:
    """Return the fields that can require a digest version after 1: newer fields, and those that contain such fields."""
    return tuple(
        each for each in content_fields(kind) if each.since > 1 or (each.is_structured and later_fields(each.kind))
    )


def _type_of(name: str, hint: Any) -> Mapping[str, Any]:
    optional = get_origin(hint) in {Union, UnionType} and NoneType in get_args(hint)
    kinds = [each for each in get_args(hint) if each is not NoneType] if optional else [hint]
    many = get_origin(kinds[0]) is tuple
    if many:
        kinds = [each for each in get_args(kinds[0]) if each is not Ellipsis]
    if len(kinds) != 1 or not isinstance(kinds[0], type) or (many and optional):
        raise TypeError(f"{name}: {hint} is neither one class, an optional one nor a tuple of one class")
    return {"kind": kinds[0], "optional": optional, "many": many}
