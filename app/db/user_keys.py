"""Which user each credential belongs to, as far as this process knows: the key of what a user may hold of a resource.

It is a hint for fairness alone, so that a user with many credentials has no more than one with a single one. Every
transaction asks the database who signs in, whatever is known here.
"""

from collections import OrderedDict
from collections.abc import Hashable

from app.domain.credential import Credential

MOST_CREDENTIALS = 10_000
"""Credentials whose user is remembered. Beyond that, those that were learned first are forgotten."""


class UserKeys:
    """The users of the credentials that signed in."""

    def __init__(self, most: int = MOST_CREDENTIALS) -> None:
        self._most = most
        self._users: OrderedDict[Credential, str] = OrderedDict()

    def __len__(self) -> int:
        """Return how many credentials are remembered."""
        return len(self._users)

    def of(self, credential: Credential) -> Hashable:
        """Return the id of the user, or the credential itself until it has signed in."""
        return self._users.get(credential, credential)

    def known(self, credential: Credential) -> str | None:
        """Return the id of the user, or None if the credential has not signed in, as far as is remembered."""
        return self._users.get(credential)

    def learn(self, credential: Credential, user_id: str) -> None:
        """Remember whom a credential has just signed in."""
        if self._users.get(credential) != user_id:
            self._users[credential] = user_id
            if len(self._users) > self._most:
                self._users.popitem(last=False)
