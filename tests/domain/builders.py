"""Values to test the domain with: each builder makes something in good order, and a test names what differs."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from app.domain.content import (
    Address,
    CallFlow,
    CallFlowOption,
    Contact,
    Device,
    Extension,
    LocationContent,
    Person,
    PhoneSystem,
    Target,
    WorkingHours,
)
from app.domain.handoff import PayloadFacts
from app.domain.locks import Override
from app.domain.payload import payload_document
from app.domain.payload_version import payload_version
from app.domain.recipients import Partner
from app.domain.viewer import EVERYTHING, Scope, Viewer
from app.domain.vocabulary import (
    CallFlowKind,
    CallTarget,
    ContactPurpose,
    DeviceBrand,
    PartnerPurpose,
    PayloadState,
    Role,
    Section,
)

NOON = datetime(2024, 1, 10, 12, 0, tzinfo=UTC)


def an_address(**changes: Any) -> Address:
    return replace(
        Address(line1="123 Main Street", line2="Suite 100", city="New York", state="NY", zipcode="10001", country="US"),
        **changes,
    )


def a_contact(**changes: Any) -> Contact:
    return replace(
        Contact(
            id="contact-1",
            purpose=ContactPurpose.PRIMARY,
            name="Alice Johnson",
            email="alice@example.com",
            phone="+1 212 555 0101",
            e164="+12125550101",
        ),
        **changes,
    )


def a_phone_system(**changes: Any) -> PhoneSystem:
    return replace(
        PhoneSystem(
            main_number="(212) 555-0100",
            main_number_e164="+12125550100",
            caller_id_name="ACME MEDICAL",
            provider="Carrier",
            outbound_prefix="9",
            voicemail=True,
            extension_length=4,
        ),
        **changes,
    )


def a_device(**changes: Any) -> Device:
    return replace(
        Device(
            id="phone-1",
            brand=DeviceBrand.YEALINK,
            model="T46S",
            mac_address="805ec0010101",
            serial_number="SN-1",
            label="Front desk",
        ),
        **changes,
    )


def a_person(**changes: Any) -> Person:
    return replace(
        Person(
            id="person-1",
            first_name="Bob",
            last_name="Smith",
            email="bob@example.com",
            mobile="+1 212 555 0102",
            mobile_e164="+12125550102",
            voicemail=True,
        ),
        **changes,
    )


def an_extension(**changes: Any) -> Extension:
    return replace(
        Extension(id="extension-1", number="1001", label="Desk", person_id="person-1", device_id="phone-1"), **changes
    )


def an_interval(weekday: int = 1, opens: str = "09:00", closes: str = "17:00", **changes: Any) -> WorkingHours:
    return WorkingHours(
        **{
            "id": f"hours-{weekday}-{opens[:2]}",
            "weekday": weekday,
            "opens": time.fromisoformat(opens),
            "closes": time.fromisoformat(closes),
            **changes,
        }
    )


def to_extension(identifier: str | None = "extension-1") -> Target:
    return Target(kind=CallTarget.EXTENSION, extension_id=identifier)


def to_mailbox(identifier: str | None = None) -> Target:
    return Target(kind=CallTarget.VOICEMAIL, extension_id=identifier)


def to_number(number: str | None = "+1 212 555 0199", e164: str | None = "+12125550199") -> Target:
    return Target(kind=CallTarget.EXTERNAL_NUMBER, external_number=number, external_number_e164=e164)


def hang_up() -> Target:
    return Target(kind=CallTarget.HANG_UP)


def an_option(digit: str = "1", target: Target | None = None) -> CallFlowOption:
    return CallFlowOption(digit=digit, target=target or to_extension())


def a_menu(**changes: Any) -> CallFlow:
    return replace(
        CallFlow(
            kind=CallFlowKind.IVR,
            greeting="Welcome to Acme.",
            timeout_seconds=10,
            retries=2,
            timeout_target=to_mailbox(),
            invalid_target=hang_up(),
            options=(an_option("1"), an_option("2", to_number())),
        ),
        **changes,
    )


def a_direct_flow(**changes: Any) -> CallFlow:
    return replace(CallFlow(kind=CallFlowKind.DIRECT, direct_targets=("extension-1",)), **changes)


def a_location(**changes: Any) -> LocationContent:
    """A location that nothing can be said against."""
    return replace(
        LocationContent(
            location_id="location-1",
            account_id="account-1",
            name="Acme Medical - Main Office",
            address=an_address(),
            timezone="America/New_York",
            contacts=(a_contact(),),
            phone_system=a_phone_system(),
            devices=(a_device(),),
            people=(a_person(),),
            extensions=(an_extension(),),
            working_hours=tuple(an_interval(weekday) for weekday in range(1, 6)),
            call_flow=a_menu(),
        ),
        **changes,
    )


def the_example_location() -> LocationContent:
    """The location of the example payload that the product was specified with."""
    return a_location(
        contacts=(a_contact(phone="+1-555-0101", e164=None),), devices=(a_device(mac_address="00155d010101"),)
    )


def a_document(content: LocationContent | None = None, **changes: Any) -> dict[str, Any]:
    """A payload document, as JSON knows it, in the version that suits partners who accept all."""
    given = content or a_location()
    facts: dict[str, Any] = {
        "version": payload_version(given, ()),
        "account_name": "Acme Medical Group",
        "now": datetime(2024, 1, 10, 10, 0, tzinfo=UTC),
        "sequence": 1,
        "generated_by": "user-lead",
        "location_revision": 7,
        "supersedes": None,
    } | changes
    return payload_document(given, **facts)


def a_lead(identifier: str = "user-lead") -> Viewer:
    return Viewer(
        identifier,
        "Lead",
        "lead@example.com",
        Role.IMPLEMENTATION_LEAD,
        EVERYTHING,
        EVERYTHING,
        EVERYTHING,
        EVERYTHING,
        EVERYTHING,
        all_accounts=True,
        confirmed=True,
    )


def a_customer(identifier: str = "user-customer") -> Viewer:
    scope = Scope(accounts=frozenset({"account-1"}), locations=None)
    return Viewer(
        identifier,
        "Customer",
        "customer@example.com",
        Role.CUSTOMER,
        scope,
        scope,
        scope,
        scope,
        scope,
        all_accounts=False,
        confirmed=True,
    )


def an_override(**changes: Any) -> Override:
    return replace(
        Override(
            id="override-1",
            opened_by="user-lead",
            sections=frozenset({Section.DEVICES}),
            expires_at=NOON + timedelta(minutes=30),
        ),
        **changes,
    )


def a_partner(*versions: str, name: str = "Carrier One") -> Partner:
    """A partner who accepts these versions of the payload document, or all."""
    return Partner(
        user_id=f"user-{name}",
        name=name,
        purpose=PartnerPurpose.CARRIER,
        required=True,
        versions=frozenset(versions),
    )


def a_payload(**changes: Any) -> PayloadFacts:
    return replace(
        PayloadFacts(
            id="payload-1",
            version="1.0.0",
            state=PayloadState.GENERATED,
            content_digest="c" * 64,
            document_digest="d" * 64,
        ),
        **changes,
    )
