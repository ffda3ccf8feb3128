"""The server is killed at random moments of mutations and started again: the same key sent again leaves one effect.

PostgreSQL stays up; the process that a caller talks to is killed by SIGKILL, so that it can tidy nothing up. A caller
does what the API's documentation says: sends the same key again until it is told that it is done.
"""

import asyncio
import random
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.lanes import scaled
from tests.operations.scenario import Sent

from .cases import CASES, Sending
from .ground import Ground
from .servers import Servers, stem_of

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="servers are forked, and end with who started them"),
    pytest.mark.usefixtures("replayed"),
]

ITEMS = 10
# Where nothing was measured yet: about as long as a single mutation and a bulk one take.
GUESS = {False: 0.06, True: 0.3}
# A caller who waits a fifth of what it is told asks a few times in vain and is done sooner.
IMPATIENCE = 5
KILLED = ("before it took effect", "after it took effect, unanswered", "after it was answered")


@dataclass
class Tally:
    """What the kills met, by mutation, and how long calls take that are left alone."""

    kills: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def moment(self, case: str) -> float:
        """A random moment of a call, in seconds, up to just after its end; every other one late, around its commit."""
        known = self.seconds[case][-9:]
        usual = statistics.median(known) if known else GUESS[case.startswith("bulk")]
        return random.uniform(0 if random.random() < 0.5 else 0.5 * usual, 1.15 * usual)

    def __str__(self) -> str:
        head = f"| mutation | kills | {' | '.join(KILLED)} |\n|---|{'---|' * (len(KILLED) + 1)}"
        rows = [*self.kills.items(), ("all", sum(self.kills.values(), Counter()))]
        lines = (f"| {case} | {met.total()} | {' | '.join(str(met[how]) for how in KILLED)} |" for case, met in rows)
        return "\n".join([head, *lines])


async def applied(ground: Ground, sending: Sending) -> Sent:
    """The answer to a call that is sent until it is done; an earlier one with its key may still be ending."""
    async with asyncio.timeout(20):
        while (  # noqa: ASYNC110 - what is waited for happens in another process
            sent := await ground.send_it(sending)
        ).outcome == "IDEMPOTENCY_IN_PROGRESS":
            await asyncio.sleep(sent.problem["retryAfterMs"] / 1000 / IMPATIENCE)
    return sent


async def killed_while(ground: Ground, servers: Servers, sending: Sending, moment: float) -> Sent | None:
    """The answer to a call during which the server was killed, or None when there was none."""
    call = asyncio.create_task(ground.send_it(sending))
    await asyncio.sleep(moment)
    await servers.kill()
    with suppress(httpx.TransportError):
        return await call
    return None


async def storm(ground: Ground, home: Path, *, kills: int) -> Tally:
    """Kill as many servers; each call, sent again, is done once, and at the end the audit log is complete.

    Each server that follows a killed one repeats that one's call, and is killed during the next.
    """
    tally = Tally()
    normal: dict[str, list[dict[str, Any]]] = {}
    loop = asyncio.get_running_loop()
    cut: tuple[str, Sending, Sent | None] | None = None
    with stem_of(home) as servers:
        for number in range(kills + 1):
            async with servers.serving(ground):
                if cut is not None:
                    case, sending, answer = cut
                    found = bool(await ground.entries_made(sending))
                    began = loop.time()
                    first = await applied(ground, sending)
                    if not first.replayed:
                        tally.seconds[case].append(loop.time() - began)
                    again = await ground.send_it(sending)
                    assert (first.outcome, again.outcome, again.replayed) == ("DONE", "DONE", True), (first, again)
                    assert again.payload == {**first.payload, "replayed": True}
                    assert first.replayed or not (answer or found), "what was done is told, not done again"
                    assert answer is None or {**answer.payload, "replayed": True} == first.payload
                    assert await ground.entries_made(sending) == dict.fromkeys(sending.touched, 1)
                    assert await ground.left(sending) == normal.setdefault(case, await ground.left(sending))
                    tally.kills[case][KILLED[2 if answer else 1 if first.replayed else 0]] += 1
                if number == kills:
                    break
                case = list(CASES)[number % len(CASES)]
                sending = await CASES[case](ground, ITEMS)
                cut = case, sending, await killed_while(ground, servers, sending, tally.moment(case))
    await ground.check_invariants()
    sys.stdout.write(f"\n{tally}\n")
    return tally


async def test_a_call_whose_server_was_killed_is_done_once_when_it_is_sent_again(
    ground: Ground, tmp_path: Path
) -> None:
    tally = await storm(ground, tmp_path, kills=len(CASES))
    assert {case: met.total() for case, met in tally.kills.items()} == dict.fromkeys(CASES, 1)


@pytest.mark.slow
async def test_many_kills_leave_each_call_done_once(
    ground: Ground, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    kills = scaled(100)
    tally = await storm(ground, tmp_path, kills=kills)
    met = sum(tally.kills.values(), Counter())
    assert met.total() == kills
    before, unanswered, answered = (met[how] for how in KILLED)
    assert min(before, unanswered + answered) > scaled(10), "kills fell on both sides of the commit"
    record_property("tried", f"{kills:,} kills: " + ", ".join(f"{met[how]} {how}" for how in KILLED))
