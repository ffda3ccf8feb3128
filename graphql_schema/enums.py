"""The GraphQL enums, with a description for each value.

Each is made from an enum of the domain, which the annotations of the schema refer to directly.
"""

from collections.abc import Mapping
from enum import Enum

import strawberry

from app.domain import refusals, vocabulary, waiting
from app.operations import audit_names
from app.operations.registry import MUTATIONS
from permissions import matrix
from resolvers import lists


def described(enum: type[Enum], description: str, values: Mapping[str, str], *, name: str | None = None) -> None:
    """Make a GraphQL enum from a domain enum. Raises ValueError unless exactly its members are described."""
    if set(values) != set(enum.__members__):
        raise ValueError(f"{enum.__name__} needs a description for each of its members")
    graphql_enum = strawberry.enum(enum, name=name, description=description)
    for value in graphql_enum.__strawberry_definition__.values:  # type: ignore[attr-defined] # - set by strawberry.enum
        value.description = values[value.name]


def _requires(action: str) -> str:
    """The sentence about what a service token must include besides an action."""
    required = sorted(matrix.REQUIRES.get(matrix.Action(action), ()))
    return f" Requires {' and '.join(required)}." if required else ""


described(
    vocabulary.Role,
    "The role of a user.",
    {
        "CUSTOMER": "Works for one account and fills in the locations granted to them.",
        "IMPLEMENTATION_LEAD": "Runs rollouts for all accounts, or for the granted ones: reviews, approves and hands "
        "off.",
        "PARTNER": "A machine at a carrier or hosted PBX that fetches and acknowledges provisioning payloads.",
        "AUDITOR": "Reads the audit log, and nothing else.",
    },
)

described(
    vocabulary.UserStatus,
    "Whether a user can use the API.",
    {
        "ACTIVE": "The user can use the API.",
        "SUSPENDED": "Every request is refused, even with a valid token.",
    },
)

TOKEN_ACTIONS = {
    "VIEW_LOCATIONS": "See locations and everything in them.",
    "VIEW_ALL_LOCATIONS": "See accounts and locations without a grant, as leads of all accounts do.",
    "EDIT_ONBOARDING": "Edit the content of locations.",
    "EDIT_ANY_ONBOARDING": "Edit locations without a grant, as leads of all accounts do.",
    "OVERRIDE_LOCK": "See, open and close overrides of locked locations, and replace devices there.",
    "SUBMIT": "Submit locations for approval.",
    "WITHDRAW": "Withdraw submissions.",
    "APPROVE": "Approve the content of locations.",
    "REQUEST_CHANGES": "Send submissions back.",
    "VIEW_PROVISIONING": "See payloads and receipts.",
    "VIEW_ALL_PROVISIONING": "See payloads that were released to others, and their recipients, as leads do.",
    "GENERATE_PAYLOAD": "Generate payloads.",
    "TRIGGER_PROVISIONING": "Release payloads to partners.",
    "VIEW_INTERNAL_REASONS": "See the internal reasons of status changes.",
    "VIEW_AUDIT": "Read the audit log.",
    "VIEW_ALL_AUDIT": "Read the audit log without a grant, as auditors and leads of all accounts do.",
    "ACKNOWLEDGE": "Acknowledge payloads.",
    "REJECT": "Reject payloads.",
    "WAIVE_RECEIPT": "Waive receipts of partners.",
    "CONFIRM_DECOMMISSION": "Confirm that phones are out of operation.",
    "ASSIGN_PARTNERS": "See and choose the partners of locations.",
    "VIEW_ACCEPTED_VERSIONS": "See the payload versions that partners accept.",
    "SET_ACCEPTED_VERSIONS": "State the payload versions that a partner accepts.",
    "RUN_BULK": "Call bulk mutations. Each item needs its own action as well.",
    "BLOCK": "Block locations.",
    "UNBLOCK": "Unblock locations.",
    "CANCEL": "Cancel locations.",
    "REOPEN": "Reopen locations.",
    "COMPLETE": "Complete locations by hand.",
    "VIEW_ACCOUNTS": "See accounts.",
    "VIEW_CATALOGUE": "See the device catalogue.",
    "VIEW_USERS": "See the names and roles of other users.",
    "CREATE_LOCATIONS": "Create locations and test payloads.",
}

