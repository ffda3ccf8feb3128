"""Limits as data: the maximum number of rows in each list, the range of each number. And checks of single values."""

from collections.abc import Sized
from datetime import time
from types import MappingProxyType

from app.domain.refusals import InvalidInput, LimitReached

CAPS = MappingProxyType(
    {
        "contacts": 8,
        "devices": 250,
        "people": 250,
        "extensions": 250,
        "workingHours": 42,
        "options": 100,
        "directTargets": 100,
        "bulkUpdateStatus": 100,
        "bulkApprove": 100,
        "bulkGeneratePayloads": 50,
        "reasons": 100,
        "partners": 20,
        "recipients": 100,
        "versions": 20,
        "serviceTokens": 20,
    }
)

# Minimum and maximum, both inclusive.
RANGES = MappingProxyType(
    {
        "extensionLength": (2, 6),
        "weekday": (1, 7),
        "timeoutSeconds": (1, 300),
        "retries": (0, 10),
        "expiresInMinutes": (1, 480),
    }
)


def check_cap(name: str, rows: Sized | int, *, path: tuple[str, ...] = ()) -> None:
    """Raise LimitReached when there are more rows than the cap called `name` allows; `rows` may be their number."""
    count = rows if isinstance(rows, int) else len(rows)
    if count > CAPS[name]:
        raise LimitReached(limit=CAPS[name], counted=name, path=path)


def check_range(name: str, value: int | None, *, path: tuple[str, ...] = ()) -> None:
    """Raise InvalidInput when a value is given and lies outside the range called `name`."""
    least, greatest = RANGES[name]
    if value is not None and not least <= value <= greatest:
        raise InvalidInput(field=name, rule=f"must be between {least} and {greatest}", path=path)


def check_whole_minutes(name: str, value: time, *, path: tuple[str, ...] = ()) -> None:
    """Raise InvalidInput for a time of day with seconds or a time zone: working hours are local, in whole minutes."""
    if value.second or value.microsecond or value.tzinfo:
        raise InvalidInput(field=name, rule="must be a local time in whole minutes", path=path)


def check_true(name: str, value: object, *, path: tuple[str, ...] = ()) -> None:
    """Raise InvalidInput unless the value is true: a choice among several is made with true, never with false."""
    if value is not True:
        raise InvalidInput(field=name, rule="must be true", path=path)
