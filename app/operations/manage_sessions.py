"""Sessions as users end them: their own, and leads of all accounts those of anybody.

The database ends the sessions of a user who is suspended, or gets another role, subject or issuer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.db import tables, writing
from app.db.writing import Update
from app.domain.refusals import NotFound
from app.domain.vocabulary import Budget, SessionEnd
from app.operations.administration import AdministrationChange, AdministrationContext, AdministrationMutation
from app.operations.commands import Command
from app.operations.manage_users import check_manages_users
from permissions.matrix import Action
from permissions.policy import may


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeSession(Command):
    """The session to end."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeSessions(Command):
    """The user whose sessions to end, None for the viewer."""

    user_id: str | None = None


async def revoke_session(context: AdministrationContext, command: RevokeSession) -> AdministrationChange:
    """End a session. One that was ended before stays as it is. Raises NotFound.

    It is locked after the users, as in every change of a user that ends sessions.
    """
    kept = await context.kept(tables.user_session, [command.session_id])
    if command.session_id not in kept:
        raise NotFound
    await _check_ends_sessions_of(context, kept[command.session_id].user_id)
    session = await context.found(tables.user_session, command.session_id)
    return _ended(context, [session], {"revoked_session": session.id})


async def revoke_sessions(context: AdministrationContext, command: RevokeSessions) -> AdministrationChange:
    """End all sessions of a user. Raises NotFound."""
    user_id = context.viewer.id if command.user_id is None else command.user_id
    if user_id != context.viewer.id and not may(context.viewer, Action.ADMINISTER):
        raise NotFound(path=("userId",))
    await _check_ends_sessions_of(context, user_id)
    if user_id != context.viewer.id:
        await context.found(tables.user, user_id)
    return _ended(context, await writing.open_sessions(context.transaction, user_id), {"user": user_id})


async def _check_ends_sessions_of(context: AdministrationContext, user_id: str) -> None:
    """Raises as `check_manages_users` unless it is the viewer's own session."""
    if user_id != context.viewer.id:
        await check_manages_users(context)


def _ended(context: AdministrationContext, sessions: Iterable[Any], ids: dict[str, str]) -> AdministrationChange:
    values = {"ended_at": context.now, "end_reason": SessionEnd.REVOKED}
    writes = [Update(tables.user_session, {"id": each.id}, values) for each in sessions if each.ended_at is None]
    return AdministrationChange(writes=tuple(writes), ids=ids)


REVOKE_SESSION = AdministrationMutation(
    name="revokeSession",
    command=RevokeSession,
    decide=revoke_session,
    action=Action.MANAGE_OWN_SESSIONS,
    budget=Budget.EDITS,
    counts=(),
)

REVOKE_SESSIONS = AdministrationMutation(
    name="revokeSessions",
    command=RevokeSessions,
    decide=revoke_sessions,
    action=Action.MANAGE_OWN_SESSIONS,
    budget=Budget.EDITS,
    counts=(),
)
