"""The network between the server and PostgreSQL breaks: the answer says what is known, and the same key settles it.

A proxy reads the statements of each call, breaks the connection at one of them, and knows whether a COMMIT was sent.
"""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.postgres.embedded import PORT
from tests.harness import EMPTY_TEMPLATE, OWNER_URL, own_database
from tests.lanes import scaled
from tests.operations.scenario import Sent
from tests.oracle import chains_are_valid, database_is_consistent
from tests.outages.proxy import Mode

from .callers import CALLERS, RETRIED, Load, Met, Sessions, until_pool_is_idle
from .cases import CASES, Sending
from .every import TOGETHER
from .ground import Ground, ground_on
from .servers import stem_of
from .statement_proxy import AFTER_COMMIT, COMMIT, StatementProxy, Watched

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="servers are forked, and end with who started them"),
    pytest.mark.usefixtures("replayed"),
]

ITEMS = 3
DEADLINE_SECONDS = 2
AT_ONCE = 13
"""The calls that break at the same time: silence lasts until the deadline."""
POOL = 4 * AT_ONCE
"""A user holds at most half of the connections."""
ATTEMPTS = 5
RETRY_SECONDS = 60.0
LOUD = (Mode.RESET, Mode.CUT)
"""The connection is reset, before or after the statement arrives at PostgreSQL."""
SILENT = (Mode.BLACK_HOLE, Mode.SWALLOW)
"""The connection stays open; the statement is held back, or its reply."""
OUTAGES = (Mode.LATENCY, Mode.RESET, Mode.REFUSE, Mode.BLACK_HOLE, Mode.SWALLOW, Mode.CUT)
LONGEST_OUTAGE_SECONDS = 2.0


@dataclass(frozen=True)
class Broken:
    """A call whose connection is to break at a statement."""

    case: str
    mode: Mode
    at: int = COMMIT


class Network:
    """The ground's people talk to a server, whose connections to PostgreSQL pass the proxy."""

    def __init__(self, ground: Ground, proxy: StatementProxy) -> None:
        self.ground = ground
        self.proxy = proxy
        self.sessions = Sessions(ground.client.database.app_url)
        self.told: Counter[str] = Counter()
        self._normal: dict[str, tuple[list[str], list[dict[str, Any]]]] = {}

    async def undisturbed(self, case: str) -> tuple[list[str], list[dict[str, Any]]]:
        """Return the statements of a call that nothing disturbs, from the one with its key on, and what it leaves."""
        if case not in self._normal:
            sending = await TOGETHER[case](self.ground, ITEMS)
            watched = self.proxy.watch(sending.given["idempotencyKey"])
            sent = await self.ground.send_it(sending)
            self.proxy.forget(watched)
            assert (sent.outcome, watched.statements[-1]) == ("DONE", "COMMIT"), (sent, watched)
            self._normal[case] = watched.statements, await self.ground.left(sending)
        return self._normal[case]

    async def breaks_in_turns(self, broken: Sequence[Broken]) -> None:
        """Break the connections of these calls, some at a time."""
        for first in range(0, len(broken), AT_ONCE):
            await self.breaks(broken[first : first + AT_ONCE])

    async def breaks(self, broken: Sequence[Broken]) -> None:
        """Break the connections of these calls at once; check the answers, and settle the calls by their keys.

        On a busy machine the deadline of a call can pass before its statement. Such a call is repeated as another one.
        """
        for each in broken:
            await self.undisturbed(each.case)
        for _ in range(ATTEMPTS):
            if not broken:
                return
            broken = [each for each, sprung in zip(broken, await self._break(broken), strict=True) if not sprung]
        raise AssertionError(f"{broken} did not reach their statements within {DEADLINE_SECONDS} s")

    async def _break(self, broken: Sequence[Broken]) -> list[bool]:
        """Try it once; returns which of the calls reached their statements."""
        sendings = [await TOGETHER[each.case](self.ground, ITEMS) for each in broken]
        keys = [sending.given["idempotencyKey"] for sending in sendings]
        watched = [self.proxy.watch(key, each.mode, each.at) for key, each in zip(keys, broken, strict=True)]
        answers = await asyncio.gather(*map(self.ground.send_it, sendings))
        self.proxy.set(Mode.PASS)
        for each, sending, seen, answer in zip(broken, sendings, watched, answers, strict=True):
            self.proxy.forget(seen)
            assert answer.outcome in RETRIED, (each, seen, answer)
            told = answer.error["extensions"]["outcome"]
            assert told in expected(each, seen), (each, seen, answer)
            self.told[told] += seen.sprung
            await self._settled(each, sending, seen)
        await until_pool_is_idle(self.ground.client.http)
        await self.sessions.until_idle()
        return [seen.sprung for seen in watched]

    async def _settled(self, broken: Broken, sending: Sending, seen: Watched) -> None:
        first = await self._applied(sending)
        assert seen.commit_sent or not first.replayed, (broken, first)
        again = await self.ground.send_it(sending)
        assert (again.outcome, again.payload) == ("DONE", {**first.payload, "replayed": True}), (broken, again)
        assert await self.ground.entries_made(sending) == sending.entered, broken
        assert await self.ground.left(sending) == self._normal[broken.case][1], broken

    async def _applied(self, sending: Sending) -> Sent:
        deadline = time.monotonic() + RETRY_SECONDS
        while (sent := await self.ground.send_it(sending)).outcome in {*RETRIED, "IDEMPOTENCY_IN_PROGRESS"}:
            assert time.monotonic() < deadline, sent
            await asyncio.sleep(0.05)
        assert sent.outcome == "DONE", sent
        return sent


