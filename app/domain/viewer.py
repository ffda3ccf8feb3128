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

    def includes(self, account_id: str, location_id: str) -> bool:
        """Whether a location of an account is in the scope."""
        return (self.accounts is None or account_id in self.accounts) and (
            self.locations is None or location_id in self.locations
        )


EVERYTHING = Scope(accounts=None, locations=None)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in user, as the user's row and grants say at this moment.

    `scope` holds what the user sees, `editing` the locations whose onboarding the user may edit, and `provisioning`
    the locations whose payloads the user sees.
    """

    id: str
    name: str
    email: str
    role: Role
    scope: Scope
    editing: Scope
    provisioning: Scope
