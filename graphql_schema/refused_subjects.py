"""Remembers for a moment which subjects sign-in refused, so that their next requests cost no document and no SQL.

A request whose body or document is refused never reaches sign-in. A subject that sends only such requests is therefore
signed in once in a while before its body is read.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from graphql_schema.incidents import Incident

REMEMBERED_SECONDS = 2.0
MOST_SUBJECTS = 10_000
MOST_RECORDED = 10
"""Refusals of one subject that the audit log counts while the subject is remembered. Metrics count all of them."""
MOST_UNSIGNED = 10
"""Requests of one subject that are admitted in a row without a sign-in."""


@dataclass(slots=True)
class RefusedSubject:
    """A remembered refusal: the incidents of the sign-in, and how many repetitions the audit log still counts."""

    incidents: Sequence[Incident]
    until: float
    to_record: int


class RefusedSubjects:
    """The subjects that sign-in refused in the last two seconds. When there are too many, the oldest is removed."""

    def __init__(
        self,
        *,
        seconds: float = REMEMBERED_SECONDS,
        most_subjects: int = MOST_SUBJECTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` returns seconds from an arbitrary start."""
        self._seconds = seconds
        self._most_subjects = most_subjects
        self._clock = clock
        self._refused: OrderedDict[str, RefusedSubject] = OrderedDict()
        self._signed_in: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """The time of the last sign-in and the requests counted since, by subject."""

    def remember(self, subject: str, incidents: Sequence[Incident]) -> None:
        """Remember a subject that sign-in has just refused."""
        self._refused[subject] = RefusedSubject(incidents, self._clock() + self._seconds, MOST_RECORDED)
        self._refused.move_to_end(subject)
        if len(self._refused) > self._most_subjects:
            self._refused.popitem(last=False)

    def recall(self, subject: str) -> RefusedSubject | None:
        """Return the refusal of a subject, or None when sign-in has to decide."""
        found = self._refused.get(subject)
        if found is not None and found.until <= self._clock():
            del self._refused[subject]
            return None
        return found

    def admit(self, subject: str) -> bool:
        """Count an admitted request; return whether the subject has to be signed in before the body is read.

        Requests are not counted in the seconds after a sign-in, so that a busy user is not signed in twice.
        """
        at, unsigned = self._signed_in.get(subject, (-inf, 0))
        if self._clock() < at + self._seconds:
            return False
        self._note(subject, at, (unsigned + 1) % MOST_UNSIGNED)
        return unsigned + 1 == MOST_UNSIGNED

    def signed_in(self, subject: str) -> None:
        """Begin to count anew: sign-in has accepted the subject."""
        self._note(subject, self._clock(), 0)

    def _note(self, subject: str, at: float, unsigned: int) -> None:
        self._signed_in[subject] = at, unsigned
        self._signed_in.move_to_end(subject)
        if len(self._signed_in) > self._most_subjects:
            self._signed_in.popitem(last=False)

    def forget_all(self) -> None:
        """Forget everything: a user was created or reinstated."""
        self._refused.clear()
