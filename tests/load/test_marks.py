"""Each pass mark of the load test fails alone, for what it is about, and the tables say what was measured."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.load import day
from bench.load.client import Sample
from bench.load.documents import AWAITING
from bench.load.people import Became
from bench.load.report import MIB, MOST_GROWTH, Hour, Run, Used, errors, markdown, marks

REST = Used(0.0, 0.0, 0.0, 200 * MIB, 90 * MIB)
SPENT = Used(9.0, 4.5, 1.8, 210 * MIB, 99 * MIB)


def a_sample(seconds: float = 0.02, code: str | None = None, problem: str | None = None, kind: str = "edit") -> Sample:
    return Sample(kind, 0.0, seconds, 0.001, code, problem)


def an_hour(share: float, *samples: Sample) -> Hour:
    return Hour(share, 18.0, [a_sample() for _ in range(100)] + list(samples), REST, SPENT)


def a_run() -> Run:
    """A run that meets all pass marks, with two edits with an old revision, of which one got no answer."""
    hours = [
        an_hour(day.PEAK, a_sample(problem="CONFLICT"), a_sample(code="OVERLOADED")),
        an_hour(day.HALF),
        an_hour(day.AFTER),
    ]
    return Run(
        hours,
        lost=[],
        audit=[],
        refused_items=Counter(),
        stale=Counter({Became.REFUSED: 1, Became.UNKNOWN: 1}),
        acknowledged=70,
    )


def with_samples(share: float, *samples: Sample) -> Callable[[Run], Run]:
    def changed(run: Run) -> Run:
        hours = [
            replace(hour, samples=[*hour.samples, *samples]) if hour.share == share else hour for hour in run.hours
        ]
        return replace(run, hours=hours)

    return changed


def grown(run: Run) -> Run:
    last = replace(run.hours[-1], ended=replace(SPENT, server_bytes=SPENT.server_bytes + MOST_GROWTH + 1))
    return replace(run, hours=[*run.hours[:-1], last])


def applied(run: Run) -> Run:
    """One edit with an old revision was applied, while many others had conflicts."""
    changed = with_samples(day.PEAK, *[a_sample(problem="CONFLICT")] * 20)(run)
    return replace(changed, stale=Counter({Became.REFUSED: 9, Became.APPLIED: 1}))


def missed(run: Run) -> list[str]:
    return [each.name for each in marks(run) if not each.met]


def test_a_run_without_faults_meets_all_marks() -> None:
    assert missed(a_run()) == []
    assert len(marks(a_run())) == 9


@pytest.mark.parametrize(
    ("fault", "mark"),
    [
        (with_samples(day.PEAK, *[a_sample(2.0)] * 10), "p95 without polls at the peak below 2,000 ms"),
        (with_samples(day.PEAK, *[a_sample(code="OVERLOADED")] * 5), "errors below 5% in every hour"),
        (with_samples(day.HALF, *[a_sample(code="OVERLOADED")] * 90), "errors below 5% in every hour"),
        (with_samples(day.AFTER, *[a_sample(code="OVERLOADED")] * 90), "errors below 5% in every hour"),
        (with_samples(day.HALF, *[a_sample(0.3)] * 10), "p95 without polls at half of the peak below 300 ms"),
        (with_samples(day.HALF, a_sample(code="INTERNAL")), "no INTERNAL"),
        (with_samples(day.AFTER, a_sample(code="INTERNAL")), "no INTERNAL"),
        (lambda run: replace(run, lost=["lost"]), "every acknowledged write is stored once"),
        (lambda run: replace(run, audit=["broken"]), "`audit verify` and replay agree with the tables"),
        (applied, "every edit with an old revision is refused"),
        (with_samples(day.HALF, a_sample(code="FORBIDDEN")), "no answer that a correct client cannot get"),
        (with_samples(day.HALF, a_sample(problem="NOT_READY")), "no answer that a correct client cannot get"),
        (
            lambda run: replace(run, refused_items=Counter({"NOT_FOUND": 1})),
            "no answer that a correct client cannot get",
        ),
        (grown, "the server grows by at most 48 MiB after the first peak"),
    ],
    ids=[
        "slow at the peak",
        "errors at the peak",
        "errors at half of the peak",
        "errors after the day",
        "slow at half of the peak",
        "an INTERNAL",
        "an INTERNAL after the day",
        "a lost write",
        "a broken audit log",
        "a stale edit that was applied",
        "a wrong request",
        "an unexpected problem",
        "a refused item",
        "growing memory",
    ],
)
def test_each_mark_fails_alone(fault: Callable[[Run], Run], mark: str) -> None:
    assert missed(fault(a_run())) == [mark]


def test_nothing_after_the_day_is_no_error() -> None:
    hours = [replace(hour, samples=[]) if hour.share == day.AFTER else hour for hour in a_run().hours]
    assert missed(replace(a_run(), hours=hours)) == []


def test_slow_answers_outside_the_peak_miss_no_mark() -> None:
    run = a_run()
    quiet = replace(an_hour(0.4), samples=[a_sample(10.0)] * 50)
    assert missed(replace(run, hours=[quiet, *run.hours])) == []


def test_fast_polls_do_not_hide_how_long_people_wait() -> None:
    polls = [a_sample(0.001, kind=AWAITING.kind)] * 1_000
    run = with_samples(day.HALF, *polls, *[a_sample(0.3)] * 10)(a_run())
    assert missed(run) == ["p95 without polls at half of the peak below 300 ms"]


@pytest.mark.parametrize("share", [day.PEAK, day.HALF])
def test_a_run_without_requests_at_a_judged_hour_does_not_pass(share: float) -> None:
    hours = [replace(hour, samples=[]) if hour.share == share else hour for hour in a_run().hours]
    assert missed(replace(a_run(), hours=hours)) != []
    assert errors([]) == 1.0


def test_the_tables_show_the_errors_and_conflicts_by_code_and_the_share_of_the_machine() -> None:
    text = markdown(a_run(), 2, "9 entries verified")
    assert "| 8–9 | 100% | 6 | 20 | 20 | 20 | 1 OVERLOADED | 1 CONFLICT | 0.50 | 0.25 | 0.10 | 38% | 210 | 99 |" in text
    assert "| edit | 102 | 20 | 20 | 20 | 1 OVERLOADED | 1 CONFLICT |" in text
    assert "9 entries verified" in text
    assert "missed" not in text
    assert "- lost\n- broken" in markdown(replace(a_run(), lost=["lost"], audit=["broken"]), 2, "")
