"""The viewer and the rows in their scope: the two values that every read and decision starts from."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.credential import CredentialKind
from app.domain.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows that a viewer may see.

    `accounts` is None for every account, else the account ids. `locations` is None for all locations of those accounts,
    else the ids of the listed locations. An empty `accounts` includes nothing. With `recipient`, the id of a user, the
    scope includes only the payloads that were released to this user, and the user's own receipts.
    """

    accounts: frozenset[str] | None
    locations: frozenset[str] | None
    recipient: str | None = None

    def includes(self, account_id: str, location_id: str) -> bool:
        """Return whether a location of an account is in the scope."""
        return (self.accounts is None or account_id in self.accounts) and (
            self.locations is None or location_id in self.locations
        )


EVERYTHING = Scope(accounts=None, locations=None)
NOTHING = Scope(accounts=frozenset(), locations=None)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in user, as stored in the user's row and grants at this moment.

    `scope` covers the locations that the user may see, `accounts` the accounts, `editing` the locations whose
    onboarding the user may edit, `provisioning` the locations whose payloads the user may see, and `auditing` the
    accounts whose audit log the user may read. `all_accounts` says whether a lead has access to all accounts; it is
    False for other roles. `confirmed` says whether nobody made the user, or somebody else has confirmed the user since.
    `credential_id` and `credential_expires_at` are those of a session or a service token, and None for an access token.
    `actions` are those to which a service token narrows the actions of the role; None for other credentials.
    """

    id: str
    name: str
    email: str
    role: Role
    scope: Scope
    accounts: Scope
    editing: Scope
    provisioning: Scope
    auditing: Scope
    all_accounts: bool
    confirmed: bool
    credential_kind: CredentialKind = CredentialKind.ACCESS_TOKEN
    credential_id: str | None = None
    credential_expires_at: datetime | None = None
    actions: frozenset[str] | None = None