described(
    matrix.TokenAction,
    "An action that a service token can include. It counts together with those that it requires.",
    {action: does + _requires(action) for action, does in TOKEN_ACTIONS.items()},
    name="ServiceTokenAction",
)

described(
    vocabulary.SessionEnd,
    "Why a session ended before it expired.",
    {
        "SIGNED_OUT": "The user signed out in the browser of the session.",
        "REVOKED": "The user, or a lead of all accounts, ended the session from elsewhere.",
        "REPLACED": "The user signed in again with as many open sessions as a user may have. The one that was used "
        "least recently ended.",
        "SUSPENDED": "The user was suspended.",
        "USER_CHANGED": "The user got another role, subject or issuer.",
    },
)

described(
    vocabulary.LocationStatus,
    "The stage of a location between onboarding and hand-off. APPROVED, PROVISIONING and COMPLETED are locked: "
    "editing them requires an override.",
    {
        "NOT_STARTED": "Nothing has been filled in.",
        "IN_PROGRESS": "The customer is filling it in.",
        "PENDING_APPROVAL": "Submitted to a lead for review. Still editable, because approval is bound to the content.",
        "APPROVED": "A lead approved exactly this content. Locked.",
        "PROVISIONING": "A payload was released to the partners. Locked.",
        "COMPLETED": "All required receipts are in or waived, or a lead completed the location by hand. Locked.",
        "BLOCKED": "An external obstacle stops the rollout. A lead can unblock it.",
        "CANCELLED": "The rollout was cancelled. A lead can reopen it.",
    },
)

described(
    vocabulary.Section,
    "A part of a location that is filled in, revised and overridden separately.",
    {
        "LOCATION": "Name, address, time zone and site code.",
        "CONTACTS": "People to ask about the location.",
        "PHONE_SYSTEM": "Main number, caller ID, provider and other settings of the location as a whole.",
        "DEVICES": "Desk phones.",
        "PEOPLE": "People who work there.",
        "EXTENSIONS": "Internal numbers, and the people or devices that they ring.",
        "WORKING_HOURS": "Opening hours in local time.",
        "CALL_FLOW": "How incoming calls are answered.",
    },
)

