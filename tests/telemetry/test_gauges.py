"""The gauges of a process and of the business, alone and with other processes."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.gauges import OLDEST_SECONDS, BusinessGauges, RuntimeGauges
from app.telemetry.metrics import FOLDER, Metrics, start_metrics
from tests.monitoring.rules import RULES

VALUES = {
    "locations": {"IN_PROGRESS": 3, "COMPLETED": 1},
    "approvals_waiting": 2,
    "approvals_oldest_seconds": 600.5,
    "payloads_unacknowledged": 1,
    "payloads_oldest_unacknowledged_seconds": 7_200,
    "sessions_open": 4,
    "approvals_by_new_users": 0,
}
VERIFIED = {"audit_verification_age_seconds": 86_400, "audit_verification_ok": 1}

# A server process that counts together with others: it has 5 connections and a pool of 4, of which the argument is in
# use, and one caller waited in vain. Its keys are out of date if the second argument says so.
PROCESS = """
import sys
from app.telemetry.metrics import start_metrics
metrics = start_metrics("1.2.3")
in_use, up = map(int, sys.argv[1:])
metrics.gauges.watch({
    "turnup_connections": lambda: 5,
    "turnup_pool_size": lambda: 4,
    "turnup_pool_in_use": lambda: in_use,
    "turnup_pool_refused": lambda: 1,
    "turnup_key_set_up": lambda: up,
    "turnup_key_set_age_seconds": lambda: 10 * in_use,
    "turnup_event_loop_lag_seconds": lambda: in_use / 10,
})
for _ in range(2):
    metrics.gauges.read()
print("ready", flush=True)
for line in sys.stdin:
    sys.stdout.write(metrics.render().decode() + "END\\n")
    sys.stdout.flush()
"""


class Seconds:
    """A clock that a test moves."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Process:
    """A process that counts with others."""

    def __init__(self, running: "subprocess.Popen[str]") -> None:
        self.running = running

    def scraped(self) -> dict[str, float]:
        """The samples without labels."""
        assert self.running.stdin is not None
        assert self.running.stdout is not None
        self.running.stdin.write("\n")
        self.running.stdin.flush()
        lines = iter(self.running.stdout.readline, "END\n")
        return samples("".join(lines))


@contextmanager
def process(folder: Path, in_use: int, *, up: bool = True) -> Iterator[Process]:
    """Run a process that counts in this folder."""
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(in_use), str(int(up))],
        env={**os.environ, FOLDER: str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        try:
            yield Process(running)
        finally:
            running.kill()
            running.wait()


def samples(text: str) -> dict[str, float]:
    """The samples without labels, by name."""
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }


def rendered(metrics: Metrics) -> str:
    return metrics.render().decode()


def test_of_several_processes_sums_and_worst_values_are_shown_whichever_is_scraped(tmp_path: Path) -> None:
    with process(tmp_path, 1) as first, process(tmp_path, 3, up=False) as second:
        for each in (first, second):
            found = each.scraped()
            assert found["turnup_connections"] == 10
            assert (found["turnup_pool_size"], found["turnup_pool_in_use"]) == (8, 4)
            assert found["turnup_pool_refused_total"] == 2
            assert found["turnup_key_set_up"] == 0
            assert found["turnup_key_set_age_seconds"] == 30
            assert found["turnup_event_loop_lag_seconds"] == 0.3


def test_a_process_that_has_ended_counts_no_more_and_what_it_counted_stays(tmp_path: Path) -> None:
    with process(tmp_path, 1) as first:
        with process(tmp_path, 3, up=False) as second:
            memory = second.scraped()["turnup_process_resident_memory_bytes"]
        found = first.scraped()
        assert (found["turnup_connections"], found["turnup_pool_in_use"]) == (5, 1)
        assert found["turnup_key_set_up"] == 1
        assert found["turnup_process_resident_memory_bytes"] < memory
        assert found["turnup_pool_refused_total"] == 2


def test_a_gauge_that_nobody_knows_yet_is_absent() -> None:
    metrics = start_metrics("1.2.3")
    assert "turnup_database_up" not in rendered(metrics)
    metrics.gauges.watch({"turnup_database_up": lambda: 1})
    assert "turnup_database_up 1.0" in rendered(metrics)


def test_a_gauge_without_a_declaration_is_refused() -> None:
    with pytest.raises(LookupError, match="turnup_invented"):
        start_metrics("1.2.3").gauges.watch({"turnup_invented": lambda: 1})


