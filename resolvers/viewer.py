"""Who is signed in, and what they may still use."""

from collections.abc import Sequence

from app.db import rows, tables
from app.domain.viewer import Viewer
from permissions.matrix import BOUND_TO_ACCOUNT
from resolvers.budgets import Standing
from resolvers.context import Info


async def me(info: Info) -> Viewer:
    """The viewer."""
    return info.context.viewer


async def account_of_customer(info: Info) -> rows.Account | None:
    """The account that a customer works for, once something of it was granted; null for everybody else."""
    viewer = info.context.viewer
    if viewer.role not in BOUND_TO_ACCOUNT or not viewer.scope.accounts:
        return None
    (account,) = viewer.scope.accounts
    row: rows.Account | None = await info.context.reading.one(tables.account.c.id).load(account)
    return row


async def rate_limits(info: Info) -> Sequence[Standing]:
    """Where the viewer's budgets stand."""
    return await info.context.budgets.standings()
