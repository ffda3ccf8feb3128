"""The verbs that require a reason."""

from app.domain.status_machine import TABLE
from app.domain.text import clean, given
from app.domain.vocabulary import Verb


def reason_for(
    verb: Verb, reason: str | None, *, field: str = "transition.reason", path: tuple[str, ...] = ("reason",)
) -> str | None:
    """Return the reason as it is stored, by the text rule called `field`.

    Raises InvalidInput when the verb requires a reason and none is given.
    """
    if TABLE[verb].needs_reason:
        return given(field, reason, path=path)
    return clean(field, reason, path=path)
