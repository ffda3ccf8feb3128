"""Validation of simple arguments, before anything is read."""

from datetime import UTC, datetime

from app.domain import ids
from app.domain.refusals import InvalidInput

LONGEST_EXACT = 255


def identifier(value: str, field: str = "id") -> str:
    """A well-formed id. Raises InvalidInput with the name of the field."""
    if not ids.is_well_formed(value):
        raise InvalidInput(
            field=field, rule=f"must have 1 to {ids.LONGEST} characters from A-Z, a-z, 0-9, _ and -", path=(field,)
        )
    return value


def exact(value: str, field: str) -> str:
    """Text that is compared exactly. Raises InvalidInput with the name of the field if it is long or contains NUL."""
    if len(value) > LONGEST_EXACT:
        raise InvalidInput(field=field, rule=f"must have at most {LONGEST_EXACT} characters", path=(field,))
    if "\0" in value:
        raise InvalidInput(field=field, rule="must not contain control characters", path=(field,))
    return value


def moment(value: datetime, field: str) -> datetime:
    """A time, given with its offset from UTC, converted to UTC. Raises InvalidInput with the name of the field."""
    if value.tzinfo is None:
        raise InvalidInput(field=field, rule="must include an offset from UTC, such as Z", path=(field,))
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(field=field, rule="must be between the years 1 and 9999 in UTC", path=(field,)) from None
