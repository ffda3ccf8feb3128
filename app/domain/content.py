"""The content of a location: frozen values with everything that a provisioning payload contains.

Fields have the names of their columns. Rows have the ids that clients and partners use. A field that a draft can omit
is `None` when it is missing. Readiness decides whether it is required; these values do not.
"""

from dataclasses import dataclass
from datetime import time

from app.domain.content_field import content_field
from app.domain.vocabulary import CallFlowKind, CallTarget, ContactPurpose, DeviceBrand


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The address of a location. `country` is an ISO 3166-1 alpha-2 code, `zipcode` a postal code of any country."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    zipcode: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A contact person of the location. Contacts are ordered by `position`.

    `phone` is the number as entered, `e164` its E.164 form, if it has one.
    """

    id: str
    purpose: ContactPurpose
    position: int = 0
    name: str | None = content_field(default=None, api_name="fullName")
    email: str | None = None
    phone: str | None = None
    e164: str | None = content_field(default=None, api_name="phoneE164")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSystem:
    """The telephone settings of the whole location. `extension_length` is a number of digits."""

    main_number: str | None = None
    main_number_e164: str | None = None
    caller_id_name: str | None = None
    provider: str | None = None
    outbound_prefix: str | None = None
    voicemail: bool = False
    extension_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A desk phone. `mac_address` has twelve lower-case hex digits (IEEE 802 EUI-48)."""

    id: str
    brand: DeviceBrand
    model: str | None = None
    mac_address: str | None = None
    serial_number: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person who works at the location and can hold extensions."""

    id: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    mobile: str | None = None
    mobile_e164: str | None = None
    voicemail: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """An internal number with its person and device. A device belongs to at most one extension."""

    id: str
    number: str
    label: str | None = None
    person_id: str | None = None
    device_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingHours:
    """An opening interval in local time, in whole minutes. `weekday` is an ISO 8601 weekday: Monday is 1, Sunday is 7.

    With `passes_midnight` the interval ends on the next day, so that 00:00 to 00:00 is a whole day.
    """

    id: str
    weekday: int
    opens: time
    closes: time
    passes_midnight: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The destination of a call: an extension, a mailbox, an external number, or hang-up.

    A mailbox without an extension is that of the location.
    """

    kind: CallTarget
    extension_id: str | None = None
    external_number: str | None = None
    external_number_e164: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFlowOption:
    """A menu option: the target of `digit`, one or two keys of 0-9, * and #."""

    digit: str
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFlow:
    """The handling of incoming calls.

    DIRECT rings `direct_targets`, a list of extension ids, in this order. IVR plays `greeting` and offers `options`.
    After `timeout_seconds` without a key the call goes to `timeout_target`; after `retries` further wrong keys it goes
    to `invalid_target`.
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
    """The whole content of a location. `site_code` is the account's own code for the site.

    The order of rows has no meaning, except in `CallFlow.direct_targets`.
    """

    location_id: str = content_field(api_name="id")
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
