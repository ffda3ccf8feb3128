"""The names of accounts, and of the locations of an account: a new one looks different from the others.

Accounts and locations from before that rule, and the test locations of partners, keep their names.
"""

from app.db import writing
from app.db.database import Transaction
from app.domain.refusals import InvalidInput


async def check_account_name(tx: Transaction, name: str, *, besides: str | None = None) -> None:
    """Raises InvalidInput if an account other than `besides` has the name."""
    if await writing.is_account_named(tx, name, besides=besides):
        raise _taken("another account")


async def check_location_name(tx: Transaction, account_id: str, name: str, *, besides: str | None = None) -> None:
    """Raises InvalidInput if a location of the account other than `besides` has the name."""
    if await writing.is_location_named(tx, account_id, name, besides=besides):
        raise _taken("another location of the account")


def _taken(what: str) -> InvalidInput:
    return InvalidInput(field="name", rule=f"{what} has this name", path=("name",))
