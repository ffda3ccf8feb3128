"""A client that sends hostile requests to a running server and measures the work of the server for each."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.measuring import RawConnection, Response, cpu_seconds, resident_bytes
from tests.contract.served import Served
from tests.harness import CUSTOMER, LEAD, LISTED_CUSTOMER, PARTNER, SECURITY_YARDSTICK_SECONDS, slowness

from .case import Case
from .judging import cost, faults

PEOPLE = (LEAD, CUSTOMER, LISTED_CUSTOMER, PARTNER)
BEFORE_EXECUTION = 0.05
"""The maximum CPU time of a request before its execution, in seconds, on the processor of docs/security.md."""
PER_PRICE = 0.0001
"""The maximum CPU time per unit of price, in seconds, on the processor of docs/security.md."""
ATTEMPTS = 12
"""A request that takes too long is repeated, because a busy machine slows some down; the quickest decides."""
RESPONSE_SECONDS = 60.0
SILENCE_SECONDS = 0.1
"""A request that is not complete may get no response within this time; then its connection is closed."""


@dataclass
class Attacker:
    """Sends requests one after the other. `found` has the fault of each request that has one."""

    server: Served
    found: list[str] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    grown: int = 0
    slowest: float = 0.0
    _tokens: dict[str, str] = field(default_factory=dict)
    _connection: RawConnection | None = None
    _began: int = 0

    async def attack(self, cases: Iterable[Case]) -> int:
        """Send all cases and judge each response; return their number."""
        self._began = resident_bytes(self.server.process)
        self._tokens = {who: self.server.token(who, lifetime_seconds=86_400) for who in PEOPLE}
        sent = 0
        for case in cases:
            await self._one(case, PEOPLE[case.index % len(PEOPLE)])
            sent += 1
            self.grown = max(self.grown, resident_bytes(self.server.process) - self._began)
        self._drop()
        return sent

    async def _one(self, case: Case, who: str) -> None:
        spent, allowed = float("inf"), 0.0
        for attempt in range(ATTEMPTS):
            began = cpu_seconds([self.server.process])
            response = await self._answered(case, case.request(self._tokens[who], attempt))
            taken = cpu_seconds([self.server.process]) - began
            if attempt == 0:
                self._judge(case, who, response)
                allowed = BEFORE_EXECUTION + PER_PRICE * price_of(response)
                spent = taken
            if taken > allowed:
                taken /= slowness(SECURITY_YARDSTICK_SECONDS)
            spent = min(spent, taken)
            if spent <= allowed:
                break
        self.slowest = max(self.slowest, spent - allowed + BEFORE_EXECUTION)
        if spent > allowed:
            self._note(case, who, f"{spent * 1000:.0f} ms of CPU time, allowed {allowed * 1000:.0f}")

    def _note(self, case: Case, who: str, fault: str) -> None:
        self.found.append(f"{case.family} {case.index} as {who}: {fault}")

    def _judge(self, case: Case, who: str, response: Response | None) -> None:
        if response is None:
            self.codes["no response"] += 1
            if not case.silent:
                self._note(case, who, "no response")
            return
        self.codes[first_code(response)] += 1
        for fault in faults(response):
            self._note(case, who, fault)

    async def _answered(self, case: Case, request: bytes) -> Response | None:
        """Send a request; a whole request of its own connection, any other over the connection that is open."""
        for _ in range(3):
            if case.raw is not None or self._connection is None:
                self._drop()
                self._connection = await RawConnection.open(urlsplit(self.server.origin).port or 0)
            try:
                async with asyncio.timeout(SILENCE_SECONDS if case.silent else RESPONSE_SECONDS):
                    response = await self._connection.ask(request)
            except TimeoutError:
                self._drop()
                return None
            except (OSError, asyncio.IncompleteReadError):
                self._drop()
                if case.silent:
                    return None
                continue
            if case.raw is not None or response.headers.get("connection", "").lower() == "close":
                self._drop()
            return response
        return None

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def first_code(response: Response) -> str:
    """Return the code of the first error of a response, or `data`."""
    try:
        body = json.loads(response.body)
        return str(body["errors"][0]["extensions"]["code"]) if body.get("errors") else "data"
    except (ValueError, KeyError, AttributeError):
        return f"status {response.status}"


def price_of(response: Response | None) -> int:
    """Return the price of an executed operation, or 0."""
    if response is None:
        return 0
    try:
        return cost(json.loads(response.body))[0]
    except ValueError:
        return 0
