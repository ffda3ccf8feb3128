"""The slow lanes: a pytest plugin that declares the tests, the time and the required programs of each lane.

`pytest -m slow` runs all lanes and prints the time and the share of each. A slow test that fails runs again, alone in
its own process, with the same seed. If it passes then, its first failure is printed under FLAKY and does not fail the
run. If CI is set, a run that takes longer than RUN_SECONDS fails.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import randrange
from typing import Any

import pytest

from tests.needs import needs

ROOT = Path(__file__).parent.parent

RUN_SECONDS = 45 * 60
"""The maximum time of all lanes together on the CI machine, which has two cores."""
START_SECONDS = 60
"""The part of RUN_SECONDS for the work before the first test and after the last one."""
MOST_SECOND_RUNS = 5
"""If more tests fail than this, the cause is not chance, and no test runs again."""
SECOND_RUN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Lane:
    """Slow tests of one kind.

    `tests` are modules and folders. `seconds` is the lane's share of the run on the CI machine: the time of its tests
    on both workers. `needs` are names of programs that tests/needs.py finds. `campaign` is the factor by which
    `make campaign` multiplies the attempts; 0 if the lane has no campaign.
    """

    tests: tuple[str, ...]
    seconds: int
    needs: tuple[str, ...] = ()
    campaign: int = 0


LANES: Mapping[str, Lane] = {
    "any-order": Lane(("tests/slow/test_any_order.py",), 70),
    "browser": Lane(("tests/browser/",), 55, needs=("chromium",)),
    "canary": Lane(("tests/hostile/test_canary.py",), 25),
    "clients": Lane(("tests/clients/",), 60, needs=("chromium", "node", "npm")),
    "combinations": Lane(
        (
            "tests/operations/test_as_of.py",
            "tests/operations/test_readiness_gates.py",
            "tests/operations/test_viewer_actions_hold.py",
        ),
        90,
        campaign=10,
    ),
    "commands": Lane(("tests/cli/",), 170),
    "decisions": Lane(("tests/slow/test_decisions.py",), 40),
    "differential": Lane(
        ("tests/api/test_both_executors.py", "tests/api/test_price_holds.py", "tests/execution/"), 60, campaign=50
    ),
    "hostile": Lane(("tests/hostile/test_hostile_requests.py",), 10, campaign=200),
    "http": Lane(("tests/contract/",), 10, needs=("node", "npm")),
    "restarts": Lane(("tests/faults/test_restarts.py",), 60, needs=("nginx",)),
    "kills": Lane(
        (
            "tests/faults/test_departures.py",
            "tests/faults/test_kills.py",
            "tests/faults/test_kills_under_load.py",
            "tests/faults/test_lost_replies.py",
            "tests/faults/test_mirror.py",
            "tests/faults/test_poller.py",
        ),
        300,
        campaign=10,
    ),
    "monitoring": Lane(("tests/monitoring/",), 90, needs=("alertmanager", "curl", "jq", "prometheus", "psql", "redis")),
    "outages": Lane(("tests/outages/",), 150, needs=("redis",)),
    "overload": Lane(("tests/load/", "tests/slow/test_large_lists.py", "tests/slow/test_overload.py"), 55),
    "pages": Lane(("tests/docs/",), 55, needs=("curl", "jq")),
    "people": Lane(("tests/api/test_five_people.py",), 40, campaign=10),
    "poolers": Lane(("tests/poolers/",), 50, needs=("pgbouncer",)),
    "postgresql15": Lane(("tests/db/",), 140, needs=("postgresql15",)),
    "proxies": Lane(("tests/proxies/",), 35, needs=("curl", "haproxy", "nginx")),
    "python-clients": Lane(("tests/python_clients/",), 50),
    "quick": Lane(("tests/slow/test_quick.py",), 60),
    "races": Lane(
        (
            "tests/operations/test_approving.py",
            "tests/operations/test_bulk_mac_claims.py",
            "tests/operations/test_change_orders.py",
            "tests/operations/test_invitations.py",
            "tests/operations/test_phones_raced.py",
            "tests/operations/test_recipients.py",
            "tests/operations/test_revisions.py",
            "tests/operations/test_service_tokens.py",
            "tests/operations/test_sessions.py",
            "tests/operations/test_ways_round.py",
        ),
        110,
        campaign=10,
    ),
    "reference": Lane(("tests/slow/test_reference_executor.py",), 90),
    "sign-in": Lane(("tests/sign_in/",), 95, needs=("chromium", "curl", "nginx", "node", "npm")),
    "starter": Lane(("tests/starter/",), 30, needs=("chromium", "node", "npm")),
    "statements": Lane(("tests/faults/test_every_statement.py",), 300, campaign=1),
    "storm": Lane(("tests/audit/test_storm.py",), 30, campaign=10),
    "tampering": Lane(("tests/audit/test_chain.py",), 10, campaign=10),
    "tls": Lane(("tests/tls/",), 15, needs=("postgresql15", "redis")),
}


def scaled(count: int) -> int:
    """Return the number of attempts of a slow lane. A campaign multiplies it by TURNUP_CAMPAIGN."""
    return count * int(os.environ.get("TURNUP_CAMPAIGN", "1"))


def lane_of(nodeid: str) -> str:
    """Return the name of the lane of a slow test. Raises LookupError if it is in no lane or in several."""
    names = [name for name, lane in LANES.items() if nodeid.startswith(lane.tests)]
    if len(names) != 1:
        found = f"in several: {', '.join(names)}" if names else "in none"
        raise LookupError(f"{nodeid} is slow and must be in one lane of tests/lanes.py, but is {found}")
    return names[0]


def without_group(nodeid: str) -> str:
    """Return the id of a test without the group that pytest-xdist appends to it."""
    return nodeid.rpartition("@")[0] if nodeid.rfind("@") > nodeid.rfind("]") else nodeid


def without_this_run() -> dict[str, str]:
    """Return the environment without the variables of this pytest run, so that another run starts its own cluster."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TURNUP_TEST_", "PYTEST_"))}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin."""
    group = parser.getgroup("turnup")
    group.addoption("--shuffle", action="store_true", help="run modules and their tests in an order drawn by the seed")
    group.addoption("--no-database", action="store_true", help="start no PostgreSQL; tests that need it fail")
    group.addoption("--no-second-run", action="store_true", help="the first failure of a slow test decides")
    group.addoption("--figures", metavar="FILE", type=Path, help="write the results of the run as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Use one seed for everything random, shuffle on request, and register the rules of slow tests."""
    config.option.randomly_reorganize = config.option.shuffle
    if not hasattr(config, "workerinput"):
        if config.option.randomly_seed == "default":
            config.option.randomly_seed = randrange(2**32)
        config.pluginmanager.register(SlowRun(config), "turnup-slow-run")
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(config.option.randomly_seed)


