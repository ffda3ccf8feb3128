"""What can be wrong with a location: for each finding, the changes that bring it about and where it shows."""

from dataclasses import dataclass, replace
from typing import Any

from app.domain.content import LocationContent
from app.domain.digest import content_digest
from app.domain.readiness import NOTHING_OUTSIDE, Outside
from app.domain.recipients import Partner
from app.domain.rejection import Rejection, RejectionReason
from app.domain.vocabulary import ContactPurpose, DeviceBrand, IssueCode

from .builders import (
    a_contact,
    a_device,
    a_direct_flow,
    a_location,
    a_menu,
    a_partner,
    a_person,
    a_phone_system,
    an_address,
    an_extension,
    an_interval,
    an_option,
    to_extension,
    to_mailbox,
    to_number,
)


@dataclass(frozen=True, kw_only=True)
class Defect:
    """A finding, the changes to a location in good order that bring it about, and its path."""

    code: IssueCode
    path: str
    changes: dict[str, Any]
    outside: Outside = NOTHING_OUTSIDE


def _device(code: IssueCode, field: str, outside: Outside = NOTHING_OUTSIDE, **changes: Any) -> Defect:
    path = f"/devices/phone-1/{field}"
    return Defect(code=code, path=path, changes={"devices": (a_device(**changes),)}, outside=outside)


def _number(code: IssueCode, number: str, **phone_system: Any) -> Defect:
    system = a_phone_system(**{"extension_length": None, "outbound_prefix": None} | phone_system)
    changes = {"extensions": (an_extension(number=number),), "phone_system": system}
    return Defect(code=code, path="/extensions/extension-1/number", changes=changes)


def _menu(code: IssueCode, place: str, **changes: Any) -> Defect:
    return Defect(code=code, path=f"/callFlow/{place}", changes={"call_flow": a_menu(**changes)})


def _hours(code: IssueCode, place: str, *intervals: Any) -> Defect:
    return Defect(code=code, path=f"/workingHours{place}", changes={"working_hours": intervals})


def _partners(*partners: Partner) -> Outside:
    return Outside(partners=partners)


def _address(part: str) -> Defect:
    return Defect(
        code=IssueCode.ADDRESS_INCOMPLETE,
        path=f"/location/address/{part}",
        changes={"address": an_address(**{part: None})},
    )


def _contact(code: IssueCode, place: str, **changes: Any) -> Defect:
    return Defect(code=code, path=f"/contacts/contact-1{place}", changes={"contacts": (a_contact(**changes),)})


def _person(code: IssueCode, place: str, **changes: Any) -> Defect:
    return Defect(code=code, path=f"/people/person-1{place}", changes={"people": (a_person(**changes),)})


def rejected(content: LocationContent) -> Outside:
    reason = RejectionReason(path="/devices/0/macAddress", code="UNKNOWN_DEVICE", message="No such device in stock.")
    return Outside(rejection=Rejection(content_digest=content_digest(content), reasons=(reason,)))


