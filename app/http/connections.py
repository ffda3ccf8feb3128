"""The open connections of a server process: their limits, and which of them gives way to a new one.

A connection within the limits has a place. One beyond them is held in a small reserve, in which it may only ask for the
health of the server, so that health checks are answered during a flood. When the reserve is full, its oldest connection
is closed. When all places are taken, the oldest connection without a request in progress gives its place to a new one.
"""

import resource
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from app.http.addresses import counted_address, parsed_address
from app.http.proxies import Network, unmapped

OTHER_DESCRIPTORS = 256
"""File descriptors for everything but the connections of clients: database, Redis, token issuer, logs."""

MOST_DESCRIPTORS = 65_536


class Refused(StrEnum):
    """Why the server ended a connection or refused its request; the label of a metric."""

    ADDRESS_LIMIT = "address_limit"
    CONNECTION_LIMIT = "connection_limit"
    GAVE_WAY = "gave_way"
    MALFORMED = "malformed"
    HEAD_TOO_LARGE = "head_too_large"
    HEAD_TIMEOUT = "head_timeout"
    BODY_TIMEOUT = "body_timeout"
    NOT_READING = "not_reading"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """The limits of connections; times are in seconds.

    `head_seconds` begin with the connection, or with the first byte of a later request; in the reserve they are
    `reserve_seconds`. `body_seconds` are the total time for a body, without the time in which the server does not read
    it. Within `write_seconds` a client must take a part of a response, or its rest. `unsent_bytes` are the total of all
    responses that wait for their clients; a single one may be larger. `linger_seconds` are for a client that is still
    sending after its response. `exempt` are networks without a limit per address.
    """

    total: int = 1_000
    per_address: int = 200
    reserve: int = 1_000
    head_seconds: float = 10.0
    reserve_seconds: float = 2.0
    body_seconds: float = 30.0
    keep_alive_seconds: float = 75.0
    write_seconds: float = 30.0
    unsent_bytes: int = 64 * 1024 * 1024
    linger_seconds: float = 5.0
    exempt: Sequence[Network] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeRefusal:
    """The answer to a request that the application has not seen.

    Method and path are None if the header could not be read.
    """

    method: str | None = None
    path: str | None = None
    status: int
    code: str
    request_id: str
    own_share: bool = False
    """Whether the client used up its own share of the server, and not everybody together the server."""


class OpenConnection(Protocol):
    """What this module needs of a connection. `address` is None for a connection without a limit per address."""

    address: str | None

    def give_way(self) -> None:
        """Close at once."""


