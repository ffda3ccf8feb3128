"""Incidents of a request, found in its result or its failure. Operators watch them, and the audit log counts them."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from graphql import ExecutionResult

from app import audit
from app.db.database import Database, SuspendedUser, UnknownUser
from app.domain.viewer import Viewer
from graphql_schema import errors
from graphql_schema.authorisation import ForgedIdentity

log = logging.getLogger("turnup.graphql")


@dataclass(frozen=True, slots=True)
class Denial:
    """A field that the user's role does not include."""

    user_id: str
    field: str


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """An event such as a sign-in of a suspended user; `user_id` is None if there is no such user."""

    user_id: str | None
    kind: str


Incident = Denial | SecurityEvent


def incidents_in(result: ExecutionResult, viewer: Viewer) -> list[Incident]:
    """The incidents among the errors of a result."""
    found: list[Incident] = []
    for error in result.errors or ():
        denied = errors.denied_field(error)
        found += incidents_of(errors.cause_of(error)) if denied is None else [Denial(viewer.id, denied)]
    return found


def incidents_of(failure: BaseException) -> list[Incident]:
    """The security event that caused a failure, if any."""
    if isinstance(failure, ForgedIdentity):
        return [SecurityEvent(failure.user_id, "forged_identity_headers")]
    if isinstance(failure, SuspendedUser):
        return [SecurityEvent(failure.user_id, "suspended_user")]
    if isinstance(failure, UnknownUser):
        return [SecurityEvent(None, "unknown_user")]
    return [] if failure.__cause__ is None else incidents_of(failure.__cause__)


async def record(database: Database, incidents: Iterable[Incident], request_id: str) -> None:
    """Count each distinct incident of a known user in the audit log, each in its own transaction.

    A failure is logged; the response does not depend on it.
    """
    for each in set(incidents):
        try:
            if isinstance(each, Denial):
                await audit.record_denial(database, field=each.field, user_id=each.user_id, request_id=request_id)
            elif each.user_id is not None:
                await audit.record_security_event(database, kind=each.kind, user_id=each.user_id, request_id=request_id)
        except Exception:
            log.exception("the audit log could not count an incident")
