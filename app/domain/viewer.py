"""Who is asking, and which rows they may see: the two values that every read and decision starts from."""

from dataclasses import dataclass

from app.domain.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows a viewer may see.

    `accounts` is None for every account, else the ids of the accounts; `locations` is None for all
    locations of those accounts, else the ids of the listed ones. A scope of no accounts sees nothing.
    """

    accounts: frozenset[str] | None
    locations: frozenset[str] | None


EVERYTHING = Scope(accounts=None, locations=None)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in user, as the user's row and grants say at this moment."""

    id: str
    name: str
    email: str
    role: Role
    scope: Scope


def scope_of(role: Role, accounts: frozenset[str], listed_locations: frozenset[str] | None) -> Scope:
    """The scope of a role with its grants: leads see every account, the others what was granted to them.

    `listed_locations` is None when the grant is for ALL locations of the account.
    """
    if role is Role.IMPLEMENTATION_LEAD:
        return EVERYTHING
    return Scope(accounts=accounts, locations=listed_locations)
