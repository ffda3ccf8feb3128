"""The pass marks of a run, and its tables in Markdown."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.load import day
from bench.load.client import Sample
from bench.load.documents import AWAITING, CHANGES
from bench.load.people import Became
from bench.overload import part

MIB = 1024 * 1024
PEAK_MS, HALF_MS, ERRORS = 2_000.0, 300.0, 0.05
"""A run is below these: milliseconds of the p95 at the peak and at half of it, and the share of errors of an hour."""
MOST_GROWTH = 48 * MIB
"""The most bytes by which a server process may grow after the first of the busiest hours."""
EXPECTED_PROBLEMS = frozenset({"CONFLICT", "STALE_REVIEW"})
OF_A_BUSY_SERVER = frozenset({"OVERLOADED", "UNAVAILABLE", "TIMEOUT", "RATE_LIMITED", "INTERNAL", "NO_ANSWER"})
"""The errors that a correct client can get. Any other one shows that the load test sends wrong requests."""
POLLS = frozenset({AWAITING.kind, CHANGES.kind})
MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds of the server, of PostgreSQL and of the clients, and the memory of the first two, at a moment."""

    server: float
    postgres: float
    clients: float
    server_bytes: int
    postgres_bytes: int


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of the day, or the time after it: its share of the peak, its requests by their time, and what it used."""

    share: float
    seconds: float
    samples: Sequence[Sample]
    began: Used
    ended: Used


@dataclass(frozen=True, slots=True)
class Mark:
    """A pass mark with its measured value."""

    name: str
    measured: str
    met: bool


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that the pass marks are about.

    `lost` lists the writes that do not count exactly once; `stale` has what became of the edits with an old revision.
    """

    hours: Sequence[Hour]
    lost: Sequence[str]
    audit: Sequence[str]
    refused_items: Counter[str]
    stale: Counter[Became]
    acknowledged: int

    @property
    def samples(self) -> list[Sample]:
        """All requests of the day."""
        return [each for hour in self.hours for each in hour.samples]

    def at(self, share: float) -> list[Sample]:
        """Return the requests of all hours with this share of the peak."""
        return [each for hour in self.hours if hour.share == share for each in hour.samples]


def p95(samples: Iterable[Sample]) -> float:
    """Return the p95 of the requests that were answered without an error, in milliseconds; 0 without any.

    Polls do not count: they are many and fast, and would hide how long people wait.
    """
    return part([each.seconds for each in samples if each.code is None and each.kind not in POLLS], 0.95)


def errors(samples: Sequence[Sample]) -> float:
    """Return the share of requests that were answered with an error or not at all; 1 without requests."""
    return sum(each.code is not None for each in samples) / len(samples) if samples else 1.0


def worst(hours: Iterable[Hour]) -> float:
    """Return the largest share of errors of an hour. After the day there may be no requests."""
    return max(errors(hour.samples) for hour in hours if hour.samples or hour.share != day.AFTER)


def growth(hours: Sequence[Hour]) -> int:
    """Return the bytes by which the server grew after the first of the busiest hours."""
    first = next(hour for hour in hours if hour.share == day.PEAK)
    return hours[-1].ended.server_bytes - first.ended.server_bytes


def wrong(run: Run) -> Counter[str]:
    """Return the answers that no correct client gets in this load, by code."""
    codes = Counter(each.code for each in run.samples if each.code and each.code not in OF_A_BUSY_SERVER)
    problems = Counter(each.problem for each in run.samples if each.problem and each.problem not in EXPECTED_PROBLEMS)
    return codes + problems + run.refused_items


