"""Every limit holds at its edge."""

from datetime import UTC, time

import pytest

from app.domain.limits import CAPS, RANGES, check_cap, check_range, check_whole_minutes
from app.domain.refusals import InvalidInput, LimitReached


@pytest.mark.parametrize(("name", "cap"), CAPS.items())
def test_a_cap_is_reached_but_not_passed(name, cap):
    check_cap(name, range(cap))
    check_cap(name, cap)
    with pytest.raises(LimitReached) as refusal:
        check_cap(name, cap + 1)
    assert refusal.value.limit == cap


@pytest.mark.parametrize(("name", "bounds"), RANGES.items())
def test_a_number_lies_within_its_range(name, bounds):
    least, greatest = bounds
    for value in (None, least, greatest):
        check_range(name, value)
    for value in (least - 1, greatest + 1):
        with pytest.raises(InvalidInput):
            check_range(name, value)


def test_working_hours_are_local_and_to_the_minute():
    check_whole_minutes("opens", time(9, 30))
    for value in (time(9, 30, 1), time(9, 30, 0, 1), time(9, 30, tzinfo=UTC)):
        with pytest.raises(InvalidInput):
            check_whole_minutes("opens", value)


def test_the_caps_are_those_that_were_promised():
    promised = {
        "devices": 250,
        "people": 250,
        "extensions": 250,
        "contacts": 8,
        "workingHours": 42,
        "options": 100,
        "bulkUpdateStatus": 100,
        "bulkApprove": 100,
        "bulkGeneratePayloads": 50,
    }
    assert {name: CAPS[name] for name in promised} == promised
