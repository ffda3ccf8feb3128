"""The closed sets as GraphQL enums, each value described for the API's reader.

The sets themselves stay where they are; the schema's annotations name them there.
"""

from collections.abc import Mapping
from enum import Enum

import strawberry

from app.domain import vocabulary, waiting
from resolvers import lists


def described(enum: type[Enum], description: str, values: Mapping[str, str], *, name: str | None = None) -> None:
    """Make a GraphQL enum of a domain set. Raises ValueError unless every member is described, and no other."""
    if set(values) != set(enum.__members__):
        raise ValueError(f"{enum.__name__} needs a description for each of its members")
    graphql_enum = strawberry.enum(enum, name=name, description=description)
    for value in graphql_enum.__strawberry_definition__.values:  # type: ignore[attr-defined] # - set by strawberry.enum
        value.description = values[value.name]


described(
    vocabulary.Role,
    "What kind of principal a user is.",
    {
        "CUSTOMER": "Works for one account and fills in the locations granted to them.",
        "IMPLEMENTATION_LEAD": "Runs turn-ups for every account: reviews, approves and hands off.",
        "PARTNER": "A machine at a carrier or hosted PBX that fetches and acknowledges provisioning payloads.",
    },
)

described(
    vocabulary.UserStatus,
    "Whether a user may act.",
    {"ACTIVE": "The user may act.", "SUSPENDED": "Every request is refused, even with a valid token."},
)

described(
    vocabulary.LocationStatus,
    "Where a location stands between onboarding and hand-off. "
    "APPROVED, PROVISIONING and COMPLETED are locked: editing them takes an override.",
    {
        "NOT_STARTED": "Nothing has been filled in.",
        "IN_PROGRESS": "The customer is filling it in.",
        "PENDING_APPROVAL": "Submitted; a lead has to review it. Still editable: approval is bound to the content.",
        "APPROVED": "A lead approved exactly this content. Locked.",
        "PROVISIONING": "A payload was released to the partner. Locked.",
        "COMPLETED": "The partner acknowledged the payload, or a lead completed it by hand. Locked.",
        "BLOCKED": "Something outside stands in the way; a lead unblocks it.",
        "CANCELLED": "Given up; a lead can reopen it.",
    },
)

described(
    vocabulary.Section,
    "A part of a location that is filled in and revised on its own.",
    {
        "LOCATION": "Name, address and time zone.",
        "CONTACTS": "Whom to ask.",
        "PHONE_SYSTEM": "How the location as a whole is reached and dials out.",
        "DEVICES": "Desk phones.",
        "PEOPLE": "Who works there.",
        "EXTENSIONS": "Internal numbers and whom or what they ring.",
        "WORKING_HOURS": "When it is open, in local time.",
        "CALL_FLOW": "How an incoming call is answered.",
    },
)

described(
    vocabulary.ContactPurpose,
    "What a contact is for.",
    {
        "PRIMARY": "The first person to ask; every location needs one.",
        "TECHNICAL": "Asked about network and cabling.",
        "EMERGENCY": "Asked when the location cannot be reached.",
    },
)

described(
    vocabulary.DeviceBrand,
    "The maker of a desk phone.",
    {
        "YEALINK": "Yealink.",
        "POLY": "Poly, formerly Polycom.",
        "CISCO": "Cisco.",
        "GRANDSTREAM": "Grandstream.",
        "SNOM": "Snom.",
        "FANVIL": "Fanvil.",
        "OTHER": "Any other maker.",
    },
)

described(
    vocabulary.CallFlowKind,
    "How an incoming call is answered.",
    {"DIRECT": "It rings extensions at once.", "IVR": "A menu (interactive voice response) is played."},
)

described(
    vocabulary.CallTarget,
    "Where a branch of a call flow leads.",
    {
        "EXTENSION": "An extension of the location.",
        "VOICEMAIL": "A mailbox: the extension's, or the location's when no extension is named.",
        "EXTERNAL_NUMBER": "A number outside.",
        "HANG_UP": "The end of the call.",
    },
    name="CallTargetKind",
)

