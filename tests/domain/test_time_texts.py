"""The texts of dates and times: which have a meaning, and how a time is written."""

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.time_texts import read_date, read_date_time, read_time, show_date_time


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("2026-11-30T09:30:00Z", datetime(2026, 11, 30, 9, 30, tzinfo=UTC)),
        ("2026-11-30T09:30:00.5Z", datetime(2026, 11, 30, 9, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-11-30T09:30:00.123456Z", datetime(2026, 11, 30, 9, 30, 0, 123_456, tzinfo=UTC)),
        ("2026-11-30T09:30:00.123456999Z", datetime(2026, 11, 30, 9, 30, 0, 123_456, tzinfo=UTC)),
        ("2026-11-30T00:30:00+01:00", datetime(2026, 11, 29, 23, 30, tzinfo=UTC)),
        ("2026-11-30T09:30:00-05:30", datetime(2026, 11, 30, 15, 0, tzinfo=UTC)),
        ("2026-11-30T09:30:00-00:00", datetime(2026, 11, 30, 9, 30, tzinfo=UTC)),
        ("2024-02-29T23:59:59Z", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("2026-11-30T09:30:60Z", None),
        ("2026-02-29T09:30:00Z", None),
        ("2026-11-30T09:30:00+24:00", None),
        ("\u0662026-11-30T09:30:00Z", None),
        ("2026-11-30T09:30:00Z\n", None),
    ],
)
def test_a_date_and_time_has_seconds_and_an_offset(text: str, meaning: datetime | None) -> None:
    assert read_date_time(text) == meaning


@pytest.mark.parametrize(
    ("text", "meaning"),
    [("2026-11-30", date(2026, 11, 30)), ("2026-11-31", None), ("2026-1-1", None), ("2026-W49-1", None)],
)
def test_a_date_is_a_year_a_month_and_a_day(text: str, meaning: date | None) -> None:
    assert read_date(text) == meaning


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("00:00", time(0)), ("09:30", time(9, 30)), ("23:59:59", time(23, 59, 59)), ("24:00", None), ("09", None),
        ("09:30:00.0", None), ("09:30Z", None), ("9:30", None),
    ],
)  # fmt: skip
def test_a_time_of_day_is_hours_and_minutes_and_perhaps_seconds(text: str, meaning: time | None) -> None:
    assert read_time(text) == meaning


offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=offsets)


@given(moments, moments)
def test_the_texts_of_times_are_equally_long_and_sort_as_the_times_do(one: datetime, other: datetime) -> None:
    texts = show_date_time(one), show_date_time(other)
    assert {len(each) for each in texts} == {27}
    assert (texts[0] < texts[1], texts[0] == texts[1]) == (one < other, one == other)


@given(moments)
def test_the_text_of_a_time_is_read_as_the_same_time(moment: datetime) -> None:
    assert read_date_time(show_date_time(moment)) == moment
