"""A value that a partner names in the payload is shown where the customer entered it."""

import random
from itertools import product

import pytest

from app.domain.content_document import content_document
from app.domain.json_pointer import pointer_along, resolves, tokens_of
from app.domain.payload import SHAPES, InvalidDocumentError
from app.domain.payload_paths import content_paths
from app.domain.places import place_of
from app.domain.vocabulary import ContactPurpose

from .builders import (
    a_contact,
    a_device,
    a_direct_flow,
    a_document,
    a_location,
    a_menu,
    a_person,
    a_phone_system,
    an_extension,
    an_interval,
    an_option,
    hang_up,
    to_extension,
    to_mailbox,
    to_number,
)
from .defects import CHANGES

# The members that only the document has.
DOCUMENT_ONLY = {"accountName", "timestamp", "version", "metadata"}


def a_large_location():
    """Rows whose order in the document is that of no other order."""
    chance = random.Random(1)
    contacts = [
        a_contact(id=f"contact-{place}", purpose=purpose, position=9 - place, name=f"Contact {place}")
        for place, purpose in enumerate([*ContactPurpose, *ContactPurpose, ContactPurpose.TECHNICAL])
    ]
    numbers = ["1007", "1003", "21", "1005", "12"]
    devices = [a_device(id=f"phone-{9 - place}", mac_address=f"805ec00101{place:02x}") for place in range(5)]
    people = [a_person(id=f"person-{place}", first_name=f"Person {place}") for place in (4, 2, 7, 1, 3)]
    extensions = [
        an_extension(
            id=f"extension-{place}",
            number=number,
            person_id=["person-4", "person-7", "person-4", None, "person-1"][place],
            device_id=[None, "phone-7", "phone-9", "phone-5", None][place],
        )
        for place, number in enumerate(numbers)
    ]
    flow = a_menu(
        options=(
            an_option("9", to_extension("extension-1")),
            an_option("*", to_mailbox("extension-3")),
            an_option("1", to_number()),
            an_option("0#", hang_up()),
        ),
        direct_targets=("extension-2", "extension-0"),
        timeout_target=to_extension("extension-4"),
    )
    hours = [an_interval(5), an_interval(1, "13:00", "18:00"), an_interval(1, "08:00", "12:00"), an_interval(3)]
    for rows in (contacts, devices, people, extensions, hours):
        chance.shuffle(rows)
    return a_location(
        contacts=tuple(contacts),
        devices=tuple(devices),
        people=tuple(people),
        extensions=tuple(extensions),
        working_hours=tuple(hours),
        call_flow=flow,
        phone_system=a_phone_system(extension_length=None),
        site_code="Store 7",
    )


def handed_over():
    """Contents that a payload can be made of."""
    contents = {"a large location": a_large_location(), "a direct flow": a_location(call_flow=a_direct_flow())}
    contents |= {name: a_location(**CHANGES[name]) for name in sorted(CHANGES)[::5]}
    for (name, content), version in product(contents.items(), SHAPES):
        try:
            yield pytest.param(content, a_document(content, version=version), id=f"{name}, {version}")
        except InvalidDocumentError:
            continue


def pointers(value, along=()):
    """A pointer to each value in a document, whole lists and objects included."""
    yield pointer_along(along)
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from pointers(member, (*along, str(name)))


def value_at(document, path):
    for token in tokens_of(path) or ():
        document = document[int(token)] if isinstance(document, list) else document[token]
    return document


HANDED_OVER = [*handed_over()]


@pytest.mark.parametrize(("content", "document"), HANDED_OVER)
def test_every_value_of_a_payload_has_a_place_in_the_content_or_is_only_in_the_document(content, document):
    paths = [*pointers(document)]
    assert all(resolves(document, path) for path in paths)
    own = content_document(content)
    for path, place in zip(paths, content_paths(content, paths), strict=True):
        if path.split("/")[1:2] and path.split("/")[1] in DOCUMENT_ONLY:
            assert place == path
        else:
            assert resolves(own, place), (path, place)