described(
    vocabulary.ApprovalStatus,
    "What became of a request for approval.",
    {
        "PENDING": "Nobody has decided yet.",
        "APPROVED": "A lead approved the content with this digest.",
        "CHANGES_REQUESTED": "A lead sent it back with a comment.",
        "WITHDRAWN": "It was taken back, or the location was blocked or cancelled, before a decision.",
        "VOIDED": "It had been approved, and the location left the locked statuses afterwards.",
    },
)

described(
    vocabulary.PayloadState,
    "Where a provisioning payload stands on its way to the partner.",
    {
        "GENERATED": "Made; only leads see it.",
        "RELEASED": "Provisioning was triggered: partners of the account see it.",
        "ACKNOWLEDGED": "The partner confirmed that it arrived intact.",
        "REJECTED": "The partner refused it and said why.",
        "SUPERSEDED": "Newer content took its place; it cannot be acknowledged any more.",
        "WITHDRAWN": "The location left provisioning; it cannot be acknowledged any more.",
    },
)

described(
    vocabulary.ReceiptKind,
    "A partner's answer to a payload.",
    {"ACKNOWLEDGED": "It arrived intact and will be put into operation.", "REJECTED": "It cannot be used as it is."},
)

described(
    waiting.Awaiting,
    "Who has to act next on a location.",
    {
        "ME": "The viewer's own kind of principal.",
        "CUSTOMER": "A customer: the location is not yet submitted.",
        "LEAD": "An implementation lead: it waits for approval, for release, or is blocked.",
        "PARTNER": "A partner: a released payload waits for its receipt.",
    },
)

described(
    lists.LocationOrder,
    "The orders in which locations can be listed.",
    {"NAME": "By name, byte by byte, then by id.", "RECENTLY_UPDATED": "The last changed first."},
)

described(
    vocabulary.ProblemCode,
    "Why a mutation was refused. Each code has a type of its own that carries the facts.",
    {
        "LOCKED": "The location is locked; editing it takes an override.",
        "NOT_LOCKED": "The location is not locked, so there is nothing to override.",
        "OVERRIDE_SCOPE": "The open override does not cover this section, or is another lead's.",
        "ILLEGAL_TRANSITION": "The location's status does not take this verb.",
        "STALE_REVIEW": "The content has changed since it was reviewed.",
        "APPROVAL_OUTDATED": "The current content is not the approved content.",
        "SELF_APPROVAL": "Nobody approves what they submitted or edited themselves.",
        "CONFLICT": "The object has changed since it was read.",
        "NOT_READY": "Something is missing or wrong; every finding is listed.",
        "NOT_FOUND": "There is no such object within the viewer's reach.",
        "INVALID_INPUT": "A value cannot be read.",
        "LIMIT_REACHED": "There can be no more of these.",
        "MAC_IN_USE": "Another location holds this MAC address.",
        "PAYLOAD_SUPERSEDED": "The payload was replaced and cannot be acknowledged.",
        "PAYLOAD_WITHDRAWN": "The payload was withdrawn and cannot be acknowledged.",
        "DIGEST_MISMATCH": "The digest sent is not that of the payload's document.",
        "IDEMPOTENCY_KEY_REUSED": "The key was used for another input before.",
        "IDEMPOTENCY_IN_PROGRESS": "A call with this key is under way.",
    },
)