described(
    vocabulary.ContactPurpose,
    "The purpose of a contact.",
    {
        "PRIMARY": "The first person to ask. Every location needs one.",
        "TECHNICAL": "Answers questions about network and cabling.",
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
    vocabulary.DeviceModelKind,
    "The kind of equipment that a model of the device catalogue is.",
    {
        "DESK_PHONE": "A phone with a cord and a network socket.",
        "VIDEO_PHONE": "A desk phone with a camera.",
        "CONFERENCE_PHONE": "A phone for meeting rooms.",
        "WIFI_PHONE": "A cordless phone on the wireless network (IEEE 802.11).",
        "DECT_BASE": "A base station of cordless phones (DECT), which registers their lines.",
        "DECT_HANDSET": "A cordless phone (DECT), which needs a base station.",
        "ATA": "An analog telephone adapter, for telephones and fax machines.",
        "GATEWAY": "A gateway to analog lines or to ISDN.",
        "OTHER": "Any other equipment.",
    },
)

described(
    vocabulary.CallFlowKind,
    "How incoming calls are answered.",
    {
        "DIRECT": "The call rings extensions immediately.",
        "IVR": "A menu (interactive voice response) is played.",
    },
)

described(
    vocabulary.CallTarget,
    "The target of a branch of a call flow.",
    {
        "EXTENSION": "An extension of the location.",
        "VOICEMAIL": "A mailbox: that of the extension or, if no extension is named, that of the location.",
        "EXTERNAL_NUMBER": "An external number.",
        "HANG_UP": "The call ends.",
    },
    name="CallTargetKind",
)

described(
    vocabulary.ApprovalStatus,
    "The state of a request for approval.",
    {
        "PENDING": "Not decided yet.",
        "APPROVED": "A lead approved the content with this digest.",
        "CHANGES_REQUESTED": "A lead sent it back with a comment.",
        "WITHDRAWN": "It was withdrawn, or the location was blocked or cancelled, before a decision.",
        "VOIDED": "It was approved, and the location later left the locked statuses.",
    },
)

described(
    vocabulary.PayloadState,
    "The state of a provisioning payload.",
    {
        "GENERATED": "Generated. Only leads see it.",
        "RELEASED": "Provisioning was triggered. Its recipients see it.",
        "ACKNOWLEDGED": "All required recipients confirmed that it arrived intact, or a lead waived their receipts.",
        "REJECTED": "A recipient rejected it and gave reasons. The others can no longer answer it.",
        "SUPERSEDED": "Newer content, or a document in another version, replaced it. It can no longer be answered.",
        "WITHDRAWN": "The location left provisioning. It can no longer be answered. `statusChange` has the reason for "
        "partners.",
    },
)

described(
    vocabulary.PartnerPurpose,
    "What a partner does for a location.",
    {
        "CARRIER": "Connects the location to the telephone network.",
        "PBX": "Runs the phone system, such as a hosted PBX.",
        "INSTALLER": "Installs the phones on site.",
        "EMERGENCY_SERVICES": "Registers the location for emergency calls.",
        "OTHER": "Anything else, and partners that no lead chose.",
    },
)

described(
    vocabulary.ReceiptKind,
    "A partner's answer to a payload.",
    {
        "ACKNOWLEDGED": "The payload arrived intact and will be put into operation.",
        "REJECTED": "The payload cannot be used as it is.",
    },
)

described(
    waiting.Awaiting,
    "The role that has to act next on a location.",
    {
        "ME": "The viewer's own role.",
        "CUSTOMER": "A customer: the location is not submitted yet.",
        "LEAD": "An implementation lead: the location waits for approval or for release, or is blocked.",
        "PARTNER": "A partner: a released payload waits for its receipt.",
    },
)

described(
    lists.OrderDirection,
    "The direction of an order. Rows that are equal in the order's field are ordered by id, in the same direction.",
    {
        "ASC": "Ascending: names from A to Z, the least recent time first.",
        "DESC": "Descending: names from Z to A, the most recent time first.",
    },
)

described(
    lists.LocationOrderField,
    "What locations can be ordered by.",
    {
        "NAME": "By `name`, compared byte by byte.",
        "UPDATED_AT": "By `updatedAt`, the time of the last change.",
    },
)

described(
    lists.ProvisioningPayloadOrderField,
    "What provisioning payloads can be ordered by.",
    {
        "GENERATED_AT": "By `generatedAt`, the time of the generation.",
        "UPDATED_AT": "By `updatedAt`, the time of the last change.",
    },
)

described(
    lists.ApprovalOrderField,
    "What requests for approval can be ordered by.",
    {
        "REQUESTED_AT": "By `requestedAt`, the time of the submission.",
    },
)

described(
    lists.AuditLogOrderField,
    "What audit entries can be ordered by.",
    {
        "OCCURRED_AT": "By `occurredAt`, the time of the entry.",
    },
)

PROBLEMS = {
    "LOCKED": "The location is locked. Editing it requires an override.",
    "NOT_LOCKED": "The location is not locked, so there is nothing to override.",
    "OVERRIDE_SCOPE": "The open override of the user does not cover this section, or an override is already open.",
    "ILLEGAL_TRANSITION": "The status of the location does not allow the action.",
    "STALE_REVIEW": "The content has changed since it was reviewed.",
    "APPROVAL_OUTDATED": "The current content is not the approved content.",
    "SELF_APPROVAL": "Nobody can approve content that they submitted or edited themselves.",
    "USER_UNCONFIRMED": "A lead made the user, and no other lead confirmed the user.",
    "NO_BROWSER_SIGN_IN": "The server has no browser sign-in, so nobody could accept an invitation.",
    "CONFLICT": "The object has changed since it was read.",
    "NOT_READY": "The content is incomplete or invalid. All issues are listed.",
    "NOT_FOUND": "The object does not exist or is not visible to the user.",
    "INVALID_INPUT": "An input value is invalid.",
    "LIMIT_REACHED": "The maximum number of these objects is reached.",
    "MAC_IN_USE": "Another location holds this MAC address.",
    "PAYLOAD_SUPERSEDED": "The payload was replaced and can no longer be answered.",
    "PAYLOAD_WITHDRAWN": "The payload was withdrawn and can no longer be answered.",
    "PAYLOAD_REJECTED": "Another recipient rejected the payload, so it cannot be answered.",
    "PAYLOAD_NOT_LIVE": "The payload is not in operation, or no longer.",
    "ALREADY_ANSWERED": "The recipient has already answered the payload.",
    "DIGEST_MISMATCH": "The digest in the input is not the digest of the payload document.",
    "IDEMPOTENCY_KEY_REUSED": "The key was used before with another input.",
    "IDEMPOTENCY_IN_PROGRESS": "A call with this key is in progress.",
}

described(
    lists.ViewerCan,
    "An action by which lists are filtered: the viewer can take it now.",
    {
        "APPROVE": "Approve the location, as `viewerActions` says of APPROVE: it is submitted, its content is ready, "
        "the viewer is confirmed and, unless the server allows self-approval, neither submitted nor edited it. "
        "APPROVE_AGAIN of locked locations is not included.",
    },
)

described(
    vocabulary.ProblemCode,
    "Why a mutation was refused. Each code has its own type, which carries the facts.",
    PROBLEMS,
)

described(
    vocabulary.Gate,
    "A step that readiness issues can block.",
    {
        "SUBMIT": "Submitting for approval.",
        "APPROVE": "Approving.",
        "PROVISION": "Generating and releasing a payload.",
    },
)

described(
    vocabulary.Severity,
    "The severity of a readiness issue.",
    {
        "BLOCKER": "The steps that it names are refused until it is fixed.",
        "WARNING": "Should be checked. Nothing is refused.",
        "INFO": "For information.",
    },
)

described(
    vocabulary.IssueCode,
    "The kinds of readiness issue.",
    {
        "NAME_MISSING": "The location has no name.",
        "ADDRESS_INCOMPLETE": "A part of the address that provisioning needs is missing.",
        "COUNTRY_UNKNOWN": "The country is not an ISO 3166-1 code.",
        "TIMEZONE_MISSING": "The time zone is missing.",
        "TIMEZONE_UNKNOWN": "The time zone is not in the IANA database.",
        "PRIMARY_CONTACT_MISSING": "No contact is PRIMARY.",
        "CONTACT_NAME_MISSING": "A contact has no name.",
        "CONTACT_UNREACHABLE": "A contact has neither email nor phone.",
        "CONTACT_INCOMPLETE": "A contact lacks data that is usually given.",
        "EMAIL_MALFORMED": "An email address is malformed.",
        "PHONE_NOT_E164": "The number of a contact or person cannot be converted to E.164.",
        "PHONE_SYSTEM_MISSING": "The phone system is not filled in.",
        "MAIN_NUMBER_MISSING": "The main number is missing.",
        "DIALLED_NUMBER_NOT_E164": "A number that will be dialled cannot be converted to E.164.",
        "CALLER_ID_NAME_TOO_LONG": "The caller ID name is longer than the 15 characters that networks show.",
        "DEVICE_MISSING": "The location has no device.",
        "MODEL_MISSING": "A device has no model.",
        "MODEL_NOT_IN_CATALOGUE": "The model of a device is not in the device catalogue.",
        "MAC_MISSING": "A device has no MAC address.",
        "MAC_ALL_ZERO": "A MAC address is all zeros.",
        "MAC_MULTICAST": "A MAC address is a multicast address, which no device has.",
        "MAC_LOCALLY_ADMINISTERED": "A MAC address is locally administered and not assigned by the maker.",
        "MAC_TWICE": "Two devices of the location have the same MAC address.",
        "MAC_IN_USE": "Another location holds the MAC address.",
        "MAC_LIVE_TWICE": "Payloads in operation at two locations have the same MAC address.",
        "MAC_OF_ANOTHER_MAKER": "The MAC address is assigned to another maker than the brand.",
        "DEVICE_WITHOUT_EXTENSION": "No extension rings the device.",
        "PERSON_NAME_MISSING": "A person has no name.",
        "PERSON_WITHOUT_EXTENSION": "No extension rings the person.",
        "EXTENSION_MALFORMED": "An extension does not have 2 to 6 digits.",
        "EXTENSION_LEADING_ZERO": "An extension starts with zero.",
        "EXTENSION_TWICE": "Two extensions have the same number.",
        "EXTENSION_WRONG_LENGTH": "The length of an extension differs from the length in the phone system.",
        "EXTENSION_RESERVED": "An extension is a reserved service code.",
        "EXTENSION_SHADOWS_EMERGENCY": "An extension would capture calls to an emergency number.",
        "EXTENSION_SHADOWS_OUTBOUND_PREFIX": "An extension starts with the outbound prefix.",
        "EXTENSION_UNASSIGNED": "An extension rings neither a person nor a device.",
        "HOURS_MISSING": "The working hours are missing.",
        "HOURS_INVERTED": "An interval closes before it opens.",
        "HOURS_OVERLAP": "Two intervals overlap.",
        "CALL_FLOW_MISSING": "The call flow is not filled in.",
        "DIRECT_WITHOUT_TARGET": "A direct call flow rings nothing.",
        "IVR_WITHOUT_OPTION": "A menu has no options.",
        "IVR_GREETING_MISSING": "A menu has no greeting.",
        "IVR_DIGIT_TWICE": "Two options have the same key.",
        "IVR_OPTION_UNREACHABLE": "An option can never be selected, because a shorter key is matched first.",
        "IVR_TIMEOUT_TARGET_MISSING": "A call without a key has no target.",
        "IVR_INVALID_TARGET_MISSING": "A call with wrong keys has no target.",
        "TARGET_DANGLING": "The target of a branch does not exist.",
        "TARGET_WITHOUT_VOICEMAIL": "The target of a branch is a mailbox that is not enabled.",
        "REJECTED_BY_PARTNER": "A partner rejected the last payload for this reason.",
        "PARTNER_MISSING": "No partner would receive the payload.",
        "PARTNER_UNAVAILABLE": "A partner of the location is suspended or has no access to the account.",
        "PROVIDER_WITHOUT_PARTNER": "No partner of the location has the name of the provider.",
        "PAYLOAD_VERSION_NOT_ACCEPTED": "A partner accepts no version of the payload that the content allows.",
    },
)

described(
    refusals.RefusalCode,
    "Why the viewer cannot perform an action: FORBIDDEN, or the code of the problem that the mutation would return.",
    {"FORBIDDEN": "The role of the viewer, or the service token, does not include it.", **PROBLEMS},
)

described(
    audit_names.AuditAction,
    "An action in the audit log: a mutation, or an action of the system.",
    {
        **{audit_names.member_name(each): f"The mutation `{each}`." for each in MUTATIONS},
        "BASELINE": "The first entry of data that is older than the audit log.",
        "MIGRATE": "An upgrade of the database filled rows.",
        "MARK_DATABASE": "The database was marked as a demo or as production.",
        "SEED_DEMO": "Demo data was loaded.",
        "LOAD_UNAUDITED": "Data was loaded without a record of its values.",
        "USER_ADDED": "An operator added a user on the command line.",
        "USER_SUSPENDED": "An operator suspended a user on the command line.",
        "USER_REINSTATED": "An operator reinstated a user on the command line.",
        "USER_CONFIRMED": "An operator confirmed a user on the command line.",
        "USER_INVITED": "An operator invited a person on the command line.",
        "INVITATION_REVOKED": "An operator revoked an invitation on the command line.",
        "INVITATION_ACCEPTED": "A person who was invited signed in, and became a user.",
        "CATALOGUE_LOADED": "An operator loaded the device catalogue on the command line.",
        "ROLE_DENIED": "The role of the actor, or the service token, did not include a field: one entry per user, "
        "field and minute, with the number of denials.",
        "SECURITY_EVENT": "A security event: one entry per user, kind of event and minute, with the number of events.",
        "TOKENS_FORGOTTEN": "Service tokens that had ended a year before were deleted.",
        "ERASE": "Personal data was erased.",
    },
)

described(
    vocabulary.AuditOutcome,
    "Whether a write was applied.",
    {"APPLIED": "The write was applied.", "REFUSED": "The attempt was refused, and nothing was changed."},
)

described(
    audit_names.AuditCode,
    "Why an attempt was refused: FORBIDDEN, the code of a problem, or the kind of a security event.",
    {
        "FORBIDDEN": "The role of the actor, or the service token, does not include the field `deniedField`.",
        **PROBLEMS,
        "FORGED_IDENTITY_HEADERS": "A request said in its headers who the user is.",
        "SUSPENDED_USER": "A request had a valid token of a suspended user.",
    },
)

described(
    vocabulary.AuditChain,
    "What a chain of the audit log is about.",
    {"ACCOUNT": "An account, and everything that belongs to it.", "SYSTEM": "Everything that belongs to no account."},
)

described(
    audit_names.AuditedTable,
    "A table whose changes the audit log records.",
    {
        **{audit_names.member_name(each.value): f"The table `{each.value}`." for each in audit_names.AuditedTable},
        "AUDIT_ENTRY": "The audit log, of which ERASE erased a reason. `rowId` is the number of the entry in its "
        "chain.",
        "FIELD_CHANGE": "The audit log, of which ERASE erased a value. `rowId` is the number of the entry in its chain "
        "and the place of the change in the entry, and `field` is `before` or `after`.",
        "USER_SESSION": "A session that was revoked. `rowId` consists of the ids of the user and of the session. "
        "Sign-ins and other ends of sessions are not recorded.",
        "INCIDENT": "The number of denials or security events in a minute.",
    },
)

described(
    vocabulary.ValueState,
    "The state of a value in the audit log.",
    {
        "ABSENT": "There was no value: the row did not exist, or no reason was given.",
        "PRESENT": "The value is included. It can be null.",
        "REDACTED": "The value is not shown: a secret, which is never stored in the audit log, or a value that the "
        "viewer may not read. Only the fact that it changed is shown.",
        "ERASED": "The value was erased from history. Its hash remains.",
    },
)

LOCATION_ACTIONS = {
    "EDIT": "Change any of its content, such as its name with `updateLocation`.",
    "OPEN_OVERRIDE": "Open the locked location for editing.",
    "START_ONBOARDING": "Start filling it in. The first edit does this automatically.",
    "SUBMIT_ONBOARDING": "Submit it to a lead for approval.",
    "WITHDRAW_SUBMISSION": "Withdraw a submission.",
    "REQUEST_CHANGES": "Send a submission back with a comment.",
    "APPROVE": "Approve exactly the content that was reviewed.",
    "APPROVE_AGAIN": "Approve content that changed under an override, with `approve`.",
    "GENERATE_PAYLOAD": "Generate the provisioning payload of the approved content.",
    "TRIGGER_PROVISIONING": "Release the latest payload to the partners.",
    "ACKNOWLEDGE_PAYLOAD": "Confirm that a payload arrived intact.",
    "COMPLETE_PROVISIONING": "Complete it by hand, without the missing receipts.",
    "WAIVE_RECEIPT": "Stop waiting for a recipient's receipt.",
    "REJECT_PAYLOAD": "Reject a payload, with reasons.",
    "BLOCK": "Record that an external obstacle stops the rollout.",
    "UNBLOCK": "Continue after a block.",
    "CANCEL": "Cancel the rollout.",
    "REOPEN": "Reopen it.",
    "REPLACE_DEVICE": "Replace a device of the locked location.",
    "SET_LOCATION_PARTNERS": "Choose its partners.",
    "CONFIRM_DECOMMISSION": "Confirm that the phones of a live payload are out of operation.",
}

described(
    vocabulary.LocationAction,
    "An action on a location. It is named after its mutation, where it has one of its own.",
    LOCATION_ACTIONS,
)

for _name, _description in LOCATION_ACTIONS.items():
    if not any(_name == audit_names.member_name(each) or f"`{each}`" in _description for each in MUTATIONS):
        raise ValueError(f"LocationAction.{_name} is the name of no mutation, and its description names none")

described(
    vocabulary.BulkPolicy,
    "The effect of a refused item of a bulk mutation on the other items.",
    {
        "PER_ITEM": "None. Each item is applied or refused independently.",
        "ALL_OR_NOTHING": "No item is applied.",
    },
)

described(
    vocabulary.BulkOutcome,
    "The result of one item of a bulk mutation.",
    {
        "APPLIED": "The item was applied.",
        "UNCHANGED": "The item needed no change, or was not applied because another item was refused.",
        "REFUSED": "The item was refused.",
    },
)

described(
    vocabulary.Budget,
    "A budget per user per clock minute. Every call counts, including refused and repeated calls.",
    {
        "OBJECTS": "Objects returned. An operation reserves its price, then is charged for what it returned.",
        "EDITS": "Mutations of content, and all other mutations without a budget of their own.",
        "SUBMITS": "Submissions and withdrawals of submissions.",
        "APPROVALS": "Approvals and requests for changes.",
        "PAYLOADS": "Payloads generated, released, answered, or completed by hand.",
        "BULK_CALLS": "Calls of bulk mutations, without dry runs.",
        "BULK_ITEMS": "Items of bulk mutations, without dry runs.",
        "DRY_RUNS": "Dry runs. The dry run of a bulk mutation counts once per item.",
    },
)
