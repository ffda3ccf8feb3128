"""When sessions and service tokens were last used: collected by the process, and written in batches.

Requests do not write it themselves: the transaction of a query is READ ONLY, and one write for each request would cost
more than the request.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from app.db.failures import translated
from app.domain.credential import CredentialKind

MOST_USES = 10_000
"""Credentials whose use is not written yet. Beyond that, the first one is not written until it is used again."""
MOST_IN_BATCH = 1_000
EVERY_SECONDS = 60.0
"""Seconds between two writes, so that each credential is written at most once a minute by each process."""

_RECORD = "SELECT turnup.record_uses($1, $2, $3, $4)"

Use = tuple[CredentialKind, str]
"""The kind and the id of a credential that was used."""


class CredentialUses:
    """The last use of each credential since the last write."""

    def __init__(self, *, most: int = MOST_USES, clock: Callable[[], float] = monotonic) -> None:
        """`clock` returns seconds from an arbitrary start."""
        self._most = most
        self._clock = clock
        self._uses: OrderedDict[Use, float] = OrderedDict()
        self._due = clock() + EVERY_SECONDS

    def __len__(self) -> int:
        """Return how many credentials have a use that is not written yet."""
        return len(self._uses)

    def note(self, kind: CredentialKind, credential_id: str) -> None:
        """Note that a credential has just signed its user in."""
        self._uses[kind, credential_id] = self._clock()
        if len(self._uses) > self._most:
            self._uses.popitem(last=False)

    def are_due(self) -> bool:
        """Return whether the last write was a minute ago."""
        return self._clock() >= self._due

    async def write(self, connection: Any) -> None:
        """Write all uses, in batches of one transaction each. What fails is kept for the next write."""
        self._due = self._clock() + EVERY_SECONDS
        while self._uses:
            batch = dict(list(self._uses.items())[:MOST_IN_BATCH])
            now = self._clock()
            ages = {use: now - at for use, at in batch.items()}
            with translated():
                await connection.execute(
                    _RECORD, *_of(CredentialKind.SESSION, ages), *_of(CredentialKind.SERVICE_TOKEN, ages)
                )
            for use, at in batch.items():
                if self._uses.get(use) == at:  # it was not used again meanwhile
                    del self._uses[use]


def _of(kind: CredentialKind, ages: Mapping[Use, float]) -> tuple[list[str], list[float]]:
    """The ids of the credentials of a kind, and how many seconds ago each was used."""
    found = {credential_id: age for (used, credential_id), age in ages.items() if used is kind}
    return list(found), list(found.values())
