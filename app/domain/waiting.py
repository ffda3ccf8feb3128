"""Whose turn it is: what a location awaits in each status."""

from collections.abc import Mapping
from enum import StrEnum, unique

from app.domain.vocabulary import LocationStatus, Verb


@unique
class Awaiting(StrEnum):
    """Who has to act next; ME is the viewer's own role."""

    ME = "ME"
    CUSTOMER = "CUSTOMER"
    LEAD = "LEAD"
    PARTNER = "PARTNER"


# The verb that takes a location further from each status; a status that is not listed is final.
NEXT_VERB: Mapping[LocationStatus, Verb] = {
    LocationStatus.NOT_STARTED: Verb.START,
    LocationStatus.IN_PROGRESS: Verb.SUBMIT,
    LocationStatus.PENDING_APPROVAL: Verb.APPROVE,
    LocationStatus.APPROVED: Verb.TRIGGER_PROVISIONING,
    LocationStatus.PROVISIONING: Verb.ACKNOWLEDGE,
    LocationStatus.BLOCKED: Verb.UNBLOCK,
}