DEFECTS = {
    "no name": Defect(code=IssueCode.NAME_MISSING, path="/location/name", changes={"name": ""}),
    "no street": _address("line1"),
    "no city": _address("city"),
    "no state in a country of states": _address("state"),
    "no zipcode": _address("zipcode"),
    "no country": _address("country"),
    "no such country": Defect(
        code=IssueCode.COUNTRY_UNKNOWN, path="/location/address/country", changes={"address": an_address(country="XX")}
    ),
    "no time zone": Defect(code=IssueCode.TIMEZONE_MISSING, path="/location/timezone", changes={"timezone": None}),
    "no such time zone": Defect(
        code=IssueCode.TIMEZONE_UNKNOWN, path="/location/timezone", changes={"timezone": "Mars/Olympus"}
    ),
    "no contact": Defect(code=IssueCode.PRIMARY_CONTACT_MISSING, path="/contacts", changes={"contacts": ()}),
    "no primary contact": Defect(
        code=IssueCode.PRIMARY_CONTACT_MISSING,
        path="/contacts",
        changes={"contacts": (a_contact(purpose=ContactPurpose.TECHNICAL),)},
    ),
    "a contact without name": _contact(IssueCode.CONTACT_NAME_MISSING, "/name", name=None),
    "a contact out of reach": _contact(IssueCode.CONTACT_UNREACHABLE, "", email=None, phone=None, e164=None),
    "a contact without email": _contact(IssueCode.CONTACT_INCOMPLETE, "/email", email=None),
    "a contact without phone": _contact(IssueCode.CONTACT_INCOMPLETE, "/phone", phone=None, e164=None),
    "a contact's malformed email": _contact(IssueCode.EMAIL_MALFORMED, "/email", email="alice@"),
    "a contact's incomplete number": _contact(IssueCode.PHONE_NOT_E164, "/phone", phone="+1-555-0101", e164=None),
    "no phone system": Defect(code=IssueCode.PHONE_SYSTEM_MISSING, path="/phoneSystem", changes={"phone_system": None}),
    "no main number": Defect(
        code=IssueCode.MAIN_NUMBER_MISSING,
        path="/phoneSystem/mainNumber",
        changes={"phone_system": a_phone_system(main_number=None, main_number_e164=None)},
    ),
    "a main number that cannot be dialled": Defect(
        code=IssueCode.DIALLED_NUMBER_NOT_E164,
        path="/phoneSystem/mainNumber",
        changes={"phone_system": a_phone_system(main_number="555-0100", main_number_e164=None)},
    ),
    "a caller-id name of sixteen characters": Defect(
        code=IssueCode.CALLER_ID_NAME_TOO_LONG,
        path="/phoneSystem/callerIdName",
        changes={"phone_system": a_phone_system(caller_id_name="ACME MEDICAL GRP")},
    ),
    "no device": Defect(code=IssueCode.DEVICE_MISSING, path="/devices", changes={"devices": ()}),
    "no model": _device(IssueCode.MODEL_MISSING, "model", model=None),
    "a model out of the catalogue": _device(
        IssueCode.MODEL_NOT_IN_CATALOGUE, "model", Outside(models={(DeviceBrand.POLY, "T46S")})
    ),
    "no hardware address": _device(IssueCode.MAC_MISSING, "macAddress", mac_address=None),
    "an address of zeros": _device(IssueCode.MAC_ALL_ZERO, "macAddress", mac_address="0" * 12),
    "a group address": _device(IssueCode.MAC_MULTICAST, "macAddress", mac_address="01005e010101"),
    "a made-up address": _device(IssueCode.MAC_LOCALLY_ADMINISTERED, "macAddress", mac_address="025ec0010101"),
    "an address twice": Defect(
        code=IssueCode.MAC_TWICE,
        path="/devices/phone-2/macAddress",
        changes={"devices": (a_device(), a_device(id="phone-2"))},
    ),
    "an address in use elsewhere": _device(
        IssueCode.MAC_IN_USE, "macAddress", Outside(claimed_elsewhere={"805ec0010101": None})
    ),
    "an address of another maker": _device(IssueCode.MAC_OF_ANOTHER_MAKER, "macAddress", mac_address="00155d010101"),
    "a device without extension": Defect(
        code=IssueCode.DEVICE_WITHOUT_EXTENSION,
        path="/devices/phone-2/extension",
        changes={"devices": (a_device(), a_device(id="phone-2", mac_address="805ec0010102"))},
    ),
    "a nameless person": _person(IssueCode.PERSON_NAME_MISSING, "", first_name=None, last_name=None),
    "a person's malformed email": _person(IssueCode.EMAIL_MALFORMED, "/email", email="bob at example.com"),
    "a person's incomplete number": _person(IssueCode.PHONE_NOT_E164, "/mobile", mobile="555-0102", mobile_e164=None),
    "a person without extension": Defect(
        code=IssueCode.PERSON_WITHOUT_EXTENSION,
        path="/people/person-2",
        changes={"people": (a_person(), a_person(id="person-2"))},
    ),
    "an extension of letters": _number(IssueCode.EXTENSION_MALFORMED, "10A1"),
    "an extension of one digit": _number(IssueCode.EXTENSION_MALFORMED, "1"),
    "an extension of seven digits": _number(IssueCode.EXTENSION_MALFORMED, "1234567"),
    "an extension in other digits": _number(IssueCode.EXTENSION_MALFORMED, "١٠٠١"),
    "an extension with a leading zero": _number(IssueCode.EXTENSION_LEADING_ZERO, "0100"),
    "an extension twice": Defect(
        code=IssueCode.EXTENSION_TWICE,
        path="/extensions/extension-2/number",
        changes={"extensions": (an_extension(), an_extension(id="extension-2", device_id=None))},
    ),
    "an extension of the wrong length": _number(IssueCode.EXTENSION_WRONG_LENGTH, "100", extension_length=4),
    "an extension like the outbound prefix": _number(
        IssueCode.EXTENSION_SHADOWS_OUTBOUND_PREFIX, "8100", outbound_prefix="8"
    ),
    "an extension that rings nobody": Defect(
        code=IssueCode.EXTENSION_UNASSIGNED,
        path="/extensions/extension-1",
        changes={"extensions": (an_extension(person_id=None, device_id=None),)},
    ),
    **{
        f"extension {number}": _number(IssueCode.EXTENSION_SHADOWS_EMERGENCY, number)
        for number in ("911", "933", "9110", "91155", "9330", "933999", "91", "93")
    },
    **{
        f"extension {number}": _number(IssueCode.EXTENSION_RESERVED, number)
        for number in ("988", "211", "311", "411", "511", "611", "711", "811")
    },
    "an extension that is the country's emergency number": Defect(
        code=IssueCode.EXTENSION_SHADOWS_EMERGENCY,
        path="/extensions/extension-1/number",
        changes={
            "address": an_address(country="GB"),
            "extensions": (an_extension(number="999"),),
            "phone_system": a_phone_system(extension_length=None),
        },
    ),
    "no working hours": _hours(IssueCode.HOURS_MISSING, ""),
    "hours that end before they begin": _hours(IssueCode.HOURS_INVERTED, "/1/0", an_interval(1, "17:00", "09:00")),
    "hours of no length": _hours(IssueCode.HOURS_INVERTED, "/1/0", an_interval(1, "09:00", "09:00")),
    "hours of more than a day": _hours(
        IssueCode.HOURS_INVERTED, "/1/0", an_interval(1, "09:00", "09:01", passes_midnight=True)
    ),
    "overlapping hours": _hours(
        IssueCode.HOURS_OVERLAP, "/1/1", an_interval(1, "12:59", "17:00"), an_interval(1, "09:00", "13:00")
    ),
    "the same hours twice": _hours(IssueCode.HOURS_OVERLAP, "/1/1", an_interval(1), an_interval(1)),
    "a night that reaches into the morning": _hours(
        IssueCode.HOURS_OVERLAP,
        "/2/0",
        an_interval(1, "22:00", "06:00", passes_midnight=True),
        an_interval(2, "05:00", "09:00"),
    ),
    "a Sunday night that reaches into Monday": _hours(
        IssueCode.HOURS_OVERLAP,
        "/7/0",
        an_interval(7, "22:00", "06:00", passes_midnight=True),
        an_interval(1, "05:00", "09:00"),
    ),
    "no call flow": Defect(code=IssueCode.CALL_FLOW_MISSING, path="/callFlow", changes={"call_flow": None}),
    "calls that go to nobody": Defect(
        code=IssueCode.DIRECT_WITHOUT_TARGET,
        path="/callFlow/directTargets",
        changes={"call_flow": a_direct_flow(direct_targets=())},
    ),
    "calls that go to an extension that is gone": Defect(
        code=IssueCode.TARGET_DANGLING,
        path="/callFlow/directTargets/1",
        changes={"call_flow": a_direct_flow(direct_targets=("extension-1", "extension-9"))},
    ),
    "an empty menu": _menu(IssueCode.IVR_WITHOUT_OPTION, "options", options=()),
    "a silent menu": _menu(IssueCode.IVR_GREETING_MISSING, "greeting", greeting=None),
    "a key twice": _menu(IssueCode.IVR_DIGIT_TWICE, "options/1", options=(an_option("1"), an_option("1", to_number()))),
    "an option behind another": _menu(
        IssueCode.IVR_OPTION_UNREACHABLE, "options/12", options=(an_option("12"), an_option("1"))
    ),
    "no way on after silence": _menu(IssueCode.IVR_TIMEOUT_TARGET_MISSING, "timeoutTarget", timeout_target=None),
    "no way on after wrong keys": _menu(IssueCode.IVR_INVALID_TARGET_MISSING, "invalidTarget", invalid_target=None),
    "an option to nowhere": _menu(
        IssueCode.TARGET_DANGLING, "options/1/0/target", options=(an_option("1", to_extension(None)),)
    ),
    "an option to an extension that is gone": _menu(
        IssueCode.TARGET_DANGLING, "options/1/0/target", options=(an_option("1", to_extension("extension-9")),)
    ),
    "an option to a mailbox that is gone": _menu(
        IssueCode.TARGET_DANGLING, "options/1/0/target", options=(an_option("1", to_mailbox("extension-9")),)
    ),
    "an option to no number": _menu(
        IssueCode.TARGET_DANGLING, "options/1/0/target", options=(an_option("1", to_number(None, None)),)
    ),
    "silence that leads to an extension that is gone": _menu(
        IssueCode.TARGET_DANGLING, "timeoutTarget", timeout_target=to_extension("extension-9")
    ),
    "wrong keys that lead to an extension that is gone": _menu(
        IssueCode.TARGET_DANGLING, "invalidTarget", invalid_target=to_extension("extension-9")
    ),
    "an option to a number that cannot be dialled": _menu(
        IssueCode.DIALLED_NUMBER_NOT_E164,
        "options/1/0/target/externalNumber",
        options=(an_option("1", to_number("555-0199", None)),),
    ),
    "a mailbox at a location without voicemail": Defect(
        code=IssueCode.TARGET_WITHOUT_VOICEMAIL,
        path="/callFlow/timeoutTarget",
        changes={"phone_system": a_phone_system(voicemail=False)},
    ),
    "a mailbox of a person without voicemail": Defect(
        code=IssueCode.TARGET_WITHOUT_VOICEMAIL,
        path="/callFlow/timeoutTarget",
        changes={
            "people": (a_person(voicemail=False),),
            "call_flow": a_menu(timeout_target=to_mailbox("extension-1")),
        },
    ),
    "partners that accept no version in common": Defect(
        code=IssueCode.PAYLOAD_VERSION_NOT_ACCEPTED,
        path="",
        changes={},
        outside=Outside(partners=(a_partner("1.0.0"), a_partner("1.1.0"))),
    ),
    "an address that two locations have in operation": _device(
        IssueCode.MAC_LIVE_TWICE, "macAddress", Outside(live_twice={"805ec0010101": None})
    ),
    "no partner": Defect(code=IssueCode.PARTNER_MISSING, path="", changes={}, outside=Outside(partners=())),
    "a partner that cannot answer": Defect(
        code=IssueCode.PARTNER_UNAVAILABLE,
        path="",
        changes={},
        outside=_partners(replace(a_partner(), available=False)),
    ),
    "a provider that is not a partner": Defect(
        code=IssueCode.PROVIDER_WITHOUT_PARTNER,
        path="/phoneSystem/provider",
        changes={"phone_system": a_phone_system(provider="Carrier Two")},
        outside=_partners(a_partner()),
    ),
    "a partner's rejection": Defect(
        code=IssueCode.REJECTED_BY_PARTNER,
        path="/devices/phone-1/macAddress",
        changes={},
        outside=rejected(a_location()),
    ),
}

