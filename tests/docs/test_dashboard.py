"""What the panels of the dashboard say about themselves is true of their queries."""

import json
import re
from math import prod
from typing import Any

import pytest

from tests.monitoring.rules import RULES, alerts

from .pages import ROOT, page, table

PANELS = [
    panel
    for panel in json.loads((ROOT / "deploy/grafana/turnup.json").read_text(encoding="utf-8"))["panels"]
    if panel["type"] != "row"
]
METRICS = {name: (labels.split(", "), says) for name, labels, says in table(page("docs/metrics.md"), "Names")}
WINDOWS = {"5m": "", "10m": "last 10 minutes", "1h": "last hour"}
"""The ranges of queries, and what a panel says of them. Five minutes only smooth a rate."""
NUMBERS = {"two": 2, "four": 4}
UNITS = {"%": 0.01, "hours": 3_600, "days": 86_400}
_LIMIT = re.compile(r"(Turnup\w+) fires above (\w+)(?: (%|hours|days))?")

each_panel = pytest.mark.parametrize("panel", PANELS, ids=[f"{each['title']} {each['id']}" for each in PANELS])


def queries(panel: dict[str, Any]) -> str:
    return "\n".join(target["expr"] for target in panel["targets"])


def metrics(panel: dict[str, Any]) -> list[tuple[list[str], str]]:
    """The labels and the descriptions of what a panel queries."""
    names = {re.sub("_bucket$", "", name) for name in re.findall(r"\bturnup_\w+", queries(panel))}
    return [METRICS[name] for name in names]


@each_panel
def test_a_panel_that_counts_by_field_says_so_and_no_other_does(panel: dict[str, Any]) -> None:
    says = re.search(r"\bper root field\b|\bfield at any level\b", panel["description"])
    assert bool(says) == any("field" in labels for labels, _ in metrics(panel))


@each_panel
def test_a_panel_of_requests_per_second_counts_requests(panel: dict[str, Any]) -> None:
    if panel["fieldConfig"]["defaults"]["unit"] == "reqps":
        assert all(re.search(r"\brequests\b|\banswers\b", says) for _, says in metrics(panel))


@each_panel
def test_a_panel_names_the_time_that_it_covers(panel: dict[str, Any]) -> None:
    covered = {WINDOWS[window] for window in re.findall(r"\[(\w+)\]", queries(panel))} - {""}
    assert re.findall(r", (last .+)$", panel["title"]) == list(covered)
    assert all(said in panel["description"] for said in covered)


def limits(rule: str) -> set[float]:
    """The numbers above which a rule of the file fires."""
    body = RULES.read_text().partition(f"- alert: {rule}\n")[2].partition("labels:")[0]
    return {prod(map(float, found.split(" * "))) for found in re.findall(r"> (\d[\d.]*(?: \* \d+)*)", body)}


@each_panel
def test_a_panel_names_the_alerts_about_it_with_their_limits(panel: dict[str, Any]) -> None:
    named = set(re.findall(r"\bTurnup[A-Z]\w+", panel["description"]))
    assert named <= {alert.name for alert in alerts(RULES.read_text())}
    red = {step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"] if step["color"] == "red"}
    for alert, number, unit in _LIMIT.findall(panel["description"]):
        limit = (NUMBERS.get(number) or float(number)) * UNITS.get(unit, 1)
        assert limit in limits(alert)
        assert red == {limit}


def test_some_panels_have_what_is_compared() -> None:
    assert sum(bool(_LIMIT.search(panel["description"])) for panel in PANELS) > 4
    assert sum(", last " in panel["title"] for panel in PANELS) > 4
