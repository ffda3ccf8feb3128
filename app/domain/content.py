"""The content of a location: everything a provisioning payload is made from, as frozen values.

Field names are those of the columns that hold them; rows carry the ids under which clients and partners know them.
A field that a draft may lack is `None`; whether the lack matters is a question of readiness, never of these values.
"""

from dataclasses import dataclass
from datetime import time

from app.domain.content_field import content_field
from app.domain.vocabulary import CallFlowKind, CallTarget, ContactPurpose, DeviceBrand


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a location stands; `country` is an ISO 3166-1 alpha-2 code, `zipcode` any country's postal code."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    zipcode: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A person to ask about the location, the first by `position` first of all.

    `phone` is as written, `e164` its E.164 form where it has one.
    """

    id: str
    purpose: ContactPurpose
    position: int = 0
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    e164: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSystem:
    """How the location as a whole is reached and dials out; `extension_length` counts digits."""

    main_number: str | None = None
    main_number_e164: str | None = None
    caller_id_name: str | None = None
    provider: str | None = None
    outbound_prefix: str | None = None
    voicemail: bool = False
    extension_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A desk phone; `mac_address` is twelve lower-case hex digits (IEEE 802 EUI-48)."""

    id: str
    brand: DeviceBrand
    model: str | None = None
    mac_address: str | None = None
    serial_number: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who works at the location and may hold extensions."""

    id: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    mobile: str | None = None
    mobile_e164: str | None = None
    voicemail: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """An internal number and whom or what it rings; a device belongs to one extension at most."""

    id: str
    number: str
    label: str | None = None
    person_id: str | None = None
    device_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingHours:
    """An interval of opening in local time, whole minutes; `weekday` is ISO 8601's, Monday 1 to Sunday 7.

    With `passes_midnight` it closes on the following day, so that 00:00 to 00:00 is a whole day.
    """

    weekday: int
    opens: time
    closes: time
    passes_midnight: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a call is led: an extension, a mailbox (an extension's, or the location's when none is named),
    an external number, or the end of the call."""

    kind: CallTarget
    extension_id: str | None = None
    external_number: str | None = None
    external_number_e164: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFlowOption:
    """What a caller reaches by pressing `digit`, one or two keys of 0-9, * and #."""

    digit: str
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFlow:
    """How an incoming call is answered.

    DIRECT rings `direct_targets`, extension ids in ringing order. IVR plays `greeting` and offers `options`;
    `timeout_seconds` without a key lead to `timeout_target`, wrong keys after `retries` more attempts to
    `invalid_target`.
    """

    kind: CallFlowKind
    greeting: str | None = None
    timeout_seconds: int | None = None
    retries: int | None = None
    timeout_target: Target | None = None
    invalid_target: Target | None = None
    options: tuple[CallFlowOption, ...] = ()
    direct_targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationContent:
    """One location's whole content; `site_code` is the account's own code for the site.

    The order in which rows arrive has no meaning, except for `CallFlow.direct_targets`.
    """

    location_id: str
    account_id: str
    name: str
    address: Address = Address()
    timezone: str | None = None
    site_code: str | None = content_field(default=None, since=2, unique_in_account=True)
    contacts: tuple[Contact, ...] = ()
    phone_system: PhoneSystem | None = None
    devices: tuple[Device, ...] = ()
    people: tuple[Person, ...] = ()
    extensions: tuple[Extension, ...] = ()
    working_hours: tuple[WorkingHours, ...] = ()
    call_flow: CallFlow | None = None