described(
    vocabulary.Verb,
    "What can be done to a location as a whole.",
    {
        "START": "Begin filling it in; the first edit does so by itself.",
        "SUBMIT": "Hand it to a lead for approval.",
        "WITHDRAW": "Take a submission back.",
        "REQUEST_CHANGES": "Send a submission back with a comment.",
        "APPROVE": "Approve exactly the content that was reviewed.",
        "APPROVE_AGAIN": "Approve content that moved under an override.",
        "GENERATE_PAYLOAD": "Make the provisioning payload of the approved content.",
        "TRIGGER_PROVISIONING": "Release the latest payload to the partner.",
        "ACKNOWLEDGE": "Confirm that a payload arrived intact.",
        "COMPLETE": "Complete it by hand, without a receipt.",
        "REJECT": "Refuse a payload, with reasons.",
        "BLOCK": "Note that something outside stands in the way.",
        "UNBLOCK": "Go on after a block.",
        "CANCEL": "Give it up.",
        "REOPEN": "Take it up again.",
    },
)

described(
    vocabulary.Gate,
    "A step that a readiness issue may stand in the way of.",
    {
        "SUBMIT": "Submitting for approval.",
        "APPROVE": "Approving.",
        "PROVISION": "Generating and releasing a payload.",
    },
)

described(
    vocabulary.Severity,
    "How much a readiness issue matters.",
    {
        "BLOCKER": "The steps it names refuse until it is mended.",
        "WARNING": "Worth a look; nothing refuses.",
        "INFO": "Good to know.",
    },
)

described(
    vocabulary.IssueCode,
    "What readiness may find.",
    {
        "NAME_MISSING": "The location has no name.",
        "ADDRESS_INCOMPLETE": "A line of the address that provisioning needs is missing.",
        "COUNTRY_UNKNOWN": "The country is no ISO 3166-1 code.",
        "TIMEZONE_MISSING": "There is no time zone.",
        "TIMEZONE_UNKNOWN": "The time zone is not in the IANA database.",
        "PRIMARY_CONTACT_MISSING": "No contact is PRIMARY.",
        "CONTACT_NAME_MISSING": "A contact has no name.",
        "CONTACT_UNREACHABLE": "A contact has neither email nor phone.",
        "CONTACT_INCOMPLETE": "A contact lacks something that is usually given.",
        "EMAIL_MALFORMED": "An email address cannot be one.",
        "PHONE_NOT_E164": "A contact's number cannot be read as an E.164 number.",
        "PHONE_SYSTEM_MISSING": "The phone system is not filled in.",
        "MAIN_NUMBER_MISSING": "There is no main number.",
        "DIALLED_NUMBER_NOT_E164": "A number that will be dialled cannot be read as an E.164 number.",
        "CALLER_ID_NAME_TOO_LONG": "Networks show 15 characters of a caller-id name.",
        "DEVICE_MISSING": "There is no device.",
        "MODEL_MISSING": "A device has no model.",
        "MODEL_NOT_IN_CATALOGUE": "A device's model is not in the device catalogue.",
        "MAC_MISSING": "A device has no MAC address.",
        "MAC_ALL_ZERO": "A MAC address is all zero.",
        "MAC_MULTICAST": "A MAC address is a multicast one, which no device has.",
        "MAC_LOCALLY_ADMINISTERED": "A MAC address is locally administered, not the maker's.",
        "MAC_TWICE": "Two devices of the location have the same MAC address.",
        "MAC_IN_USE": "Another location holds the MAC address.",
        "MAC_OF_ANOTHER_MAKER": "The MAC address belongs to another maker than the brand.",
        "DEVICE_WITHOUT_EXTENSION": "No extension rings the device.",
        "PERSON_NAME_MISSING": "A person has no name.",
        "PERSON_WITHOUT_EXTENSION": "No extension rings the person.",
        "EXTENSION_MALFORMED": "An extension is not 2 to 6 digits.",
        "EXTENSION_LEADING_ZERO": "An extension begins with zero.",
        "EXTENSION_TWICE": "Two extensions have the same number.",
        "EXTENSION_WRONG_LENGTH": "An extension has another length than the phone system says.",
        "EXTENSION_RESERVED": "An extension is a reserved service code.",
        "EXTENSION_SHADOWS_EMERGENCY": "An extension would catch calls to an emergency number.",
        "EXTENSION_SHADOWS_OUTBOUND_PREFIX": "An extension begins like an outside call.",
        "EXTENSION_UNASSIGNED": "An extension rings neither a person nor a device.",
        "HOURS_MISSING": "There are no working hours.",
        "HOURS_INVERTED": "An interval closes before it opens.",
        "HOURS_OVERLAP": "Two intervals overlap.",
        "CALL_FLOW_MISSING": "The call flow is not filled in.",
        "DIRECT_WITHOUT_TARGET": "A direct call flow rings nothing.",
        "IVR_WITHOUT_OPTION": "A menu offers nothing.",
        "IVR_GREETING_MISSING": "A menu says nothing.",
        "IVR_DIGIT_TWICE": "Two options have the same key.",
        "IVR_OPTION_UNREACHABLE": "An option can never be chosen, since a shorter key comes first.",
        "IVR_TIMEOUT_TARGET_MISSING": "A call without a key leads nowhere.",
        "IVR_INVALID_TARGET_MISSING": "A call with wrong keys leads nowhere.",
        "TARGET_DANGLING": "A branch leads to something that is not there.",
        "TARGET_WITHOUT_VOICEMAIL": "A branch leads to a mailbox that is not switched on.",
        "REJECTED_BY_PARTNER": "The partner rejected the last payload for this reason.",
    },
)