class Connections:
    """The open connections of one process."""

    def __init__(
        self,
        limits: ConnectionLimits,
        refused: Callable[[str], None] = lambda _: None,
        answered: Callable[[EdgeRefusal], None] = lambda _: None,
    ) -> None:
        """`refused` is called with the reason of each refusal, `answered` with each answer to an unseen request."""
        self.limits = limits
        self.answered = answered
        self.stopping = False
        """Whether the server stops: each response is the last one of its connection, and `/readyz` says 503."""
        self._refused = refused
        self._exempt = tuple(map(unmapped, limits.exempt))
        self._by_address: Counter[str] = Counter()
        self._busy: set[OpenConnection] = set()
        # Without a request in progress, oldest first: before their first request, and between two requests.
        self._silent: OrderedDict[OpenConnection, None] = OrderedDict()
        self._idle: OrderedDict[OpenConnection, None] = OrderedDict()
        self._reserve: OrderedDict[OpenConnection, None] = OrderedDict()
        # The bytes of responses that wait for their clients, those that have waited longest first.
        self._unsent: OrderedDict[OpenConnection, int] = OrderedDict()
        self._unsent_bytes = 0

    def __len__(self) -> int:
        """Return the number of open connections."""
        return self._places() + len(self._reserve)

    def count(self, reason: Refused) -> None:
        """Count a refusal."""
        self._refused(reason.value)

    def address_of(self, client: tuple[str, int] | None) -> str | None:
        """Return the address as which a client is counted; None for a local socket or an exempt network."""
        if client is None:
            return None
        host = client[0]
        if self._exempt:
            address = parsed_address(host)
            if address is not None and any(address in network for network in self._exempt):
                return None
        return counted_address(host)

    def admit(self, connection: OpenConnection) -> bool:
        """Add a new connection. Returns whether it has a place; otherwise it is in the reserve."""
        if self._take_place(connection):
            self._silent[connection] = None
            return True
        if len(self._reserve) >= self.limits.reserve:
            self._end_oldest(self._reserve)
        self._reserve[connection] = None
        return False

    def promote(self, connection: OpenConnection) -> Refused | None:
        """Give a connection of the reserve a place if there is one by now; else return why there is none."""
        if self._take_place(connection):
            del self._reserve[connection]
            self._busy.add(connection)
            return None
        self._reserve.move_to_end(connection)  # silent ones give way first
        return Refused.ADDRESS_LIMIT if self._address_is_full(connection) else Refused.CONNECTION_LIMIT

    def works(self, connection: OpenConnection) -> None:
        """Note that a request of a connection with a place is in progress."""
        self._silent.pop(connection, None)
        self._idle.pop(connection, None)
        self._busy.add(connection)

    def rests(self, connection: OpenConnection) -> None:
        """Note that a connection with a place waits for its next request."""
        self._busy.discard(connection)
        self._silent.pop(connection, None)
        self._idle[connection] = None

    def unsent(self, connection: OpenConnection, size: int) -> None:
        """Note how much of a response waits for its client. Beyond the total, those end that have waited longest."""
        self._unsent_bytes += size - self._unsent.get(connection, 0)
        if size:
            self._unsent[connection] = size
        else:
            self._unsent.pop(connection, None)
        while self._unsent_bytes > self.limits.unsent_bytes and len(self._unsent) > 1:
            self._end_oldest(self._unsent, Refused.NOT_READING)

    def discard(self, connection: OpenConnection) -> None:
        """Remove a connection that was closed; does nothing if it gave way before."""
        self._unsent_bytes -= self._unsent.pop(connection, 0)
        if connection in self._reserve:
            del self._reserve[connection]
        elif connection in self._busy or connection in self._silent or connection in self._idle:
            self._busy.discard(connection)
            self._silent.pop(connection, None)
            self._idle.pop(connection, None)
            if connection.address is not None:
                self._by_address[connection.address] -= 1
                if not self._by_address[connection.address]:
                    del self._by_address[connection.address]

    def _places(self) -> int:
        return len(self._busy) + len(self._silent) + len(self._idle)

    def _address_is_full(self, connection: OpenConnection) -> bool:
        return connection.address is not None and self._by_address[connection.address] >= self.limits.per_address

    def _take_place(self, connection: OpenConnection) -> bool:
        """Count a connection if there is a place for it; the caller adds it to one of the collections."""
        if self._address_is_full(connection):
            return False
        if self._places() >= self.limits.total:
            waiting = self._silent or self._idle
            if not waiting:
                return False
            self._end_oldest(waiting)
        if connection.address is not None:
            self._by_address[connection.address] += 1
        return True

    def _end_oldest(self, waiting: "Iterable[OpenConnection]", reason: Refused = Refused.GAVE_WAY) -> None:
        oldest = next(iter(waiting))
        self.discard(oldest)
        self.count(reason)
        oldest.give_way()


def descriptors() -> int:
    """Return how many file descriptors this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def raise_descriptors() -> None:
    """Let this process, and those that it starts, have up to MOST_DESCRIPTORS, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # macOS has a lower limit that it does not report
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def within_descriptors(limits: ConnectionLimits, descriptors: int) -> ConnectionLimits:
    """Return the limits, lowered so that all connections fit into this number of file descriptors."""
    most = max(8, descriptors - OTHER_DESCRIPTORS)
    reserve = min(limits.reserve, most // 4)
    return replace(limits, reserve=reserve, total=min(limits.total, most - reserve))
