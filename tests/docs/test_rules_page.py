"""The counts and the list of readiness codes in docs/rules.md are those of the tests that it names."""

from collections.abc import Callable, Iterator
from math import prod
from types import ModuleType
from typing import Any

import pytest

from app.domain.readiness.findings import FINDINGS
from app.domain.vocabulary import Gate, IssueCode
from tests.domain import test_readiness, test_status_machine
from tests.domain.defects import DEFECTS
from tests.operations import (
    test_approving,
    test_change_orders,
    test_hostile_input,
    test_invitations,
    test_locks,
    test_mac_claims,
    test_overrides,
    test_phones_raced,
    test_readiness_gates,
    test_revisions,
    test_service_tokens,
    test_sessions,
    test_verbs,
    test_viewer_actions_hold,
    test_ways_round,
)

from .pages import page, table

RULES = page("docs/rules.md")
MODULES = (
    test_approving,
    test_change_orders,
    test_hostile_input,
    test_invitations,
    test_locks,
    test_mac_claims,
    test_overrides,
    test_phones_raced,
    test_readiness,
    test_readiness_gates,
    test_revisions,
    test_service_tokens,
    test_sessions,
    test_status_machine,
    test_verbs,
    test_viewer_actions_hold,
    test_ways_round,
)


def of_the_page(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The tests of a module, by the names that the page has for them."""
    name = module.__name__.rpartition(".test_")[2].replace("_", " ")
    for test, function in vars(module).items():
        if test.startswith("test_") and callable(function):
            yield f"{name}: {test.removeprefix('test_').replace('_', ' ')}", function


TESTS = {name: function for module in MODULES for name, function in of_the_page(module)}


def parametrized(function: Callable[..., Any]) -> Iterator[tuple[str, list[Any]]]:
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize":
            yield str(mark.args[0]), list(mark.args[1])


def is_slow(each: Any) -> bool:
    return any(mark.name == "slow" for mark in getattr(each, "marks", ()))


def cases(function: Callable[..., Any]) -> tuple[int, int]:
    """How many cases a test has in every run, and in all."""
    lists = [values for _, values in parametrized(function)]
    whole_is_slow = any(mark.name == "slow" for mark in getattr(function, "pytestmark", []))
    every_run = 0 if whole_is_slow else prod(sum(not is_slow(each) for each in values) for values in lists)
    return every_run, prod(len(values) for values in lists)


def rounds(function: Callable[..., Any]) -> tuple[int, int] | None:
    """How many rounds a race has in every run, and in the long lane."""
    for name, values in parametrized(function):
        if name == "rounds":
            every_run, (long_lane,) = values[0], values[1].values
            return every_run, long_lane
        if name == "attempt":
            return len(values), len(values)
    return None


def test_every_count_of_the_exhaustive_tables_is_that_of_its_test() -> None:
    said = {test: (every_run, total) for _, test, every_run, total in table(RULES, "Exhaustive tests")}
    assert said == {test: tuple(map(str, cases(TESTS[test]))) for test in said}


def test_every_race_is_on_the_page_with_its_rounds() -> None:
    said = {test: (every_run, long_lane) for test, every_run, long_lane in table(RULES, "Concurrency tests")}
    found = {test: rounds(function) for test, function in TESTS.items()}
    assert said == {test: tuple(map(str, counted)) for test, counted in found.items() if counted}


@pytest.mark.parametrize("code", FINDINGS)
def test_the_page_lists_every_readiness_code_with_the_defects_that_show_it(code: IssueCode) -> None:
    said = {row[0]: tuple(row[1:]) for row in table(RULES, "Readiness")}
    assert said.keys() == FINDINGS.keys()
    blocks = ", ".join(gate.value for gate in Gate if gate in FINDINGS[code].blocks) or "nothing"
    assert said[code] == (blocks, "; ".join(name for name, defect in DEFECTS.items() if defect.code == code))
