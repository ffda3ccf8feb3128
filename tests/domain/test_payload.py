"""The payload says what the example said, is the same bytes every time, and has the shape that was promised."""

import json
import os
import re
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from app.domain.canonical import canonical
from app.domain.digest import content_digest, document_digest
from app.domain.payload import VERSIONS, InvalidDocumentError, check_document, json_schema
from app.domain.vocabulary import ContactPurpose

from .builders import (
    a_contact,
    a_device,
    a_direct_flow,
    a_document,
    a_location,
    a_menu,
    a_person,
    an_address,
    an_extension,
    an_interval,
    an_option,
    hang_up,
    the_example_location,
    to_extension,
    to_mailbox,
    to_number,
)
from .published_schema import violations

VERSION = "1.0.0"
PUBLISHED = Path(__file__).with_name("provisioning-payload-1.0.0.json")

EXAMPLE = {
    "locationId": "location-1",
    "locationName": "Acme Medical - Main Office",
    "accountId": "account-1",
    "accountName": "Acme Medical Group",
    "timestamp": "2024-01-10T10:00:00Z",
    "version": "1.0.0",
    "location": {
        "name": "Acme Medical - Main Office",
        "address": {
            "line1": "123 Main Street",
            "line2": "Suite 100",
            "city": "New York",
            "state": "NY",
            "zipcode": "10001",
        },
    },
    "contacts": {"primary": {"name": "Alice Johnson", "email": "alice@example.com", "phone": "+1-555-0101"}},
    "devices": [
        {
            "id": "phone-1",
            "brand": "YEALINK",
            "model": "T46S",
            "macAddress": "00:15:5D:01:01:01",
            "extension": "1001",
        }
    ],
}


def contains(document, example):
    if isinstance(example, dict):
        return all(name in document and contains(document[name], value) for name, value in example.items())
    if isinstance(example, list):
        return len(document) == len(example) and all(map(contains, document, example))
    return document == example


def changed(document, path, value):
    """The document with the value at the path replaced, or taken away when there is none."""
    copy = deepcopy(document)
    *way, last = path
    place = copy
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return copy


def test_every_key_and_value_of_the_example_comes_out_for_the_example_s_location():
    document = a_document(the_example_location())
    assert contains(document, EXAMPLE)
    assert {"users", "extensions", "workingHours", "callFlow", "metadata"} <= document.keys()


def test_the_document_of_a_location_in_good_order_in_full():
    flow = a_menu(options=(an_option("2", to_mailbox("extension-1")), an_option("1")), timeout_target=hang_up())
    document = a_document(
        a_location(call_flow=flow, working_hours=(an_interval(7, "22:00", "06:00", passes_midnight=True),))
    )
    target = {"extension": None, "externalNumber": None}
    assert {name: document[name] for name in ("phoneSystem", "users", "extensions", "workingHours", "callFlow")} == {
        "phoneSystem": {
            "mainNumber": "+12125550100",
            "callerIdName": "ACME MEDICAL",
            "provider": "Carrier",
            "outboundPrefix": "9",
            "voicemail": True,
            "extensionLength": 4,
        },
        "users": [
            {
                "id": "person-1",
                "firstName": "Bob",
                "lastName": "Smith",
                "email": "bob@example.com",
                "mobile": "+1 212 555 0102",
                "voicemail": True,
                "extensions": ["1001"],
                "devices": ["phone-1"],
            }
        ],
        "extensions": [
            {"id": "extension-1", "number": "1001", "label": "Desk", "userId": "person-1", "deviceId": "phone-1"}
        ],
        "workingHours": [{"weekday": 7, "opens": "22:00", "closes": "06:00", "passesMidnight": True}],
        "callFlow": {
            "kind": "IVR",
            "greeting": "Welcome to Acme.",
            "timeoutSeconds": 10,
            "retries": 2,
            "extensions": [],
            "options": [
                {"digit": "1", "target": target | {"kind": "EXTENSION", "extension": "1001"}},
                {"digit": "2", "target": target | {"kind": "VOICEMAIL", "extension": "1001"}},
            ],
            "timeoutTarget": target | {"kind": "HANG_UP"},
            "invalidTarget": target | {"kind": "HANG_UP"},
        },
    }


def test_the_metadata_says_what_the_document_is():
    assert a_document(sequence=3, supersedes="payload-2")["metadata"] == {
        "sequence": 3,
        "contentDigest": content_digest(a_location()),
        "generatedBy": "user-lead",
        "locationRevision": 7,
        "supersedes": "payload-2",
    }


