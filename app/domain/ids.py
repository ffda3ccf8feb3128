"""Identifiers: opaque strings whose prefix names the type of the object.

A new id is `<prefix>_<26 characters>`. The characters are a ULID (48 bits of milliseconds, 80 random bits, Crockford's
base 32), so that ids sort by creation time. Ids from other systems, such as `location-1`, are accepted unchanged when
they use the same alphabet.
"""

import re

LONGEST = 64
RULE = f"must have 1 to {LONGEST} characters from A-Z, a-z, 0-9, _ and -"
"""The rule of well-formed ids, for messages."""

_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)
_PREFIX = re.compile(r"[A-Za-z0-9]+(?=[_-])", re.ASCII)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# Maps an id prefix to a GraphQL type. New ids use the first prefix of their type.
TYPE_OF_PREFIX = {
    "account": "Account",
    "user": "User",
    "grant": "Grant",
    "invitation": "Invitation",
    "location": "Location",
    "session": "OnboardingSession",
    "contact": "Contact",
    "device": "Device",
    "phone": "Device",
    "person": "Person",
    "extension": "Extension",
    "hours": "WorkingHours",
    "option": "CallFlowOption",
    "approval": "Approval",
    "override": "Override",
    "payload": "ProvisioningPayload",
    "receipt": "Receipt",
    "recipient": "PayloadRecipient",
    "partner": "LocationPartner",
    "change": "StatusChange",
    "entry": "AuditEntry",
    "model": "DeviceModel",
    "usersession": "UserSession",
    "token": "ServiceToken",
}
PREFIX_OF_TYPE = {name: prefix for prefix, name in reversed(TYPE_OF_PREFIX.items())}


def is_well_formed(identifier: str) -> bool:
    """Return whether the text is a valid id: 1 to 64 characters of `[A-Za-z0-9_-]`."""
    return _WELL_FORMED.match(identifier) is not None


def type_of(identifier: str) -> str | None:
    """Return the GraphQL type of an id by its prefix (up to the first `_` or `-`), or None for an unknown prefix."""
    prefix = _PREFIX.match(identifier)
    return TYPE_OF_PREFIX.get(prefix[0]) if prefix else None


def new_id(type_name: str, *, milliseconds: int, randomness: bytes) -> str:
    """Return a new id for an object of a GraphQL type.

    `milliseconds` is the time since the Unix epoch, `randomness` is 10 bytes from a cryptographic source. Raises
    KeyError for a type without ids.
    """
    number = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(randomness[:10], "big")
    digits = "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
    return f"{PREFIX_OF_TYPE[type_name]}_{digits}"
