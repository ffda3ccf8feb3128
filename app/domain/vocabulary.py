"""The enumerations of the product: every code that a table, the schema, a span or a log line may contain.

A member's name is its name in the API, its value the text in database columns and JSON documents. They are the same,
except where the API has a better name for a stored text. Members are only added, never removed. The docstrings of
DeviceBrand, CallFlowKind and CallTarget are texts of the published JSON Schema of the payload, so they must not change.
"""

from enum import StrEnum, unique


@unique
class Role(StrEnum):
    """The kind of principal that a user is."""

    CUSTOMER = "CUSTOMER"
    IMPLEMENTATION_LEAD = "IMPLEMENTATION_LEAD"
    PARTNER = "PARTNER"
    AUDITOR = "AUDITOR"


@unique
class UserStatus(StrEnum):
    """Whether a user may act. A suspended user is refused although their token is still valid."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


@unique
class LocationStatus(StrEnum):
    """The status of a location between onboarding and hand-off."""

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
    """A part of a location that has its own revision and is edited and overridden separately."""

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
    """The purpose of a contact."""

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
class DeviceModelKind(StrEnum):
    """The kind of equipment that a model of the device catalogue is."""

    DESK_PHONE = "DESK_PHONE"
    VIDEO_PHONE = "VIDEO_PHONE"
    CONFERENCE_PHONE = "CONFERENCE_PHONE"
    WIFI_PHONE = "WIFI_PHONE"
    DECT_BASE = "DECT_BASE"
    DECT_HANDSET = "DECT_HANDSET"
    ATA = "ATA"
    GATEWAY = "GATEWAY"
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
    """The event that selects a branch of a call flow: the call itself, a key, no key in time, or an invalid key."""

    DIRECT = "DIRECT"
    DIGIT = "DIGIT"
    TIMEOUT = "TIMEOUT"
    INVALID = "INVALID"


@unique
class ApprovalStatus(StrEnum):
    """The status of a request for approval."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    WITHDRAWN = "WITHDRAWN"
    VOIDED = "VOIDED"


@unique
class PayloadState(StrEnum):
    """The state of a provisioning payload on its way to the partner."""

    GENERATED = "GENERATED"
    RELEASED = "RELEASED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    REJECTED = "REJECTED"
    SUPERSEDED = "SUPERSEDED"
    WITHDRAWN = "WITHDRAWN"


@unique
class ReceiptKind(StrEnum):
    """The kind of a partner's answer to a payload."""

    ACKNOWLEDGED = "ACKNOWLEDGED"
    REJECTED = "REJECTED"


@unique
class PartnerPurpose(StrEnum):
    """What a partner does for a location."""

    CARRIER = "CARRIER"
    PBX = "PBX"
    INSTALLER = "INSTALLER"
    EMERGENCY_SERVICES = "EMERGENCY_SERVICES"
    OTHER = "OTHER"


@unique
class SessionChange(StrEnum):
    """The effect of a transition on the location's onboarding session."""

    KEEP = "KEEP"
    OPEN_IF_MISSING = "OPEN_IF_MISSING"
    CLOSE = "CLOSE"


@unique
class ClaimChange(StrEnum):
    """The effect of a transition on the claims to the MAC addresses of the location's content."""

    KEEP = "KEEP"
    TAKE = "TAKE"
    RELEASE = "RELEASE"


@unique
class ProblemCode(StrEnum):
    """The reason of a refusal."""

    LOCKED = "LOCKED"
    NOT_LOCKED = "NOT_LOCKED"
    OVERRIDE_SCOPE = "OVERRIDE_SCOPE"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    STALE_REVIEW = "STALE_REVIEW"
    APPROVAL_OUTDATED = "APPROVAL_OUTDATED"
    SELF_APPROVAL = "SELF_APPROVAL"
    USER_UNCONFIRMED = "USER_UNCONFIRMED"
    NO_BROWSER_SIGN_IN = "NO_BROWSER_SIGN_IN"
    CONFLICT = "CONFLICT"
    NOT_READY = "NOT_READY"
    NOT_FOUND = "NOT_FOUND"
    INVALID_INPUT = "INVALID_INPUT"
    LIMIT_REACHED = "LIMIT_REACHED"
    MAC_IN_USE = "MAC_IN_USE"
    PAYLOAD_SUPERSEDED = "PAYLOAD_SUPERSEDED"
    PAYLOAD_WITHDRAWN = "PAYLOAD_WITHDRAWN"
    PAYLOAD_REJECTED = "PAYLOAD_REJECTED"
    PAYLOAD_NOT_LIVE = "PAYLOAD_NOT_LIVE"
    ALREADY_ANSWERED = "ALREADY_ANSWERED"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    IDEMPOTENCY_IN_PROGRESS = "IDEMPOTENCY_IN_PROGRESS"


@unique
class Gate(StrEnum):
    """A step that readiness issues can block."""

    SUBMIT = "SUBMIT"
    APPROVE = "APPROVE"
    PROVISION = "PROVISION"


@unique
class Severity(StrEnum):
    """The severity of a readiness issue; only a BLOCKER blocks a step."""

    BLOCKER = "BLOCKER"
    WARNING = "WARNING"
    INFO = "INFO"


