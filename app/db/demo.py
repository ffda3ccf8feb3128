"""The demo data as values: three accounts, nine people who sign in, and twelve locations in all eight statuses.

`location-1` and its rows have the ids and values of the published payload example.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import time, timedelta

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
from app.domain.vocabulary import (
    CallFlowKind,
    CallTarget,
    ContactPurpose,
    DeviceBrand,
    LocationStatus,
    PartnerPurpose,
    Role,
)
from permissions.matrix import Action
from permissions.policy import missing_for


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A user who can sign in, with access to `accounts`, or to only `locations` of a single account.

    A lead without `accounts` has access to all of them.
    """

    id: str
    name: str
    email: str
    role: Role
    accounts: tuple[str, ...] = ()
    locations: tuple[str, ...] | None = None


ACCOUNTS = {
    "account-1": "Acme Medical Group",
    "account-2": "Birch Dental Partners",
    "account-3": "Cedar Veterinary Clinics",
}

USERS = (
    DemoUser("user-lead", "Lena Ortiz", "lead@turnup.example", Role.IMPLEMENTATION_LEAD),
    DemoUser("user-lead-2", "Marcus Webb", "lead2@turnup.example", Role.IMPLEMENTATION_LEAD),
    DemoUser("user-lead-acme", "Priya Nair", "acme.lead@turnup.example", Role.IMPLEMENTATION_LEAD, ("account-1",)),
    DemoUser("user-auditor", "Theo Brandt", "auditor@turnup.example", Role.AUDITOR),
    DemoUser("user-acme", "Alice Johnson", "customer@acme.example", Role.CUSTOMER, ("account-1",)),
    DemoUser(
        "user-acme-north",
        "Noah Reed",
        "north@acme.example",
        Role.CUSTOMER,
        ("account-1",),
        ("location-2", "location-3"),
    ),
    DemoUser("user-birch", "Bella Stone", "customer@birch.example", Role.CUSTOMER, ("account-2",)),
    DemoUser("user-carrier", "Carrier One", "partner@carrier.example", Role.PARTNER, ("account-1", "account-2")),
    DemoUser("user-pbx", "Hosted PBX Two", "partner@pbx.example", Role.PARTNER, ("account-3",)),
)

USER_AGE = timedelta(days=1)
"""How long ago the users were created: a lead who approves within an hour of being created raises an alert."""

# The partners sign in with a service token, which can receive and answer payloads and nothing else.
PARTNERS = tuple(user for user in USERS if user.role is Role.PARTNER)
ANSWERS = (Action.ACKNOWLEDGE, Action.REJECT)
TOKEN_ACTIONS = sorted({*ANSWERS, *(required for each in ANSWERS for required in missing_for(each, ()))})
TOKEN_LIFETIME = timedelta(days=300)

# The versions of the payload document that a partner stated. The other partners accept all.
ACCEPTED_VERSIONS = (("user-pbx", "1.0.0"), ("user-pbx", "1.1.0"))

# Brand, model and lines, as in the catalogue file of the product. All are desk phones, except for the video phones.
DEVICE_MODELS = (
    (DeviceBrand.YEALINK, "T46S", 16),
    (DeviceBrand.YEALINK, "T54W", 16),
    (DeviceBrand.POLY, "VVX 450", 12),
    (DeviceBrand.CISCO, "8845", 10),
    (DeviceBrand.GRANDSTREAM, "GXP2170", 6),
    (DeviceBrand.SNOM, "D785", 12),
    (DeviceBrand.FANVIL, "X6U", 20),
)
VIDEO_PHONES = frozenset({"8845"})


