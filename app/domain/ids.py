"""Identifiers: opaque text whose prefix names the kind of object it belongs to.

New ids are `<prefix>_<26 characters>`; the characters are a ULID (48 bits of milliseconds, 80 random bits,
Crockford's base 32), so that ids sort by the time they were made. Ids that came from elsewhere, such as
`location-1`, are accepted as they are as long as they keep to the same alphabet.
"""

import re

LONGEST = 64
_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)
_PREFIX = re.compile(r"[A-Za-z0-9]+(?=[_-])", re.ASCII)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# An object's GraphQL type by the prefix of its id; the first prefix of a type is the one new ids get.
TYPE_OF_PREFIX = {
    "account": "Account",
    "user": "User",
    "grant": "Grant",
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
    "entry": "AuditEntry",
    "model": "DeviceModel",
}
PREFIX_OF_TYPE = {name: prefix for prefix, name in reversed(TYPE_OF_PREFIX.items())}


def is_well_formed(identifier: str) -> bool:
    """Whether the text can be an id at all: 1 to 64 characters of `[A-Za-z0-9_-]`."""
    return _WELL_FORMED.match(identifier) is not None


def type_of(identifier: str) -> str | None:
    """The GraphQL type that an id's prefix (up to the first `_` or `-`) names, or None for no known prefix."""
    prefix = _PREFIX.match(identifier)
    return TYPE_OF_PREFIX.get(prefix[0]) if prefix else None


def new_id(type_name: str, *, milliseconds: int, randomness: bytes) -> str:
    """A new id for an object of a GraphQL type.

    `milliseconds` is the time since the Unix epoch, `randomness` 10 bytes from a cryptographic source.
    Raises KeyError for a type without ids.
    """
    number = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(randomness[:10], "big")
    digits = "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
    return f"{PREFIX_OF_TYPE[type_name]}_{digits}"
