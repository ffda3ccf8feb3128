"""The closed sets of the product: every code that a table, the schema, a span or a log line may hold.

Each is text with its own name as its value, so that a row's column, an enum member and a JSON document
agree to the letter. Sets only gain members.
"""

from enum import StrEnum, unique


@unique
class Role(StrEnum):
    """What kind of principal a user is."""

    CUSTOMER = "CUSTOMER"
    IMPLEMENTATION_LEAD = "IMPLEMENTATION_LEAD"
    PARTNER = "PARTNER"


@unique
class UserStatus(StrEnum):
    """Whether a user may act; a suspended one is refused although the token is still valid."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


@unique
class LocationStatus(StrEnum):
    """Where a location stands between onboarding and hand-off."""

    NOT_STARTED = "NOT_STARTED"
    IN_PROGRESS = "IN_PROGRESS"
    PENDING_APPROVAL = "PENDING_APPROVAL"
    APPROVED = "APPROVED"
    PROVISIONING = "PROVISIONING"
    COMPLETED = "COMPLETED"
    BLOCKED = "BLOCKED"
    CANCELLED = "CANCELLED"


LOCKED_STATUSES = frozenset({LocationStatus.APPROVED, LocationStatus.PROVISIONING, LocationStatus.COMPLETED})


@unique
class Section(StrEnum):
    """A part of a location that is filled in, revised and overridden on its own."""

    LOCATION = "LOCATION"
    CONTACTS = "CONTACTS"
    PHONE_SYSTEM = "PHONE_SYSTEM"
    DEVICES = "DEVICES"
    PEOPLE = "PEOPLE"
    EXTENSIONS = "EXTENSIONS"
    WORKING_HOURS = "WORKING_HOURS"
    CALL_FLOW = "CALL_FLOW"


@unique
class ContactPurpose(StrEnum):
    """What a contact is for."""

    PRIMARY = "PRIMARY"
    TECHNICAL = "TECHNICAL"
    EMERGENCY = "EMERGENCY"


@unique
class DeviceBrand(StrEnum):
    """The maker of a desk phone."""

    YEALINK = "YEALINK"
    POLY = "POLY"
    CISCO = "CISCO"
    GRANDSTREAM = "GRANDSTREAM"
    SNOM = "SNOM"
    FANVIL = "FANVIL"
    OTHER = "OTHER"


@unique
class CallFlowKind(StrEnum):
    """How an incoming call is answered: rung through, or by a menu (interactive voice response)."""

    DIRECT = "DIRECT"
    IVR = "IVR"


@unique
class CallTarget(StrEnum):
    """Where a call-flow option leads."""

    EXTENSION = "EXTENSION"
    VOICEMAIL = "VOICEMAIL"
    EXTERNAL_NUMBER = "EXTERNAL_NUMBER"
    HANG_UP = "HANG_UP"


@unique
class CallTrigger(StrEnum):
    """What leads a call along a branch of its flow: the call itself, a key, no key in time, or a wrong key."""

    DIRECT = "DIRECT"
    DIGIT = "DIGIT"
    TIMEOUT = "TIMEOUT"
    INVALID = "INVALID"


@unique
class ApprovalStatus(StrEnum):
    """What became of a request for approval."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    WITHDRAWN = "WITHDRAWN"
    VOIDED = "VOIDED"


@unique
class PayloadState(StrEnum):
    """Where a provisioning payload stands on its way to the partner."""

    GENERATED = "GENERATED"
    RELEASED = "RELEASED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    REJECTED = "REJECTED"
    SUPERSEDED = "SUPERSEDED"
    WITHDRAWN = "WITHDRAWN"


@unique
class ReceiptKind(StrEnum):
    """A partner's answer to a payload."""

    ACKNOWLEDGED = "ACKNOWLEDGED"
    REJECTED = "REJECTED"
