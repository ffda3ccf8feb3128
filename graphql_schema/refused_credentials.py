"""Remembers for a moment which credentials sign-in refused, so that their next requests cost no document and no SQL.

A request whose body or document is refused never reaches sign-in. A credential with which only such requests are sent
is therefore signed in once in a while before the body is read. So is a session or a service token with its first
request: anybody can send a secret that nobody has, while an access token has a signature, which was checked.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from app.domain.credential import Credential
from graphql_schema.incidents import Incident

REMEMBERED_SECONDS = 2.0
MOST_CREDENTIALS = 10_000
MOST_RECORDED = 10
"""Refusals of one credential that the audit log counts while it is remembered. Metrics count all of them."""
MOST_UNSIGNED = 10
"""Requests with one credential that are admitted in a row without a sign-in."""


@dataclass(slots=True)
class RefusedCredential:
    """A remembered refusal: the incidents of the sign-in, and how many repetitions the audit log still counts."""

    incidents: Sequence[Incident]
    until: float
    to_record: int


class RefusedCredentials:
    """The credentials that sign-in refused in the last two seconds. When there are too many, the oldest is removed."""

    def __init__(
        self,
        *,
        seconds: float = REMEMBERED_SECONDS,
        most_credentials: int = MOST_CREDENTIALS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` returns seconds from an arbitrary start."""
        self._seconds = seconds
        self._most_credentials = most_credentials
        self._clock = clock
        self._refused: OrderedDict[Credential, RefusedCredential] = OrderedDict()
        self._signed_in: OrderedDict[Credential, tuple[float, int]] = OrderedDict()
        """The time of the last sign-in and the requests counted since, by credential."""

    def remember(self, credential: Credential, incidents: Sequence[Incident]) -> None:
        """Remember a credential that sign-in has just refused. A secret does not count as one that has signed in."""
        if credential.is_secret:
            self._signed_in.pop(credential, None)
        self._refused[credential] = RefusedCredential(incidents, self._clock() + self._seconds, MOST_RECORDED)
        self._refused.move_to_end(credential)
        if len(self._refused) > self._most_credentials:
            self._refused.popitem(last=False)

    def recall(self, credential: Credential) -> RefusedCredential | None:
        """Return the refusal of a credential, or None when sign-in has to decide."""
        found = self._refused.get(credential)
        if found is not None and found.until <= self._clock():
            del self._refused[credential]
            return None
        return found

    def is_unknown_secret(self, credential: Credential) -> bool:
        """Return whether the credential is a secret that has never signed in, as far as is remembered."""
        return credential.is_secret and credential not in self._signed_in

    def admit(self, credential: Credential) -> bool:
        """Count an admitted request; return whether it has to be signed in before the body is read.

        Requests are not counted in the seconds after a sign-in, so that a busy user is not signed in twice.
        """
        at, unsigned = self._signed_in.get(credential, (-inf, 0))
        if self._clock() < at + self._seconds:
            return False
        self._note(credential, at, (unsigned + 1) % MOST_UNSIGNED)
        return unsigned + 1 == MOST_UNSIGNED

    def signed_in(self, credential: Credential) -> None:
        """Begin to count anew: sign-in has accepted the credential."""
        self._note(credential, self._clock(), 0)

    def _note(self, credential: Credential, at: float, unsigned: int) -> None:
        self._signed_in[credential] = at, unsigned
        self._signed_in.move_to_end(credential)
        if len(self._signed_in) > self._most_credentials:
            self._signed_in.popitem(last=False)

    def forget_all(self) -> None:
        """Forget everything: a user was created or reinstated."""
        self._refused.clear()