def example() -> LocationContent:
    """Return the content of the published payload example."""
    return LocationContent(
        location_id="location-1",
        account_id="account-1",
        name="Acme Medical - Main Office",
        address=Address(
            line1="123 Main Street", line2="Suite 100", city="New York", state="NY", zipcode="10001", country="US"
        ),
        timezone="America/New_York",
        contacts=(
            Contact(
                id="contact-1",
                purpose=ContactPurpose.PRIMARY,
                name="Alice Johnson",
                email="alice@example.com",
                phone="+1-555-0101",
            ),
        ),
        phone_system=PhoneSystem(
            main_number="+1 212 555 0100",
            main_number_e164="+12125550100",
            caller_id_name="ACME MEDICAL",
            provider="Carrier One",
            voicemail=True,
            extension_length=4,
        ),
        devices=(
            Device(
                id="phone-1",
                brand=DeviceBrand.YEALINK,
                model="T46S",
                mac_address="00155d010101",
                serial_number="SN-0001",
                label="Reception",
            ),
        ),
        people=(Person(id="person-1", first_name="Dana", last_name="Cole", email="dana@acme.example", voicemail=True),),
        extensions=(
            Extension(id="extension-1", number="1001", label="Reception", person_id="person-1", device_id="phone-1"),
        ),
        working_hours=tuple(
            WorkingHours(id=f"hours-{day}", weekday=day, opens=time(8, 30), closes=time(17, 0)) for day in range(1, 6)
        ),
        call_flow=CallFlow(
            kind=CallFlowKind.IVR,
            greeting="Thank you for calling Acme Medical. Press 1 for reception, 2 to leave a message.",
            timeout_seconds=8,
            retries=2,
            timeout_target=Target(kind=CallTarget.EXTENSION, extension_id="extension-1"),
            invalid_target=Target(kind=CallTarget.HANG_UP),
            options=(
                CallFlowOption(digit="1", target=Target(kind=CallTarget.EXTENSION, extension_id="extension-1")),
                CallFlowOption(digit="2", target=Target(kind=CallTarget.VOICEMAIL)),
            ),
        ),
    )


def test_content(*, account_id: str, provider: str, new_id: Callable[[str], str]) -> LocationContent:
    """Return the content of a location for a partner's tests: the published example, with new ids.

    `new_id(type name)` creates an id. The MAC address is one of those reserved for documentation (RFC 7042).
    """
    shown = example()
    (contact,), (device,), (person,), (extension,) = shown.contacts, shown.devices, shown.people, shown.extensions
    contact, device = replace(contact, id=new_id("Contact")), replace(device, id=new_id("Device"))
    person, number = replace(person, id=new_id("Person")), new_id("Extension")

    def moved(target: Target) -> Target:
        return replace(target, extension_id=number) if target.extension_id == extension.id else target

    flow = shown.call_flow
    assert flow is not None  # noqa: S101 - the example has a call flow
    return replace(
        shown,
        location_id=new_id("Location"),
        account_id=account_id,
        name=f"TEST - {shown.name}",
        contacts=(contact,),
        phone_system=replace(shown.phone_system, provider=provider) if shown.phone_system else None,
        devices=(replace(device, mac_address="00005e005301", serial_number="TEST-0001"),),
        people=(person,),
        extensions=(replace(extension, id=number, person_id=person.id, device_id=device.id),),
        working_hours=tuple(replace(each, id=new_id("WorkingHours")) for each in shown.working_hours),
        call_flow=replace(
            flow,
            timeout_target=moved(flow.timeout_target) if flow.timeout_target else None,
            invalid_target=moved(flow.invalid_target) if flow.invalid_target else None,
            options=tuple(replace(each, target=moved(each.target)) for each in flow.options),
        ),
    )


@dataclass(frozen=True, slots=True)
class Branch:
    """The values in which the other demo locations differ. `desks` is the number of desk phones.

    A location without desks is not filled in.
    """

    number: int
    account_id: str
    name: str
    city: str
    state: str
    zipcode: str
    timezone: str
    status: LocationStatus
    desks: int


