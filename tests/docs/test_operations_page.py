"""The runbook has an entry per alert, and the alerts have what an operator needs."""

import re

import pytest
from graphql import build_schema, parse, validate

from app.telemetry.metrics import EXPORTED
from graphql_schema.schema import schema
from tests.monitoring.rules import RULES, Alert, alerts

from .pages import page
from .test_links import anchors

PAGE = "docs/operations.md"
ALERTS = alerts(RULES.read_text())
ENTRIES = re.findall(r"^### (Turnup\w+)$", page(PAGE), re.MULTILINE)
QUERIES = re.findall(r"^```graphql\n(.*?)^```$", page(PAGE), re.MULTILINE | re.DOTALL)


def entry(name: str) -> str:
    """The text of the entry of an alert."""
    return page(PAGE).partition(f"\n### {name}\n")[2].partition("\n##")[0]


def test_every_rule_of_the_file_is_read() -> None:
    assert len(ALERTS) == RULES.read_text().count("- alert:") > 20


def test_every_alert_has_one_entry_and_every_entry_its_alert() -> None:
    assert len(ENTRIES) == len(set(ENTRIES))
    assert set(ENTRIES) == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_has_a_severity_texts_and_a_link_to_its_entry(alert: Alert) -> None:
    assert alert.severity in {"critical", "warning"}
    assert alert.annotations.keys() == {"summary", "description", "runbook"}
    target, _, anchor = alert.annotations["runbook"].partition("#")
    assert target == PAGE
    assert anchor == alert.name.lower()
    assert anchor in anchors(PAGE)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_entry_says_what_it_means_what_to_look_at_and_what_to_do(alert: Alert) -> None:
    assert re.findall(r"^\*\*([^*]+)\.\*\*", entry(alert.name), re.MULTILINE) == ["Meaning", "Look at", "Do"]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_query_of_an_entry_is_valid(query: str) -> None:
    assert validate(build_schema(schema.as_str()), parse(query)) == []


def test_an_entry_names_other_alerts_that_exist() -> None:
    named = set(re.findall(r"\bTurnup[A-Z]\w+", page(PAGE)))
    assert named <= {alert.name for alert in ALERTS}


def test_the_entry_about_telemetry_has_every_signal() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", entry("TurnupTelemetryDropped"), re.MULTILINE)
    assert sorted(rows) == sorted(EXPORTED)
