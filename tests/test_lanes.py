"""Each slow test is in one lane, and the lanes fit into the time of the run."""

import re
from pathlib import Path

import pytest

from tests.lanes import LANES, RUN_SECONDS, START_SECONDS, lane_of
from tests.needs import PROGRAMS

ROOT = Path(__file__).parent.parent
SLOW = re.compile(r"\bmark\.slow\b")
MODULES = [
    str(path.relative_to(ROOT))
    for path in sorted(ROOT.glob("tests/**/test_*.py"))
    if path != Path(__file__) and SLOW.search(path.read_text())
]


def test_the_shares_of_the_lanes_add_up_to_at_most_45_minutes() -> None:
    assert RUN_SECONDS == 45 * 60
    assert START_SECONDS + sum(lane.seconds for lane in LANES.values()) <= RUN_SECONDS


@pytest.mark.parametrize("module", MODULES)
def test_a_module_with_slow_tests_is_in_one_lane(module: str) -> None:
    assert lane_of(module) in LANES


@pytest.mark.parametrize("name", LANES)
def test_a_lane_has_tests_and_needs_what_can_be_looked_for(name: str) -> None:
    lane = LANES[name]
    assert [part for part in lane.tests if not any(module.startswith(part) for module in MODULES)] == []
    assert set(lane.needs) <= PROGRAMS.keys()
