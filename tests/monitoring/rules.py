"""The files in deploy/prometheus, and the same rules in less time."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"

FACTOR = 60
"""By what the durations of the rules and the configuration are divided while a real Prometheus uses them."""

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
# A range or an offset of an expression, or a setting that is a duration.
_DURATION = re.compile(
    r"(?P<before>\[|\boffset |^ *(?:for|interval|scrape_interval|scrape_timeout|evaluation_interval): )"
    r"(?P<number>\d+)(?P<unit>[smhd])\b",
    re.MULTILINE,
)
_ALERT = re.compile(r"^      - alert: (\w+)\n((?:(?!^      - |^  - ).*\n)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule."""

    name: str
    severity: str
    annotations: dict[str, str]


def alerts(text: str) -> list[Alert]:
    """Return the alerting rules of a file of rules that has the form of ours."""
    return [Alert(name, _value(body, "severity"), _annotations(body)) for name, body in _ALERT.findall(text)]


def quicker(text: str, factor: int = FACTOR) -> str:
    """Return rules, a configuration or a query with every duration divided by a factor.

    Durations are ranges, offsets, `for`, and intervals. Thresholds stay as they are, those in seconds included.
    """

    def divided(found: re.Match[str]) -> str:
        milliseconds = int(found["number"]) * UNITS[found["unit"]] * 1_000 // factor
        return f"{found['before']}{milliseconds}ms"

    return _DURATION.sub(divided, text)


def _value(body: str, name: str) -> str:
    found = re.search(rf"^ +{name}: (.+)$", body, re.MULTILINE)
    return found[1] if found else ""


def _annotations(body: str) -> dict[str, str]:
    return {name: value for name in ("summary", "description", "runbook") if (value := _value(body, name))}