def test_a_total_that_is_read_twice_is_counted_once() -> None:
    metrics = start_metrics("1.2.3")
    total = 3.0
    metrics.gauges.watch({"turnup_pool_refused": lambda: total})
    assert [samples(rendered(metrics))["turnup_pool_refused_total"] for _ in range(2)] == [3, 3]
    total = 5.0
    assert samples(rendered(metrics))["turnup_pool_refused_total"] == 5


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the figures come from Linux's /proc")
def test_the_process_tells_of_its_memory_its_files_its_processor_time_and_its_start() -> None:
    metrics = start_metrics("1.2.3")
    found = samples(rendered(metrics))
    assert found["turnup_process_resident_memory_bytes"] > 10_000_000
    assert 0 < found["turnup_process_cpu_seconds_total"] <= time.process_time() + 1
    assert 0 < found["turnup_process_start_time_seconds"] <= time.time() + 1
    files = found["turnup_process_open_fds"]
    with Path(__file__).open(), Path(__file__).open():
        metrics.gauges.read_process()
        assert samples(rendered(metrics))["turnup_process_open_fds"] == files + 2


def test_the_running_versions_are_shown() -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    assert f'turnup_build_info{{python="{version}",version="1.2.3"}} 1.0' in rendered(start_metrics("1.2.3"))


async def test_the_longest_delay_of_the_event_loop_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.telemetry.gauges.SAMPLE_SECONDS", 0.01)
    gauges = RuntimeGauges(registry := CollectorRegistry(), "1.2.3")
    sampling = asyncio.create_task(gauges.run())

    def lag() -> float:
        return registry.get_sample_value("turnup_event_loop_lag_seconds") or 0.0

    await asyncio.sleep(0)  # the first sample is due in 10 ms
    time.sleep(0.3)  # noqa: ASYNC251 - on purpose: the loop is held up
    async with asyncio.timeout(30):
        while lag() < 0.25:  # noqa: ASYNC110 - the sampling knows no events
            await asyncio.sleep(0.01)
    sampling.cancel()


async def test_samples_that_fail_are_logged_once_and_do_not_end_the_sampling(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.telemetry.gauges.SAMPLE_SECONDS", 0.001)
    gauges = RuntimeGauges(registry := CollectorRegistry(), "1.2.3")
    failing, samples_begun = True, 0

    def connections() -> float:
        nonlocal samples_begun
        samples_begun += 1
        if failing:
            raise OSError("no space left for Erika Mustermann")
        return 5

    gauges.watch({"turnup_connections": connections})
    sampling = asyncio.create_task(gauges.run())
    async with asyncio.timeout(30):
        while samples_begun < 3:  # noqa: ASYNC110 - the sampling knows no events
            await asyncio.sleep(0.001)
        failing = False
        while registry.get_sample_value("turnup_connections") != 5:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
    sampling.cancel()
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", "the gauges of the process could not be sampled: OSError")
    ]


def of_business(business: BusinessGauges) -> dict[str, float]:
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in business.collect()
        for sample in family.samples
    }


def test_values_older_than_the_alert_about_them_allows_are_not_shown_until_they_are_measured_again() -> None:
    clock = Seconds()
    business = BusinessGauges(clock=clock)
    business.take(VALUES, age_seconds=10)
    clock.now += OLDEST_SECONDS - 10
    assert len(of_business(business)) == len(VALUES)  # no status is expected, and there is the age
    clock.now += 1
    assert of_business(business) == {"turnup_gauges_age_seconds": OLDEST_SECONDS + 1}
    assert f'turnup_gauges_age_seconds{{job="turnup"}}) > {OLDEST_SECONDS:.0f}\n' in RULES.read_text()
    business.take(VALUES, age_seconds=0)
    assert len(of_business(business)) == len(VALUES)


def test_what_was_read_is_shown_with_its_age_and_a_0_for_each_status() -> None:
    clock = Seconds()
    business = BusinessGauges(clock=clock)
    business.expect(("IN_PROGRESS", "COMPLETED", "CANCELLED"))
    business.take({**VALUES, **VERIFIED, "of_a_later_release": 1}, age_seconds=40)
    clock.now += 7
    assert of_business(business) == {
        "turnup_gauges_age_seconds": 47,
        "turnup_locations IN_PROGRESS": 3,
        "turnup_locations COMPLETED": 1,
        "turnup_locations CANCELLED": 0,
        **{f"turnup_{name}": value for name, value in (VALUES | VERIFIED).items() if name != "locations"},
    }


def test_before_anything_was_read_only_the_age_is_shown_and_it_grows() -> None:
    clock = Seconds()
    business = BusinessGauges(clock=clock)
    clock.now += 300
    assert of_business(business) == {"turnup_gauges_age_seconds": 300}


def test_an_audit_log_that_was_never_verified_has_no_result_and_no_age() -> None:
    business = BusinessGauges()
    business.take(VALUES, 0)
    assert not [name for name in of_business(business) if "audit" in name]