@pytest.mark.parametrize(("content", "document"), HANDED_OVER)
def test_a_text_that_somebody_entered_is_found_where_it_was_entered(content, document):
    own = content_document(content)
    paths = [path for path in pointers(document) if isinstance(value_at(document, path), str)]
    shown = dict(zip(paths, content_paths(content, paths), strict=True))
    for path in paths:
        name = path.rpartition("/")[2]
        if name in {
            "name",
            "email",
            "phone",
            "label",
            "model",
            "serialNumber",
            "firstName",
            "digit",
            "opens",
            "number",
        }:
            assert value_at(own, shown[path]) == value_at(document, path), (path, shown[path])


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/locationName", "/location/name"),
        ("/location/address/zipcode", "/location/address/zipcode"),
        ("/contacts/primary/email", "/contacts/contact-3/email"),
        ("/contacts/others/0/phone", "/contacts/contact-4/phone"),
        ("/contacts/others/0/purpose", "/contacts/contact-4/purpose"),
        ("/contacts/primary/phoneE164", "/contacts/contact-3/phone"),
        ("/users/0/mobileE164", "/people/person-1/mobile"),
        ("/phoneSystem/mainNumber", "/phoneSystem/mainNumber"),
        ("/phoneSystem/mailboxNumber", "/phoneSystem/mainNumber"),
        ("/callFlow/timeoutTarget/mailboxNumber", "/phoneSystem/mainNumber"),
        ("/devices/0/macAddress", "/devices/phone-5/macAddress"),
        ("/devices/0/id", "/devices/phone-5"),
        ("/devices/0/extension", "/extensions/extension-3/number"),
        ("/devices/1/extension", "/devices/phone-6"),
        ("/users/0/lastName", "/people/person-1/lastName"),
        ("/users/1/extensions/1", "/extensions/extension-0/number"),
        ("/users/1/devices/0", "/extensions/extension-2/deviceId"),
        ("/extensions/0/number", "/extensions/extension-4/number"),
        ("/extensions/2/userId", "/extensions/extension-1/personId"),
        ("/workingHours/1/opens", "/workingHours/1/1/opens"),
        ("/workingHours/2/closes", "/workingHours/3/0/closes"),
        ("/callFlow/options/0/target/extension", "/callFlow/options/*/0/target/extensionId"),
        ("/callFlow/options/2/target/externalNumber", "/callFlow/options/1/0/target/externalNumber"),
        ("/callFlow/timeoutTarget/extension", "/callFlow/timeoutTarget/extensionId"),
        ("/callFlow/extensions/1", "/callFlow/directTargets/1"),
    ],
)
def test_a_place_in_the_document_is_a_place_in_the_content(path, place):
    assert content_paths(a_large_location(), [path]) == [place]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/devices/99/macAddress", "/devices"),
        ("/devices/99/phone-5", "/devices"),
        ("/devices/phone-5/model", "/devices"),
        ("/devices/0/colour", "/devices/phone-5"),
        ("/users/0/devices/7", "/people/person-1"),
        ("/contacts/nobody/name", "/contacts"),
        ("/nothing/0", "/nothing/0"),
        ("/metadata/nothing", "/metadata/nothing"),
        ("", ""),
        ("no pointer", "no pointer"),
    ],
)
def test_a_path_that_was_stored_unchecked_is_shown_at_the_innermost_object_that_exists(path, place):
    assert content_paths(a_large_location(), [path]) == [place]


def test_a_device_is_named_by_its_id_and_its_field():
    [path] = content_paths(a_location(), ["/devices/0/macAddress"])
    found = place_of(path)
    assert (found.section, found.object_id, found.field) == ("DEVICES", "phone-1", "macAddress")


def test_the_paths_of_a_content_without_sections_lead_to_what_there_is():
    content = a_location(phone_system=None, call_flow=None, devices=())
    paths = ["/phoneSystem/mainNumber", "/callFlow/options/0/digit", "/callFlow/extensions/0", "/devices/0"]
    shown = content_paths(content, paths)
    assert shown == ["/phoneSystem", "/callFlow", "/callFlow", "/devices"]
    assert all(resolves(content_document(content), path) for path in shown)