@unique
class IssueCode(StrEnum):
    """The kinds of readiness issues."""

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
    MAC_LIVE_TWICE = "MAC_LIVE_TWICE"
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
    PARTNER_MISSING = "PARTNER_MISSING"
    PARTNER_UNAVAILABLE = "PARTNER_UNAVAILABLE"
    PROVIDER_WITHOUT_PARTNER = "PROVIDER_WITHOUT_PARTNER"
    PAYLOAD_VERSION_NOT_ACCEPTED = "PAYLOAD_VERSION_NOT_ACCEPTED"


@unique
class AuditOutcome(StrEnum):
    """Whether an entry of the audit log records a write or a refused attempt."""

    APPLIED = "APPLIED"
    REFUSED = "REFUSED"


@unique
class AuditChain(StrEnum):
    """What a chain of the audit log is about."""

    ACCOUNT = "ACCOUNT"
    SYSTEM = "SYSTEM"


@unique
class SystemAction(StrEnum):
    """The actions in the audit log that are no mutations: of commands, of migrations, and of the database itself."""

    BASELINE = "BASELINE"
    MIGRATE = "MIGRATE"
    MARK_DATABASE = "MARK_DATABASE"
    SEED_DEMO = "SEED_DEMO"
    LOAD_UNAUDITED = "LOAD_UNAUDITED"
    USER_ADDED = "USER_ADDED"
    USER_SUSPENDED = "USER_SUSPENDED"
    USER_REINSTATED = "USER_REINSTATED"
    USER_CONFIRMED = "USER_CONFIRMED"
    USER_INVITED = "USER_INVITED"
    INVITATION_REVOKED = "INVITATION_REVOKED"
    INVITATION_ACCEPTED = "INVITATION_ACCEPTED"
    CATALOGUE_LOADED = "CATALOGUE_LOADED"
    ROLE_DENIED = "ROLE_DENIED"
    SECURITY_EVENT = "SECURITY_EVENT"
    TOKENS_FORGOTTEN = "TOKENS_FORGOTTEN"
    ERASE = "ERASE"


@unique
class SessionEnd(StrEnum):
    """Why a session ended before it expired."""

    SIGNED_OUT = "SIGNED_OUT"
    REVOKED = "REVOKED"
    REPLACED = "REPLACED"
    SUSPENDED = "SUSPENDED"
    USER_CHANGED = "USER_CHANGED"


@unique
class SecurityEventKind(StrEnum):
    """The security events that the audit log counts."""

    FORGED_IDENTITY_HEADERS = "forged_identity_headers"
    SUSPENDED_USER = "suspended_user"


@unique
class ValueState(StrEnum):
    """What the audit log shows of a value."""

    ABSENT = "ABSENT"
    PRESENT = "PRESENT"
    REDACTED = "REDACTED"
    ERASED = "ERASED"


@unique
class LocationAction(StrEnum):
    """What can be done to a location. A member is named after its mutation, where it has one of its own.

    Those that the status machine decides are stored, by their values.
    """

    EDIT = "EDIT"
    OPEN_OVERRIDE = "OPEN_OVERRIDE"
    START_ONBOARDING = "START"
    SUBMIT_ONBOARDING = "SUBMIT"
    WITHDRAW_SUBMISSION = "WITHDRAW"
    REQUEST_CHANGES = "REQUEST_CHANGES"
    APPROVE = "APPROVE"
    APPROVE_AGAIN = "APPROVE_AGAIN"
    GENERATE_PAYLOAD = "GENERATE_PAYLOAD"
    TRIGGER_PROVISIONING = "TRIGGER_PROVISIONING"
    ACKNOWLEDGE_PAYLOAD = "ACKNOWLEDGE"
    COMPLETE_PROVISIONING = "COMPLETE"
    WAIVE_RECEIPT = "WAIVE_RECEIPT"
    REJECT_PAYLOAD = "REJECT"
    BLOCK = "BLOCK"
    UNBLOCK = "UNBLOCK"
    CANCEL = "CANCEL"
    REOPEN = "REOPEN"
    REPLACE_DEVICE = "REPLACE_DEVICE"
    SET_LOCATION_PARTNERS = "SET_LOCATION_PARTNERS"
    CONFIRM_DECOMMISSION = "CONFIRM_DECOMMISSION"


@unique
class Budget(StrEnum):
    """What is limited per user and minute."""

    OBJECTS = "OBJECTS"
    EDITS = "EDITS"
    SUBMITS = "SUBMITS"
    APPROVALS = "APPROVALS"
    PAYLOADS = "PAYLOADS"
    BULK_CALLS = "BULK_CALLS"
    BULK_ITEMS = "BULK_ITEMS"
    DRY_RUNS = "DRY_RUNS"


@unique
class BulkPolicy(StrEnum):
    """How a refused item of a bulk operation affects the other items."""

    PER_ITEM = "PER_ITEM"
    ALL_OR_NOTHING = "ALL_OR_NOTHING"


@unique
class BulkOutcome(StrEnum):
    """The result of one item of a bulk mutation."""

    APPLIED = "APPLIED"
    UNCHANGED = "UNCHANGED"
    REFUSED = "REFUSED"
