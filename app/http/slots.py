"""The requests that a server process works on at the same time: their limit, and each user's part of it.

One process is bound by its processor: with N requests in progress, each takes about N times as long as alone. More
requests than slots would not be answered sooner, so they are refused before anything is done for them.

A request takes a slot when it has been received as a whole, and gives it back when its work has ended. Requests that
have waited in a bulkhead for more than WAITED_SECONDS take no slot: they wait for a lock or a slow statement of others,
without using the processor or a connection. Before that they count, because when the processor is the bottleneck, the
queue of a bulkhead is as long as any other.

A burst is no overload: a client that sends some dozens of requests at once, once in a while, is answered. Requests
beyond the slots are therefore admitted while the burst allows it. It is regained so slowly that it does not count under
load.
"""

import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from enum import StrEnum
from functools import cached_property

from app.http.addresses import counted_address
from app.http.graphql import joined, negotiated
from app.http.refusals import PLAIN_JSON, RETRY_SECONDS, Response, TransportRefused, refused

SLOTS = "slots"
"""The key of the RequestSlots in the state of the lifespan."""
PATHS = frozenset({"/graphql", "/graphql/"})
"""The paths whose requests take slots. All others cost little, and health checks must be answered under load."""
UNCOUNTED_METHODS = frozenset({"OPTIONS"})
"""A browser cannot read the answer to a preflight; without one, it could not read the refusal of its request."""
WAITED_SECONDS = 1.0
REGAIN_SECONDS = 5.0
"""Seconds in which one request of the burst is regained."""
REFUSAL_SECONDS = 0.00025
"""The time per refusal beyond which connections pause: 4,000 refusals per second, for which a worker has a fifth of its
processor. Clients that repeat a refused request without waiting would otherwise take all of it."""
UNPACED_SECONDS = 0.02
"""The time that refusals may be ahead of their pace before connections pause."""
EXPOSED_FIELDS = ("X-Request-Id", "X-Trace-Id", "Retry-After", "Turnup-Token-Expires", "ETag")
"""The header fields that pages of other origins may read."""

Fields = Sequence[tuple[bytes, bytes]]


class Full(StrEnum):
    """Why a request got no slot; the label of a metric."""

    SERVER = "server"
    USER = "user"
    ADDRESS = "address"

    @property
    def own_share(self) -> bool:
        """Whether clients used up their own share, and not everybody together the slots of the server."""
        return self is not Full.SERVER


