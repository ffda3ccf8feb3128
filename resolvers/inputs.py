"""Validation of simple arguments, before anything is read."""

from dataclasses import dataclass
from typing import Any

from strawberry.utils.str_converters import to_camel_case

from app.domain import ids
from app.domain.refusals import InvalidInput

LONGEST_EXACT = 255


@dataclass(frozen=True, slots=True)
class Malformed:
    """The value of a scalar for text in another form than the scalar's. The field that takes it refuses it."""

    rule: str


def identifier(value: str, field: str = "id") -> str:
    """A well-formed id. Raises InvalidInput with the name of the field."""
    if not ids.is_well_formed(value):
        raise InvalidInput(field=field, rule=ids.RULE, path=(field,))
    return value


def exact(value: str, field: str) -> str:
    """Text that is compared exactly. Raises InvalidInput with the name of the field if it is long or contains NUL."""
    if len(value) > LONGEST_EXACT:
        raise InvalidInput(field=field, rule=f"must have at most {LONGEST_EXACT} characters", path=(field,))
    if "\0" in value:
        raise InvalidInput(field=field, rule="must not contain control characters", path=(field,))
    return value


def conditions(given: Any) -> dict[str, Any]:
    """The conditions of a filter by name; empty without a filter. Raises InvalidInput for malformed text."""
    found: dict[str, Any] = {} if given is None else vars(given)
    for name, value in found.items():
        if isinstance(value, Malformed):
            field = to_camel_case(name)
            raise InvalidInput(field=field, rule=value.rule, path=("filter", field))
    return found
