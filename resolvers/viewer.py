"""The signed-in user and their budgets."""

from app.db import rows, tables
from app.domain.viewer import Viewer
from permissions.matrix import BOUND_TO_ACCOUNT
from resolvers.budgets import RateLimit
from resolvers.computed_fields import accepted_versions_of
from resolvers.context import Info


async def me(info: Info) -> Viewer:
    """The viewer."""
    return info.context.viewer


async def account_of_customer(info: Info) -> rows.AccountRow | None:
    """The account that a customer works for, once access to it is granted; None for other roles."""
    viewer = info.context.viewer
    if viewer.role not in BOUND_TO_ACCOUNT or not viewer.scope.accounts:
        return None
    (account,) = viewer.scope.accounts
    row: rows.AccountRow | None = await info.context.reading.one(tables.account.c.id).load(account)
    return row


async def accepted_payload_versions(info: Info) -> list[str] | None:
    """The versions of the payload document that a partner accepts, oldest first; None for other roles."""
    return await accepted_versions_of(info.context.viewer.id, info.context.viewer.role, info)


async def rate_limits(info: Info) -> list[RateLimit]:
    """The state of each of the viewer's budgets."""
    return await info.context.budgets.rate_limits()
