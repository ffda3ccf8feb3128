"""A real Prometheus scrapes real servers with the rules of deploy/prometheus: each alert fires and resolves.

The rules are those of the product with their durations divided by FACTOR.
"""

import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.docs.pages import page
from tests.harness import LEAD, own_database
from tests.limiting.redis_server import a_redis
from tests.outages.processes import a_stem

from . import picture
from .play import RESOLVES_SECONDS, Play, played
from .rules import RULES, alerts, quicker

# One worker plays the faults for all tests.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("monitoring")]

DASHBOARD = json.loads((RULES.parent.parent / "grafana" / "turnup.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]


def blocks(language: str) -> list[str]:
    """Return the blocks in a language of the runbook."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page("docs/operations.md"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
async def play(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Play]:
    """The faults, played, and the Prometheus that has seen them."""
    folder = tmp_path_factory.mktemp("monitoring")
    with a_stem(folder, Path(__file__).with_name("stem.py")) as stem, a_redis() as redis:
        async with own_database() as database, played(folder, folder / "home", stem, database, redis) as done:
            yield done


@pytest.mark.parametrize("name", [alert.name for alert in alerts(RULES.read_text())])
async def test_an_alert_fires_after_a_fault_and_resolves_after_its_repair(
    play: Play, name: str, record_property: Callable[[str, object], None]
) -> None:
    assert name not in play.failures, play.failures[name]
    proof = play.proofs[name]
    record_property("tried", f"| {name} | {proof.fault} | {proof.fired_after:.1f} s | {proof.resolved_after:.1f} s |")
    # Prometheus' own record of the alert: it fired, and does not any more. A busy machine may fire it once again.
    firing = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
    assert await play.prometheus.series(firing, play.began, play.ended, 0.25)
    await play.prometheus.until_resolved({name}, RESOLVES_SECONDS, "")


async def test_prometheus_evaluates_all_rules_without_an_error(play: Play) -> None:
    groups = (await play.prometheus.get("rules"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in rules if rule["type"] == "alerting"} == {
        alert.name for alert in alerts(RULES.read_text())
    }
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []


@pytest.mark.parametrize(("title", "expr"), QUERIES, ids=[f"{title}-{n}" for n, (title, _) in enumerate(QUERIES)])
async def test_a_query_of_the_dashboard_returns_data(play: Play, title: str, expr: str) -> None:
    found = await play.prometheus.series(quicker(picture.filled_in(expr)), play.began, play.ended, 1)
    numbers = [float(value) for series in found for _, value in series["values"]]
    assert [number for number in numbers if number == number], f"{title}: {expr} has no data"  # noqa: PLR0124 - NaN


@pytest.mark.parametrize("expr", blocks("promql"), ids=range(len(blocks("promql"))))
async def test_a_query_of_the_runbook_returns_data(play: Play, expr: str) -> None:
    assert await play.prometheus.series(quicker(expr), play.began, play.ended, 1), f"no data: {expr}"


@pytest.mark.parametrize("query", blocks("graphql"), ids=range(len(blocks("graphql"))))
async def test_a_request_of_the_runbook_is_answered_to_a_lead(play: Play, query: str) -> None:
    lists = (await play.main.ask(query, LEAD)).values()
    assert all("nodes" in each for each in lists)


@pytest.mark.parametrize("statement", blocks("sql"), ids=range(len(blocks("sql"))))
async def test_a_statement_of_the_runbook_is_accepted(play: Play, statement: str) -> None:
    await play.superuser.fetch(statement)


async def test_the_picture_of_the_dashboard_has_every_panel(
    play: Play, tmp_path_factory: pytest.TempPathFactory
) -> None:
    drawn = await picture.draw(DASHBOARD, play.prometheus, picture.Span(play.began, play.ended))
    (tmp_path_factory.getbasetemp() / "dashboard.svg").write_text(drawn)
    assert re.findall(r'<text class="title"[^>]*>([^<]*)</text>', drawn) == [panel["title"] for panel in PANELS]
    assert "no data" not in drawn
