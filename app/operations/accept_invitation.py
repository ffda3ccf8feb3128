"""The acceptance of an invitation, which creates the user. The database decides it: nobody has signed in yet."""

from enum import StrEnum, unique

from app.db.database import Database
from app.db.failures import translated
from app.domain.events import INVITATION_ACCEPTED, Effect
from app.domain.vocabulary import AuditOutcome, SystemAction
from app.operations.context import new_id
from app.operations.event_log import emit


@unique
class Acceptance(StrEnum):
    """The outcome of an attempt to accept an invitation. A user exists after ACCEPTED alone."""

    ACCEPTED = "ACCEPTED"
    UNKNOWN = "UNKNOWN"
    USED = "USED"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    EMAIL_UNVERIFIED = "EMAIL_UNVERIFIED"
    EMAIL_DIFFERS = "EMAIL_DIFFERS"
    INVITER_MAY_NOT = "INVITER_MAY_NOT"
    """The lead who invited is no longer a confirmed, active lead of all accounts."""
    USER_EXISTS = "USER_EXISTS"
    """Another user has the address, or the subject and issuer."""
    ACCESS_GONE = "ACCESS_GONE"
    """An account or a location to which the user would have access no longer exists."""


async def accept_invitation(
    database: Database,
    invitation_sha256: bytes,
    *,
    issuer: str | None,
    subject: str,
    email: str | None,
    email_verified: bool,
    request_id: str,
) -> Acceptance:
    """Accept an invitation for the person whom the provider authenticated; `issuer` None is the configured one.

    The user has the id of nobody before, the inviter among those who made it, and what the invitation states. One of
    several acceptances at the same time creates it. The same person can accept again, which changes nothing.
    """
    new_user_id = new_id("User")
    async with database.connection() as connection:
        with database.observe("sql", "accept invitation", {}), translated():
            accepted = await connection.fetchrow(
                _ACCEPT, invitation_sha256, issuer, subject, email, email_verified, new_user_id, request_id
            )
    if accepted["user_id"] == new_user_id:  # otherwise nothing has changed
        emit(
            INVITATION_ACCEPTED,
            Effect(object_id=accepted["invitation_id"]),
            user_id=new_user_id,
            role=accepted["role"],
            action=SystemAction.INVITATION_ACCEPTED,
            outcome=AuditOutcome.APPLIED,
        )
    return Acceptance(accepted["outcome"])


_ACCEPT = "SELECT outcome, invitation_id, user_id, role FROM turnup.accept_invitation_of($1, $2, $3, $4, $5, $6, $7)"
