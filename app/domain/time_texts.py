"""The texts of dates and times in the API: narrow forms of RFC 3339 and of HTML, so that each has one meaning.

A reader returns None for text that is not in the form, or that names no day or time that can be stored.
"""

import re
from datetime import UTC, date, datetime, time

_DAY = r"\d{4}-\d{2}-\d{2}"
_HOUR_AND_MINUTE = r"([01]\d|2[0-3]):\d{2}"
_DATE = re.compile(_DAY, re.ASCII)
_DATE_TIME = re.compile(rf"{_DAY}T{_HOUR_AND_MINUTE}:\d{{2}}(\.\d+)?(Z|[+-]{_HOUR_AND_MINUTE})", re.ASCII)
_TIME = re.compile(rf"{_HOUR_AND_MINUTE}(:\d{{2}})?", re.ASCII)


def read_date(text: str) -> date | None:
    """The day of a text such as `2026-03-01`."""
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def read_date_time(text: str) -> datetime | None:
    """The time in UTC of a text such as `2026-03-01T09:30:00+01:00`. Digits after microseconds are cut off."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if _DATE_TIME.fullmatch(text) else None
    except (ValueError, OverflowError):
        return None


def read_time(text: str) -> time | None:
    """The time of day of a text such as `09:30` or `09:30:00`."""
    try:
        return time.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        return None


def show_date_time(moment: datetime) -> str:
    """The text of a time, in UTC and with six digits after the second."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
