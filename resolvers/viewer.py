"""The signed-in user and their budgets."""

from app.db import rows, tables
from app.domain.credential import CredentialKind
from app.domain.viewer import Viewer
from permissions.matrix import BOUND_TO_ACCOUNT
from resolvers.budgets import RateLimit
from resolvers.computed_fields import accepted_versions_of
from resolvers.context import Info


async def me(info: Info) -> Viewer:
    """The viewer."""
    return info.context.viewer


async def user(info: Info) -> rows.UserRow:
    """The row of the viewer, which every role sees."""
    row: rows.UserRow = await info.context.reading.one(tables.user.c.id).load(info.context.viewer.id)
    return row


async def account_of_customer(info: Info) -> rows.AccountRow | None:
    """The account that a customer works for, once access to it is granted; None for other roles."""
    viewer = info.context.viewer
    if viewer.role not in BOUND_TO_ACCOUNT or not viewer.accounts.accounts:
        return None
    (account,) = viewer.accounts.accounts
    row: rows.AccountRow | None = await info.context.reading.one(tables.account.c.id).load(account)
    return row


async def session(info: Info) -> rows.UserSessionRow | None:
    """The session that the request was sent with; None for another credential."""
    viewer = info.context.viewer
    session_id = viewer.credential_id if viewer.credential_kind is CredentialKind.SESSION else None
    if session_id is None:
        return None
    row: rows.UserSessionRow | None = await info.context.reading.one(tables.user_session.c.id).load(session_id)
    return row


async def accepted_payload_versions(info: Info) -> list[str] | None:
    """The versions of the payload document that a partner accepts, oldest first; None for other roles."""
    return await accepted_versions_of(info.context.viewer.id, info.context.viewer.role, info)


async def service_token(info: Info) -> rows.ServiceTokenRow | None:
    """The service token that the request was sent with; None for another credential."""
    viewer = info.context.viewer
    if viewer.credential_kind is not CredentialKind.SERVICE_TOKEN or viewer.credential_id is None:
        return None
    tokens = info.context.reading.one(tables.service_token.c.id)
    row: rows.ServiceTokenRow | None = await tokens.load(viewer.credential_id)
    return row


async def rate_limits(info: Info) -> list[RateLimit]:
    """The state of each of the viewer's budgets."""
    return await info.context.budgets.rate_limits()
