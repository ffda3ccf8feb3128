"""Keeps the writes that the server acknowledged, and compares them with the database and the audit log.

An effect is one change of one object, such as ("approval", a location's id). The effects of a call are known before it
is sent: those that it applies are counted as acknowledged, and all of them as uncertain if no answer arrived.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Effect = tuple[str, str]


@dataclass(slots=True)
class Book:
    """The writes of a run."""

    acknowledged: Counter[Effect] = field(default_factory=Counter)
    uncertain: Counter[Effect] = field(default_factory=Counter)
    _entries: dict[str, tuple[int, int]] = field(default_factory=dict)
    _unanswered: dict[str, list[Effect]] = field(default_factory=dict)
    _latest: dict[Effect, tuple[int, str]] = field(default_factory=dict)
    _overwritten: list[str] = field(default_factory=list)

    def applied(self, request_id: str, effects: Iterable[Effect]) -> None:
        """Note a call whose answer says that it had these effects; none for a call that was refused.

        If the same call was sent before without an answer, this is the answer.
        """
        found = list(effects)
        self.uncertain.subtract(self._unanswered.pop(request_id, ()))
        self.acknowledged.update(found)
        self._entries[request_id] = len(found), len(found)

    def unanswered(self, request_id: str, effects: Iterable[Effect]) -> None:
        """Note a call that may have had these effects."""
        if request_id in self._unanswered:
            return
        found = self._unanswered[request_id] = list(effects)
        self.uncertain.update(found)
        self._entries[request_id] = 0, len(found)

    def edited(self, effect: Effect, expected: int, revision: int, value: str) -> None:
        """Note the revision that an acknowledged edit expected, the one that it made, and the value that it wrote."""
        if revision != expected + 1:
            self._overwritten.append(f"{named(effect)}: revision {revision} was made by an edit that read {expected}")
        if revision >= self._latest.get(effect, (0, ""))[0]:
            self._latest[effect] = revision, value

    def findings(
        self, stored: Mapping[Effect, int], entries: Mapping[str, int], values: Mapping[Effect, str | None]
    ) -> list[str]:
        """Return what is lost, doubled or overwritten, one sentence each; empty if every write counts once.

        `stored` are the effects in the database, `entries` the applied entries of the audit log by the request's id,
        and `values` the present values of what was edited.
        """
        found = list(self._overwritten)
        for effect in sorted({*stored, *self.acknowledged}):
            least = self.acknowledged[effect]
            found += compared(named(effect), stored.get(effect, 0), least, least + self.uncertain[effect])
        for request_id in sorted({*entries, *self._entries}):
            least, most = self._entries.get(request_id, (0, 0))
            found += compared(f"entries of {request_id}", entries.get(request_id, 0), least, most)
        for effect, (revision, value) in sorted(self._latest.items()):
            if not self.uncertain[effect] and values.get(effect) != value:
                found.append(f"{named(effect)}: the value of revision {revision} is lost")
        return found


def named(effect: Effect) -> str:
    """Return an effect as text."""
    return " of ".join(effect)


def compared(what: str, number: int, least: int, most: int) -> list[str]:
    """Return a sentence if a number is not between these two."""
    if least <= number <= most:
        return []
    return [f"{what}: {number} stored, {least} acknowledged: {'lost' if number < least else 'doubled'}"]
