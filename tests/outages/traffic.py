"""Requests of all kinds, sent to a server again and again while something that it depends on is out of order."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

import httpx

from tests.auth.auth_builders import ISSUER, Signer
from tests.harness import LEAD

READ = "{ locations(first: 2) { nodes { id devices { id } } } }"
EDIT = """mutation ($key: String!, $step: Section!) { setCurrentStep(input: {locationId: "location-9", step: $step,
  idempotencyKey: $key}) { problems { code } } }"""
BULK = """mutation ($key: String!, $dry: Boolean!) {
  bulkUpdateStatus(input: {locationIds: ["location-1", "location-2"], status: PENDING_APPROVAL, dryRun: $dry,
  idempotencyKey: $key}) { summary { applied refused } } }"""
STEPS = ("DEVICES", "CONTACTS", "PEOPLE")
PAUSE_SECONDS = 0.1
ANSWER_SECONDS = 60.0
"""A request that takes longer counts as one that stays for ever."""
WRITES = frozenset({"edit", "bulk"})
HEALTH = frozenset({"healthz", "readyz"})
AUDIENCE = "turnup-api"
METRICS_TOKEN = "token-of-the-scraper"
SCRAPER = {"authorization": f"Bearer {METRICS_TOKEN}"}
SIGNER = Signer()  # type: ignore[no-untyped-call] # - the builders of tokens are untyped
STRANGERS = count()


@dataclass(frozen=True, slots=True)
class Answered:
    """A request and its answer. Times are in seconds of the monotonic clock."""

    kind: str
    began: float
    seconds: float
    status: int
    code: str | None
    """The code of the first error; None for an answer without errors."""
    outcome: str | None

    @property
    def ended(self) -> float:
        """When the answer arrived."""
        return self.began + self.seconds


@dataclass
class Traffic:
    """The requests so far."""

    http: httpx.AsyncClient
    signer: Signer = SIGNER
    answered: list[Answered] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """The requests that had no answer, or none of the API."""

    def token(self, subject: str) -> str:
        """A token of the issuer."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now - 1, "exp": now + 600, "jti": str(uuid4())}
        return str(self.signer.token(**claims))  # type: ignore[no-untyped-call] # - the builders of tokens are untyped

    async def graphql(self, query: str, subject: str | None, **variables: Any) -> httpx.Response:
        """POST an operation."""
        headers = {} if subject is None else {"authorization": f"Bearer {self.token(subject)}"}
        return await self.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)

    async def once(self, kind: str) -> Answered | None:
        """Send one request of a kind; None when it had no answer."""
        began = time.monotonic()
        try:
            response = await KINDS[kind](self)
            seconds = time.monotonic() - began
            answer = _read(kind, began, seconds, response)
        except (httpx.HTTPError, ValueError, LookupError, AssertionError) as error:
            self.lost.append(f"{kind} after {time.monotonic() - began:.1f} s: {type(error).__name__}: {error}")
            return None
        self.answered.append(answer)
        return answer

    def since(self, moment: float, kind: str | None = None) -> list[Answered]:
        """The answers to requests that began after a moment."""
        return [each for each in self.answered if each.began >= moment and kind in {None, each.kind}]


def _read(kind: str, began: float, seconds: float, response: httpx.Response) -> Answered:
    """Check the form of an answer, and return what it says."""
    if kind == "metrics":
        assert response.status_code == 200
        return Answered(kind, began, seconds, response.status_code, None, None)
    body = response.json()
    if "errors" not in body:
        assert response.status_code == 200, response.text
        return Answered(kind, began, seconds, response.status_code, None, None)
    error = body["errors"][0]
    extensions = error["extensions"]
    assert error["message"], response.text
    assert extensions["requestId"] == response.headers["x-request-id"], response.text
    outcome = extensions.get("outcome")
    if kind in WRITES and "data" in body and extensions["code"] in {"TIMEOUT", "UNAVAILABLE", "OVERLOADED", "INTERNAL"}:
        assert outcome in {"NONE", "APPLIED", "UNKNOWN"}, response.text
    return Answered(kind, began, seconds, response.status_code, extensions["code"], outcome)


def _path(path: str) -> Callable[[Traffic], Awaitable[httpx.Response]]:
    return lambda traffic: traffic.http.get(path)


# What a server that works answers to each kind: a code, or None.
KINDS: dict[str, Callable[[Traffic], Awaitable[httpx.Response]]] = {
    "read": lambda traffic: traffic.graphql(READ, LEAD),
    "edit": lambda traffic: traffic.graphql(EDIT, LEAD, key=str(uuid4()), step=random.choice(STEPS)),
    "bulk": lambda traffic: traffic.graphql(BULK, LEAD, key=str(uuid4()), dry=False),
    "dry": lambda traffic: traffic.graphql(BULK, LEAD, key=str(uuid4()), dry=True),
    "stranger": lambda traffic: traffic.graphql(READ, f"stranger-{next(STRANGERS)}"),
    "refused": lambda traffic: traffic.graphql(READ, "always-the-same-stranger"),
    "anonymous": lambda traffic: traffic.graphql(READ, None),
    "config": _path("/graphiql/config.json"),
    "metrics": lambda traffic: traffic.http.get("/metrics", headers=SCRAPER),
    "healthz": _path("/healthz"),
    "readyz": _path("/readyz"),
}
NORMAL = dict.fromkeys(KINDS) | dict.fromkeys(("stranger", "refused", "anonymous"), "UNAUTHENTICATED")


@asynccontextmanager
async def traffic_to(url: str, *, each: int = 1, signer: Signer = SIGNER) -> AsyncIterator[Traffic]:
    """Send requests of all kinds until the block ends, `each` of a kind at a time; then wait for the last answers."""
    over = asyncio.Event()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=url, timeout=ANSWER_SECONDS, trust_env=False, verify=False, limits=limits
    ) as http:
        traffic = Traffic(http, signer)

        async def repeat(kind: str) -> None:
            while not over.is_set():
                await traffic.once(kind)
                await asyncio.sleep(PAUSE_SECONDS)

        senders = [asyncio.create_task(repeat(kind)) for kind in KINDS for _ in range(each)]
        try:
            yield traffic
        finally:
            over.set()
            await asyncio.gather(*senders)


def summary(answers: list[Answered]) -> dict[str, Any]:
    """How many answers of each kind had which code, and the longest wait, for a failing test and for the figures."""
    counted = Counter((each.kind, each.code, each.outcome) for each in answers)
    return {
        "longest": max((round(each.seconds, 2) for each in answers), default=0),
        **{" ".join(map(str, key)): number for key, number in sorted(counted.items(), key=str)},
    }
