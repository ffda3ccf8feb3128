"""The structure of provisioning payloads, version 1.0.0.

The JSON Schema that the server publishes is generated from these classes, docstrings included. This version is
published and never changes, and neither do the docstrings. In the schema, the names of the parts are the class names
without the prefix `Payload`.
"""

from typing import Annotated, Literal

import msgspec

from app.domain.vocabulary import CallFlowKind, CallTarget, DeviceBrand

Text = Annotated[str, msgspec.Meta(min_length=1)]
Identifier = Annotated[
    str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$", description="Opaque identifier, compared exactly.")
]
Moment = Annotated[
    str,
    msgspec.Meta(
        pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
        description="A moment in UTC, to the second (RFC 3339).",
        extra_json_schema={"format": "date-time"},
    ),
]
E164 = Annotated[
    str, msgspec.Meta(pattern=r"^\+[1-9][0-9]{1,14}$", description="A number in international form (E.164).")
]
ExtensionNumber = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{1,5}$", description="An internal number.")]
Hex256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", description="SHA-256 in lower-case hex.")]
MacAddress = Annotated[
    str, msgspec.Meta(pattern="^([0-9A-F]{2}:){5}[0-9A-F]{2}$", description="A hardware address with colons.")
]
TimeOfDay = Annotated[
    str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="Local time in 24 hours, to the minute.")
]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class PayloadPart(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Every key is written, with null where there is nothing to say, and no other key."""


class PayloadAddress(PayloadPart):
    """Where the location stands."""

    line1: Text
    line2: str | None
    city: Text
    state: str | None
    zipcode: str | None
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")]


class PayloadLocation(PayloadPart):
    """The place itself."""

    name: Text
    address: PayloadAddress
    timezone: Annotated[str, msgspec.Meta(min_length=1, description="IANA name; working hours are local to it.")]


class PayloadContact(PayloadPart):
    """Whom to ask; `phone` is as it was written."""

    name: Text
    email: str | None
    phone: str | None


class PayloadOtherContact(PayloadContact):
    """A further contact and what it is for."""

    purpose: Text


class PayloadContacts(PayloadPart):
    """The first contact of each purpose, then all the rest."""

    primary: PayloadContact
    technical: PayloadContact | None
    emergency: PayloadContact | None
    others: list[PayloadOtherContact]


class PayloadPhoneSystem(PayloadPart):
    """How the location as a whole is reached and dials out."""

    main_number: E164
    caller_id_name: Annotated[str, msgspec.Meta(max_length=15)] | None
    provider: str | None
    outbound_prefix: str | None
    voicemail: bool
    extension_length: Annotated[int, msgspec.Meta(ge=2, le=6)] | None


class PayloadDevice(PayloadPart):
    """A desk phone; `extension` is the number it rings for, if any."""

    id: Identifier
    brand: DeviceBrand
    model: Text
    mac_address: MacAddress
    serial_number: str | None
    label: str | None
    extension: ExtensionNumber | None


class PayloadUser(PayloadPart):
    """A person who holds an extension here; `devices` are the ids of the phones of those extensions."""

    id: Identifier
    first_name: str | None
    last_name: str | None
    email: str | None
    mobile: str | None
    voicemail: bool
    extensions: list[ExtensionNumber]
    devices: list[Identifier]


class PayloadExtension(PayloadPart):
    """An internal number and whom or what it rings."""

    id: Identifier
    number: ExtensionNumber
    label: str | None
    user_id: Identifier | None
    device_id: Identifier | None


class PayloadWorkingHours(PayloadPart):
    """An interval of opening; ISO 8601 weekdays, Monday is 1. With `passesMidnight` it closes on the following day."""

    weekday: Annotated[int, msgspec.Meta(ge=1, le=7)]
    opens: TimeOfDay
    closes: TimeOfDay
    passes_midnight: bool


class PayloadTarget(PayloadPart):
    """Where a call is led; a mailbox without extension is the location's own."""

    kind: CallTarget
    extension: ExtensionNumber | None
    external_number: E164 | None


class PayloadOption(PayloadPart):
    """What a caller reaches by pressing `digit`."""

    digit: Annotated[str, msgspec.Meta(pattern="^[0-9*#]{1,2}$")]
    target: PayloadTarget


class PayloadCallFlow(PayloadPart):
    """How a call is answered: DIRECT rings `extensions` in their order, IVR offers `options`."""

    kind: CallFlowKind
    greeting: str | None
    timeout_seconds: Positive | None
    retries: Annotated[int, msgspec.Meta(ge=0)] | None
    extensions: list[ExtensionNumber]
    options: list[PayloadOption]
    timeout_target: PayloadTarget | None
    invalid_target: PayloadTarget | None


class PayloadMetadata(PayloadPart):
    """What the document is; `supersedes` is the id of the payload that it replaces."""

    sequence: Positive
    content_digest: Hex256
    generated_by: Identifier
    location_revision: Positive
    supersedes: Identifier | None


class Payload(PayloadPart):
    """Everything a partner needs to set up one location."""

    location_id: Identifier
    location_name: Text
    account_id: Identifier
    account_name: Text
    timestamp: Moment
    version: Literal["1.0.0"]
    location: PayloadLocation
    contacts: PayloadContacts
    phone_system: PayloadPhoneSystem
    devices: Annotated[list[PayloadDevice], msgspec.Meta(min_length=1)]
    users: list[PayloadUser]
    extensions: list[PayloadExtension]
    working_hours: list[PayloadWorkingHours]
    call_flow: PayloadCallFlow
    metadata: PayloadMetadata
