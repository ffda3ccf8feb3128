"""Whose move it is: the statuses in which a location waits for a customer, a lead or a partner."""

from collections.abc import Mapping
from enum import StrEnum, unique

from app.domain.vocabulary import LocationStatus, Role


@unique
class Awaiting(StrEnum):
    """Who has to act next; ME is the viewer's own kind."""

    ME = "ME"
    CUSTOMER = "CUSTOMER"
    LEAD = "LEAD"
    PARTNER = "PARTNER"


AWAITING_OF_ROLE: Mapping[Role, Awaiting] = {
    Role.CUSTOMER: Awaiting.CUSTOMER,
    Role.IMPLEMENTATION_LEAD: Awaiting.LEAD,
    Role.PARTNER: Awaiting.PARTNER,
}

_STATUSES: Mapping[Awaiting, frozenset[LocationStatus]] = {
    Awaiting.CUSTOMER: frozenset({LocationStatus.NOT_STARTED, LocationStatus.IN_PROGRESS}),
    Awaiting.LEAD: frozenset({LocationStatus.PENDING_APPROVAL, LocationStatus.APPROVED, LocationStatus.BLOCKED}),
    Awaiting.PARTNER: frozenset({LocationStatus.PROVISIONING}),
}


def statuses_awaiting(who: Awaiting, viewer: Role) -> frozenset[LocationStatus]:
    """The statuses in which a location waits for `who`, as `viewer` asks. A finished location waits for nobody."""
    return _STATUSES[AWAITING_OF_ROLE[viewer] if who is Awaiting.ME else who]
