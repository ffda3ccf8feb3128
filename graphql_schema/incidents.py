"""Incidents of a request, found in its result or its failure. Operators watch them, and the audit log counts them."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphql import ExecutionResult

from app import audit
from app.db.database import Database, SuspendedUser, UnknownUser
from app.domain import events
from app.domain.events import Event
from app.domain.viewer import Viewer
from app.domain.vocabulary import Role, SecurityEventKind
from app.operations.event_log import emit
from graphql_schema import errors
from graphql_schema.authorisation import ForgedIdentity
from permissions.policy import Forbidden
from resolvers.context import Context

log = logging.getLogger("turnup.graphql")

ANSWER_SECONDS = 0.3
"""Seconds for which an answer waits for the count of its incidents. The count goes on after the answer."""
COUNT_SECONDS = 10.0
"""Seconds after which counting the incidents of a request is given up."""
CLOSING_SECONDS = 2.0
"""Seconds for which the shutdown of the server waits for counts."""

MOST_COUNTS = 200
"""Requests whose incidents are being counted at one time; those of further ones are only logged."""


@dataclass(frozen=True, slots=True)
class Denial:
    """A field that the user's role does not include."""

    user_id: str
    field: str
    role: Role


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """An event such as a sign-in of a suspended user; `user_id` and `role` are None if there is no such user."""

    user_id: str | None
    role: Role | None
    kind: str


Incident = Denial | SecurityEvent

UNKNOWN_USER = "unknown_user"
"""The kind of a security event about nobody, which the audit log does not count."""

SECURITY_EVENTS: Mapping[str, Event] = {
    SecurityEventKind.FORGED_IDENTITY_HEADERS: events.IDENTITY_FORGED,
    SecurityEventKind.SUSPENDED_USER: events.SUSPENDED_USER_REFUSED,
    UNKNOWN_USER: events.UNKNOWN_USER_REFUSED,
}
"""The event of each kind of security event."""
assert SECURITY_EVENTS.keys() >= set(SecurityEventKind)  # noqa: S101 - a new kind without an event stops the import


def incidents_in(result: ExecutionResult, viewer: Viewer) -> list[Incident]:
    """The incidents among the errors of a result."""
    found: list[Incident] = []
    for error in result.errors or ():
        denied = errors.denied_field(error)
        found += incidents_of(errors.cause_of(error)) if denied is None else [Denial(viewer.id, denied, viewer.role)]
    return found


def incidents_of(failure: BaseException) -> list[Incident]:
    """The security event that caused a failure, if any."""
    if isinstance(failure, ForgedIdentity):
        return [SecurityEvent(failure.viewer.id, failure.viewer.role, SecurityEventKind.FORGED_IDENTITY_HEADERS)]
    if isinstance(failure, SuspendedUser):
        return [SecurityEvent(failure.user_id, failure.role, SecurityEventKind.SUSPENDED_USER)]
    if isinstance(failure, UnknownUser):
        return [SecurityEvent(None, None, UNKNOWN_USER)]
    return [] if failure.__cause__ is None else incidents_of(failure.__cause__)


def note_denial(context: Context, field: str, error: Exception) -> None:
    """Note a refused field in the context, for an operation that ends without a result.

    The breadth-first executor calls it for each value that fails; graphql-core's has no such call.
    """
    if isinstance(error, Forbidden):
        context.denied.add(field)


def log_incidents(incidents: Iterable[Incident]) -> None:
    """Write the event of each distinct incident of a request."""
    for each in dict.fromkeys(incidents):
        if isinstance(each, Denial):
            emit(events.PERMISSION_DENIED, user_id=each.user_id, role=each.role, field=each.field)
        else:
            emit(SECURITY_EVENTS[each.kind], user_id=each.user_id, role=each.role)


class AuditLogBehind(Exception):  # noqa: N818 - says what happened
    """Incidents are not in the audit log: too many wait to be counted, or for too long."""


class IncidentRecorder:
    """Counts incidents in the audit log. A failure is logged; no answer depends on it or waits long for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: set[asyncio.Task[None]] = set()
        # One request's incidents at a time: if the counts wait for a lock, they hold one connection of the pool.
        self._turn = asyncio.Lock()

    async def record(self, incidents: Iterable[Incident], request_id: str, client_request_id: str | None) -> None:
        """Count each distinct incident of a known user, each in its own transaction."""
        count = self.begin(incidents, request_id, client_request_id)
        if count is not None:
            await asyncio.wait([count], timeout=ANSWER_SECONDS)

    def begin(
        self, incidents: Iterable[Incident], request_id: str, client_request_id: str | None
    ) -> asyncio.Task[None] | None:
        """Do the same without a wait. Returns the task that counts, None if there is nothing to count."""
        found = {each for each in incidents if each.user_id is not None}
        if not found:
            return None
        if len(self._counts) >= MOST_COUNTS:
            _log_behind()
            return None
        count = asyncio.create_task(self._count(found, request_id, client_request_id))
        self._counts.add(count)
        count.add_done_callback(self._counts.discard)
        return count

    async def close(self) -> None:
        """Wait CLOSING_SECONDS until everything is counted, and give up the rest."""
        counts = self._counts.copy()
        if counts:
            await asyncio.wait(counts, timeout=CLOSING_SECONDS)
        for count in counts:
            count.cancel()

    async def _count(self, incidents: Iterable[Incident], request_id: str, client_request_id: str | None) -> None:
        try:
            async with asyncio.timeout(COUNT_SECONDS), self._turn:
                for each in incidents:
                    await self._count_one(each, request_id, client_request_id)
        except TimeoutError:
            _log_behind()
        except Exception:
            # The request may have ended, and its ids with it.
            log.exception("the audit log could not count an incident", extra={"request_id": request_id})

    async def _count_one(self, incident: Incident, request_id: str, client_request_id: str | None) -> None:
        database, user_id = self._database, incident.user_id
        if isinstance(incident, Denial):
            await audit.record_denial(
                database,
                field=incident.field,
                user_id=incident.user_id,
                request_id=request_id,
                client_request_id=client_request_id,
            )
        elif user_id is not None:
            await audit.record_security_event(
                database,
                kind=incident.kind,
                user_id=user_id,
                request_id=request_id,
                client_request_id=client_request_id,
            )


def _log_behind() -> None:
    """Log an exception, so that a missing audit entry is counted and raises an alert."""
    log.error("the audit log is behind and does not count the incidents of a request", exc_info=AuditLogBehind())
