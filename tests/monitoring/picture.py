"""Draws a Grafana dashboard as SVG: its panels at their places, with the data that a Prometheus has."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from .prometheus import Prometheus
from .rules import FACTOR, quicker

POINTS = 150
"""The number of steps in the time that is drawn."""
COLUMN, LINE, GAP, MARGIN = 62, 26, 8, 16  # pixels of Grafana's grid of 24 columns
COLORS = ("#5794f2", "#73bf69", "#ff9830", "#f2495c", "#b877d9", "#fade2a", "#8ab8ff", "#96d98d", "#ffb357", "#ff7383")
BACKGROUND, PANEL, TEXT, FAINT, GRID, ALARM = "#111217", "#181b1f", "#d8d9da", "#8e9196", "#2c3235", "#f2495c"
LEGEND_LINES = 4
ROUND_SECONDS = [
    number * size
    for size, numbers in (
        (1, (1, 2, 4, 10, 20, 30)),
        (60, (1, 2, 4, 10, 20, 30)),
        (3_600, (1, 2, 4, 8, 12)),
        (86_400, (1, 2, 4, 10, 20, 40, 100, 200)),
    )
    for number in numbers
]
"""The ends of axes from a second on, whose halves are round as well."""
MEBIBYTE = 1_024**2
RATES = {"reqps": " req/s", "cps": " /s"}
CAPTION = (
    f"Durations of the queries are divided by {FACTOR}: the last hour of a title is one minute of the time axis. "
    "Ages are those in the database, which were moved back."
)
NARROW = 300
"""Up to this width a graph has no label in the middle of its time axis."""
Place = Callable[[float], float]
Series = tuple[str, list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is drawn, in Unix seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start

    @property
    def step(self) -> float:
        """The seconds between two points."""
        return self.seconds / POINTS


def filled_in(expr: str) -> str:
    """Return a query of the dashboard for all servers."""
    return expr.replace("$instance", ".*")


async def draw(dashboard: Mapping[str, Any], prometheus: Prometheus, span: Span) -> str:
    """Return the picture of a dashboard."""
    drawn = []
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            drawn.append(_row(panel))
            continue
        found = [each for target in panel["targets"] for each in await _series(target, prometheus, span)]
        drawn.append(_stat(panel, found) if panel["type"] == "stat" else _graph(panel, found, span))
    last = max((panel["gridPos"] for panel in dashboard["panels"]), key=lambda place: place["y"] + place["h"])
    width, height = 24 * COLUMN + 2 * MARGIN, (last["y"] + last["h"]) * LINE + 2 * MARGIN + LINE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return "\n".join(
        [
            f'{head} style="font: 12px system-ui, sans-serif; fill: {TEXT}">',
            f"<title>{escape(dashboard['title'])}</title>",
            f'<rect width="100%" height="100%" fill="{BACKGROUND}"/>',
            *drawn,
            f'<text x="{MARGIN}" y="{height - MARGIN}" fill="{FAINT}">{escape(CAPTION)}</text>',
            "</svg>\n",
        ]
    )


async def _series(target: Mapping[str, Any], prometheus: Prometheus, span: Span) -> list[Series]:
    query = quicker(filled_in(target["expr"]))
    found = await prometheus.series(query, span.start, span.end, span.step)
    return [(_legend(target["legendFormat"], each["metric"]), _numbers(each["values"])) for each in found]


def _numbers(values: Sequence[tuple[float, str]]) -> list[tuple[float, float]]:
    return [(moment, float(value)) for moment, value in values if math.isfinite(float(value))]


def _legend(form: str, labels: Mapping[str, str]) -> str:
    for name, value in labels.items():
        form = form.replace(f"{{{{{name}}}}}", value)
    return form


def _place(panel: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Return the left edge, the upper edge, the width and the height."""
    grid = panel["gridPos"]
    return (
        MARGIN + grid["x"] * COLUMN,
        MARGIN + grid["y"] * LINE,
        grid["w"] * COLUMN - GAP,
        grid["h"] * LINE - GAP,
    )


def _row(panel: Mapping[str, Any]) -> str:
    left, top, _, _ = _place(panel)
    return (
        f'<text x="{left}" y="{top + 15}" style="font: 600 14px system-ui, sans-serif">{escape(panel["title"])}</text>'
    )


def _frame(panel: Mapping[str, Any], inside: Sequence[str]) -> str:
    left, top, width, height = _place(panel)
    title = f'<text class="title" x="10" y="18" font-weight="600">{escape(panel["title"])}</text>'
    box = f'<rect width="{width}" height="{height}" rx="3" fill="{PANEL}"/>'
    return "\n".join([f'<g transform="translate({left} {top})">', box, title, *inside, "</g>"])


def _threshold(panel: Mapping[str, Any]) -> float | None:
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return next((step["value"] for step in steps if step["color"] == "red"), None)


def _stat(panel: Mapping[str, Any], found: Sequence[Series]) -> str:
    _, _, width, height = _place(panel)
    if not found or not found[0][1]:
        return _frame(panel, [f'<text x="10" y="44" fill="{FAINT}">no data</text>'])
    value = found[0][1][-1][1]
    defaults = panel["fieldConfig"]["defaults"]
    steps = [step for step in defaults["thresholds"]["steps"] if step["value"] is None or value >= step["value"]]
    color = {"green": COLORS[1], "red": ALARM}[steps[-1]["color"]]
    texts = {key: each["text"] for mapping in defaults.get("mappings", ()) for key, each in mapping["options"].items()}
    shown = texts.get(f"{value:g}") or _unit(value, defaults["unit"])
    style = "font: 600 30px system-ui, sans-serif"
    text = f'<text x="{width / 2}" y="{height / 2 + 20}" text-anchor="middle" style="{style}" fill="{color}">'
    return _frame(panel, [f"{text}{escape(shown)}</text>"])


