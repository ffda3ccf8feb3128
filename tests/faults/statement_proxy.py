"""A fault proxy that reads PostgreSQL's protocol, and breaks the connection of one call at one of its statements.

It recognises a call by its idempotency key, which is a parameter of its first statement after the sign-in.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

from tests.outages.proxy import FaultProxy, Mode

PROTOCOL_3 = 196_608
"""The code in the first message of a session. Messages before it ask for encryption, or cancel a statement."""
ENDS = ("COMMIT", "ROLLBACK")
COMMIT, AFTER_COMMIT = -1, -2
"""Statements to break at, beside the index of one: the COMMIT, and the next one of any session after it was sent."""


@dataclass(eq=False)
class Watched:
    """A call, and what its connection saw. `at` is the index of the statement to break at, or one of the above.

    AFTER_COMMIT is for a call that is alone: the statement is the first of the transaction that reads its response.
    """

    key: str
    at: int | None = None
    mode: Mode | None = None
    statements: list[str] = field(default_factory=list)
    """From the one with the key to the end of the transaction."""
    sprung: bool = False

    @property
    def commit_sent(self) -> bool:
        """Whether the server sent a COMMIT, which may not have arrived."""
        return "COMMIT" in self.statements

    def breaks_here(self) -> bool:
        """Whether the last statement is the one to break at."""
        if self.sprung or self.mode is None:
            return False
        last = len(self.statements) - 1
        self.sprung = self.at == last or (self.at == COMMIT and self.statements[last] == "COMMIT")
        return self.sprung


class StatementProxy(FaultProxy):
    """In front of the PostgreSQL of which the Unix socket is given."""

    def __init__(self, socket: Path) -> None:
        super().__init__(str(socket))
        self._watched: dict[str, Watched] = {}
        self._committed: Watched | None = None
        self._sessions: WeakKeyDictionary[object, _Session] = WeakKeyDictionary()

    def watch(self, key: str, mode: Mode | None = None, at: int | None = None) -> Watched:
        """Watch the next call with this key, and break its connection once; with no mode, only watch."""
        watched = self._watched[key] = Watched(key, at, mode)
        return watched

    def forget(self, watched: Watched) -> None:
        """Watch the calls with a key no more."""
        del self._watched[watched.key]

    def mode_of(self, connection: object, chunk: bytes) -> Mode | None:
        """Return the mode of a connection that sends this chunk, if a statement in it is the one to break at."""
        session = self._sessions.setdefault(connection, _Session())
        for statement, parameters in session.statements(chunk):
            if (committed := self._committed) is not None:
                self._committed, committed.sprung = None, True
                return committed.mode
            if session.watched is None:
                session.watched = next(
                    (each for key, each in self._watched.items() if key.encode() in parameters), None
                )
            if (watched := session.watched) is None:
                continue
            watched.statements.append(statement)
            if statement in ENDS:
                session.watched = None
            if statement == "COMMIT" and watched.at == AFTER_COMMIT:
                self._committed = watched
            if watched.breaks_here():
                return watched.mode
        return None


class _Session:
    """The client's messages of one session."""

    def __init__(self) -> None:
        self.watched: Watched | None = None
        self._received = b""
        self._begun = False
        self._prepared: dict[bytes, str] = {}

    def statements(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the statements that are to be executed, each with the message that contains its parameters."""
        self._received += chunk
        while (message := self._next()) is not None:
            kind, body = message
            if kind == b"Q":
                yield body.rstrip(b"\0").decode(), b""
            elif kind == b"P":
                name, sql, _ = body.split(b"\0", 2)
                self._prepared[name] = sql.decode()
            elif kind == b"B":
                _, name, _ = body.split(b"\0", 2)
                yield self._prepared[name], body

    def _next(self) -> tuple[bytes, bytes] | None:
        """Return the kind and the body of the next whole message; those before the session begins have no kind."""
        start = 1 if self._begun else 0
        if len(self._received) < start + 4:
            return None
        (length,) = struct.unpack_from("!i", self._received, start)
        if len(self._received) < start + length:
            return None
        kind, body = self._received[:start], self._received[start + 4 : start + length]
        self._received = self._received[start + length :]
        if not self._begun:
            self._begun = struct.unpack_from("!i", body) == (PROTOCOL_3,)
        return kind, body