def test_the_timestamp_is_in_utc_to_the_second():
    there = timezone(timedelta(hours=-5))
    document = a_document(now=datetime(2024, 1, 10, 5, 0, 0, 999_999, tzinfo=there))
    assert document["timestamp"] == "2024-01-10T10:00:00Z"


def test_contacts_are_the_first_of_each_purpose_then_the_others():
    contacts = (
        a_contact(id="contact-3", position=2, name="Carol"),
        a_contact(id="contact-1", position=1, name="Alice"),
        a_contact(id="contact-2", position=3, name="Dan", purpose=ContactPurpose.TECHNICAL),
    )
    document = a_document(a_location(contacts=contacts))
    named = {
        purpose: contact and contact["name"] for purpose, contact in document["contacts"].items() if purpose != "others"
    }
    assert named == {"primary": "Alice", "technical": "Dan", "emergency": None}
    assert [(contact["name"], contact["purpose"]) for contact in document["contacts"]["others"]] == [
        ("Carol", "PRIMARY")
    ]


def test_users_are_the_people_who_hold_an_extension_once_each():
    document = a_document(
        a_location(
            people=(a_person(), a_person(id="person-2")),
            extensions=(
                an_extension(id="extension-2", number="1002", device_id=None),
                an_extension(),
                an_extension(id="extension-3", number="1003", person_id=None, device_id=None),
            ),
        )
    )
    assert [(user["id"], user["extensions"], user["devices"]) for user in document["users"]] == [
        ("person-1", ["1001", "1002"], ["phone-1"])
    ]


def test_a_device_that_rings_for_nobody_says_so():
    document = a_document(a_location(devices=(a_device(), a_device(id="phone-2", mac_address="805ec0010102"))))
    assert [(device["id"], device["extension"]) for device in document["devices"]] == [
        ("phone-1", "1001"),
        ("phone-2", None),
    ]


def test_a_direct_flow_names_its_extensions_in_ringing_order():
    location = a_location(
        extensions=(an_extension(), an_extension(id="extension-2", number="1002", device_id=None)),
        call_flow=a_direct_flow(direct_targets=("extension-2", "extension-1")),
    )
    assert a_document(location)["callFlow"]["extensions"] == ["1002", "1001"]


def test_rows_come_in_one_order_however_they_arrive():
    location = a_location(
        devices=(a_device(), a_device(id="phone-2", mac_address="805ec0010102")),
        extensions=(an_extension(), an_extension(id="extension-2", number="999", device_id=None)),
    )
    reversed_rows = replace(
        location,
        devices=location.devices[::-1],
        extensions=location.extensions[::-1],
        working_hours=location.working_hours[::-1],
    )
    assert a_document(reversed_rows) == a_document(location)
    assert [row["number"] for row in a_document(location)["extensions"]] == ["999", "1001"]


def test_the_same_content_is_the_same_bytes_in_every_process():
    script = (
        "from tests_of_domain.builders import a_document; from app.domain.canonical import canonical;"
        "from app.domain.digest import document_digest;"
        "import json; print(json.dumps(a_document())); print(document_digest(a_document()))"
    ).replace("tests_of_domain", __package__)
    here = Path(__file__)
    search = os.pathsep.join([str(here.parents[2]), str(here.parents[1])])
    printed = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": search},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_the_document_digest_survives_the_journey_through_json():
    document = a_document()
    arrived = json.loads(json.dumps(document, indent=2, sort_keys=True))
    assert document_digest(arrived) == document_digest(document)
    assert canonical(arrived) == canonical(document)


