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


@unique
class Verb(StrEnum):
    """What may be done to a location as a whole; the rows of the status machine."""

    START = "START"
    SUBMIT = "SUBMIT"
    WITHDRAW = "WITHDRAW"
    REQUEST_CHANGES = "REQUEST_CHANGES"
    APPROVE = "APPROVE"
    APPROVE_AGAIN = "APPROVE_AGAIN"
    GENERATE_PAYLOAD = "GENERATE_PAYLOAD"
    TRIGGER_PROVISIONING = "TRIGGER_PROVISIONING"
    ACKNOWLEDGE = "ACKNOWLEDGE"
    COMPLETE = "COMPLETE"
    REJECT = "REJECT"
    BLOCK = "BLOCK"
    UNBLOCK = "UNBLOCK"
    CANCEL = "CANCEL"
    REOPEN = "REOPEN"


@unique
class SessionChange(StrEnum):
    """What a move does to the location's onboarding session."""

    KEEP = "KEEP"
    OPEN_IF_MISSING = "OPEN_IF_MISSING"
    CLOSE = "CLOSE"


@unique
class ClaimChange(StrEnum):
    """What a move does to the location's claims on its hardware addresses."""

    KEEP = "KEEP"
    TAKE = "TAKE"
    RELEASE = "RELEASE"


@unique
class ProblemCode(StrEnum):
    """Why the domain refused."""

    LOCKED = "LOCKED"
    NOT_LOCKED = "NOT_LOCKED"
    OVERRIDE_SCOPE = "OVERRIDE_SCOPE"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    STALE_REVIEW = "STALE_REVIEW"
    APPROVAL_OUTDATED = "APPROVAL_OUTDATED"
    SELF_APPROVAL = "SELF_APPROVAL"
    CONFLICT = "CONFLICT"
    NOT_READY = "NOT_READY"
    NOT_FOUND = "NOT_FOUND"
    INVALID_INPUT = "INVALID_INPUT"
    LIMIT_REACHED = "LIMIT_REACHED"
    MAC_IN_USE = "MAC_IN_USE"
    PAYLOAD_SUPERSEDED = "PAYLOAD_SUPERSEDED"
    PAYLOAD_WITHDRAWN = "PAYLOAD_WITHDRAWN"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    IDEMPOTENCY_IN_PROGRESS = "IDEMPOTENCY_IN_PROGRESS"


@unique
class Gate(StrEnum):
    """A step that readiness issues may stand in the way of."""

    SUBMIT = "SUBMIT"
    APPROVE = "APPROVE"
    PROVISION = "PROVISION"


@unique
class Severity(StrEnum):
    """How much a readiness issue matters; only a BLOCKER stops anything."""

    BLOCKER = "BLOCKER"
    WARNING = "WARNING"
    INFO = "INFO"