class RequestSlots:
    """The slots of one process."""

    def __init__(
        self,
        limit: int,
        *,
        burst: int = 0,
        user_of: Callable[[Fields], Hashable] = lambda _: None,
        floods: Callable[[str], bool] = lambda _: False,
        waiting: Callable[[], int] = lambda: 0,
        refused: Callable[[str], None] = lambda _: None,
        origins: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`limit` is the number of slots, `burst` the number of requests beyond them that are admitted now and then.

        `waiting` returns how many requests wait in bulkheads.

        `user_of` returns the user of a request by its header fields, None if it is not known without verifying its
        token: together, requests of unknown users have the slots of one user. `floods` returns whether a client address
        has sent too many requests without a valid token: together, unknown users of such addresses have half of all
        slots. `refused` is called with the reason of each refusal. `origins` are those whose pages may read a refusal.
        """
        self.limit = limit
        self.limit_per_user = most_per_user(limit)
        self.limit_of_floods = most_of_floods(limit)
        self._user_of = user_of
        self._floods = floods
        self._waiting = waiting
        self._refused = refused
        self._origins = frozenset(each.encode("latin-1") for each in origins)
        self._clock = clock
        # In the order in which they began, so that the first ones have waited longest.
        self._in_progress: dict[Work, float] = {}
        self._by_user: Counter[Hashable] = Counter()
        self._of_floods = 0
        self._paced_until = 0.0
        self._burst = self._burst_left = float(burst)
        self._burst_at = clock()

    def __len__(self) -> int:
        """Return the number of requests in progress, including those that wait in bulkheads."""
        return len(self._in_progress)

    def work(self, fields: Fields, address: str | None = "") -> "Work":
        """Return the work on a request with these header fields, before it begins.

        `address` is the counted address of the peer; None if that is a trusted proxy, which names the client.
        """
        return Work(self, fields, address)

    def identified(self, fields: Fields, address: str | None) -> tuple[Hashable, bool]:
        """Return the user of a request, and whether it is an unknown one at an address that floods."""
        user = self._user_of(fields)
        return user, user is None and self._floods(_forwarded(fields) if address is None else address)

    def full(self, work: "Work") -> Full | None:
        """Return why a request would get no slot now, None if it would get one.

        When all slots are taken and the burst is used up, as in an overload, the user is not looked up.
        """
        taken, burst = self._all_taken(), self._burst_now() >= 1
        if taken and not burst:
            return Full.SERVER
        if work.of_flood and self._of_floods >= self.limit_of_floods:
            return Full.ADDRESS
        if burst:
            return None
        return Full.USER if self._user_is_full(work) else None

    def _all_taken(self) -> bool:
        taken = len(self._in_progress)
        return taken >= self.limit and taken - self._stuck() >= self.limit

    def _user_is_full(self, work: "Work") -> bool:
        return self._by_user[work.user] >= self.limit_per_user

    def holds(self, work: "Work") -> bool:
        """Return whether the work has a slot."""
        return work in self._in_progress

    def take(self, work: "Work") -> None:
        """Give a slot, which `full` has found, or admit the work as a part of the burst."""
        if self._all_taken() or self._user_is_full(work):
            self._burst_left, self._burst_at = self._burst_now() - 1, self._clock()
        self._in_progress[work] = self._clock()
        self._by_user[work.user] += 1
        self._of_floods += work.of_flood

    def _burst_now(self) -> float:
        return min(self._burst, self._burst_left + (self._clock() - self._burst_at) / REGAIN_SECONDS)

    def give_back(self, work: "Work") -> None:
        """Free the slot, if it is taken."""
        if self._in_progress.pop(work, None) is not None:
            self._of_floods -= work.of_flood
            self._by_user[work.user] -= 1
            if not self._by_user[work.user]:
                del self._by_user[work.user]

    def refusal(self, full: Full, request_id: str, fields: Fields) -> Response:
        """Return the answer to a request that gets no slot, and count it."""
        self._refused(full.value)
        sent = joined(fields)
        try:
            media_type = negotiated(sent.get(b"accept", b"").decode("latin-1"))
        except TransportRefused:
            media_type = PLAIN_JSON
        response = refused("OVERLOADED", self._sentence(full), request_id, media_type=media_type)
        response.headers.extend(((b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")))
        return self._readable(response, sent.get(b"origin")) if self._origins else response

    def pause_seconds(self) -> float:
        """Return how long a connection waits, after a refusal, before its next request is read; usually 0.

        Clients that connect again for each request do not wait, but count: the wait of the others has a maximum.
        """
        now = self._clock()
        self._paced_until = min(max(self._paced_until, now) + REFUSAL_SECONDS, now + RETRY_SECONDS)
        return max(0.0, self._paced_until - now - UNPACED_SECONDS)

    def _stuck(self) -> int:
        """Return how many requests wait in bulkheads, and not for the processor."""
        waiting = self._waiting()
        if not waiting:
            return 0
        until = self._clock() - WAITED_SECONDS
        old = 0
        for began in self._in_progress.values():
            if began > until or old == waiting:
                break
            old += 1
        return old

    def _sentence(self, full: Full) -> str:
        if full is Full.USER:
            return f"{self.limit_per_user} requests of the user are in progress, the maximum. Retry after 1 s."
        if full is Full.ADDRESS:
            return "The client address sends too many requests without a valid token. Retry after 1 s."
        return "The server is handling too many requests. Retry after 1 s."

    def _readable(self, response: Response, origin: bytes | None) -> Response:
        """Return the response as the CORS middleware would pass it on."""
        fields = [(name, value + b", Origin" if name == b"vary" else value) for name, value in response.headers]
        if origin is not None:
            fields.append((b"access-control-expose-headers", ", ".join(EXPOSED_FIELDS).encode()))
        if origin in self._origins:
            fields.append((b"access-control-allow-origin", origin))
        return Response(response.status, fields, response.body)


class Work:
    """The work on a request, from its whole receipt to the end of the application's task."""

    def __init__(self, slots: RequestSlots, fields: Fields, address: str | None) -> None:
        self._slots = slots
        self._fields = fields
        self._address = address

    @cached_property
    def _identity(self) -> tuple[Hashable, bool]:
        return self._slots.identified(self._fields, self._address)

    @property
    def user(self) -> Hashable:
        """The user of the request, None if it is not known yet."""
        return self._identity[0]

    @property
    def of_flood(self) -> bool:
        """Whether the request is of an unknown user at an address that floods."""
        return self._identity[1]

    def refused(self) -> Full | None:
        """Return why there is no slot for this work now, None if there is one."""
        return self._slots.full(self)

    def begin(self) -> Full | None:
        """Take a slot, or return why there is none. Work that has begun keeps its slot."""
        if self._slots.holds(self):
            return None
        full = self._slots.full(self)
        if full is None:
            self._slots.take(self)
        return full

    def end(self, _task: object = None) -> None:
        """Give the slot back, if there is one."""
        self._slots.give_back(self)

    def refusal(self, full: Full, request_id: str) -> Response:
        """Return the answer to the request if it gets no slot."""
        return self._slots.refusal(full, request_id, self._fields)


def most_per_user(limit: int) -> int:
    """Return how many of the slots one user may have: four fifths, so that others always find one."""
    return max(1, limit * 4 // 5)


def most_of_floods(limit: int) -> int:
    """Return how many of the slots the addresses that flood may have: half, so that new tokens of others find some."""
    return max(1, limit // 2)


def _forwarded(fields: Fields) -> str:
    """Return the counted address that the nearest proxy saw, "" if it named none."""
    named = [value for name, value in fields if name == b"x-forwarded-for"]
    return counted_address(named[-1].rpartition(b",")[2].strip().decode("latin-1")) if named else ""