@pytest.hookimpl(trylast=True)  # after the deselection of tests that do not run
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start with the lanes of the longest tests, so that both workers are busy until the end."""
    if not config.option.shuffle and all(item.get_closest_marker("slow") for item in items):
        tests = Counter(lane_of(item.nodeid) for item in items)
        items.sort(key=lambda item: -LANES[lane_of(item.nodeid)].seconds / tests[lane_of(item.nodeid)])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[Any]:
    """Fail with a clear message if a test needs the database in a run without one."""
    with _telling_that_it_needs_the_database(item.config):
        return (yield)


@contextmanager
def _telling_that_it_needs_the_database(config: pytest.Config) -> Iterator[None]:
    try:
        yield
    except KeyError as missing:
        if config.option.no_database and str(missing.args[0]).startswith("TURNUP_TEST_"):
            message = "This test needs the database, and --no-database starts none."
            raise pytest.fail.Exception(message, pytrace=False) from None
        raise


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[Any]:
    """Check that the programs that a lane needs are available. For fixtures, the same as for the test."""
    if item.get_closest_marker("slow"):
        for name in LANES[lane_of(item.nodeid)].needs:
            needs(name)
    with _telling_that_it_needs_the_database(item.config):
        return (yield)


@dataclass
class Measured:
    """The time of a lane, in seconds of its workers, and the outcomes of its tests."""

    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)


class SlowRun:
    """Collects the results of slow tests in the controller process, and decides about them."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.began = time.monotonic()
        self.lanes: defaultdict[str, Measured] = defaultdict(Measured)
        self.failures: defaultdict[str, list[pytest.TestReport]] = defaultdict(list)
        self.figures: list[str] = []
        self.second_runs: dict[str, bool] = {}

    @property
    def seconds(self) -> float:
        """The duration of the run so far."""
        return time.monotonic() - self.began

    @property
    def seed(self) -> int:
        """The seed of the shuffled order and of everything random in tests."""
        return int(self.config.option.randomly_seed)

    @property
    def workers(self) -> int:
        """The number of processes that run tests."""
        return self.config.option.numprocesses or 1

    @property
    def too_long(self) -> bool:
        """Whether the lanes exceeded RUN_SECONDS."""
        return bool(self.lanes) and self.seconds > RUN_SECONDS

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the time and the outcome of a phase of a test to its lane."""
        self.figures += [
            str(value) for name, value in report.user_properties if name == "tried" and report.when == "call"
        ]
        if "slow" not in report.keywords:
            return
        measured = self.lanes[lane_of(report.nodeid)]
        measured.seconds += report.duration
        if report.failed:
            self.failures[report.nodeid].append(report)
        if report.when == "call" or report.outcome != "passed":
            measured.outcomes[report.outcome] += 1

    @pytest.hookimpl(trylast=True)  # the workers have ended, so the second runs have the machine to themselves
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Run failed slow tests again. Fail a run that was too long, if CI is set."""
        if not self.config.option.no_second_run and len(self.failures) <= MOST_SECOND_RUNS:
            self.second_runs = {nodeid: self.passes_alone(nodeid) for nodeid in self.failures}
        if session.exitstatus == pytest.ExitCode.TESTS_FAILED and self.decided_otherwise():
            session.exitstatus = pytest.ExitCode.OK
        if self.too_long and os.environ.get("CI") and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def passes_alone(self, nodeid: str) -> bool:
        """Run one test in its own process with the seed of this run, so that a failure caused by the seed repeats.

        The numbers that a test draws depend on its id as well, to which pytest-xdist appends a group.
        """
        alone = without_group(nodeid)
        workers = ["-n", "0"] if alone == nodeid else ["-n", "1", "--dist", "loadgroup"]
        command = [sys.executable, "-m", "pytest", alone, *workers, "-m", "slow", "--no-second-run"]
        try:
            ended = subprocess.run(
                [*command, f"--randomly-seed={self.seed}"],
                cwd=self.config.rootpath,
                env=without_this_run(),
                stdout=subprocess.DEVNULL,
                timeout=SECOND_RUN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return ended.returncode == 0

    def decided_otherwise(self) -> bool:
        """Move the reports of tests that passed alone from failed to flaky. Returns whether no other test failed."""
        stats = self.config.pluginmanager.getplugin("terminalreporter").stats
        for kind in ("failed", "error"):
            kept = [each for each in stats.pop(kind, []) if not self.second_runs.get(each.nodeid)]
            if kept:
                stats[kind] = kept
        flaky = [nodeid for nodeid, passed in self.second_runs.items() if passed]
        if flaky:
            stats["flaky"] = [self.failures[nodeid][0] for nodeid in flaky]
        return bool(flaky) and not stats.get("failed") and not stats.get("error")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the first failures of flaky tests, the times and shares of the lanes, and the seed."""
        write = terminalreporter.write_line
        for nodeid in (nodeid for nodeid, passed in self.second_runs.items() if passed):
            terminalreporter.section(f"FLAKY: {nodeid}", red=True)
            write(f"Failed with seed {self.seed}, passed alone. The first failure:")
            for report in self.failures[nodeid]:
                write(report.longreprtext)
                for title, text in report.sections:
                    write(f"--- {title} ---\n{text}")
        if self.lanes:
            self.print_lanes(terminalreporter)
        if self.lanes or self.config.option.shuffle or terminalreporter.stats.get("failed"):
            write(f"seed {self.seed}: the same again with --randomly-seed={self.seed}")
        if self.config.option.figures:
            self.config.option.figures.write_text(json.dumps(self.report(terminalreporter)))

    def report(self, terminalreporter: pytest.TerminalReporter) -> dict[str, Any]:
        """Return the results for a campaign: the number of passed tests, and the attempts that tests recorded."""
        return {"passed": len(terminalreporter.stats.get("passed", [])), "tried": self.figures}

    def print_lanes(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a line per lane that ran: the number of tests, its share of the run, and its time."""
        write = terminalreporter.write_line
        terminalreporter.section("slow lanes: seconds of the run")
        write(f"{'lane':<16}{'tests':>6}{'share':>7}{'took':>7}")
        for name, measured in sorted(self.lanes.items()):
            took, share = measured.seconds / self.workers, LANES[name].seconds
            over = "  over its share" if took > share else ""
            skipped = f"  NOT RUN: {measured.outcomes['skipped']}" if measured.outcomes["skipped"] else ""
            write(f"{name:<16}{measured.outcomes.total():>6}{share:>7}{took:>7.0f}{over}{skipped}")
        write(f"{'all':<16}{'':>6}{RUN_SECONDS:>7}{self.seconds:>7.0f}")
        if self.too_long:
            decides = "fails" if os.environ.get("CI") else "would fail if CI were set"
            terminalreporter.write_line(f"The run took longer than {RUN_SECONDS} seconds and {decides}.", red=True)
