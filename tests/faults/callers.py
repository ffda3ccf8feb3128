"""Callers that share a server: they send mutations with keys, and queries, and do what docs/retries.md says."""

import asyncio
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from app.domain.vocabulary import LocationStatus
from tests.operations.scenario import Sent, a_key, document, sent_of

from .cases import CASES, NOWHERE, Sending
from .every import TOGETHER
from .ground import Ground

CALLERS = 6
ITEMS = 3
QUERIES_PER_CALL = 0.4
CONTENDED_PER_CALL = 0.2
BULK_PER_CALL = 0.12
"""The share of bulk calls: as many items take as long as several single calls."""
SETTLE_SECONDS = 300.0
PATIENCE_SECONDS = 60.0
"""Seconds that a test waits for something that happens within a second on an idle machine."""
PAUSE_SECONDS = 0.05
IMPATIENCE = 5
"""A caller that waits a fifth of `retryAfterMs` asks a few times in vain, and is done sooner."""

RETRIED = frozenset({"UNAVAILABLE", "OVERLOADED", "TIMEOUT"})
BULK = sorted(case for case in CASES if case.startswith("bulk"))
SINGLE = sorted(TOGETHER.keys() - set(BULK))
# One writes at a location that all callers edit at the same time; each waits for the lock of the others.
CONTENDED = ("addDevice", "addPerson")

QUERIES = (
    ("lead", "{ locations(first: 20) { nodes { id name status revision devices { id macAddress } } } }"),
    ("customer", "{ locations(first: 5) { nodes { id status readiness { code severity } people { id } } } }"),
    ("partner", "{ provisioningPayloads(first: 20) { nodes { id state document receipts { answer } } } }"),
    ("lead_2", "{ viewer { name role } }"),
)
_ENTRIES = """
SELECT client_request_id, coalesce(location_id, '') AS location, count(*) AS entries FROM turnup.audit_entry
WHERE client_request_id = ANY ($1) AND action = ANY ($2) AND outcome = 'APPLIED' AND number IS NOT NULL GROUP BY 1, 2
"""
_KEYS = "SELECT key FROM turnup.idempotency_key WHERE key = ANY ($1)"
_NORMAL: dict[str, list[dict[str, Any]]] = {}
"""What an undisturbed call leaves, by mutation."""


@dataclass(eq=False)
class Call:
    """A mutation with its key, and what its caller knows about it."""

    case: str
    sending: Sending
    alone: bool = True
    """No other call changes its locations."""
    name: str = field(default_factory=a_key)
    attempts: int = 0
    may_be_done: bool = False
    """An attempt was not answered, or with the outcome UNKNOWN. If not, nothing was written."""
    answer: Sent | None = None

    @property
    def key(self) -> str:
        return str(self.sending.given["idempotencyKey"])

    @property
    def request_ids(self) -> list[str]:
        """The ids that its caller gave to its requests, which the audit entries name."""
        return [f"{self.name}-{number}" for number in range(1, self.attempts + 1)]