CHANGES = {name: defect.changes for name, defect in DEFECTS.items()}


def a_location_with_every_defect() -> LocationContent:
    """One of every defect that does not exclude another."""
    return a_location(
        name="",
        address=an_address(line1=None, country="XX"),
        timezone="Mars/Olympus",
        contacts=(
            a_contact(purpose=ContactPurpose.TECHNICAL, name=None, email="alice@", phone="555", e164=None),
            a_contact(id="contact-2", purpose=ContactPurpose.TECHNICAL, email=None, phone=None, e164=None),
            a_contact(id="contact-3", purpose=ContactPurpose.TECHNICAL, email=None),
        ),
        phone_system=a_phone_system(main_number=None, main_number_e164=None, caller_id_name="X" * 16, voicemail=False),
        devices=(
            a_device(model=None, mac_address=None),
            a_device(id="phone-2", mac_address="0" * 12),
            a_device(id="phone-3", mac_address="0" * 12),
            a_device(id="phone-4", mac_address="ffffffffffff"),
            a_device(id="phone-5", mac_address="00155d010101"),
        ),
        people=(a_person(first_name=None, last_name=None), a_person(id="person-2")),
        extensions=(
            an_extension(id="extension-2", number="0A"),
            an_extension(id="extension-3", number="911", device_id=None),
            an_extension(id="extension-4", number="911", device_id=None),
            an_extension(id="extension-5", number="411", device_id=None, person_id=None),
        ),
        working_hours=(an_interval(1), an_interval(1), an_interval(2, "17:00", "09:00")),
        call_flow=a_menu(
            greeting=None,
            timeout_target=None,
            invalid_target=None,
            options=(
                an_option("1"),
                an_option("1", to_mailbox()),
                an_option("12"),
                an_option("3", to_number("555-0199", None)),
            ),
        ),
    )


def everything_outside() -> Outside:
    return Outside(
        claimed_elsewhere={"00155d010101": None},
        live_twice={"00155d010101": None},
        models=frozenset(),
        rejection=rejected(a_location_with_every_defect()).rejection,
        partners=(replace(a_partner("1.0.0"), available=False),),
    )


# What cannot show beside its opposite: what is missing altogether has no faults of its own.
EXCLUDED_BY_OTHERS = {
    IssueCode.PARTNER_MISSING,
    IssueCode.TIMEZONE_MISSING,
    IssueCode.PHONE_SYSTEM_MISSING,
    IssueCode.DEVICE_MISSING,
    IssueCode.HOURS_MISSING,
    IssueCode.CALL_FLOW_MISSING,
    IssueCode.DIRECT_WITHOUT_TARGET,
    IssueCode.IVR_WITHOUT_OPTION,
}