@unique
class IssueCode(StrEnum):
    """What readiness may find."""

    NAME_MISSING = "NAME_MISSING"
    ADDRESS_INCOMPLETE = "ADDRESS_INCOMPLETE"
    COUNTRY_UNKNOWN = "COUNTRY_UNKNOWN"
    TIMEZONE_MISSING = "TIMEZONE_MISSING"
    TIMEZONE_UNKNOWN = "TIMEZONE_UNKNOWN"
    PRIMARY_CONTACT_MISSING = "PRIMARY_CONTACT_MISSING"
    CONTACT_NAME_MISSING = "CONTACT_NAME_MISSING"
    CONTACT_UNREACHABLE = "CONTACT_UNREACHABLE"
    CONTACT_INCOMPLETE = "CONTACT_INCOMPLETE"
    EMAIL_MALFORMED = "EMAIL_MALFORMED"
    PHONE_NOT_E164 = "PHONE_NOT_E164"
    PHONE_SYSTEM_MISSING = "PHONE_SYSTEM_MISSING"
    MAIN_NUMBER_MISSING = "MAIN_NUMBER_MISSING"
    DIALLED_NUMBER_NOT_E164 = "DIALLED_NUMBER_NOT_E164"
    CALLER_ID_NAME_TOO_LONG = "CALLER_ID_NAME_TOO_LONG"
    DEVICE_MISSING = "DEVICE_MISSING"
    MODEL_MISSING = "MODEL_MISSING"
    MODEL_NOT_IN_CATALOGUE = "MODEL_NOT_IN_CATALOGUE"
    MAC_MISSING = "MAC_MISSING"
    MAC_ALL_ZERO = "MAC_ALL_ZERO"
    MAC_MULTICAST = "MAC_MULTICAST"
    MAC_LOCALLY_ADMINISTERED = "MAC_LOCALLY_ADMINISTERED"
    MAC_TWICE = "MAC_TWICE"
    MAC_IN_USE = "MAC_IN_USE"
    MAC_OF_ANOTHER_MAKER = "MAC_OF_ANOTHER_MAKER"
    DEVICE_WITHOUT_EXTENSION = "DEVICE_WITHOUT_EXTENSION"
    PERSON_NAME_MISSING = "PERSON_NAME_MISSING"
    PERSON_WITHOUT_EXTENSION = "PERSON_WITHOUT_EXTENSION"
    EXTENSION_MALFORMED = "EXTENSION_MALFORMED"
    EXTENSION_LEADING_ZERO = "EXTENSION_LEADING_ZERO"
    EXTENSION_TWICE = "EXTENSION_TWICE"
    EXTENSION_WRONG_LENGTH = "EXTENSION_WRONG_LENGTH"
    EXTENSION_RESERVED = "EXTENSION_RESERVED"
    EXTENSION_SHADOWS_EMERGENCY = "EXTENSION_SHADOWS_EMERGENCY"
    EXTENSION_SHADOWS_OUTBOUND_PREFIX = "EXTENSION_SHADOWS_OUTBOUND_PREFIX"
    EXTENSION_UNASSIGNED = "EXTENSION_UNASSIGNED"
    HOURS_MISSING = "HOURS_MISSING"
    HOURS_INVERTED = "HOURS_INVERTED"
    HOURS_OVERLAP = "HOURS_OVERLAP"
    CALL_FLOW_MISSING = "CALL_FLOW_MISSING"
    DIRECT_WITHOUT_TARGET = "DIRECT_WITHOUT_TARGET"
    IVR_WITHOUT_OPTION = "IVR_WITHOUT_OPTION"
    IVR_GREETING_MISSING = "IVR_GREETING_MISSING"
    IVR_DIGIT_TWICE = "IVR_DIGIT_TWICE"
    IVR_OPTION_UNREACHABLE = "IVR_OPTION_UNREACHABLE"
    IVR_TIMEOUT_TARGET_MISSING = "IVR_TIMEOUT_TARGET_MISSING"
    IVR_INVALID_TARGET_MISSING = "IVR_INVALID_TARGET_MISSING"
    TARGET_DANGLING = "TARGET_DANGLING"
    TARGET_WITHOUT_VOICEMAIL = "TARGET_WITHOUT_VOICEMAIL"
    REJECTED_BY_PARTNER = "REJECTED_BY_PARTNER"


@unique
class ValueState(StrEnum):
    """What the audit trail tells of a value."""

    ABSENT = "ABSENT"
    TOLD = "TOLD"
    WITHHELD = "WITHHELD"
    ERASED = "ERASED"


@unique
class LocationAction(StrEnum):
    """What a viewer who sees a location may want to do to it; verbs carry their own names."""

    EDIT = "EDIT"
    OPEN_OVERRIDE = "OPEN_OVERRIDE"
    START = "START"
    SUBMIT = "SUBMIT"
    WITHDRAW = "WITHDRAW"
    REQUEST_CHANGES = "REQUEST_CHANGES"
    APPROVE = "APPROVE"
    APPROVE_AGAIN = "APPROVE_AGAIN"
    GENERATE_PAYLOAD = "GENERATE_PAYLOAD"
    TRIGGER_PROVISIONING = "TRIGGER_PROVISIONING"
    COMPLETE = "COMPLETE"
    BLOCK = "BLOCK"
    UNBLOCK = "UNBLOCK"
    CANCEL = "CANCEL"
    REOPEN = "REOPEN"


@unique
class Budget(StrEnum):
    """What is counted per user and minute."""

    OBJECTS = "OBJECTS"
    EDITS = "EDITS"
    SUBMITS = "SUBMITS"
    APPROVALS = "APPROVALS"
    PAYLOADS = "PAYLOADS"
    BULK_CALLS = "BULK_CALLS"
    BULK_ITEMS = "BULK_ITEMS"


@unique
class BulkPolicy(StrEnum):
    """What a refused item means for the others."""

    PER_ITEM = "PER_ITEM"
    ALL_OR_NOTHING = "ALL_OR_NOTHING"


@unique
class BulkOutcome(StrEnum):
    """Result of one item of a bulk mutation."""

    APPLIED = "APPLIED"
    UNCHANGED = "UNCHANGED"
    FAILED = "FAILED"