def expected(broken: Broken, seen: Watched) -> tuple[str, ...]:
    """Return the outcomes that may be told: NONE if no COMMIT was sent, UNKNOWN if it was and has no reply."""
    if not seen.commit_sent:
        return ("NONE",)
    if broken.at != AFTER_COMMIT:
        return ("UNKNOWN",)
    # A time limit says less: in a request of several mutations it may have passed during a later one.
    return ("APPLIED",) if broken.mode in LOUD else ("APPLIED", "UNKNOWN")


@asynccontextmanager
async def proxied(ground: Ground, home: Path) -> AsyncIterator[Network]:
    """A server whose requests have a short deadline, behind a proxy."""
    folder = parse_qs(urlsplit(os.environ[OWNER_URL]).query).get("host")
    if folder is None:
        pytest.skip("the proxy is for the Unix socket of the embedded PostgreSQL")
    with (
        StatementProxy(Path(folder[0], f".s.PGSQL.{PORT}")) as proxy,
        stem_of(home, TURNUP_LIMIT_DEADLINE_SECONDS=str(DEADLINE_SECONDS), TURNUP_POOL_SIZE=str(POOL)) as servers,
    ):
        async with servers.serving(ground, proxy.url(ground.client.database.app_url)):
            yield Network(ground, proxy)


@pytest.fixture(scope="module")
async def network(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Network]:
    """A proxied server on the ground's database."""
    async with proxied(ground, tmp_path_factory.mktemp("network")) as made:
        yield made


async def test_a_commit_whose_reply_is_lost_is_unknown_and_the_key_settles_it(network: Network) -> None:
    await network.breaks([Broken("addDevice", Mode.CUT), Broken("bulkUpdateStatus", Mode.CUT)])
    await network.breaks([Broken("addDevice", Mode.SWALLOW), Broken("bulkUpdateStatus", Mode.SWALLOW)])


@pytest.mark.parametrize("mode", [Mode.RESET, Mode.BLACK_HOLE])
async def test_a_commit_that_does_not_arrive_is_unknown_and_the_key_settles_it(network: Network, mode: Mode) -> None:
    await network.breaks([Broken("bulkUpdateStatus", mode)])


