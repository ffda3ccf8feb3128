"""Commands: the input of a mutation as a frozen value. A field that a patch leaves out is UNSET."""

from dataclasses import dataclass, is_dataclass
from enum import Enum
from typing import Any, Final, TypeVar

T = TypeVar("T")


class Unset(Enum):
    """The type of UNSET."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET
"""The value of a field that a patch leaves out: the stored value does not change. None empties a field."""


def or_stored(given: T | Unset, stored: T) -> T:
    """The given value, or the stored one if the patch leaves the field out."""
    return stored if given is UNSET else given


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The input of one mutation, without its idempotency key.

    Fields have the names and types of the GraphQL input: ids are text, lists are tuples, nested inputs are frozen
    dataclasses, and a field that can be left out of a patch has `Unset` among its types and UNSET as its default.
    """

    def fingerprinted(self) -> dict[str, Any]:
        """The plain values, by field name, from which the fingerprint of an idempotency key is computed."""
        return plain(self)


def plain(command: Any) -> dict[str, Any]:
    """A command, or a nested input, as plain values by field name, without the fields that are UNSET."""
    values = ((name, getattr(command, name)) for name in command.__dataclass_fields__)
    return {name: _plain_value(value) for name, value in values if value is not UNSET}


def _plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain_value(each) for each in value]
    return plain(value) if is_dataclass(value) else value