BROKEN = {
    "a missing key": (("locationName",), ...),
    "a key too many": (("comment",), "x"),
    "a nested key too many": (("location", "address", "line3"), "x"),
    "an empty name": (("locationName",), ""),
    "text instead of a number": (("metadata", "sequence"), "1"),
    "a number out of range": (("metadata", "sequence"), 0),
    "a truth value instead of a number": (("metadata", "sequence"), True),
    "null where something must stand": (("location", "timezone"), None),
    "no phone system": (("phoneSystem",), None),
    "no devices": (("devices",), []),
    "an object instead of a list": (("users",), {}),
    "a brand that is none": (("devices", 0, "brand"), "ACME"),
    "an address without colons": (("devices", 0, "macAddress"), "805ec0010101"),
    "an extension too long": (("extensions", 0, "number"), "1234567"),
    "an extension with a leading zero": (("extensions", 0, "number"), "0100"),
    "a national number": (("phoneSystem", "mainNumber"), "2125550100"),
    "a name that networks cut": (("phoneSystem", "callerIdName"), "X" * 16),
    "a country in words": (("location", "address", "country"), "USA"),
    "an eighth weekday": (("workingHours", 0, "weekday"), 8),
    "an hour that is none": (("workingHours", 0, "opens"), "24:00"),
    "a target that is none": (("callFlow", "options", 0, "target", "kind"), "FAX"),
    "a local timestamp": (("timestamp",), "2024-01-10T10:00:00"),
    "another version": (("version",), "1.0.1"),
    "an upper-case digest": (("metadata", "contentDigest"), "A" * 64),
    "an identifier with a slash": (("locationId",), "location/1"),
}
SOUND: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "no second line": (("location", "address", "line2"), None),
    "no technical contact": (("contacts", "technical"), None),
    "no users": (("users",), []),
    "a predecessor": (("metadata", "supersedes"), "payload-1"),
    "another model": (("devices", 0, "model"), "T54W"),
    "no greeting": (("callFlow", "greeting"), None),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_document_of_another_shape_is_refused_by_the_check_and_by_the_schema(case):
    document = changed(a_document(), *BROKEN[case])
    assert violations(document, VERSION)
    with pytest.raises(InvalidDocumentError):
        check_document(document)


@pytest.mark.parametrize("case", SOUND)
def test_a_document_of_the_promised_shape_passes_the_check_and_the_schema(case):
    document = changed(a_document(), *SOUND[case])
    assert violations(document, VERSION) == []
    check_document(document)


def test_the_schema_of_a_published_version_never_changes():
    published = PUBLISHED.read_bytes()
    assert sha256(published).hexdigest() == "16fc96b82b5a5f55263fef23cc57443396d5add7c7861d5e7b53b0047c505dc1"
    assert json_schema("1.0.0") == json.loads(published)


def test_a_date_that_does_not_exist_breaks_the_schema_by_its_format():
    document = changed(a_document(), ("timestamp",), "2024-02-30T10:00:00Z")
    assert violations(document, VERSION) == ["$.timestamp format"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schema_is_json_schema_2020_12_and_describes_every_part(version):
    schema = json_schema(version)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert all(part["description"] for part in schema["$defs"].values() if part.get("type") == "object")
    assert all(
        part["additionalProperties"] is False for part in schema["$defs"].values() if part.get("type") == "object"
    )
    patterns = re.findall(r'"pattern": "([^"]+)"', json.dumps(schema))
    assert all(pattern.startswith("^") and pattern.endswith("$") for pattern in patterns)


@pytest.mark.parametrize("site_code", ["S", "Store 7", "x" * 32])
def test_a_document_of_version_1_1_0_is_valid_against_its_schema_alone(site_code):
    document = a_document(a_location(site_code=site_code))
    check_document(document)
    assert violations(document, "1.1.0") == []
    assert violations(document, "1.0.0")


@pytest.mark.parametrize("site_code", [None, "", "x" * 33, 7])
def test_a_site_code_of_another_form_is_refused_by_the_check_and_by_the_schema(site_code):
    document = changed(a_document(a_location(site_code="S")), ("location", "siteCode"), site_code)
    assert violations(document, "1.1.0")
    with pytest.raises(InvalidDocumentError):
        check_document(document)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_direct_flow_hands_over_nothing_of_a_menu(version):
    menu = {"options": (an_option("1"), an_option("2", to_number())), "timeout_target": to_mailbox()}
    direct = a_direct_flow(greeting="Welcome.", timeout_seconds=20, retries=1, invalid_target=hang_up(), **menu)
    assert a_document(a_location(call_flow=direct), version=version)["callFlow"] == {
        "kind": "DIRECT",
        "greeting": "Welcome.",
        "timeoutSeconds": 20,
        "retries": 1,
        "extensions": ["1001"],
        "options": [],
        "timeoutTarget": None,
        "invalidTarget": None,
    }


def test_a_target_that_a_direct_flow_does_not_hand_over_cannot_keep_the_document_away():
    direct = a_direct_flow(
        options=(an_option("1", to_extension("extension-9")), an_option("1", to_number("555", None)))
    )
    assert a_document(a_location(call_flow=direct))["callFlow"]["options"] == []


def test_the_parts_of_both_schemas_have_the_same_names():
    assert json_schema("1.1.0")["$defs"].keys() == json_schema("1.0.0")["$defs"].keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_content_that_is_not_ready_makes_no_document_in_any_version(version):
    with pytest.raises(InvalidDocumentError):
        a_document(a_location(address=an_address(city=None)), version=version)
