"""The severity, the texts and the blocked gates of each issue code, as data."""

from dataclasses import dataclass
from types import MappingProxyType

from app.domain.issue import Issue
from app.domain.vocabulary import Gate, IssueCode, Severity

_EVERYTHING = frozenset(Gate)
_HAND_OFF = frozenset({Gate.APPROVE, Gate.PROVISION})
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
        IssueCode.ADDRESS_INCOMPLETE: _blocker("The address lacks its {part}.", "Complete the address."),
        IssueCode.COUNTRY_UNKNOWN: _blocker(
            "{country} is not a country code.", "Give the country as two letters, such as US (ISO 3166-1 alpha-2)."
        ),
        IssueCode.TIMEZONE_MISSING: _blocker(
            "The location has no time zone.", "Choose the time zone in which the working hours are meant."
        ),
        IssueCode.TIMEZONE_UNKNOWN: _blocker(
            "{timezone} is not a time zone.", "Choose a name of the IANA time zone database, such as America/New_York."
        ),
        IssueCode.PRIMARY_CONTACT_MISSING: _blocker("There is no primary contact.", "Add a contact as PRIMARY."),
        IssueCode.CONTACT_NAME_MISSING: _blocker("The contact has no name.", "Name the contact."),
        IssueCode.CONTACT_UNREACHABLE: _blocker(
            "The contact has neither e-mail address nor phone number.", "Give at least one of them."
        ),
        IssueCode.CONTACT_INCOMPLETE: _info(
            "The contact has no {missing}.", "Give it, so that the contact can be reached either way."
        ),
        IssueCode.EMAIL_MALFORMED: _blocker("{email} is not an e-mail address.", "Correct the e-mail address."),
        IssueCode.PHONE_NOT_E164: _warning(
            "{phone} is not a complete phone number.", "Write it with country and area code, such as +1 212 555 0101."
        ),
        IssueCode.PHONE_SYSTEM_MISSING: _blocker("The phone system is not described.", "Fill in the phone system."),
        IssueCode.MAIN_NUMBER_MISSING: _blocker(
            "The phone system has no main number.", "Give the number under which the location is called."
        ),
        IssueCode.DIALLED_NUMBER_NOT_E164: _blocker(
            "{phone} is no number that can be dialled.",
            "Write it with country and area code, such as +1 212 555 0101.",
        ),
        IssueCode.CALLER_ID_NAME_TOO_LONG: _blocker(
            "The caller-id name has {length} characters; networks carry {longest}.", "Shorten the caller-id name."
        ),
        IssueCode.DEVICE_MISSING: _blocker("There is no device.", "Add the phones that the location gets."),
        IssueCode.MODEL_MISSING: _blocker("The device has no model.", "Choose the device's model."),
        IssueCode.MODEL_NOT_IN_CATALOGUE: _warning(
            "{brand} {model} is not in the device catalogue.", "Check the model, or have it added to the catalogue."
        ),
        IssueCode.MAC_MISSING: _blocker(
            "The device has no hardware address.", "Copy the MAC address from the label under the device.", _HAND_OFF
        ),
        IssueCode.MAC_ALL_ZERO: _blocker(
            "The hardware address is all zero.", "Copy the MAC address from the label under the device."
        ),
        IssueCode.MAC_MULTICAST: _blocker(
            "{mac} is a group address, which no single device has.",
            "Copy the MAC address from the label under the device.",
        ),
        IssueCode.MAC_LOCALLY_ADMINISTERED: _blocker(
            "{mac} is a made-up address; makers do not assign it.",
            "Copy the MAC address from the label under the device.",
        ),
        IssueCode.MAC_TWICE: _blocker(
            "{mac} is the address of {count} devices of this location.", "Correct all but one of them."
        ),
        IssueCode.MAC_IN_USE: _blocker(
            "{mac} is in use at {owner}.", "Correct the address, or have the device released there."
        ),
        IssueCode.MAC_OF_ANOTHER_MAKER: _warning(
            "{mac} belongs to {maker}, not to {brand}.", "Check the device's brand and its MAC address."
        ),
        IssueCode.DEVICE_WITHOUT_EXTENSION: _warning(
            "The device rings for no extension.", "Give an extension this device, or remove the device."
        ),
        IssueCode.PERSON_NAME_MISSING: _warning("The person has no name.", "Give a first or a last name."),
        IssueCode.PERSON_WITHOUT_EXTENSION: _warning(
            "The person has no extension and will not be handed over.", "Assign an extension, or remove the person."
        ),
        IssueCode.EXTENSION_MALFORMED: _blocker("{number} is not an extension.", "Use {shortest} to {longest} digits."),
        IssueCode.EXTENSION_LEADING_ZERO: _blocker(
            "Extension {number} begins with zero.", "Use a number that begins with 1 to 9."
        ),
        IssueCode.EXTENSION_TWICE: _blocker(
            "Extension {number} is there {count} times.", "Give each extension a number of its own."
        ),
        IssueCode.EXTENSION_WRONG_LENGTH: _blocker(
            "Extension {number} does not have {length} digits.",
            "Use numbers of the length that the phone system is set to.",
        ),
        IssueCode.EXTENSION_RESERVED: _blocker(
            "{number} is reserved for a public service.", "Choose another number for the extension."
        ),
        IssueCode.EXTENSION_SHADOWS_EMERGENCY: _blocker(
            "Extension {number} stands in the way of emergency calls.", "Choose another number for the extension."
        ),
        IssueCode.EXTENSION_SHADOWS_OUTBOUND_PREFIX: _warning(
            "Extension {number} begins with the outbound prefix {prefix}.",
            "Choose a number that cannot be taken for an outbound call.",
        ),
        IssueCode.EXTENSION_UNASSIGNED: _warning(
            "Extension {number} is assigned to nobody.", "Assign a person or a device to the extension."
        ),
        IssueCode.HOURS_MISSING: _blocker("There are no working hours.", "Say when the location is open."),
        IssueCode.HOURS_INVERTED: _blocker(
            "{opens} to {closes} is not an interval of one day at most.",
            "Correct the times, and say so when the interval passes midnight.",
        ),
        IssueCode.HOURS_OVERLAP: _blocker(
            "{opens} to {closes} overlaps another interval.", "Join the intervals or move their limits."
        ),
        IssueCode.CALL_FLOW_MISSING: _blocker("The call flow is not described.", "Say how a call is answered."),
        IssueCode.DIRECT_WITHOUT_TARGET: _blocker(
            "Calls go directly to nobody.", "Name at least one extension that is to ring."
        ),
        IssueCode.IVR_WITHOUT_OPTION: _blocker("The menu offers nothing.", "Add at least one option."),
        IssueCode.IVR_GREETING_MISSING: _warning(
            "The menu has no greeting, so callers hear no options.", "Write what callers are to hear."
        ),
        IssueCode.IVR_DIGIT_TWICE: _blocker("Key {digit} has {count} options.", "Leave one option to each key."),
        IssueCode.IVR_OPTION_UNREACHABLE: _blocker(
            "Option {digit} cannot be reached: pressing {prefix} already takes the caller elsewhere.",
            "Choose keys none of which begins with another.",
        ),
        IssueCode.IVR_TIMEOUT_TARGET_MISSING: _blocker(
            "The menu leads nowhere when the caller presses nothing.", "Choose where such calls go."
        ),
        IssueCode.IVR_INVALID_TARGET_MISSING: _warning(
            "The menu leads nowhere after wrong keys.", "Choose where such calls go."
        ),
        IssueCode.TARGET_DANGLING: _blocker(
            "The call is led to {target}, which is not there.", "Choose a target that exists."
        ),
        IssueCode.TARGET_WITHOUT_VOICEMAIL: _blocker(
            "The call is led to a mailbox that is switched off.", "Switch voicemail on, or choose another target."
        ),
        IssueCode.REJECTED_BY_PARTNER: _warning(
            "A partner rejected this: {message} ({code})", "Change it, or agree with the partner that it may stay."
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
