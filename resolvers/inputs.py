"""Validation of simple arguments, before anything is read."""

from datetime import UTC, datetime

from app.domain import ids
from app.domain.refusals import InvalidInput


def identifier(value: str, field: str = "id") -> str:
    """A well-formed id. Raises InvalidInput with the name of the field."""
    if not ids.is_well_formed(value):
        raise InvalidInput(
            field=field, rule=f"an id has 1 to {ids.LONGEST} characters of A-Z, a-z, 0-9, _ and -", path=(field,)
        )
    return value


def exact(value: str, field: str) -> str:
    """Text that is compared exactly. Raises InvalidInput with the name of the field if it contains NUL."""
    if "\0" in value:
        raise InvalidInput(field=field, rule="it contains a control character", path=(field,))
    return value


def moment(value: datetime, field: str) -> datetime:
    """A time, given with its offset from UTC, converted to UTC. Raises InvalidInput with the name of the field."""
    if value.tzinfo is None:
        raise InvalidInput(field=field, rule="a time needs its offset from UTC, such as Z", path=(field,))
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(field=field, rule="it must lie in the years 1 to 9999 of UTC", path=(field,)) from None
