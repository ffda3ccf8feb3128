"""Who has to act next on a location, by status."""

from collections.abc import Mapping
from enum import StrEnum, unique

from app.domain.vocabulary import LocationAction, LocationStatus


@unique
class Awaiting(StrEnum):
    """The party that has to act next; ME is the viewer's own role."""

    ME = "ME"
    CUSTOMER = "CUSTOMER"
    LEAD = "LEAD"
    PARTNER = "PARTNER"


# The verb that advances a location from each status. Statuses that are not listed are final.
NEXT_VERB: Mapping[LocationStatus, LocationAction] = {
    LocationStatus.NOT_STARTED: LocationAction.START_ONBOARDING,
    LocationStatus.IN_PROGRESS: LocationAction.SUBMIT_ONBOARDING,
    LocationStatus.PENDING_APPROVAL: LocationAction.APPROVE,
    LocationStatus.APPROVED: LocationAction.TRIGGER_PROVISIONING,
    LocationStatus.PROVISIONING: LocationAction.ACKNOWLEDGE_PAYLOAD,
    LocationStatus.BLOCKED: LocationAction.UNBLOCK,
}
