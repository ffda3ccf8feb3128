"""The reasons of a verb: the internal one, which some verbs require, and those for customers and for partners."""

from dataclasses import dataclass

from app.domain.status_machine import TABLE
from app.domain.text import clean, given
from app.domain.vocabulary import LocationAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """The reasons for a change, as they are stored. None for a reason that is not shown."""

    internal: str | None
    for_customer: str | None
    for_partner: str | None


def reasons_for(
    verb: LocationAction, reason: str | None, *, for_customer: str | None = None, for_partner: str | None = None
) -> Reasons:
    """Return the reasons as they are stored. Blank text is None.

    Raises InvalidInput when the verb requires a reason and none is given, and for text that cannot be stored.
    """
    return Reasons(
        internal=reason_for(verb, reason),
        for_customer=clean("transition.reasonForCustomer", for_customer, path=("reasonForCustomer",)),
        for_partner=clean("transition.reasonForPartner", for_partner, path=("reasonForPartner",)),
    )


def reason_for(
    verb: LocationAction, reason: str | None, *, field: str = "transition.reason", path: tuple[str, ...] = ("reason",)
) -> str | None:
    """Return the internal reason as it is stored, by the text rule called `field`.

    Raises InvalidInput when the verb requires a reason and none is given.
    """
    if TABLE[verb].needs_reason:
        return given(field, reason, path=path)
    return clean(field, reason, path=path)