async def test_a_connection_that_breaks_before_the_commit_is_sent_has_written_nothing(network: Network) -> None:
    statements, _ = await network.undisturbed("addDevice")
    points = range(len(statements) - 1)
    await network.breaks([Broken("addDevice", mode, random.choice(points)) for mode in (*LOUD, *SILENT)])


@pytest.mark.parametrize("mode", [*LOUD, Mode.SWALLOW])
async def test_a_response_that_cannot_be_read_after_the_commit_is_told_to_be_applied(
    network: Network, mode: Mode
) -> None:
    await network.breaks([Broken("addDevice", mode, AFTER_COMMIT)])


async def test_latency_delays_answers_and_changes_nothing(network: Network) -> None:
    network.proxy.set(Mode.LATENCY, latency_seconds=0.005)
    sending = await CASES["bulkApprove"](network.ground, ITEMS)
    sent = await network.ground.send_it(sending)
    network.proxy.set(Mode.PASS)
    assert (sent.outcome, sent.replayed) == ("DONE", False)
    assert await network.ground.entries_made(sending) == sending.entered


@pytest.mark.slow
async def test_every_mutation_is_told_and_settled_wherever_its_connection_is_reset(network: Network) -> None:
    for mode, at in ((Mode.RESET, None), (Mode.RESET, COMMIT), (Mode.CUT, COMMIT)):
        lost = []
        for case in TOGETHER:
            statements, _ = await network.undisturbed(case)
            lost.append(Broken(case, mode, random.randrange(len(statements) - 1) if at is None else at))
        random.shuffle(lost)
        await network.breaks_in_turns(lost)


@pytest.mark.slow
async def test_mutations_are_told_and_settled_wherever_their_connection_falls_silent(network: Network) -> None:
    lost = []
    for case in CASES:
        statements, _ = await network.undisturbed(case)
        lost += [Broken(case, mode, random.randrange(len(statements) - 1)) for mode in SILENT]
        lost.append(Broken(case, Mode.SWALLOW))
    random.shuffle(lost)
    await network.breaks_in_turns(lost)
    # Until PostgreSQL notices, a COMMIT that does not arrive holds the head of the account's audit chain.
    for case in random.sample(list(CASES), k=min(len(CASES), scaled(4))):
        await network.breaks([Broken(case, Mode.BLACK_HOLE)])


async def outages(ground: Ground, home: Path, met: Met, *, rounds: int) -> Counter[str]:
    """Break the network for everyone at a random moment of mixed load, for a random time; returns what happened."""
    happened: Counter[str] = Counter()
    async with proxied(ground, home) as network:
        load = Load(ground, met)
        await load.learn()
        for number in range(rounds):
            mode = OUTAGES[number % len(OUTAGES)]
            await load.arrange(2 * CALLERS)
            working = asyncio.create_task(load.run())
            await load.random_moment(working)
            network.proxy.set(mode, latency_seconds=0.02)
            await asyncio.sleep(random.uniform(0, LONGEST_OUTAGE_SECONDS))
            network.proxy.set(Mode.PASS)
            happened[mode.name] += 1
            await working
            assert not met.unanswered, "the server answers every request"
            await until_pool_is_idle(ground.client.http)
            await network.sessions.until_idle()
            await load.check()
            await chains_are_valid(ground.client.database)
            await ground.check_invariants()
    await database_is_consistent(ground.client.database)
    return happened


@pytest.mark.slow
async def test_outages_of_the_network_under_mixed_load_leave_each_call_done_once(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    met, rounds = Met(), scaled(len(OUTAGES))
    async with own_database(EMPTY_TEMPLATE) as database, ground_on(database, tmp_path) as ground:
        happened = await outages(ground, tmp_path, met, rounds=rounds)
    assert happened.total() == rounds
    sys.stdout.write(f"\n{rounds} outages: {met}\n")
    record_property("tried", f"{rounds} outages of the network to PostgreSQL under load: {met}")