BRANCHES = (
    Branch(2, "account-1", "Acme Medical - North Clinic", "Albany", "NY", "12207", "America/New_York",
           LocationStatus.NOT_STARTED, 0),
    Branch(3, "account-1", "Acme Medical - Harbor Street", "Boston", "MA", "02110", "America/New_York",
           LocationStatus.PENDING_APPROVAL, 3),
    Branch(4, "account-1", "Acme Medical - Lakeside", "Chicago", "IL", "60601", "America/Chicago",
           LocationStatus.APPROVED, 4),
    Branch(5, "account-1", "Acme Medical - Imaging Center", "Denver", "CO", "80202", "America/Denver",
           LocationStatus.PROVISIONING, 2),
    Branch(6, "account-2", "Birch Dental - Downtown", "Portland", "OR", "97204", "America/Los_Angeles",
           LocationStatus.COMPLETED, 3),
    Branch(7, "account-2", "Birch Dental - Eastside", "Seattle", "WA", "98101", "America/Los_Angeles",
           LocationStatus.IN_PROGRESS, 2),
    Branch(8, "account-2", "Birch Dental - Orthodontics", "Boise", "ID", "83702", "America/Boise",
           LocationStatus.BLOCKED, 1),
    Branch(9, "account-2", "Birch Dental - Old Mill", "Bend", "OR", "97701", "America/Los_Angeles",
           LocationStatus.CANCELLED, 1),
    Branch(10, "account-3", "Cedar Veterinary - Riverside", "Austin", "TX", "78701", "America/Chicago",
           LocationStatus.PROVISIONING, 2),
    Branch(11, "account-3", "Cedar Veterinary - Hilltop", "Dallas", "TX", "75201", "America/Chicago",
           LocationStatus.PENDING_APPROVAL, 2),
    Branch(12, "account-3", "Cedar Veterinary - Small Animals", "Houston", "TX", "77002", "America/Chicago",
           LocationStatus.NOT_STARTED, 0),
)  # fmt: skip

EXAMPLE_STATUS = LocationStatus.IN_PROGRESS

# The partners that a lead chose: location, user, purpose. All other locations have the partners of their accounts.
CHOSEN_PARTNERS = (("location-10", "user-pbx", PartnerPurpose.PBX),)


def content_of(branch: Branch) -> LocationContent:
    """Return the content of a branch: complete if it has desks, else only its name."""
    n = branch.number
    if not branch.desks:
        return LocationContent(location_id=f"location-{n}", account_id=branch.account_id, name=branch.name)
    desks = range(1, branch.desks + 1)
    extension_ids = tuple(f"extension-{n}-{desk}" for desk in desks)
    return LocationContent(
        location_id=f"location-{n}",
        account_id=branch.account_id,
        name=branch.name,
        address=Address(
            line1=f"{n}00 Market Street", city=branch.city, state=branch.state, zipcode=branch.zipcode, country="US"
        ),
        timezone=branch.timezone,
        contacts=(
            Contact(
                id=f"contact-{n}",
                purpose=ContactPurpose.PRIMARY,
                name="Office Manager",
                email=f"office-{n}@demo.example",
                phone=f"+1 212 555 02{n:02}",
                e164=f"+121255502{n:02}",
            ),
        ),
        phone_system=PhoneSystem(
            main_number=f"+1 212 555 03{n:02}",
            main_number_e164=f"+121255503{n:02}",
            caller_id_name=branch.name.split(" - ")[0].upper()[:15],
            provider="Carrier One",
            extension_length=4,
        ),
        devices=tuple(
            Device(
                id=f"phone-{n}-{desk}",
                brand=DeviceBrand.YEALINK,
                model="T54W",
                mac_address=f"805ec0{n:02x}00{desk:02x}",
                label=f"Desk {desk}",
            )
            for desk in desks
        ),
        people=tuple(
            Person(id=f"person-{n}-{desk}", first_name="Desk", last_name=f"Holder {desk}", voicemail=True)
            for desk in desks
        ),
        extensions=tuple(
            Extension(
                id=f"extension-{n}-{desk}",
                number=f"{2000 + desk}",
                label=f"Desk {desk}",
                person_id=f"person-{n}-{desk}",
                device_id=f"phone-{n}-{desk}",
            )
            for desk in desks
        ),
        working_hours=tuple(
            WorkingHours(id=f"hours-{n}-{day}", weekday=day, opens=time(9, 0), closes=time(17, 30))
            for day in range(1, 6)
        ),
        call_flow=CallFlow(kind=CallFlowKind.DIRECT, direct_targets=extension_ids[:2]),
    )
