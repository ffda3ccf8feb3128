"""The picture of the dashboard is readable: nothing is left out without a word, and its axes end at round numbers."""

import re
from typing import Any, cast

import pytest

from tests.docs.test_dashboard import PANELS

from .picture import LEGEND_LINES, Span, draw
from .prometheus import Prometheus

SPAN = Span(1_000.0, 1_067.0)
BY_TITLE = {panel["title"]: panel for panel in PANELS}


class Answers:
    """Answers each query with series of one value."""

    def __init__(self, *series: tuple[dict[str, str], float]) -> None:
        self._series = series

    async def series(self, _query: str, start: float, end: float, _step: float) -> list[dict[str, Any]]:
        return [
            {"metric": labels, "values": [(start, str(value)), (end, str(value))]} for labels, value in self._series
        ]


async def drawn(title: str, *series: tuple[dict[str, str], float]) -> list[str]:
    """The texts of the picture of a dashboard that has one panel."""
    dashboard = {"title": "Turnup", "panels": [BY_TITLE[title]]}
    picture = await draw(dashboard, cast(Prometheus, Answers(*series)), SPAN)
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture)


async def test_a_legend_says_how_many_series_it_does_not_name() -> None:
    fields = [({"field": f"field{number}"}, 1.0) for number in range(17)]
    texts = await drawn("Requests by field", *fields)
    named = [text for text in texts if text.startswith("field")]
    assert texts.count(f"+{17 - len(named)} more") == 1
    assert len(named) == 2 * LEGEND_LINES - 1


async def test_a_legend_with_room_names_every_series() -> None:
    fields = [({"field": f"field{number}"}, 1.0) for number in range(2 * LEGEND_LINES)]
    texts = await drawn("Requests by field", *fields)
    assert len([text for text in texts if text.startswith("field")]) == len(fields)
    assert not [text for text in texts if "more" in text]


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (1_000_000.0, ["0 s", "10 d", "20 d"]),
        (20_000.0, ["0 s", "4 h", "8 h"]),
        (1_100.0, ["0 s", "10 min", "20 min"]),
        (0.15, ["0 s", "100 ms", "200 ms"]),
    ],
)
async def test_an_axis_of_durations_has_round_labels(seconds: float, labels: list[str]) -> None:
    texts = await drawn("Oldest waiting approval", ({}, seconds))
    assert texts[1:4] == labels


async def test_an_axis_of_memory_has_round_labels() -> None:
    texts = await drawn("Memory", ({"instance": "a"}, 400e6))
    assert texts[1:4] == ["0 MiB", "250 MiB", "500 MiB"]


async def test_an_axis_of_rates_has_round_labels() -> None:
    texts = await drawn("Requests by field", ({"field": "me"}, 900.0))
    assert texts[1:4] == ["0 req/s", "500 req/s", "1,000 req/s"]


async def test_the_picture_says_by_what_its_times_are_divided() -> None:
    assert "divided by 60" in (await drawn("Memory", ({"instance": "a"}, 1.0)))[-1]