def marks(run: Run) -> list[Mark]:
    """Return the pass marks of a run."""
    peak, half = run.at(day.PEAK), run.at(day.HALF)
    internal = sum(each.code == "INTERNAL" for each in run.samples)
    most_errors = worst(run.hours)
    unexpected = wrong(run)
    grown = growth(run.hours)
    return [
        Mark(f"p95 without polls at the peak below {PEAK_MS:,.0f} ms", f"{p95(peak):.0f} ms", 0 < p95(peak) < PEAK_MS),
        Mark(f"errors below {ERRORS:.0%} in every hour", f"{most_errors:.2%} in the worst", most_errors < ERRORS),
        Mark(
            f"p95 without polls at half of the peak below {HALF_MS:.0f} ms",
            f"{p95(half):.0f} ms",
            0 < p95(half) < HALF_MS,
        ),
        Mark("no INTERNAL", str(internal), internal == 0),
        Mark("every acknowledged write is stored once", f"{run.acknowledged:,}, {len(run.lost)} not", not run.lost),
        Mark("`audit verify` and replay agree with the tables", f"{len(run.audit)} findings", not run.audit),
        Mark(
            "every edit with an old revision is refused",
            f"{run.stale.total()} sent, {counted(run.stale)}",
            not run.stale[Became.APPLIED],
        ),
        Mark("no answer that a correct client cannot get", counted(unexpected) or "none", not unexpected),
        Mark(
            f"the server grows by at most {MOST_GROWTH // MIB} MiB after the first peak",
            f"{grown / MIB:+.0f} MiB",
            grown <= MOST_GROWTH,
        ),
    ]


def counted(codes: Counter[Any]) -> str:
    """Return counts as text, the most frequent first."""
    return ", ".join(f"{number} {code}" for code, number in codes.most_common())


def table_of_hours(hours: Sequence[Hour], cores: int) -> list[str]:
    """Return a row per hour of the day."""
    lines = [
        "| hour | share of the peak | requests/s | p50, ms | p95, ms | p99, ms | errors | conflicts "
        "| CPU: server | PostgreSQL | clients | of the machine, without clients | memory, MiB: server | PostgreSQL |",
        f"|{'---|' * 14}",
    ]
    for number, hour in enumerate((each for each in hours if each.share), start=8):
        began, ended = hour.began, hour.ended
        server, postgres, clients = (
            spent / hour.seconds
            for spent in (
                ended.server - began.server,
                ended.postgres - began.postgres,
                ended.clients - began.clients,
            )
        )
        cells = [
            f"{number}–{number + 1}",
            f"{hour.share:.0%}",
            f"{len(hour.samples) / hour.seconds:.0f}",
            *times(hour.samples),
            f"{server:.2f}",
            f"{postgres:.2f}",
            f"{clients:.2f}",
            f"{(server + postgres) / cores:.0%}",
            f"{ended.server_bytes / MIB:.0f}",
            f"{ended.postgres_bytes / MIB:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def table_of_kinds(samples: Sequence[Sample]) -> list[str]:
    """Return a row per kind of request, and one for all of them."""
    lines = ["| request | arrivals | p50, ms | p95, ms | p99, ms | errors | conflicts |", f"|{'---|' * 7}"]
    kinds = sorted({each.kind for each in samples})
    for kind in kinds:
        found = [each for each in samples if each.kind == kind]
        lines.append(f"| {kind} | {len(found):,} | {' | '.join(times(found))} |")
    return [*lines, f"| all | {len(samples):,} | {' | '.join(times(samples))} |"]


def times(samples: Iterable[Sample]) -> list[str]:
    """Return the cells for p50, p95, p99, errors by code, and conflicts."""
    found = list(samples)
    answered = [each.seconds for each in found if each.code is None]
    codes = Counter(each.code for each in found if each.code)
    problems = Counter(each.problem for each in found if each.problem)
    return [*(f"{part(answered, share):.0f}" for share in (0.5, 0.95, 0.99)), counted(codes), counted(problems)]


def table_of_marks(found: Iterable[Mark]) -> list[str]:
    """Return a row per pass mark."""
    rows = [f"| {each.name} | {each.measured} | {'met' if each.met else '**missed**'} |" for each in found]
    return ["| pass mark | measured | |", "|---|---|---|", *rows]


def markdown(run: Run, cores: int, verified: str) -> str:
    """Return all tables of a run."""
    peak = run.at(day.PEAK)
    late = part([each.client_delay for each in run.samples], 0.99)
    findings = [*run.lost, *run.audit]
    listed = [f"- {each}" for each in findings[:MOST_LISTED]]
    parts = [
        table_of_marks(marks(run)),
        table_of_hours(run.hours, cores),
        ["At the peak, by kind of request:", "", *table_of_kinds(peak)],
        [f"The clients themselves were late by {late:.0f} ms (p99); their delay counts. {verified}."],
    ]
    if listed:
        parts.append([f"{len(findings)} findings:", "", *listed])
    return "\n\n".join("\n".join(each) for each in parts)
