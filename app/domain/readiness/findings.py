"""The severity, the texts and the blocked gates of each issue code, as data."""

from dataclasses import dataclass
from types import MappingProxyType

from app.domain.issue import Issue
from app.domain.vocabulary import Gate, IssueCode, Severity

_EVERYTHING = frozenset(Gate)
_HAND_OFF = frozenset({Gate.APPROVE, Gate.PROVISION})
_PROVISION = frozenset({Gate.PROVISION})
_NOTHING: frozenset[Gate] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """The message and the remedy of an issue code, with facts in braces, and the gates that it blocks."""

    severity: Severity
    blocks: frozenset[Gate]
    message: str
    fix: str


def _blocker(message: str, fix: str, blocks: frozenset[Gate] = _EVERYTHING) -> Finding:
    return Finding(Severity.BLOCKER, blocks, message, fix)


def _warning(message: str, fix: str) -> Finding:
    return Finding(Severity.WARNING, _NOTHING, message, fix)


def _info(message: str, fix: str) -> Finding:
    return Finding(Severity.INFO, _NOTHING, message, fix)


FINDINGS = MappingProxyType(
    {
        IssueCode.NAME_MISSING: _blocker("The location has no name.", "Name the location."),
        IssueCode.ADDRESS_INCOMPLETE: _blocker("The address has no {part}.", "Complete the address."),
        IssueCode.COUNTRY_UNKNOWN: _blocker(
            "{country} is not a country code.", "Use a two-letter code, such as US (ISO 3166-1 alpha-2)."
        ),
        IssueCode.TIMEZONE_MISSING: _blocker(
            "The location has no time zone.", "Choose the time zone of the working hours."
        ),
        IssueCode.TIMEZONE_UNKNOWN: _blocker(
            "{timezone} is not a time zone.", "Choose a name from the IANA database, such as America/New_York."
        ),
        IssueCode.PRIMARY_CONTACT_MISSING: _blocker("There is no primary contact.", "Add a contact as PRIMARY."),
        IssueCode.CONTACT_NAME_MISSING: _blocker("The contact has no name.", "Name the contact."),
        IssueCode.CONTACT_UNREACHABLE: _blocker(
            "The contact has neither e-mail address nor phone number.", "Enter at least one of them."
        ),
        IssueCode.CONTACT_INCOMPLETE: _info(
            "The contact has no {missing}.", "Add it, so that the contact can be reached both ways."
        ),
        IssueCode.EMAIL_MALFORMED: _blocker("{email} is not an e-mail address.", "Correct the e-mail address."),
        IssueCode.PHONE_NOT_E164: _warning(
            "{phone} is not a complete phone number.", "Write it with country and area code, such as +1 212 555 0101."
        ),
        IssueCode.PHONE_SYSTEM_MISSING: _blocker("The phone system is missing.", "Fill in the phone system."),
        IssueCode.MAIN_NUMBER_MISSING: _blocker(
            "The phone system has no main number.", "Enter the location's main number."
        ),
        IssueCode.DIALLED_NUMBER_NOT_E164: _blocker(
            "{phone} is not a number that can be dialled.",
            "Write it with country and area code, such as +1 212 555 0101.",
        ),
        IssueCode.CALLER_ID_NAME_TOO_LONG: _blocker(
            "The caller-id name has {length} characters; networks carry {longest}.", "Shorten the caller-id name."
        ),
        IssueCode.DEVICE_MISSING: _blocker("The location has no devices.", "Add the location's phones."),
        IssueCode.MODEL_MISSING: _blocker("The device has no model.", "Choose the device's model."),
        IssueCode.MODEL_NOT_IN_CATALOGUE: _warning(
            "{brand} {model} is not in the device catalogue.", "Check the model, or have it added to the catalogue."
        ),
        IssueCode.MAC_MISSING: _blocker(
            "The device has no MAC address.", "Copy the MAC address from the label under the device.", _HAND_OFF
        ),
        IssueCode.MAC_ALL_ZERO: _blocker(
            "The MAC address is all zeros.", "Copy the MAC address from the label under the device."
        ),
        IssueCode.MAC_MULTICAST: _blocker(
            "{mac} is a multicast address, which no device has.",
            "Copy the MAC address from the label under the device.",
        ),
        IssueCode.MAC_LOCALLY_ADMINISTERED: _blocker(
            "{mac} is locally administered: manufacturers do not assign such addresses.",
            "Copy the MAC address from the label under the device.",
        ),
        IssueCode.MAC_TWICE: _blocker(
            "{mac} is the address of {count} devices of this location.", "Correct all but one of them."
        ),
        IssueCode.MAC_IN_USE: _blocker(
            "{mac} is in use at {owner}.",
            "Correct the address, or remove the device there and hand that location off again.",
        ),
        IssueCode.MAC_LIVE_TWICE: _warning(
            "{mac} is in operation here and at {other}.",
            "Find out where the device is, and confirm the decommissioning of the other location's payload.",
        ),
        IssueCode.MAC_OF_ANOTHER_MAKER: _warning(
            "{mac} belongs to {maker}, not to {brand}.", "Check the device's brand and its MAC address."
        ),
        IssueCode.DEVICE_WITHOUT_EXTENSION: _warning(
            "No extension rings this device.", "Assign the device to an extension, or remove the device."
        ),
        IssueCode.PERSON_NAME_MISSING: _warning("The person has no name.", "Give a first or a last name."),
        IssueCode.PERSON_WITHOUT_EXTENSION: _warning(
            "The person has no extension and will not be in the payload.", "Assign an extension, or remove the person."
        ),
        IssueCode.EXTENSION_MALFORMED: _blocker("{number} is not an extension.", "Use {shortest} to {longest} digits."),
        IssueCode.EXTENSION_LEADING_ZERO: _blocker(
            "Extension {number} begins with zero.", "Use a number that begins with 1 to 9."
        ),
        IssueCode.EXTENSION_TWICE: _blocker(
            "Extension {number} appears {count} times.", "Give each extension a different number."
        ),
        IssueCode.EXTENSION_WRONG_LENGTH: _blocker(
            "Extension {number} does not have {length} digits.",
            "Use the extension length of the phone system.",
        ),
        IssueCode.EXTENSION_RESERVED: _blocker(
            "{number} is reserved for a public service.", "Choose another number for the extension."
        ),
        IssueCode.EXTENSION_SHADOWS_EMERGENCY: _blocker(
            "Extension {number} conflicts with emergency calls.", "Choose another number for the extension."
        ),
        IssueCode.EXTENSION_SHADOWS_OUTBOUND_PREFIX: _warning(
            "Extension {number} begins with the outbound prefix {prefix}.",
            "Choose a number that cannot be mistaken for an outbound call.",
        ),
        IssueCode.EXTENSION_UNASSIGNED: _warning(
            "Extension {number} is assigned to nobody.", "Assign a person or a device to the extension."
        ),
        IssueCode.HOURS_MISSING: _blocker("There are no working hours.", "Add the opening hours."),
        IssueCode.HOURS_INVERTED: _blocker(
            "{opens} to {closes} does not end after it starts within one day.",
            "Correct the times, or set `passesMidnight`.",
        ),
        IssueCode.HOURS_OVERLAP: _blocker(
            "{opens} to {closes} overlaps another interval.", "Merge the intervals or change their times."
        ),
        IssueCode.CALL_FLOW_MISSING: _blocker("The call flow is missing.", "Describe how calls are answered."),
        IssueCode.DIRECT_WITHOUT_TARGET: _blocker(
            "The direct call flow has no target.", "Add at least one extension to ring."
        ),
        IssueCode.IVR_WITHOUT_OPTION: _blocker("The menu has no options.", "Add at least one option."),
        IssueCode.IVR_GREETING_MISSING: _warning(
            "The menu has no greeting, so callers hear no options.", "Write the greeting that callers hear."
        ),
        IssueCode.IVR_DIGIT_TWICE: _blocker("Key {digit} has {count} options.", "Keep one option per key."),
        IssueCode.IVR_OPTION_UNREACHABLE: _blocker(
            "Option {digit} cannot be reached: pressing {prefix} already takes the caller elsewhere.",
            "Choose keys so that none is a prefix of another.",
        ),
        IssueCode.IVR_TIMEOUT_TARGET_MISSING: _blocker(
            "The menu has no target for callers who press nothing.", "Choose a target for these calls."
        ),
        IssueCode.IVR_INVALID_TARGET_MISSING: _warning(
            "The menu has no target after invalid keys.", "Choose a target for these calls."
        ),
        IssueCode.TARGET_DANGLING: _blocker(
            "The call is routed to {target}, which does not exist.", "Choose a target that exists."
        ),
        IssueCode.TARGET_WITHOUT_VOICEMAIL: _blocker(
            "The call is routed to a mailbox that is switched off.", "Switch voicemail on, or choose another target."
        ),
        IssueCode.REJECTED_BY_PARTNER: _warning(
            "A partner rejected this: {message} ({code})", "Change it, or agree with the partner to keep it."
        ),
        IssueCode.PARTNER_MISSING: _warning(
            "No partner would receive the payload.",
            "Grant a partner access to the account, or complete the location by hand.",
        ),
        IssueCode.PARTNER_UNAVAILABLE: _blocker(
            "{partners} cannot answer payloads: suspended, or without access to the account.",
            "Reinstate the partner, grant it access, or choose other partners for the location.",
            _PROVISION,
        ),
        IssueCode.PROVIDER_WITHOUT_PARTNER: _info(
            "No partner of the location has the name of the provider, {provider}.",
            "Check the provider and the partners of the location.",
        ),
        IssueCode.PAYLOAD_VERSION_NOT_ACCEPTED: _blocker(
            "{partner} accepts only version {accepted} of the payload. {why}.",
            "Have the partner accept another version, {remedy}.",
            _PROVISION,
        ),
    }
)


def issue(code: IssueCode, path: str, /, **facts: object) -> Issue:
    """Return the issue of this code at a path, with the facts filled into its texts."""
    finding = FINDINGS[code]
    return Issue(
        code=code,
        severity=finding.severity,
        path=path,
        message=finding.message.format_map(facts),
        fix=finding.fix.format_map(facts),
        blocks=finding.blocks,
    )
