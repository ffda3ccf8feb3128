"""Erases a person from history. The chain stays valid, because it consists of salted hashes, which are kept.

The location's rules decide when a person may be removed from it; erasure deletes the values that such a removal leaves
in the past. Only the definer role may call it, not the app's role.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.db.connecting import as_definer
from app.domain import ids

TABLE_OF_TYPE = {"Person": "person", "Contact": "contact", "User": "user", "Invitation": "invitation"}
_REFUSALS = ("AU004", "AU005")


class NotErased(Exception):  # noqa: N818 - says what happened
    """Nothing was erased; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Erased:
    """The number of erased values and payload documents; `kept` are payloads in use, which are erased later."""

    values: int
    documents: int
    kept: tuple[str, ...]


async def erase_person(owner_url: str, identifier: str, *, reason: str) -> Erased:
    """Erase a removed person or contact, a user, or the person of an invitation. Raises NotErased.

    A user is suspended and loses their name, here and in the invitation that the user accepted.
    """
    table = TABLE_OF_TYPE.get(ids.type_of(identifier) or "")
    if table is None:
        raise NotErased(f"{identifier} is not the id of a person, contact, user or invitation")
    async with _erasing(owner_url) as connection:
        if table == "invitation":
            return Erased(await connection.fetchval(_ERASE_INVITATION, identifier, reason), 0, ())
        found = await connection.fetchrow("SELECT * FROM turnup.audit_erase($1, $2, $3)", table, identifier, reason)
        invited = await connection.fetchval(_ERASE_ACCEPTED, identifier, reason)
    return Erased(found["erased_values"] + invited, found["erased_documents"], tuple(found["kept_payloads"]))


async def erase_reason(owner_url: str, entry_id: str, *, reason: str) -> None:
    """Erase the free-text reason of an entry. Raises NotErased."""
    async with _erasing(owner_url) as connection:
        await connection.execute("SELECT turnup.audit_erase_reason($1, $2)", entry_id, reason)


_ERASE_INVITATION = "SELECT turnup.audit_erase_invitation($1, $2)"
_ERASE_ACCEPTED = """
SELECT coalesce(sum(turnup.audit_erase_invitation(i.id, $2)), 0)::integer
FROM turnup.invitation i WHERE i.accepted_by = $1
"""


@asynccontextmanager
async def _erasing(owner_url: str) -> AsyncIterator[Any]:
    """Yield what `as_definer` yields. Raises NotErased for a refusal of the database."""
    try:
        async with as_definer(owner_url) as connection:
            yield connection
    except asyncpg.PostgresError as error:
        if error.sqlstate in _REFUSALS:
            raise NotErased(str(error)) from error
        raise