@dataclass
class Met:
    """What the callers met."""

    calls: int = 0
    queries: int = 0
    unanswered: Counter[str] = field(default_factory=Counter)
    """Requests that lost their connection, by kind: single, bulk, query."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """The outcomes of failed attempts, by code."""
    applied_unanswered: int = 0
    """Calls whose effect was there although no attempt had been answered."""

    def __str__(self) -> str:
        lost = ", ".join(f"{self.unanswered[kind]} {kind}" for kind in ("single", "bulk", "query"))
        told = ", ".join(f"{count} {what}" for what, count in sorted(self.outcomes.items())) or "none"
        return (
            f"{self.calls:,} mutations and {self.queries:,} queries; unanswered: {lost}; applied and unanswered:"
            f" {self.applied_unanswered}; failures answered: {told}"
        )


class Load:
    """Callers on the ground's database. The server that they talk to may be replaced between two runs."""

    def __init__(self, ground: Ground, met: Met) -> None:
        self.ground = ground
        self.met = met
        self.waiting: deque[Call] = deque()
        """Calls to be sent, or sent again."""
        self.answered: list[Call] = []
        """Calls that were answered since the last check."""
        self.answers = 0
        self._seconds: deque[float] = deque([0.03], maxlen=51)
        self._shared: str | None = None

    @property
    def usual_seconds(self) -> float:
        """The usual time of a call on this machine."""
        return sorted(self._seconds)[len(self._seconds) // 2]

    async def learn(self) -> None:
        """Send a call of each mutation to an undisturbed server, and remember what it leaves."""
        for case in TOGETHER.keys() - _NORMAL.keys():
            sending = await TOGETHER[case](self.ground, ITEMS)
            sent = await self.ground.send_it(sending)
            assert (sent.outcome, sent.replayed) == ("DONE", False), (case, sent)
            _NORMAL[case] = await self.ground.left(sending)

    async def arrange(self, number: int) -> None:
        """Prepare calls until so many wait."""
        if self._shared is None:
            self._shared = (await self.ground.a_location(LocationStatus.IN_PROGRESS)).id
        while len(self.waiting) < number:
            drawn = random.random()
            if drawn < CONTENDED_PER_CALL:
                self.waiting.append(self._contended(random.choice(CONTENDED)))
                continue
            case = random.choice(BULK if drawn > 1 - BULK_PER_CALL else SINGLE)
            self.waiting.append(Call(case, await TOGETHER[case](self.ground, ITEMS)))

    def _contended(self, mutation: str) -> Call:
        assert self._shared is not None
        given = {
            "addDevice": {"locationId": self._shared, "brand": "YEALINK", "model": "T54W"},
            "addPerson": {"locationId": self._shared, "firstName": "Ida"},
        }[mutation]
        who = random.choice([self.ground.customer, self.ground.clerk, self.ground.lead])
        kept = {**given, "idempotencyKey": a_key()}
        return Call(mutation, Sending(who=who, mutation=mutation, given=kept, touched=(self._shared,)), alone=False)

    async def run(self) -> None:
        """Let the callers work until no call waits. A caller whose server is gone stops, and its call waits."""
        async with asyncio.timeout(SETTLE_SECONDS), asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(self._caller())

    async def random_moment(self, working: "asyncio.Task[None]") -> None:
        """Return after a random number of answers and a random part of the time of a call, or when all is done."""
        target = self.answers + random.randint(1, CALLERS)
        while self.answers < target and not working.done():  # noqa: ASYNC110 - several callers count the answers
            await asyncio.sleep(0.002)
        await asyncio.sleep(random.uniform(0, 1.2 * self.usual_seconds))

    async def _caller(self) -> None:
        while self.waiting:
            if random.random() < QUERIES_PER_CALL:
                await self._query()
            if not self.waiting:
                return
            call = self.waiting.popleft()
            if not await self._settled(call):
                self.waiting.appendleft(call)
                return
            self.answered.append(call)

    async def _query(self) -> None:
        who, query = random.choice(QUERIES)
        try:
            answer = await self.ground.client.ask(query, getattr(self.ground, who))
        except httpx.TransportError:
            self.met.unanswered["query"] += 1
            return
        self.met.queries += 1
        self.answers += 1
        assert set(answer.codes) <= RETRIED, answer.body
        assert answer.codes or answer.data, answer.body

    async def _settled(self, call: Call) -> bool:
        """Send a call until it is done, each time with its key. Returns False when the server is gone."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                sent = await self._sent(call)
            except httpx.ConnectError:
                return False
            except httpx.TransportError:
                call.may_be_done = True
                self.met.unanswered["bulk" if call.case in BULK else "single"] += 1
                return False
            self.answers += 1
            if sent.outcome == "DONE":
                self._seconds.append(loop.time() - began)
                assert call.may_be_done or not sent.replayed, f"told that nothing was written: {call}"
                self.met.applied_unanswered += sent.replayed
                self.met.calls += 1
                call.answer = sent
                return True
            await asyncio.sleep(self._pause(call, sent))

    async def _sent(self, call: Call) -> Sent:
        call.attempts += 1
        sending = call.sending
        answer = await self.ground.client.ask(
            document(sending.mutation, sending.select),
            sending.who,
            headers={"x-request-id": call.request_ids[-1]},
            input=sending.given,
        )
        return sent_of(sending.mutation, answer)

    def _pause(self, call: Call, sent: Sent) -> float:
        """The seconds until the next attempt after one that failed; notes what is known about its effect."""
        if sent.outcome == "IDEMPOTENCY_IN_PROGRESS":
            return float(sent.problem["retryAfterMs"]) / 1000 / IMPATIENCE
        assert sent.outcome in RETRIED, (call, sent)
        outcome = sent.error["extensions"].get("outcome", "not executed")
        self.met.outcomes[f"{sent.outcome} {outcome}"] += 1
        call.may_be_done = call.may_be_done or outcome in {"UNKNOWN", "APPLIED"}
        return random.uniform(0.5, 1.5) * PAUSE_SECONDS

    async def check(self) -> None:
        """Check every call that was answered since the last check, or that waits to be sent again.

        No call may be under way. A call has one complete effect or none. A call that was answered has its effect; one
        whose attempts were all answered, and not with DONE or UNKNOWN, has none.
        """
        calls = [call for call in (*self.answered, *self.waiting) if call.attempts]
        ids = [each for call in calls for each in call.request_ids]
        names = sorted({call.sending.mutation for call in calls})
        made: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for row in await self.ground.connection.fetch(_ENTRIES, ids, names):
            made[row["client_request_id"]][row["location"]] = row["entries"]
        keys = {row["key"] for row in await self.ground.connection.fetch(_KEYS, [call.key for call in calls])}
        for call in calls:
            await self._check(call, [made[each] for each in call.request_ids if each in made], is_kept=call.key in keys)
        self.answered.clear()

    async def _check(self, call: Call, effects: list[dict[str, int]], *, is_kept: bool) -> None:
        assert len(effects) <= 1, f"more than one attempt had an effect: {call}"
        assert bool(effects) == is_kept, call
        if not effects:
            assert call.answer is None, f"an acknowledged write is lost: {call}"
            return
        assert call.answer or call.may_be_done, f"told that nothing was written: {call}"
        (effect,) = effects
        if not call.sending.touched:
            effect = {NOWHERE: sum(effect.values())}
        assert effect == call.sending.entered, f"half of the items: {call}"
        if call.alone:
            left = await self.ground.left(call.sending)
            assert left == _NORMAL[call.case], f"half an item: {left}, not {_NORMAL[call.case]}: {call}"

    async def check_replays(self, calls: Iterable[Call]) -> None:
        """Send calls that are done once more: the answer is the same."""
        for call in calls:
            if call.alone:
                again = await self._sent(call)
                assert call.answer is not None
                assert (again.outcome, again.payload) == ("DONE", {**call.answer.payload, "replayed": True}), call


class Sessions:
    """The sessions of the app's role in a database, seen by the role itself, which may see their states."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def others(self, condition: str = "true") -> list[asyncpg.Record]:
        """Return the sessions of the role for which the condition holds, except the one that looks."""
        connection = await asyncpg.connect(self._url)
        try:
            return list(await connection.fetch(_SESSIONS.format(condition=condition)))
        finally:
            connection.terminate()

    async def until_none(self) -> None:
        """Wait until PostgreSQL has ended the sessions of a server that is gone."""
        await until_empty(self.others)

    async def until_idle(self) -> None:
        """Wait until no transaction is open."""
        await until_empty(lambda: self.others("state <> 'idle' OR xact_start IS NOT NULL"))


_SESSIONS = """
SELECT pid, state, wait_event, now() - state_change AS since, query FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() AND ({condition})
"""


async def until_pool_is_idle(http: httpx.AsyncClient) -> None:
    """Wait until the server has no connection in use and no caller waits for one."""

    async def busy() -> list[float]:
        found = await gauges(http, "turnup_pool_in_use", "turnup_pool_waiting")
        return found if any(found) else []

    await until_empty(busy)


async def gauges(http: httpx.AsyncClient, *names: str) -> list[float]:
    """Return values of /metrics without labels."""
    lines = (await http.get("/metrics")).text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return [float(values[name]) for name in names]


async def until_empty(look: Callable[[], Awaitable[list[Any]]]) -> None:
    """Wait until nothing is found. Fails with what was found last."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while found := await look():
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.005)