def _graph(panel: Mapping[str, Any], found: Sequence[Series], span: Span) -> str:
    _, _, width, height = _place(panel)
    found = [(name, points) for name, points in found if points]
    if not found:
        return _frame(panel, [f'<text x="10" y="44" fill="{FAINT}">no data</text>'])
    defaults = panel["fieldConfig"]["defaults"]
    stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    if stacked:
        found = _stacked(found)
    limit = _threshold(panel)
    most = max(value for _, points in found for _, value in points)
    shows_limit = limit is not None and limit <= 4 * most
    top_value = _end_of_axis(max(most, limit * 1.1) if limit is not None and shows_limit else most, defaults["unit"])
    left, right, top, bottom = 72, width - 10, 30, height - 28 - 14 * min(LEGEND_LINES, math.ceil(len(found) / 2))

    def x(moment: float) -> float:
        return left + (moment - span.start) / span.seconds * (right - left)

    def y(value: float) -> float:
        return bottom - value / top_value * (bottom - top)

    lines = []
    for part in range(3):
        value = top_value * part / 2
        lines.append(f'<line x1="{left}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{GRID}"/>')
        label = escape(_unit(value, defaults["unit"]))
        lines.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="{FAINT}">{label}</text>')
    for part, anchor in enumerate(("start", "middle", "end")):
        if anchor != "middle" or width > NARROW:
            seconds = span.seconds * part / 2
            place = f'x="{x(span.start + seconds):.1f}" y="{bottom + 14}" text-anchor="{anchor}"'
            lines.append(f'<text {place} fill="{FAINT}">{seconds:.0f} s</text>')
    for number, (_, points) in enumerate(found):
        lines += _line(points, COLORS[number % len(COLORS)], x, y, span.step, bottom if stacked else None)
    if limit is not None and shows_limit:
        place = f'x1="{left}" x2="{right}" y1="{y(limit):.1f}" y2="{y(limit):.1f}"'
        lines.append(f'<line {place} stroke="{ALARM}" stroke-dasharray="5 4"/>')
    return _frame(panel, lines + _legends([name for name, _ in found], width, bottom + 22))


def _line(
    points: Sequence[tuple[float, float]], color: str, x: Place, y: Place, step: float, filled_to: float | None
) -> list[str]:
    """Return the lines of a series, which has a gap where a step has no value."""
    parts: list[list[tuple[float, float]]] = [[points[0]]]
    for before, after in pairwise(points):
        if after[0] - before[0] > 1.5 * step:
            parts.append([])
        parts[-1].append(after)
    drawn = []
    for part in parts:
        path = " ".join(f"{x(moment):.1f},{y(value):.1f}" for moment, value in part)
        if len(part) == 1:
            drawn.append(f'<circle cx="{x(part[0][0]):.1f}" cy="{y(part[0][1]):.1f}" r="1.5" fill="{color}"/>')
            continue
        if filled_to is not None:
            ends = f"{x(part[-1][0]):.1f},{filled_to} {x(part[0][0]):.1f},{filled_to}"
            drawn.append(f'<polygon points="{path} {ends}" fill="{color}" opacity="0.25"/>')
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>')
    return drawn


def _stacked(found: Sequence[Series]) -> list[Series]:
    """Return each series on top of those before it, the highest first."""
    below: dict[float, float] = {}
    result = []
    for name, points in found:
        raised = [(moment, value + below.get(moment, 0.0)) for moment, value in points]
        below |= dict(raised)
        result.append((name, raised))
    return result[::-1]


def _legends(names: Sequence[str], width: int, top: float) -> list[str]:
    """Return the names of the series with their colours. The last place says how many more there are."""
    lines, room = [], (width - 20) // 2
    places = 2 * LEGEND_LINES
    named = len(names) if len(names) <= places else places - 1
    more = [f"+{len(names) - named} more"] if named < len(names) else []
    for number, name in enumerate([*names[:named], *more]):
        left, line = 10 + (number % 2) * room, top + 12 + 14 * (number // 2)
        shown = name if len(name) < room // 7 else f"{name[: room // 7 - 1]}…"
        if number < named:
            color = COLORS[number % len(COLORS)]
            lines.append(f'<rect x="{left}" y="{line - 6}" width="12" height="3" fill="{color}"/>')
        lines.append(f'<text x="{left + 18}" y="{line}" fill="{FAINT}" style="font-size: 11px">{escape(shown)}</text>')
    return lines


def _end_of_axis(value: float, unit: str) -> float:
    """Return a number that is at least the value, and round in the unit in which `_unit` shows it."""
    if unit == "bytes":
        return _round_up(value / MEBIBYTE) * MEBIBYTE
    if unit == "s" and value > 0.5:
        return next((float(each) for each in ROUND_SECONDS if value <= each * 1.0001), _round_up(value))
    return _round_up(value)


def _round_up(value: float) -> float:
    """Return the next number of the form 1, 2 or 5 times a power of ten; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 5, 10) if value <= power * step * 1.0001)


def _unit(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{_short(100 * value)} %"
    if unit == "bytes":
        return f"{value / MEBIBYTE:.0f} MiB"
    if unit == "s":
        scales = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
        size, name = next(
            ((size, name) for size, name in scales if value >= size), (0.001, "ms") if value else (1, "s")
        )
        return f"{value / size:.3g} {name}"
    return f"{_short(value)}{RATES.get(unit, '')}"


def _short(value: float) -> str:
    """Return a number with three digits, or all digits before the point."""
    return f"{value:.3g}" if value < 1_000 else f"{value:,.0f}"