described(
    vocabulary.ValueState,
    "What the audit trail tells of a value.",
    {
        "ABSENT": "There was none: the row was not there, or no reason was given.",
        "TOLD": "The value stands beside; null is a value too.",
        "WITHHELD": "A secret that never enters the trail; that it changed is told.",
        "ERASED": "It was erased from history; a hash of it stays.",
    },
)

described(
    vocabulary.LocationAction,
    "What somebody who sees a location may want to do to it. Each is the mutation of its name.",
    {
        "EDIT": "Change any of its content.",
        "OPEN_OVERRIDE": "Open it for editing although it is locked.",
        "START": "Begin filling it in.",
        "SUBMIT": "Hand it to a lead for approval.",
        "WITHDRAW": "Take a submission back.",
        "REQUEST_CHANGES": "Send a submission back with a comment.",
        "APPROVE": "Approve the current content.",
        "APPROVE_AGAIN": "Approve content that moved under an override; the mutation is `approve`.",
        "GENERATE_PAYLOAD": "Make its provisioning payload.",
        "TRIGGER_PROVISIONING": "Release the latest payload.",
        "COMPLETE": "Complete it by hand.",
        "BLOCK": "Note that something outside stands in the way.",
        "UNBLOCK": "Go on after a block.",
        "CANCEL": "Give it up.",
        "REOPEN": "Take it up again.",
    },
)

described(
    vocabulary.BulkPolicy,
    "What a refused item of a bulk mutation means for the others.",
    {"PER_ITEM": "The others are done.", "ALL_OR_NOTHING": "Nothing is done."},
)

described(
    vocabulary.BulkOutcome,
    "What became of an item of a bulk mutation.",
    {
        "APPLIED": "It was done.",
        "UNCHANGED": "It was done already, or left because another item was refused.",
        "FAILED": "It was refused.",
    },
)

described(
    vocabulary.Budget,
    "What is counted a user and minute of the clock. A call counts whatever becomes of it, a repeated one too.",
    {
        "OBJECTS": "Objects that are returned. An operation reserves its price, then counts what it returned.",
        "EDITS": "Mutations of content, and every other that no budget of its own counts.",
        "SUBMITS": "Submissions, and taking one back.",
        "APPROVALS": "Approvals and requests for changes.",
        "PAYLOADS": "Payloads generated, released, answered, or completed by hand.",
        "BULK_CALLS": "Calls of bulk mutations; dry runs apart.",
        "BULK_ITEMS": "Items of bulk mutations; dry runs apart.",
    },
)
