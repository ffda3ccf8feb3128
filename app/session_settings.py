"""The settings of PostgreSQL that bound what a session waits for, declared once per role.

From this follow the statements of `turnup roles --sql`, the start-up settings of direct connections, and the check when
the server starts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_PROBES, USER_TIMEOUT_MS = 10, 5, 3, 10_000
"""TCP keep-alive and user timeout, for both ends of a connection: a peer that is gone is noticed after 25 seconds at
most, and after 10 seconds when data for it is under way."""
LOCK_SECONDS = 2.0
"""Seconds for which a session waits for one lock, and a transaction for all locks of its writes together."""


class Transport(StrEnum):
    """The connections of PostgreSQL to which a setting applies; on others it is 0."""

    ANY = "any"
    TCP = "TCP"
    TCP_ON_LINUX = "TCP on Linux"


@dataclass(frozen=True, slots=True)
class SessionSetting:
    """A bound: its name, its value in the unit in which PostgreSQL reports it, that unit, and what it bounds."""

    name: str
    value: int
    unit: str
    bounds: str
    transport: Transport = Transport.ANY

    @property
    def text(self) -> str:
        """The value with its unit, as in SET."""
        return f"{self.value}{self.unit}"


_PEER = (
    SessionSetting("client_connection_check_interval", 1_000, "ms", "a statement whose client is gone"),
    SessionSetting("tcp_keepalives_idle", KEEPALIVE_IDLE_SECONDS, "s", "silence before the first probe", Transport.TCP),
    SessionSetting(
        "tcp_keepalives_interval", KEEPALIVE_INTERVAL_SECONDS, "s", "silence between two probes", Transport.TCP
    ),
    SessionSetting("tcp_keepalives_count", KEEPALIVE_PROBES, "", "probes without an answer", Transport.TCP),
    SessionSetting("tcp_user_timeout", USER_TIMEOUT_MS, "ms", "data without acknowledgement", Transport.TCP_ON_LINUX),
)

APP: Sequence[SessionSetting] = (
    SessionSetting("statement_timeout", 30_000, "ms", "a statement, unless its transaction is signed in"),
    SessionSetting("lock_timeout", int(LOCK_SECONDS * 1_000), "ms", "the wait for a lock"),
    SessionSetting("idle_in_transaction_session_timeout", 30_000, "ms", "the time between two statements"),
    *_PEER,
)
"""The bounds of the app's role. The sign-in of a transaction replaces the statement timeout by the time limit
of a request, until the end of the transaction."""

OWNER: Sequence[SessionSetting] = (
    SessionSetting("idle_in_transaction_session_timeout", 300_000, "ms", "the time between two statements"),
    *_PEER,
)
"""The bounds of the owner's role. Migrations, verifications and replays take as long as the data needs; migrations set
their own lock timeout."""

OF_ROLE: Mapping[str, Sequence[SessionSetting]] = {"turnup_owner": OWNER, "turnup_app": APP, "turnup_backup": _PEER}
"""The bounds of each role that signs in. pg_dump is idle in its transaction while other processes dump for it."""


def role_sql(role: str) -> str:
    """Return the statements that give a role its settings, for connections that start from now on."""
    return "\n".join(f"ALTER ROLE {role} SET {each.name} = '{each.text}';" for each in OF_ROLE[role])
